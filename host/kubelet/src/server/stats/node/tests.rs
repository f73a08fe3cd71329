use super::*;

#[test]
fn the_machines_numbers_are_read() {
    let stat = "cpu  100 20 30 1000 50 6 4 40 9 9\ncpu0 1 1\nbtime 1700000000\n";
    let memory = "MemTotal:       1000 kB\nMemFree:         200 kB\nMemAvailable:    600 kB\n";
    let usage = parse(stat, memory).unwrap();
    assert_eq!(usage.cpu_nanos, 200 * 10_000_000);
    assert_eq!(usage.booted_at.as_second(), 1_700_000_000);
    assert_eq!((usage.memory_available, usage.memory_used), (600 << 10, 800 << 10));
    assert_eq!(usage.memory_working_set, 400 << 10);
    assert!(parse("", memory).is_none());
    assert!(super::usage().is_ok_and(|usage| usage.cpu_nanos > 0));
}
