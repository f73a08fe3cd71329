//! Addresses, ranges of them, ports and host names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is said of text that is no address.
const NO_IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const NO_CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/// Reads an address as leniently as stored objects need: leading zeros are decimal.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() != 4 || parts.iter().any(|part| part.is_empty() || part.len() > 8) {
        return None;
    }
    let mut octets = [0u8; 4];
    for (octet, part) in octets.iter_mut().zip(parts) {
        *octet = part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())??;
    }
    Some(IpAddr::V4(Ipv4Addr::from(octets)))
}

fn has_leading_zero(text: &str) -> bool {
    !text.contains(':') && text.split('.').any(|part| part.len() > 1 && part.starts_with('0'))
}

fn is_mapped(address: IpAddr, text: &str) -> bool {
    text.contains(':') && matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

/// An address, written the plain way.
pub fn ip(text: &str) -> Vec<String> {
    let Some(address) = parse_ip(text) else { return vec![NO_IP.to_owned()] };
    if has_leading_zero(text) {
        return vec!["must not have leading 0s".to_owned()];
    }
    if is_mapped(address, text) {
        return vec!["must not be an IPv4-mapped IPv6 address".to_owned()];
    }
    Vec::new()
}

/// An address, which need not be written the plain way.
pub fn lenient_ip(text: &str) -> Vec<String> {
    if parse_ip(text).is_none() { vec![NO_IP.to_owned()] } else { Vec::new() }
}

/// A range of addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// The address before the slash.
    pub address: IpAddr,
    /// How many bits are fixed.
    pub bits: u8,
}

fn number(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}

impl Cidr {
    /// Reads `address/bits`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address = parse_ip(address)?;
        let digits = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits: u8 = digits.then(|| bits.parse().ok())??;
        (bits <= number(address).1).then_some(Self { address, bits })
    }

    fn host_mask(self) -> u128 {
        let width = number(self.address).1 - self.bits;
        if width >= 128 { u128::MAX } else { (1u128 << width) - 1 }
    }

    /// Whether the address has no bits beyond the prefix.
    pub fn is_masked(self) -> bool {
        number(self.address).0 & self.host_mask() == 0
    }

    /// Whether this is of IPv6.
    pub fn is_v6(self) -> bool {
        self.address.is_ipv6()
    }

    /// Whether an address lies in the range.
    pub fn contains(self, address: IpAddr) -> bool {
        address.is_ipv6() == self.is_v6()
            && number(address).0 & !self.host_mask() == number(self.address).0 & !self.host_mask()
    }

    /// Whether `inner` lies in this range and is smaller.
    pub fn is_wider_than(self, inner: Cidr) -> bool {
        self.bits < inner.bits && self.contains(inner.address)
    }

    /// As it is written plainly, without host bits.
    pub fn canonical(self) -> String {
        let network = number(self.address).0 & !self.host_mask();
        match u32::try_from(network) {
            Ok(network) if !self.is_v6() => format!("{}/{}", Ipv4Addr::from(network), self.bits),
            _ => format!("{}/{}", Ipv6Addr::from(network), self.bits),
        }
    }
}

/// A range, written the plain way.
pub fn cidr(text: &str) -> Vec<String> {
    let Some(range) = Cidr::parse(text) else { return vec![NO_CIDR.to_owned()] };
    let (address, bits) = text.split_once('/').unwrap_or_default();
    let mut wrong = Vec::new();
    if has_leading_zero(address) {
        wrong.push("must not have leading 0s in IP".to_owned());
    }
    if is_mapped(range.address, address) {
        wrong.push("must not be an IPv4-mapped IPv6 address".to_owned());
    }
    if bits.len() > 1 && bits.starts_with('0') {
        wrong.push("must not have leading 0s in prefix length".to_owned());
    }
    if !range.is_masked() {
        wrong.push("must not have bits set beyond the prefix length".to_owned());
    }
    wrong
}

/// A range, which need not be written the plain way.
pub fn lenient_cidr(text: &str) -> Vec<String> {
    if Cidr::parse(text).is_none() { vec![NO_CIDR.to_owned()] } else { Vec::new() }
}

/// An address that traffic may be sent to: none that has a meaning of its own.
pub fn endpoint_ip(text: &str) -> Vec<String> {
    let Some(address) = parse_ip(text) else { return vec!["must be a valid IP address".to_owned()] };
    let mut wrong = Vec::new();
    let mut add = |is: bool, what: &str| {
        if is {
            wrong.push(what.to_owned());
        }
    };
    // Pods that run in the kubelet's own process have addresses of this range where they have no network of their own.
    // Every other loopback address would be the sender's, and is refused as Kubernetes refuses all of them.
    let of_pods = matches!(address, IpAddr::V4(address) if address.octets()[..2] == [127, 244]);
    add(address.is_unspecified(), &format!("may not be unspecified ({text})"));
    add(address.is_loopback() && !of_pods, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    let (link_local, link_multicast) = match address {
        IpAddr::V4(address) => (address.is_link_local(), address.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(address) => (address.is_unicast_link_local(), address.segments()[0] & 0xff0f == 0xff02),
    };
    add(link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    add(link_multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    wrong
}

/// A port number.
pub fn port_number(port: i64) -> Option<String> {
    super::in_range(port, 1, 65535)
}
