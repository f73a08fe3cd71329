//! Spans of time as the `timeout` of a request gives them: `30s`, `1m30s`, `1.5h`.

use std::time::Duration;

/// Units and how many nanoseconds they are.
const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];

/// The span that a text means; one below zero is none at all.
///
/// # Errors
/// What is wrong with it, in the words of the reference's parser.
pub fn parse(text: &str) -> Result<Duration, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanoseconds = 0.0;
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let (number, after) = rest.split_at(rest.find(|c| !is_number(c)).unwrap_or(rest.len()));
        let value: f64 = number.parse().map_err(|_| invalid())?;
        let (unit, after) = after.split_at(after.find(is_number).unwrap_or(after.len()));
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        let (_, worth) = known.ok_or_else(|| format!("time: unknown unit {unit:?} in duration {text:?}"))?;
        nanoseconds += value * worth;
        rest = after;
    }
    if nanoseconds > 9.2e18 {
        return Err(invalid());
    }
    Ok(if negative { Duration::ZERO } else { Duration::from_nanos(nanoseconds as u64) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let check = |text: &str, expected: Result<u64, &str>| {
            let found = parse(text).map(|span| u64::try_from(span.as_millis()).unwrap());
            assert_eq!(found, expected.map_err(str::to_owned), "{text}");
        };
        check("30s", Ok(30_000));
        check("1m30.5s", Ok(90_500));
        check("1h", Ok(3_600_000));
        check("15ms", Ok(15));
        check("0", Ok(0));
        check("0s", Ok(0));
        check("-3s", Ok(0));
        check("invalid", Err("time: invalid duration \"invalid\""));
        check("-", Err("time: invalid duration \"-\""));
        check("5", Err("time: missing unit in duration \"5\""));
        check("5x", Err("time: unknown unit \"x\" in duration \"5x\""));
    }
}
