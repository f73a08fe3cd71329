use super::*;
use crate::policy::Placement;
use serde_json::json;

fn decide(cache: &Arc<Cache>, policies: &[Arc<dyn PlacementPolicy>], pod: &Value) -> Result<Arc<str>, Failure> {
    Question::new(cache, policies, pod).decide()
}

/// Scores by node name; a negative number refuses with that reason.
struct Fixed(&'static str, Vec<i64>, Vec<&'static str>);

impl PlacementPolicy for Fixed {
    fn name(&self) -> &str {
        self.0
    }
    fn version(&self) -> String {
        self.0.into()
    }
    fn pack_node(&self, node: &Value) -> Arc<[u8]> {
        node["metadata"]["name"].to_string().into_bytes().into()
    }
    fn place(&self, _: &Value, batch: &NodeBatch<'_>) -> Result<Placement, String> {
        assert_eq!(batch.packed.len(), batch.nodes.len());
        Ok(Placement { scores: self.1.clone(), reasons: self.2.iter().map(|r| (*r).to_owned()).collect() })
    }
}

/// Refuses nodes without room, as the default policy does.
pub(crate) struct Fits;

impl PlacementPolicy for Fits {
    fn name(&self) -> &str {
        "fits"
    }
    fn version(&self) -> String {
        "1".into()
    }
    fn pack_node(&self, _: &Value) -> Arc<[u8]> {
        Arc::from([])
    }
    fn place(&self, _: &Value, batch: &NodeBatch<'_>) -> Result<Placement, String> {
        let nodes = batch.nodes.len();
        let room = |n: usize| {
            (0..batch.resources.len()).all(|r| {
                let at = r * nodes + n;
                batch.requested[at] + batch.requests[r] <= batch.allocatable[at]
            })
        };
        let scores = (0..nodes).map(|n| if room(n) { 0 } else { -1 }).collect();
        Ok(Placement { scores, reasons: vec!["Insufficient cpu".into()] })
    }
}

pub(crate) fn cluster(nodes: &[&str]) -> Arc<Cache> {
    let cache = Arc::new(Cache::default());
    for name in nodes {
        cache.set_node(&Arc::new(json!({
            "metadata": {"name": name},
            "status": {"allocatable": {"cpu": "1", "memory": "1Gi", "pods": "10"}},
        })));
    }
    cache
}

fn pod(uid: &str, cpu: &str) -> Value {
    json!({"metadata": {"name": uid, "namespace": "a", "uid": uid, "labels": {"app": "x"}},
        "spec": {"containers": [{"resources": {"requests": {"cpu": cpu}}}]}})
}

fn check(policies: Vec<Arc<dyn PlacementPolicy>>, nodes: &[&str], expected: Result<&str, &str>) {
    let result = decide(&cluster(nodes), &policies, &pod("p", "100m"));
    match (result, expected) {
        (Ok(node), Ok(expected)) => assert_eq!(&*node, expected),
        (Err(Failure::Unschedulable(text) | Failure::Policy(text)), Err(expected)) => assert_eq!(text, expected),
        (got, expected) => panic!("{got:?} instead of {expected:?}"),
    }
}

#[test]
fn all_policies_must_agree_and_scores_add_up() {
    let fixed = |name, scores: &[i64], reasons: &[&'static str]| {
        Arc::new(Fixed(name, scores.to_vec(), reasons.to_vec())) as Arc<dyn PlacementPolicy>
    };
    check(vec![fixed("p", &[1, 1], &[])], &["a", "b"], Ok("a"));
    check(vec![fixed("p", &[1, 2], &[]), fixed("q", &[3, 1], &[])], &["a", "b"], Ok("a"));
    check(vec![fixed("p", &[9, 2], &[]), fixed("q", &[-1, 1], &["no"])], &["a", "b"], Ok("b"));
    check(
        vec![fixed("p", &[-1, 2, -2], &["Insufficient cpu", "is cordoned"]), fixed("q", &[-1, -1, -1], &["no"])],
        &["a", "b", "c"],
        Err("0/3 nodes are available: 1 Insufficient cpu, 1 is cordoned, 1 no. Refused by policy: p 2, q 1."),
    );
    check(vec![fixed("p", &[], &[])], &[], Err("no nodes available to schedule pods"));
    check(vec![fixed("p", &[1], &[])], &["a", "b"], Err("policy \"p\" failed: 1 scores for 2 nodes"));
    check(vec![], &["a"], Err("no scheduler policy is loaded"));
}

#[test]
fn assumed_pods_take_their_place_until_forgotten() {
    let cache = cluster(&["a", "b"]);
    let policies: Vec<Arc<dyn PlacementPolicy>> = vec![Arc::new(Fits)];
    let pods: Vec<_> = (0..3).map(|n| Arc::new(pod(&n.to_string(), "600m"))).collect();
    for (pod, expected) in pods.iter().zip(["a", "b"]) {
        let node = decide(&cache, &policies, pod).unwrap();
        assert_eq!(&*node, expected);
        assert!(cache.assume(pod, &node));
        assert!(!cache.assume(pod, &node), "a pod counts once");
    }
    let full = decide(&cache, &policies, &pods[2]);
    let text = "0/2 nodes are available: 2 Insufficient cpu. Refused by policy: fits 2.";
    assert_eq!(full, Err(Failure::Unschedulable(text.into())));
    cache.forget("1");
    assert_eq!(&*decide(&cache, &policies, &pods[2]).unwrap(), "b");
    let names = cache.snapshot(&[], &json!({})).names;
    let counter = Counter::new(cache.clone(), names);
    use crate::policy::PodCounter as _;
    let selector = json!({"matchLabels": {"app": "x"}});
    assert_eq!(counter.count_pods("a", &selector), Ok(vec![1, 0]));
    assert_eq!(counter.count_pods("other", &selector), Ok(vec![0, 0]));
}
