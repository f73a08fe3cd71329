//! Which versions of etcd can be trusted with what.

/// The version of a server: major, minor, patch, and whether it came before the release of that number.
pub(crate) type Version = (u64, u64, u64, bool);

/// Parses `3.5.16` and `3.6.0-rc.1`.
pub(crate) fn parse(text: &str) -> Option<Version> {
    let (numbers, pre) = text.split_once(['-', '+']).map_or((text, ""), |(numbers, rest)| (numbers, rest));
    let mut numbers = numbers.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??, !pre.is_empty()))
}

/// Whether the answer to a progress request comes after the events up to the revision that it names. Before 3.4.31 and
/// 3.5.13 it could overtake them.
pub(crate) fn progress_requests_are_ordered(version: Version) -> bool {
    let (major, minor, patch, pre) = version;
    let fixed = match (major, minor) {
        (3, 4) => 31,
        (3, 5) => 13,
        (3, 6..) | (4.., _) => 0,
        _ => return false,
    };
    patch > fixed || (patch == fixed && !pre)
}

/// Whether the server has everything that is asked of it.
pub(crate) fn is_supported(version: Version) -> bool {
    (version.0, version.1) >= (3, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        let check = |text: &str, supported: bool, ordered: bool| {
            let version = parse(text).unwrap();
            assert_eq!((is_supported(version), progress_requests_are_ordered(version)), (supported, ordered), "{text}");
        };
        check("3.3.25", false, false);
        check("3.4.23", true, false);
        check("3.4.31", true, true);
        check("3.5.1", true, false);
        check("3.5.12", true, false);
        check("3.5.13-rc.0", true, false);
        check("3.5.13", true, true);
        check("3.6.0-rc.1", true, false);
        check("3.6.0", true, true);
        check("4.0.0", true, true);
        assert_eq!(parse("unknown"), None);
    }
}
