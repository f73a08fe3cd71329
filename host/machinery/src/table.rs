//! Server-side tables: what `kubectl get` prints (API reference, `meta.k8s.io/v1` Table).
//!
//! Names, types and priorities of the columns, and what stands in the cells, are those of Kubernetes' own printers in
//! their wide form: clients hide what has a priority above 0. Kinds without columns of their own get name and time.

mod age;
mod cells;
mod custom;
mod described;
mod pod;
mod specs;

pub use age::{age, human_duration};

use crate::definition::ResourceDefinition;
use crate::openapi::Descriptions;
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
pub fn columns(definition: &ResourceDefinition, descriptions: &dyn Descriptions) -> Vec<Column> {
    if definition.builtin && definition.columns.is_empty() {
        specs::columns(&definition.group, &definition.kind, descriptions)
    } else {
        custom::columns(&definition.columns, descriptions)
    }
}

/// The cells of an object's row, one for each column; ages count to `now`.
pub fn row_cells(definition: &ResourceDefinition, object: &Value, now: Timestamp) -> Vec<Value> {
    if definition.builtin && definition.columns.is_empty() {
        cells::cells(&definition.group, &definition.kind, object, now)
    } else {
        custom::cells(&definition.columns, object, now)
    }
}

/// The columns of a `Scale`, the kind of the subresource.
pub fn scale_columns(descriptions: &dyn Descriptions) -> Vec<Column> {
    specs::columns("autoscaling", "Scale", descriptions)
}

/// The cells of a `Scale`.
pub fn scale_cells(scale: &Value, now: Timestamp) -> Vec<Value> {
    cells::cells("autoscaling", "Scale", scale, now)
}

#[cfg(test)]
mod tests;
