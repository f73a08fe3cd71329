//! The documents of paths that belong to no version: discovery itself, the server's version and the keys of its tokens.

use serde_json::{Value, json};

use super::{Descriptions, document, info};
use crate::definition::Registry;
use crate::schema::builtin;

/// Paths that answer with something else than a type of the API, and what it is.
const PLAIN: [(&str, &str); 3] =
    [(".well-known/openid-configuration", "string"), ("openid/v1/jwks", "string"), ("version", "object")];

/// The documents there are.
pub(super) fn paths(registry: &Registry) -> impl Iterator<Item = String> {
    let groups = registry.groups().iter().filter(|group| !group.name.is_empty());
    let groups: Vec<String> = groups.map(|group| format!("apis/{}", group.name)).collect();
    ["api", "apis"].into_iter().map(str::to_owned).chain(groups).chain(PLAIN.iter().map(|(path, _)| (*path).to_owned()))
}

/// One of them.
pub(super) fn document(registry: &Registry, descriptions: &dyn Descriptions, path: &str) -> Option<Value> {
    if let Some((path, type_)) = PLAIN.iter().find(|(plain, _)| *plain == path) {
        return Some(with_answer(&format!("/{path}/"), &json!({"type": type_}), json!({})));
    }
    let kind = match path {
        "api" => "APIVersions",
        "apis" => "APIGroupList",
        _ => {
            let group = path.strip_prefix("apis/")?;
            registry.group(group)?;
            "APIGroup"
        }
    };
    let name = format!("io.k8s.apimachinery.pkg.apis.meta.v1.{kind}");
    let schemas = document::v3_types(&builtin::schema(&name)?, descriptions);
    let reference = json!({"$ref": format!("#/components/schemas/{name}")});
    Some(with_answer(&format!("/{path}/"), &reference, schemas))
}

fn with_answer(path: &str, schema: &Value, schemas: Value) -> Value {
    let answer = json!({"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}});
    json!({
        "openapi": "3.0.0", "info": info(), "paths": {path: {"get": {"responses": answer}}},
        "components": {"schemas": schemas},
    })
}
