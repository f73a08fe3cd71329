use super::*;

/// Parses, and compares canonical text, whole value and thousandths.
fn check(text: &str, expected: Result<(&str, i64, i64), QuantityError>) {
    let found = Quantity::parse(text).map(|q| (q.canonical(), q.value(), q.milli_value()));
    assert_eq!(found, expected.map(|(canonical, value, milli)| (canonical.to_owned(), value, milli)), "{text:?}");
}

#[test]
fn notations() {
    check("0", Ok(("0", 0, 0)));
    check("100m", Ok(("100m", 1, 100)));
    check("0.1", Ok(("100m", 1, 100)));
    check("1.5", Ok(("1500m", 2, 1500)));
    check("1.5Gi", Ok(("1536Mi", 1_610_612_736, 1_610_612_736_000)));
    check("1024Ki", Ok(("1Mi", 1 << 20, (1 << 20) * 1000)));
    check("512", Ok(("512", 512, 512_000)));
    check("1000", Ok(("1k", 1000, 1_000_000)));
    check("1500k", Ok(("1500k", 1_500_000, 1_500_000_000)));
    check("12e6", Ok(("12e6", 12_000_000, 12_000_000_000)));
    check("1E", Ok(("1E", 1_000_000_000_000_000_000, i64::MAX)));
    check("1e3", Ok(("1e3", 1000, 1_000_000)));
    check("-1.5Ki", Ok(("-1536", -1536, -1_536_000)));
    check("0.5Ki", Ok(("512", 512, 512_000)));
    check("0.0001Ki", Ok(("102400u", 1, 103)));
    check("0.1n", Ok(("1n", 1, 1)));
    check("-0.1n", Ok(("-1n", -1, -1)));
    check("16Ei", Ok(("9223372036854775807", i64::MAX, i64::MAX)));
    check("+5", Ok(("5", 5, 5000)));
    check(".5", Ok(("500m", 1, 500)));
    check("5.", Ok(("5", 5, 5000)));
}

#[test]
fn refusals() {
    for text in ["", "a", "1x", "1 ", " 1", "1.2.3", "1Gib", "1m-", "--1", "1,5", "1e3.5", "１"] {
        let found = Quantity::parse(text);
        assert!(found.is_err(), "{text:?}: {found:?}");
    }
    check("", Err(QuantityError::Format));
    check("1x", Err(QuantityError::Format));
    check("1mm", Err(QuantityError::Suffix));
    check("1e", Err(QuantityError::Suffix));
    check("1ki", Err(QuantityError::Suffix));
}

#[test]
fn texts_that_are_kept() {
    for (text, written) in [
        ("1.500", "1.500"),
        ("0.5", "500m"),
        ("1e3", "1e3"),
        ("100Mi", "100Mi"),
        ("1024Mi", "1Gi"),
        ("1000m", "1"),
        ("1.5Gi", "1536Mi"),
    ] {
        assert_eq!(Quantity::rewrite(text).as_deref(), Ok(written), "{text:?}");
    }
}

#[test]
fn order_and_sums() {
    let q = |text: &str| Quantity::parse(text).expect(text);
    assert!(q("1Gi") > q("1G"));
    assert_eq!(q("1000m"), q("1"));
    assert_eq!(q("1Gi").add(&q("512Mi")).to_string(), "1536Mi");
    assert_eq!(q("0").add(&q("1Ki")).to_string(), "1Ki");
    assert_eq!(q("1").sub(&q("100m")).to_string(), "900m");
    assert!(q("1").sub(&q("2")).is_negative());
}

#[test]
fn any_text_is_answered() {
    let alphabet: Vec<char> = "+-.0159eEinumkKMGTP é".chars().collect();
    let mut state = 7_u64;
    for _ in 0..50_000 {
        let text: String = (0..state % 12)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                alphabet[(state >> 33) as usize % alphabet.len()]
            })
            .collect();
        state = state.wrapping_add(1);
        if let Ok(quantity) = Quantity::parse(&text) {
            let canonical = quantity.canonical();
            assert_eq!(Quantity::parse(&canonical).map(|q| q.canonical()), Ok(canonical), "{text:?}");
        }
    }
}
