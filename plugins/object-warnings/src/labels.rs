//! Labels of nodes that were renamed, wherever nodes are selected by them.

use portcullis_sdk::ValueRef;
use portcullis_validation::formats;

/// The old name, and what to do about it.
const LABELS: [(&str, &str); 8] = [
    ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
    ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    ("failure-domain.beta.kubernetes.io/zone", "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"),
    ("beta.kubernetes.io/instance-type", "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"),
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    ("scheduler.alpha.kubernetes.io/preferAvoidPods", "deprecated since v1.22; use Taints and Tolerations instead"),
    ("node-role.kubernetes.io/master", "use \"node-role.kubernetes.io/control-plane\" instead"),
];

/// What is said of a label; `None` for those that are good.
pub(crate) fn renamed(label: &str) -> Option<&'static str> {
    LABELS.iter().find(|(old, _)| *old == label).map(|(_, what)| *what)
}

/// Requirements on nodes' labels.
pub(crate) fn of_expressions(place: &str, expressions: ValueRef, values: bool, warnings: &mut Vec<String>) {
    for (at, expression) in expressions.iter().enumerate() {
        let key = expression.get("key").str_or_empty();
        if let Some(what) = renamed(key) {
            warnings.push(format!("{place}.matchExpressions[{at}].key: {key} is {what}"));
        }
        for (index, value) in expression.get("values").iter().enumerate().filter(|_| values) {
            let value = value.str_or_empty();
            for wrong in formats::label_value(value) {
                warnings.push(format!("{place}.matchExpressions[{at}].values[{index}]: {value} is invalid, {wrong}"));
            }
        }
    }
}

/// A selector of nodes in the form of labels' selectors.
pub(crate) fn of_selector(place: &str, selector: ValueRef, warnings: &mut Vec<String>) {
    of_expressions(place, selector.get("matchExpressions"), false, warnings);
    for (key, _) in selector.get("matchLabels").entries() {
        if let Some(what) = renamed(key) {
            warnings.push(format!("{place}.matchLabels.{key}: {what}"));
        }
    }
}

/// The required terms of an affinity to nodes.
pub(crate) fn of_terms(place: &str, terms: ValueRef, warnings: &mut Vec<String>) {
    for (at, term) in terms.iter().enumerate() {
        of_expressions(&format!("{place}.nodeSelectorTerms[{at}]"), term.get("matchExpressions"), false, warnings);
    }
}
