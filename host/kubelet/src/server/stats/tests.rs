use super::*;

#[test]
fn rates_are_taken_over_time() {
    let stats = Stats::new();
    let start = Instant::now();
    let check = |millis: u64, cpu: u64, expected: Option<u64>| {
        assert_eq!(stats.rate("c", cpu, start + Duration::from_millis(millis)), expected, "after {millis} ms");
    };
    check(0, 0, None);
    check(500, 100, None);
    check(2000, 1_000_000_000, Some(500_000_000));
    check(2100, 1_900_000_000, Some(500_000_000));
    check(3000, 1_000_000_000, Some(0));
    // A container that was started anew counts from zero.
    check(4000, 5, Some(0));
    stats.keep(&[]);
    check(5000, 5, None);
}

#[test]
fn samples_are_in_the_text_format() {
    let mut text = Text::default();
    text.family("x_total", "counter", "Help");
    text.sample("x_total", &[("a", "q\"\\\n"), ("b", "2")], 1.5, Timestamp::from_millisecond(7).ok());
    text.sample("y", &[], 3.0, None);
    let expected = "# HELP x_total Help\n# TYPE x_total counter\nx_total{a=\"q\\\"\\\\\\n\",b=\"2\"} 1.5 7\ny 3\n";
    assert_eq!(text.0, expected);
}
