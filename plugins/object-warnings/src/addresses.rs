//! Addresses that are accepted for what they were taken for once, and should be written otherwise.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads an address as tolerantly as old fields do: leading zeros do not matter.
fn read(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    let (prefix, v4) = text.rsplit_once(':').map_or(("", text), |(_, v4)| (&text[..text.len() - v4.len()], v4));
    let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u8>().ok()).flatten();
    let parts: Vec<u8> = v4.split('.').map(number).collect::<Option<_>>()?;
    let address = Ipv4Addr::from(<[u8; 4]>::try_from(parts).ok()?);
    if prefix.is_empty() { Some(address.into()) } else { format!("{prefix}{address}").parse().ok() }
}

/// An address that is one of the fourth version in the form of the sixth is meant as the former.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn is_standard(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok_and(|address| plain(address) == address)
}

/// Warns of an address at a place.
pub(crate) fn of_address(place: &str, text: &str, warnings: &mut Vec<String>) {
    let Some(address) = read(text).map(plain) else { return };
    if !is_standard(text) {
        warnings.push(format!("{place}: non-standard IP address \"{text}\" is invalid: use \"{address}\""));
    } else if address.is_ipv6() && address.to_string() != text {
        warnings
            .push(format!("{place}: IPv6 address \"{text}\" should be in RFC 5952 canonical format (\"{address}\")"));
    }
}

fn network(address: IpAddr, length: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - length.min(32)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - length.min(128)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

/// Warns of a range at a place.
pub(crate) fn of_range(place: &str, text: &str, warnings: &mut Vec<String>) {
    let Some((given, length)) = text.split_once('/') else { return };
    let (Some(raw), Ok(length)) = (read(given), length.parse::<u32>()) else { return };
    let address = plain(raw);
    // Of a range in the other form the first 96 bits are of the form itself.
    let length = if raw == address { length } else { length.saturating_sub(96) };
    let (range, all) = (network(address, length), if address.is_ipv4() { 32 } else { 128 });
    let before = warnings.len();
    if range != address {
        warnings.push(format!(
            "{place}: CIDR value \"{text}\" is ambiguous in this context (should be \"{range}/{length}\" or \
             \"{address}/{all}\"?)"
        ));
    }
    if !is_standard(given) {
        warnings.push(format!("{place}: non-standard CIDR value \"{text}\" is invalid: use \"{range}/{length}\""));
    }
    let canonical = format!("{address}/{length}");
    if warnings.len() == before && address.is_ipv6() && canonical != text {
        warnings.push(format!(
            "{place}: IPv6 CIDR value \"{text}\" should be in RFC 5952 canonical format (\"{canonical}\")"
        ));
    }
}
