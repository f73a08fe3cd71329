//! Moments and spans of time.

use jiff::Zoned;
use jiff::tz::{Offset, TimeZone};

use super::{Outcome, failed};
use crate::value::Val;

const SECOND: i64 = 1_000_000_000;

/// A span such as `1h30m`, in nanoseconds.
pub fn parse_duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let units = [
            ("ns", 1),
            ("us", 1_000),
            ("µs", 1_000),
            ("ms", 1_000_000),
            ("s", SECOND),
            ("m", 60 * SECOND),
            ("h", 3600 * SECOND),
        ];
        let (unit, worth) =
            units.iter().find(|(unit, _)| rest.starts_with(unit) && !(*unit == "m" && rest.starts_with("ms")))?;
        total += number * *worth as f64;
        rest = &rest[unit.len()..];
    }
    (text.len() > 1 && total < 9.2e18).then_some((sign * total) as i64)
}

/// A span as text, in seconds.
pub(super) fn duration_text(nanoseconds: i64) -> String {
    format!("{}s", nanoseconds as f64 / SECOND as f64)
}

pub(super) fn call<'a>(name: &str, args: &[Val<'a>]) -> Option<Outcome<'a>> {
    let int = |value: i64| Some(Ok(Val::Int(value)));
    match args {
        [Val::Duration(span)] => match name {
            "getHours" => int(span / (3600 * SECOND)),
            "getMinutes" => int(span / (60 * SECOND)),
            "getSeconds" => int(span / SECOND),
            "getMilliseconds" => int(span % SECOND / 1_000_000),
            _ => None,
        },
        [Val::Timestamp(at), rest @ ..] => {
            let zone = match rest {
                [] => TimeZone::UTC,
                [Val::String(name)] => match zone(name) {
                    Some(zone) => zone,
                    None => return Some(failed(format!("unknown time zone {name}"))),
                },
                _ => return None,
            };
            part(name, &at.to_zoned(zone)).map(|value| Ok(Val::Int(value)))
        }
        _ => None,
    }
}

fn zone(name: &str) -> Option<TimeZone> {
    if let Some((hours, minutes)) = name.trim_start_matches(['+', '-']).split_once(':') {
        let sign = if name.starts_with('-') { -1 } else { 1 };
        let seconds = sign * (hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60);
        return Offset::from_seconds(seconds).ok().map(Offset::to_time_zone);
    }
    TimeZone::get(name).ok()
}

fn part(name: &str, at: &Zoned) -> Option<i64> {
    Some(match name {
        "getFullYear" => at.year().into(),
        "getMonth" => i64::from(at.month()) - 1,
        "getDate" => at.day().into(),
        "getDayOfMonth" => i64::from(at.day()) - 1,
        "getDayOfWeek" => at.weekday().to_sunday_zero_offset().into(),
        "getDayOfYear" => i64::from(at.day_of_year()) - 1,
        "getHours" => at.hour().into(),
        "getMinutes" => at.minute().into(),
        "getSeconds" => at.second().into(),
        "getMilliseconds" => at.millisecond().into(),
        _ => return None,
    })
}
