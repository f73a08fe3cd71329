//! From which nodes volumes can be reached.

use portcullis_client::ObjectExt;
use portcullis_machinery::Value;

use crate::node_selector;

/// Labels of a volume that say where it is, each with the label of a node that says the same.
const ZONES: [(&str, &str); 4] = [
    ("topology.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("topology.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
];

/// Whether the volume's node affinity lets it be used on the node.
pub fn reaches(volume: &Value, node: &Value) -> bool {
    let Some(required) = volume.at(&["spec", "nodeAffinity", "required"]).filter(|required| !required.is_null()) else {
        return true;
    };
    node_selector::any_fits(required.list_at(&["nodeSelectorTerms"]), node)
}

/// Whether the volume's labels name the node's zone and region. A node that names none is in all of them.
pub fn same_zone(volume: &Value, node: &Value) -> bool {
    if ZONES.iter().all(|(label, _)| node.label(label).is_none()) {
        return true;
    }
    ZONES.iter().all(|(label, present)| {
        let Some(zones) = volume.label(label) else { return true };
        let own = node.label(label).or_else(|| node.label(present));
        own.is_some_and(|own| zones.split("__").any(|zone| zone == own))
    })
}

/// Whether a class lets volumes be made for the node.
pub fn class_allows(class: &Value, node: &Value) -> bool {
    let terms = class.list_at(&["allowedTopologies"]);
    let holds = |requirement: &Value| {
        let own = node.label(requirement.str_at(&["key"]));
        own.is_some_and(|own| requirement.list_at(&["values"]).iter().any(|value| value == own))
    };
    let fits = |term: &Value| {
        let expressions = term.list_at(&["matchLabelExpressions"]);
        !expressions.is_empty() && expressions.iter().all(holds)
    };
    terms.is_empty() || terms.iter().any(fits)
}
