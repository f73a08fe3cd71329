//! Quantities (API reference, "resource quantity"): a number with a decimal or binary suffix.

use portcullis_sdk::ValueRef;

const NANOS: i128 = 1_000_000_000;

/// An amount, in units of 10⁻⁹.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(i128);

impl Quantity {
    /// Nothing.
    pub const ZERO: Quantity = Quantity(0);

    /// A whole number.
    pub const fn whole(number: i64) -> Self {
        Quantity(number as i128 * NANOS)
    }

    /// Reads a value of an object; `None` if it is no quantity (the schema has refused that already).
    pub fn read(value: ValueRef) -> Option<Self> {
        match value.as_i64() {
            Some(number) => Some(Self::whole(number)),
            None => value.as_str().and_then(Self::parse),
        }
    }

    /// Whether there is a fraction smaller than one thousandth.
    pub fn finer_than_milli(self) -> bool {
        self.0 % 1_000_000 != 0
    }

    /// Whether this is a whole number.
    pub fn is_whole(self) -> bool {
        self.0 % NANOS == 0
    }

    /// Whether this is a multiple of `size`.
    pub fn is_multiple_of(self, size: Self) -> bool {
        size.0 != 0 && self.0 % size.0 == 0
    }

    /// The amount rounded up to a whole number.
    pub fn ceil(self) -> i128 {
        self.0.div_euclid(NANOS) + i128::from(self.0.rem_euclid(NANOS) != 0)
    }

    /// Reads text; `None` if it is no quantity.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut amount = format!("0{whole}").parse::<i128>().ok()?.checked_mul(NANOS)?;
        let fraction: String = fraction.chars().chain("000000000".chars()).take(9).collect();
        amount = amount.checked_add(fraction.parse().ok()?)?;
        let scaled = match suffix {
            "n" => amount / NANOS,
            "u" => amount / 1_000_000,
            "m" => amount / 1_000,
            "" => amount,
            "k" | "M" | "G" | "T" | "P" | "E" => amount.checked_mul(1000i128.pow(power("kMGTPE", suffix)?))?,
            "Ki" | "Mi" | "Gi" | "Ti" | "Pi" | "Ei" => amount.checked_mul(1024i128.pow(power("KMGTPE", suffix)?))?,
            _ => {
                let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
                let factor = 10i128.checked_pow(power.unsigned_abs())?;
                if power < 0 { amount / factor } else { amount.checked_mul(factor)? }
            }
        };
        Some(Quantity(if negative { -scaled } else { scaled }))
    }
}

fn power(letters: &str, suffix: &str) -> Option<u32> {
    letters.find(&suffix[..1]).and_then(|at| u32::try_from(at + 1).ok())
}

impl Quantity {
    /// The sum.
    pub fn plus(self, other: Self) -> Self {
        Quantity(self.0.saturating_add(other.0))
    }

    /// The amount as it is written plainly: in thousandths if need be, and memory in its binary units.
    pub fn text(self, resource: &str) -> String {
        const UNITS: [(&str, i128); 4] = [("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];
        if !self.is_whole() {
            return format!("{}m", self.0 / 1_000_000);
        }
        let whole = self.0 / NANOS;
        let unit = UNITS.iter().find(|(_, size)| resource != "cpu" && whole != 0 && whole % size == 0);
        unit.map_or_else(|| whole.to_string(), |(name, size)| format!("{}{name}", whole / size))
    }
}

impl Quantity {
    /// The amount as a fraction.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / NANOS as f64
    }
}
