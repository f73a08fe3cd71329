//! The grammar of quantities: sign, digits, point, digits, suffix.

use super::{BINARY, DECIMAL, Format, NANO, Quantity, QuantityError};

/// The most billionths that a quantity holds; beyond it, all numbers are alike.
const MAX: i128 = 10_i128.pow(37);

/// What a suffix multiplies by.
enum Scale {
    Ten(i64),
    Two(u32),
}

/// The quantity, and whether the reference takes the text for canonical and so writes it back unchanged.
pub(super) fn parse(text: &str) -> Result<(Quantity, bool), QuantityError> {
    if text.is_empty() {
        return Err(QuantityError::Format);
    }
    let (negative, rest) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let rest = rest.trim_start_matches('0');
    let (whole, rest) = digits(rest);
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    check_suffix(suffix)?;
    let (scale, mut format) = interpret(suffix).ok_or(QuantityError::Suffix)?;
    let binary = matches!(scale, Scale::Two(_));
    let whole_or_zero = if whole.is_empty() { "0" } else { whole };

    let keep = text == "0" || is_canonical(whole_or_zero, fraction, &scale);
    // A lone point is read as nought by the reference's fast path and refused by its slow one.
    if whole.is_empty() && fraction.is_empty() && rest.starts_with('.') && !text.contains('0') && slow(&scale, 1) {
        return Err(QuantityError::Numeric);
    }

    // Digits past what the integer can hold only matter in that they round up.
    let limit = if binary { 19 } else { 28 };
    let all: String = whole.chars().chain(fraction.chars()).collect();
    let significant = all.trim_start_matches('0');
    let kept = significant.get(..limit).unwrap_or(significant);
    let dropped = &significant[kept.len()..];
    let mut sticky = dropped.bytes().any(|digit| digit != b'0');
    let mut number: i128 = if kept.is_empty() { 0 } else { kept.parse().map_err(|_| QuantityError::Numeric)? };
    let mut exponent = 9 + dropped.len() as i64 - fraction.len() as i64;
    match scale {
        Scale::Ten(power) => exponent = exponent.saturating_add(power),
        Scale::Two(power) => number = number.saturating_mul(1 << power),
    }
    if exponent >= 0 {
        for _ in 0..exponent.min(40) {
            number = number.saturating_mul(10);
        }
    } else {
        for _ in 0..(-exponent).min(64) {
            sticky |= number % 10 != 0;
            number /= 10;
        }
    }
    if sticky {
        number = number.saturating_add(1);
    }
    number = number.min(MAX);
    if binary {
        number = number.min(i128::from(i64::MAX) * NANO);
        if number > 0 && number < NANO {
            format = Format::DecimalSi;
        }
    }
    let nanos = if negative { -number } else { number };
    Ok((Quantity { nanos, format }, keep))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// The shape of a suffix: letters, a sign, digits.
fn check_suffix(suffix: &str) -> Result<(), QuantityError> {
    let rest = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    if rest.bytes().all(|byte| byte.is_ascii_digit()) { Ok(()) } else { Err(QuantityError::Format) }
}

fn interpret(suffix: &str) -> Option<(Scale, Format)> {
    if let Some(power) = DECIMAL.iter().position(|known| *known == suffix) {
        return Some((Scale::Ten(3 * power as i64 - 9), Format::DecimalSi));
    }
    if let Some(power) = BINARY.iter().position(|known| *known == suffix) {
        return Some((Scale::Two(10 * power as u32), Format::BinarySi));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    Some((Scale::Ten(exponent.parse::<i64>().ok()?), Format::DecimalExponent))
}

/// Whether the reference leaves its fast path, which holds a number of so many digits in 64 bits.
fn slow(scale: &Scale, digits: i64) -> bool {
    match scale {
        Scale::Ten(_) => digits > 18,
        Scale::Two(power) => 15 - digits - i64::from(*power) * 3 / 10 - 1 < 0,
    }
}

/// Whether the text looks canonical to the reference.
fn is_canonical(whole: &str, fraction: &str, scale: &Scale) -> bool {
    if slow(scale, (whole.len() + fraction.len()) as i64) {
        return false;
    }
    let shifted = format!("{whole}{fraction}");
    match scale {
        Scale::Ten(power) => {
            let exponent = power - fraction.len() as i64;
            exponent >= -9 && exponent % 3 == 0 && !shifted.ends_with("000") && !shifted.starts_with('0')
        }
        Scale::Two(_) => fraction.is_empty() && shifted.parse::<i64>().is_ok_and(|number| number & 7 != 0),
    }
}
