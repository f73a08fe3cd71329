use super::schedule::ScheduleError;
use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn schedules_say_when() {
    let check = |text: &str, zone: &str, after: &str, expected: &str| {
        let next = Schedule::parse(text, zone).unwrap().next(at(after)).unwrap();
        assert_eq!(next, at(expected), "{text} {zone} after {after}");
    };
    check("* * * * *", "", "2026-03-01T10:00:30Z", "2026-03-01T10:01:00Z");
    check("*/15 * * * *", "", "2026-03-01T10:45:00Z", "2026-03-01T11:00:00Z");
    check("5/20 8-10 * * *", "", "2026-03-01T10:45:00Z", "2026-03-02T08:05:00Z");
    check("0 0 29 2 *", "", "2026-03-01T00:00:00Z", "2028-02-29T00:00:00Z");
    check("0 12 1 * mon", "", "2026-03-02T13:00:00Z", "2026-03-09T12:00:00Z");
    check("0 12 * * 7", "", "2026-03-02T13:00:00Z", "2026-03-08T12:00:00Z");
    check("30 6 * jan-mar fri", "", "2026-03-27T07:00:00Z", "2027-01-01T06:30:00Z");
    check("@daily", "", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z");
    check("@every 90s", "", "2026-03-01T00:00:00Z", "2026-03-01T00:01:30Z");
    check("0 9 * * *", "Europe/Zurich", "2026-07-01T00:00:00Z", "2026-07-01T07:00:00Z");
    check("TZ=America/New_York 0 9 * * *", "", "2026-01-01T00:00:00Z", "2026-01-01T14:00:00Z");
    check("30 2 * * *", "Europe/Zurich", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z");
}

#[test]
fn what_is_no_schedule_is_refused() {
    let check = |text: &str, zone: &str, expected: ScheduleError| {
        assert_eq!(Schedule::parse(text, zone).err(), Some(expected), "{text}");
    };
    check("* * *", "", ScheduleError::Fields(3, "* * *".into()));
    check("60 * * * *", "", ScheduleError::Field("60".into(), "minute"));
    check("* 5-3 * * *", "", ScheduleError::Field("5-3".into(), "hour"));
    check("* * * * */0", "", ScheduleError::Field("*/0".into(), "day of the week"));
    check("* * * * *", "Nowhere/City", ScheduleError::Zone("Nowhere/City".into()));
}

#[test]
fn the_last_start_that_came_is_due() {
    let check = |what: &str, spec: Value, last: &str, expected: (Option<&str>, usize)| {
        let mut cronjob = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec});
        if !last.is_empty() {
            cronjob["status"]["lastScheduleTime"] = last.into();
        }
        let schedule = Schedule::parse("0 * * * *", "").unwrap();
        let due = due(&schedule, &cronjob, at("2026-01-01T10:30:00Z"));
        assert_eq!((due.last, due.missed), (expected.0.map(at), expected.1), "{what}");
        assert_eq!(due.next, Some(at("2026-01-01T11:00:00Z")), "{what}");
    };
    check("all since it was made", json!({}), "", (Some("2026-01-01T10:00:00Z"), 10));
    check("one", json!({}), "2026-01-01T09:00:00Z", (Some("2026-01-01T10:00:00Z"), 1));
    check("none", json!({}), "2026-01-01T10:00:00Z", (None, 0));
    check("too late for it", json!({"startingDeadlineSeconds": 60}), "2026-01-01T09:00:00Z", (None, 0));
}

#[test]
fn jobs_are_named_after_their_minute_and_the_oldest_go() {
    let cronjob = json!({"apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": "tick", "namespace": "a", "uid": "c"},
        "spec": {"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 0,
            "jobTemplate": {"metadata": {"labels": {"x": "y"}}, "spec": {"parallelism": 1}}}});
    let job = new_job(&cronjob, at("2026-01-01T10:00:00Z"));
    assert_eq!(job.name(), "tick-29454360");
    assert_eq!(job.annotation(SCHEDULED), Some("2026-01-01T10:00:00Z"));
    assert_eq!((job.label("x"), &job["spec"]), (Some("y"), &json!({"parallelism": 1})));
    let finished = |name: &str, kind: &str, start: &str| -> Object {
        Arc::new(json!({"metadata": {"name": name},
            "status": {"startTime": start, "conditions": [{"type": kind, "status": "True"}]}}))
    };
    let jobs = [finished("new", "Complete", "2"), finished("old", "Complete", "1"), finished("broke", "Failed", "3")];
    let gone: Vec<String> = surplus(&cronjob, &jobs).iter().map(|job| job.name().to_owned()).collect();
    assert_eq!(gone, ["old", "broke"]);
}
