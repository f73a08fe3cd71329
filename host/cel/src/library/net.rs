//! Addresses, networks, and the named formats of text.

use std::net::IpAddr;

use ipnet::IpNet;
use portcullis_machinery::structural::{formats, meta};

use super::{Outcome, failed};
use crate::functions::FORMATS;
use crate::value::Val;

fn parse_ip(text: &str) -> Result<IpAddr, String> {
    let ip: IpAddr = text.parse().map_err(|_| {
        format!(
            "IP Address {text:?} parse error during conversion from string: ParseAddr({text:?}): unable to parse IP"
        )
    })?;
    match ip {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            Err(format!("IPv4-mapped IPv6 address {text:?} is not allowed"))
        }
        ip => Ok(ip),
    }
}

fn parse_cidr(text: &str) -> Result<IpNet, String> {
    text.parse().map_err(|_| {
        format!("network address parse error during conversion from string: netip.ParsePrefix({text:?}): no '/'")
    })
}

pub(super) fn call<'a>(name: &str, args: &[Val<'a>]) -> Option<Outcome<'a>> {
    let yes = |value: bool| Some(Ok(Val::Bool(value)));
    match (name, args) {
        ("ip", [Val::String(text)]) => Some(parse_ip(text).map_or_else(failed, |ip| Ok(Val::Ip(ip)))),
        ("isIP", [Val::String(text)]) => yes(parse_ip(text).is_ok()),
        ("ip.isCanonical", [Val::String(text)]) => {
            Some(parse_ip(text).map_or_else(failed, |ip| Ok(Val::Bool(ip.to_string() == **text))))
        }
        ("ip", [Val::Cidr(net)]) => Some(Ok(Val::Ip(net.addr()))),
        ("cidr", [Val::String(text)]) => Some(parse_cidr(text).map_or_else(failed, |net| Ok(Val::Cidr(net)))),
        ("isCIDR", [Val::String(text)]) => yes(parse_cidr(text).is_ok()),
        ("masked", [Val::Cidr(net)]) => Some(Ok(Val::Cidr(net.trunc()))),
        ("prefixLength", [Val::Cidr(net)]) => Some(Ok(Val::Int(net.prefix_len().into()))),
        ("containsIP", [Val::Cidr(net), Val::Ip(ip)]) => yes(net.contains(ip)),
        ("containsIP", [Val::Cidr(net), Val::String(text)]) => {
            Some(parse_ip(text).map_or_else(failed, |ip| Ok(Val::Bool(net.contains(&ip)))))
        }
        ("containsCIDR", [Val::Cidr(net), Val::Cidr(other)]) => yes(net.contains(other)),
        ("containsCIDR", [Val::Cidr(net), Val::String(text)]) => {
            Some(parse_cidr(text).map_or_else(failed, |other| Ok(Val::Bool(net.contains(&other)))))
        }
        (_, [Val::Ip(ip)]) => of_ip(name, *ip).map(Ok),
        ("format.named", [Val::String(name)]) => {
            let known = FORMATS.iter().find(|known| ***known == **name);
            Some(Ok(Val::Optional(known.map(|name| Val::Format(name).into()))))
        }
        ("validate", [Val::Format(format), Val::String(text)]) => Some(Ok(validate(format, text))),
        (name, []) => {
            let format = name.strip_prefix("format.")?;
            FORMATS.iter().find(|known| **known == format).map(|name| Ok(Val::Format(name)))
        }
        _ => None,
    }
}

fn of_ip<'a>(name: &str, ip: IpAddr) -> Option<Val<'a>> {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    let link_multicast = match ip {
        IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
        IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
    };
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    Some(match name {
        "family" => Val::Int(if ip.is_ipv4() { 4 } else { 6 }),
        "isUnspecified" => Val::Bool(ip.is_unspecified()),
        "isLoopback" => Val::Bool(ip.is_loopback()),
        "isLinkLocalMulticast" => Val::Bool(link_multicast),
        "isLinkLocalUnicast" => Val::Bool(link_local),
        "isGlobalUnicast" => {
            Val::Bool(!(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || link_local || broadcast))
        }
        _ => return None,
    })
}

/// None if the text has the format, else what is wrong with it.
fn validate<'a>(format: &str, text: &str) -> Val<'a> {
    // The prefix of a name may end with a dash.
    let prefix = text.strip_suffix('-').filter(|rest| !rest.is_empty()).unwrap_or(text);
    let known = |format: &str, word: &str| (!formats::matches(format, text)).then(|| format!("invalid {word}"));
    let errors: Vec<String> = match format {
        "dns1035Label" => meta::dns1035_label_error(text).into_iter().collect(),
        "dns1035LabelPrefix" => meta::dns1035_label_error(prefix).into_iter().collect(),
        "dns1123Label" => meta::dns1123_label_error(text).into_iter().collect(),
        "dns1123LabelPrefix" => meta::dns1123_label_error(prefix).into_iter().collect(),
        "dns1123Subdomain" => meta::dns1123_subdomain_error(text).into_iter().collect(),
        "dns1123SubdomainPrefix" => meta::dns1123_subdomain_error(prefix).into_iter().collect(),
        "qualifiedName" => meta::qualified_name_errors(text),
        "labelValue" => meta::label_value_errors(text),
        "uuid" => known("uuid", "UUID").into_iter().collect(),
        "byte" => known("byte", "base64").into_iter().collect(),
        "date" => known("date", "date").into_iter().collect(),
        "datetime" => known("date-time", "datetime").into_iter().collect(),
        "uri" => known("uri", "URI").into_iter().collect(),
        _ => Vec::new(),
    };
    if errors.is_empty() {
        return Val::Optional(None);
    }
    Val::some(Val::list(errors.iter().map(|error| error.as_str().into()).collect()))
}
