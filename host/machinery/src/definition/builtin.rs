//! The built-in resources, read once from the table `facts/resources.tsv`, and the project's own.

use std::sync::{Arc, LazyLock};

use super::{ALL_VERBS, FieldSelectorPath, ResourceDefinition, Storage, SubresourceDefinition};
use crate::schema;

/// The table; its first lines say how it is written.
const RESOURCES: &str = include_str!("../../facts/resources.tsv");

/// Every built-in resource in every version, in the order of the groups' preference.
pub(crate) static DEFINITIONS: LazyLock<Vec<Arc<ResourceDefinition>>> = LazyLock::new(|| {
    let mut all = Vec::new();
    let (mut group, mut version) = ("", "");
    for line in RESOURCES.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        match line.strip_prefix('>') {
            Some(heading) => (group, version, _) = read_heading(heading),
            None => all.extend(definition(line, group, version).map(Arc::new)),
        }
    }
    all.extend(super::plugins::definitions().into_iter().map(Arc::new));
    all
});

/// A group, a version, and their priorities.
type Heading = (&'static str, &'static str, (i64, i64));

fn read_heading(line: &'static str) -> Heading {
    let mut columns = line.split('\t');
    let mut next = || columns.next().unwrap_or_default();
    let (group, version, of_group, of_version) = (next(), next(), next(), next());
    (group, version, (of_group.parse().unwrap_or_default(), of_version.parse().unwrap_or_default()))
}

/// The priorities in discovery of a group and a version that are built in.
pub(super) fn priority(group: &str, version: &str) -> Option<(i64, i64)> {
    let mut headings = RESOURCES.lines().filter_map(|line| line.strip_prefix('>')).map(read_heading);
    headings.find(|found| (found.0, found.1) == (group, version)).map(|(_, _, priority)| priority)
}

fn words(text: &str) -> Vec<String> {
    text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

pub(super) fn verbs(text: &str) -> Vec<String> {
    if text == "*" { ALL_VERBS.iter().map(|verb| (*verb).to_owned()).collect() } else { words(text) }
}

fn definition(line: &str, group: &str, version: &str) -> Option<ResourceDefinition> {
    let mut columns = line.split('\t');
    let mut next = || columns.next().unwrap_or_default();
    let (plural, kind, singular, scope, short, categories) = (next(), next(), next(), next(), next(), next());
    let (verb_list, subresources, flags, prefix, stored, selectors, type_) =
        (next(), next(), next(), next(), next(), next(), next());
    let flag = |flag: char| flags.contains(flag);
    // `#v1` names the version that is advertised as the stored one, and changes nothing else.
    let (stored, advertised) = stored.split_once('#').unwrap_or((stored, ""));
    let (stored_group, stored_version) = match stored.split_once('/') {
        Some((group, version)) => (group, version),
        None if stored.is_empty() => (group, version),
        None => ("", stored),
    };
    let prefix = match (flag('x'), prefix) {
        (true, _) => String::new(),
        (false, "") => format!("/registry/{plural}"),
        (false, prefix) => format!("/registry/{prefix}"),
    };
    Some(ResourceDefinition {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        list_kind: format!("{kind}List"),
        plural: plural.to_owned(),
        singular: singular.to_owned(),
        short_names: words(short),
        categories: words(categories),
        namespaced: scope == "N",
        verbs: verbs(verb_list),
        subresources: subresources.split(' ').filter_map(|text| subresource(text, group, version)).collect(),
        schema: schema::builtin::schema(&schema::builtin::published(type_))?,
        storage: Storage {
            prefix,
            version: stored_version.to_owned(),
            advertised: if advertised.is_empty() { stored_version } else { advertised }.to_owned(),
            group: stored_group.to_owned(),
        },
        field_selectors: selectors.split(' ').filter(|text| !text.is_empty()).map(selector).collect(),
        columns: Vec::new(),
        builtin: true,
        allow_create_on_update: flag('c'),
        allow_unconditional_update: flag('u'),
        generation: flag('g'),
        graceful_deletion: flag('d'),
        off_by_default: version.contains("alpha") || version.contains("beta"),
        custom: None,
    })
}

/// `status=Pod:get,patch,update` or `scale=autoscaling/v1/Scale:get`.
pub(super) fn subresource(text: &str, group: &str, version: &str) -> Option<SubresourceDefinition> {
    let (name, rest) = text.split_once('=')?;
    let (kind, verb_list) = rest.split_once(':')?;
    let mut parts = kind.rsplitn(3, '/');
    let kind = parts.next()?;
    let version = parts.next().unwrap_or(version);
    let group = parts.next().unwrap_or(group);
    Some(SubresourceDefinition {
        name: name.to_owned(),
        kind: kind.to_owned(),
        group: group.to_owned(),
        version: version.to_owned(),
        verbs: verbs(verb_list),
    })
}

/// `label[=path[|path if absent]][?value if absent]`.
fn selector(text: &str) -> FieldSelectorPath {
    let (text, absent) = text.split_once('?').unwrap_or((text, ""));
    let (label, path) = text.split_once('=').unwrap_or((text, text));
    let (path, fallback) = path.split_once('|').unwrap_or((path, ""));
    let keys = |path: &str| path.split('.').filter(|key| !key.is_empty()).map(str::to_owned).collect();
    FieldSelectorPath { label: label.to_owned(), path: keys(path), fallback: keys(fallback), absent: absent.to_owned() }
}
