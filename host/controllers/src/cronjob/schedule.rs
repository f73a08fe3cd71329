//! Schedules in the five fields of cron: minute, hour, day of the month, month, day of the week.
//!
//! A field is a set of numbers, kept as bits. As in every cron, a day fits if either of the two day fields names it,
//! unless one of them is a star: then the other one decides.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned, civil};
use thiserror::Error;

/// A text that is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum ScheduleError {
    /// Not five fields, and none of the names that start with `@`.
    #[error("expected exactly 5 fields, found {0}: {1}")]
    Fields(usize, String),
    /// A field with a number, name, range or step that it cannot have.
    #[error("failed to parse {0:?} as a {1}")]
    Field(String, &'static str),
    /// A time zone that is not known.
    #[error("unknown time zone {0}")]
    Zone(String),
}

/// When something is to happen.
#[derive(Clone, Debug)]
pub(crate) enum Schedule {
    /// At the minutes that fit.
    Fields(Box<Fields>),
    /// Every so many seconds.
    Every(i64),
}

#[derive(Clone, Debug)]
pub(crate) struct Fields {
    minute: u64,
    hour: u64,
    day: u64,
    month: u64,
    weekday: u64,
    any_day: bool,
    any_weekday: bool,
    zone: TimeZone,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// Further ahead than that, no schedule is looked for (29 February comes within it).
const YEARS: i16 = 9;

impl Schedule {
    /// Reads a schedule; the zone is UTC if it has no name. `TZ=Zone` before the fields counts more than the name.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn parse(text: &str, zone: &str) -> Result<Self, ScheduleError> {
        let (mut zone, mut text) = (zone, text.trim());
        for prefix in ["TZ=", "CRON_TZ="] {
            if let Some(rest) = text.strip_prefix(prefix) {
                (zone, text) = rest.split_once(' ').unwrap_or((rest, ""));
            }
        }
        let named = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        if let Some(every) = named.strip_prefix("@every ") {
            return seconds(every).map(Self::Every).ok_or_else(|| ScheduleError::Field(every.into(), "duration"));
        }
        let fields: Vec<&str> = named.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(ScheduleError::Fields(fields.len(), text.to_owned()));
        };
        let zone = match zone {
            "" => TimeZone::UTC,
            name => TimeZone::get(name).map_err(|_| ScheduleError::Zone(name.to_owned()))?,
        };
        let weekdays = field(weekday, 0, 7, &WEEKDAYS, "day of the week")?;
        Ok(Self::Fields(Box::new(Fields {
            minute: field(minute, 0, 59, &[], "minute")?,
            hour: field(hour, 0, 23, &[], "hour")?,
            day: field(day, 1, 31, &[], "day of the month")?,
            month: field(month, 1, 12, &MONTHS, "month")?,
            // Sunday is 0 and 7.
            weekday: (weekdays | (weekdays >> 7)) & 0x7f,
            any_day: day.starts_with(['*', '?']),
            any_weekday: weekday.starts_with(['*', '?']),
            zone,
        })))
    }

    /// The first time after another; `None` if there is none within years.
    pub(crate) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(seconds) => Timestamp::from_second(after.as_second() + seconds).ok(),
            Self::Fields(fields) => fields.next(after),
        }
    }
}

impl Fields {
    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let start = after.to_zoned(self.zone.clone());
        let mut day = start.date();
        let last = start.year().saturating_add(YEARS);
        while day.year() <= last {
            if has(self.month, day.month()) && self.fits(day) {
                if let Some(found) = self.on(day, after) {
                    return Some(found);
                }
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    fn fits(&self, day: civil::Date) -> bool {
        let by_month = has(self.day, day.day());
        let by_week = has(self.weekday, day.weekday().to_sunday_zero_offset());
        if self.any_day || self.any_weekday { by_month && by_week } else { by_month || by_week }
    }

    /// The first fitting minute of a day that comes after a time. Minutes that a change of the clock leaves out do not
    /// come.
    fn on(&self, day: civil::Date, after: Timestamp) -> Option<Timestamp> {
        let hours = (0..24i8).filter(|hour| has(self.hour, *hour));
        let minutes = hours.flat_map(|hour| (0..60i8).filter(|m| has(self.minute, *m)).map(move |m| (hour, m)));
        minutes.filter_map(|(hour, minute)| self.at(day, hour, minute)).find(|time| *time > after)
    }

    fn at(&self, day: civil::Date, hour: i8, minute: i8) -> Option<Timestamp> {
        let zoned: Zoned = day.at(hour, minute, 0, 0).to_zoned(self.zone.clone()).ok()?;
        (zoned.hour() == hour && zoned.minute() == minute).then(|| zoned.timestamp())
    }
}

fn has(set: u64, number: i8) -> bool {
    set >> number & 1 == 1
}

/// `*`, `5`, `1-5`, `*/15`, `mon-fri`, and lists of those.
fn field(text: &str, low: u32, high: u32, names: &[&str], what: &'static str) -> Result<u64, ScheduleError> {
    let wrong = || ScheduleError::Field(text.to_owned(), what);
    let number = |text: &str| -> Option<u32> {
        let lower = text.to_lowercase();
        let named = names.iter().position(|name| *name == lower).and_then(|at| u32::try_from(at).ok());
        named.map(|at| at + low).or_else(|| text.parse().ok())
    };
    let mut set = 0;
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let step: u32 = step.map_or(Some(1), |step| step.parse().ok().filter(|step| *step > 0)).ok_or_else(wrong)?;
        let (first, last) = match range {
            "*" | "?" => (low, high.min(if high == 7 { 6 } else { high })),
            _ => match range.split_once('-') {
                Some((first, last)) => (number(first).ok_or_else(wrong)?, number(last).ok_or_else(wrong)?),
                // `5/15` is from 5 to the end.
                None => {
                    let first = number(range).ok_or_else(wrong)?;
                    (first, if part.contains('/') { high } else { first })
                }
            },
        };
        if first < low || last > high || first > last {
            return Err(wrong());
        }
        for number in (first..=last).step_by(step as usize) {
            set |= 1 << number;
        }
    }
    Ok(set)
}

/// `1h30m10s` in seconds, at least one.
fn seconds(text: &str) -> Option<i64> {
    let span: jiff::SignedDuration = text.trim().parse().ok()?;
    Some(span.as_secs().max(1)).filter(|_| !span.is_negative())
}
