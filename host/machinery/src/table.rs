//! Server-side tables: what `kubectl get` prints (API reference, `meta.k8s.io/v1` Table).

mod age;

pub use age::{age, human_duration};

use crate::definition::ResourceDefinition;
use jiff::Timestamp;
use serde_json::Value;

/// A column (`TableColumnDefinition`); serializes to the form that it has on the wire.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Column {
    /// The heading.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    #[serde(rename = "type")]
    pub type_: String,
    /// An OpenAPI format such as `name`, or empty.
    pub format: String,
    /// What it means.
    pub description: String,
    /// 0 is always shown, higher only in wide output.
    pub priority: i32,
}

/// The columns of a resource's table.
pub fn columns(definition: &ResourceDefinition) -> Vec<Column> {
    let _ = definition;
    todo!()
}

/// The cells of an object's row, one for each column; ages count to `now`.
pub fn row_cells(definition: &ResourceDefinition, object: &Value, now: Timestamp) -> Vec<Value> {
    let _ = (definition, object, now);
    todo!()
}
