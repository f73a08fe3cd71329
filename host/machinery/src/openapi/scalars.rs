//! Types that are no objects and have a name all the same, which clients show.

use serde_json::{Value, json};

use super::Descriptions;
use super::document::{Form, describe};

/// A number or a text.
pub(super) const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
/// A quantity.
pub(super) const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
/// A moment.
pub(super) const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
/// A moment to the microsecond.
pub(super) const MICRO_TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
/// A length of time.
pub(super) const DURATION: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Duration";
/// Any object.
pub(super) const RAW: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";
/// A set of fields.
pub(super) const FIELDS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1";

/// One of them.
pub(super) fn document(name: &str, descriptions: &dyn Descriptions, form: Form) -> Value {
    let mut document = match (name, form) {
        (INT_OR_STRING, Form::V3) => {
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
        }
        (INT_OR_STRING, Form::V2) => json!({"type": "string", "format": "int-or-string"}),
        (QUANTITY, Form::V3) => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        (TIME | MICRO_TIME, _) => json!({"type": "string", "format": "date-time"}),
        (RAW | FIELDS, _) => json!({"type": "object"}),
        _ => json!({"type": "string"}),
    };
    describe(&mut document, descriptions.of_type(name), form);
    document
}
