//! The values that the API gives to fields which a client left out.

use crate::Value;
use crate::definition::ResourceDefinition;

/// Fills in what the client left out, as the API defines it for the kind. Run it on a conformed object
/// ([`crate::codec::conform`]); conform again afterwards is not needed.
pub fn apply_defaults(definition: &ResourceDefinition, object: &mut Value) {
    let _ = (definition, object);
    unimplemented!()
}
