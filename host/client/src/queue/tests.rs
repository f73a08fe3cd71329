use super::*;

async fn next(queue: &WorkQueue<&'static str>) -> Option<&'static str> {
    tokio::time::timeout(Duration::from_micros(1), queue.get()).await.ok().flatten()
}

#[tokio::test(start_paused = true)]
async fn a_key_is_handed_out_once_at_a_time() {
    let queue = WorkQueue::new();
    queue.add("a");
    queue.add("a");
    assert_eq!(next(&queue).await, Some("a"));
    assert_eq!(next(&queue).await, None, "added twice, there once");
    queue.add("a");
    assert_eq!(next(&queue).await, None, "it is being worked on");
    queue.done(&"a");
    assert_eq!(next(&queue).await, Some("a"), "it was added meanwhile");
    queue.done(&"a");
    assert_eq!(next(&queue).await, None);
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_and_are_forgotten() {
    let queue = WorkQueue::new();
    for wait in [5, 10, 20, 40] {
        queue.add_rate_limited("a");
        let start = Instant::now();
        assert_eq!(queue.get().await, Some("a"));
        let waited = start.elapsed();
        assert!(waited >= Duration::from_millis(wait) && waited <= Duration::from_millis(wait + 2), "{waited:?}");
        queue.done(&"a");
    }
    assert_eq!(queue.num_requeues(&"a"), 4);
    queue.forget(&"a");
    assert_eq!(queue.num_requeues(&"a"), 0);
    for _ in 0..40 {
        queue.add_rate_limited("b");
    }
    assert_eq!(queue.num_requeues(&"b"), 40);
}

#[tokio::test(start_paused = true)]
async fn a_closed_queue_ends() {
    let queue: WorkQueue<&'static str> = WorkQueue::new();
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.get().await }
    });
    tokio::task::yield_now().await;
    queue.close();
    assert_eq!(waiting.await.unwrap(), None);
    queue.add("late");
    assert_eq!(queue.get().await, None);
}
