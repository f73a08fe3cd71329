//! Resource quantities: `100m`, `1.5Gi`, `12e6` (API reference, `resource.Quantity`).
//!
//! A quantity is an exact number of billionths, since the API rounds finer parts up on reading, and caps what is beyond
//! 2⁶³−1; so a 128-bit integer holds every value. The notation it came in decides how it is printed.

mod parse;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// How a quantity prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Thousands: `m`, none, `k`, `M`, …
    #[default]
    DecimalSi,
    /// Powers of 1,024: `Ki`, `Mi`, …
    BinarySi,
    /// Powers of ten: `e3`.
    DecimalExponent,
}

/// An exact amount.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// Why a text is no quantity; the texts are the reference's, which clients see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The text does not have the form of a quantity.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// The number part is malformed.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// The suffix is unknown.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// Suffixes of the powers of 1,024.
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/// Suffixes of the powers of 1,000, from billionths on.
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
/// Billionths in one.
const NANO: i128 = 1_000_000_000;

impl Quantity {
    /// Parses any of the notations.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        Ok(parse::parse(text)?.0)
    }

    /// What the API writes for a quantity that it read: the text itself where the reference takes it for canonical, which
    /// it decides by its looks (`1.500` stays, `0.5` becomes `500m`), else the canonical text.
    pub fn rewrite(text: &str) -> Result<std::borrow::Cow<'_, str>, QuantityError> {
        let (quantity, keep) = parse::parse(text)?;
        Ok(if keep { text.into() } else { quantity.canonical().into() })
    }

    /// A whole number.
    pub fn new(value: i64, format: Format) -> Self {
        Self { nanos: i128::from(value) * NANO, format }
    }

    /// A number of thousandths.
    pub fn from_milli(milli: i64, format: Format) -> Self {
        Self { nanos: i128::from(milli) * (NANO / 1000), format }
    }

    /// The quantity in a JSON value: text, or a plain number.
    pub fn from_json(value: &serde_json::Value) -> Result<Self, QuantityError> {
        match value {
            serde_json::Value::String(text) => Self::parse(text),
            serde_json::Value::Number(number) => Self::parse(&number.to_string()),
            _ => Err(QuantityError::Format),
        }
    }

    /// The value in whole units, rounded up (away from zero).
    pub fn value(&self) -> i64 {
        self.scaled(NANO)
    }

    /// The value in thousandths, rounded up (away from zero).
    pub fn milli_value(&self) -> i64 {
        self.scaled(NANO / 1000)
    }

    fn scaled(&self, unit: i128) -> i64 {
        let up = self.nanos / unit + (self.nanos % unit).signum();
        i64::try_from(up).unwrap_or(if up < 0 { i64::MIN } else { i64::MAX })
    }

    /// The value as a fraction, perhaps inexact.
    pub fn as_f64(&self) -> f64 {
        self.nanos as f64 / 1e9
    }

    /// The quantity rounded up to whole thousandths; `None` if it has no finer part.
    pub fn rounded_to_milli(&self) -> Option<Self> {
        let unit = NANO / 1000;
        let rest = self.nanos % unit;
        (rest != 0).then(|| Self { nanos: (self.nanos / unit + rest.signum()) * unit, format: self.format })
    }

    /// Whether it is nought.
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    /// Whether it is below nought.
    pub fn is_negative(&self) -> bool {
        self.nanos < 0
    }

    /// Whether it is a whole number.
    pub fn is_integer(&self) -> bool {
        self.nanos % NANO == 0
    }

    /// How it prints.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The sum, printed like `self` (like `other` if `self` is zero).
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        Self { nanos: self.nanos.saturating_add(other.nanos), format }
    }

    /// The difference, printed like `self` (like `other` if `self` is zero).
    #[must_use]
    pub fn sub(&self, other: &Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        Self { nanos: self.nanos.saturating_sub(other.nanos), format }
    }

    /// The canonical text: no fraction, the largest suffix that leaves none.
    pub fn canonical(&self) -> String {
        if self.nanos == 0 {
            return "0".to_owned();
        }
        // Binary suffixes would hide a fraction, and small numbers read better without: the reference prints both as
        // decimals.
        if self.format == Format::BinarySi && self.is_integer() && self.nanos.abs() >= 1024 * NANO {
            let (mut number, mut power) = (self.nanos / NANO, 0);
            while number % 1024 == 0 && power < BINARY.len() - 1 {
                (number, power) = (number / 1024, power + 1);
            }
            return format!("{number}{}", BINARY[power]);
        }
        let (mut number, mut power) = (self.nanos, 0);
        while number % 1000 == 0 && (power < DECIMAL.len() - 1 || self.format == Format::DecimalExponent) {
            (number, power) = (number / 1000, power + 1);
        }
        match (self.format, 3 * power as i64 - 9) {
            (Format::DecimalExponent, 0) => number.to_string(),
            (Format::DecimalExponent, exponent) => format!("{number}e{exponent}"),
            _ => format!("{number}{}", DECIMAL[power]),
        }
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        Self::parse(text)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical())
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests;
