//! Schedules in the form of cron: five fields, or a word such as `@daily`.

/// A field: its name, bounds, and the names of its values.
struct Unit {
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const UNITS: [Unit; 5] = [
    Unit { low: 0, high: 59, names: &[] },
    Unit { low: 0, high: 23, names: &[] },
    Unit { low: 1, high: 31, names: &[] },
    Unit { low: 1, high: 12, names: &MONTHS },
    Unit { low: 0, high: 6, names: &DAYS },
];

/// Reads a schedule, or says what is wrong with it.
pub(super) fn parse(text: &str) -> Result<(), String> {
    let mut rest = text;
    if let Some(zoned) = text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ=")) {
        let (zone, schedule) = zoned.split_once(' ').unwrap_or((zoned, ""));
        if !matches!(zone, "" | "UTC" | "Local") && !super::cron_job::is_zone(zone) {
            return Err(format!("provided bad location {zone}: unknown time zone {zone}"));
        }
        rest = schedule.trim();
    }
    if rest.starts_with('@') {
        return descriptor(rest);
    }
    let fields: Vec<&str> = rest.split_whitespace().collect();
    if fields.len() != 5 {
        let shown = format!("[{}]", fields.join(" "));
        return Err(format!("expected exactly 5 fields, found {}: {shown}", fields.len()));
    }
    fields.iter().zip(&UNITS).try_for_each(|(text, unit)| field(text, unit))
}

fn descriptor(text: &str) -> Result<(), String> {
    match text {
        "@yearly" | "@annually" | "@monthly" | "@weekly" | "@daily" | "@midnight" | "@hourly" => Ok(()),
        _ => match text.strip_prefix("@every ") {
            Some(duration) if is_duration(duration) => Ok(()),
            Some(duration) => Err(format!("failed to parse duration {text}: time: invalid duration {duration:?}")),
            None => Err(format!("unrecognized descriptor: {text}")),
        },
    }
}

/// Whether text is a duration such as `1h30m`.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        if digits == 0 || rest[..digits].matches('.').count() > 1 {
            return false;
        }
        rest = &rest[digits..];
        let Some(unit) = ["ns", "us", "µs", "ms", "s", "m", "h"].iter().find(|unit| rest.starts_with(**unit)) else {
            return false;
        };
        rest = &rest[unit.len()..];
    }
    true
}

fn field(text: &str, unit: &Unit) -> Result<(), String> {
    text.split(',').filter(|part| !part.is_empty()).try_for_each(|part| range(part, unit))
}

/// One of `*`, `5`, `1-5`, each with a step behind a slash perhaps.
fn range(text: &str, unit: &Unit) -> Result<(), String> {
    let mut steps = text.split('/');
    let bounds = steps.next().unwrap_or("");
    let ends: Vec<&str> = bounds.split('-').collect();
    let single = ends.len() == 1;
    let (start, mut end) = if matches!(ends[0], "*" | "?") {
        (unit.low, unit.high)
    } else {
        let start = value(ends[0], unit)?;
        match ends[..] {
            [_] => (start, start),
            [_, end] => (start, value(end, unit)?),
            _ => return Err(format!("too many hyphens: {text}")),
        }
    };
    let step = match (steps.next(), steps.next()) {
        (None, _) => 1,
        (Some(step), None) => {
            let step = number(step)?;
            if single {
                end = unit.high;
            }
            step
        }
        _ => return Err(format!("too many slashes: {text}")),
    };
    if start < unit.low {
        return Err(format!("beginning of range ({start}) below minimum ({}): {text}", unit.low));
    }
    if end > unit.high {
        return Err(format!("end of range ({end}) above maximum ({}): {text}", unit.high));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    Ok(())
}

fn value(text: &str, unit: &Unit) -> Result<u32, String> {
    let lower = text.to_lowercase();
    match unit.names.iter().position(|name| *name == lower) {
        Some(index) => Ok(unit.low + u32::try_from(index).unwrap_or(0)),
        None => number(text),
    }
}

fn number(text: &str) -> Result<u32, String> {
    match text.parse::<i64>() {
        Ok(number) if number < 0 => Err(format!("negative number ({number}) not allowed: {text}")),
        Ok(number) => Ok(u32::try_from(number).unwrap_or(u32::MAX)),
        Err(_) => Err(format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax")),
    }
}
