//! The variables that tell a container of the services in its namespace: `NAME_SERVICE_HOST`, `NAME_SERVICE_PORT`, and
//! those that Docker links had.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;

use portcullis_client::ObjectExt as _;
use portcullis_machinery::Value;

use crate::source::ObjectSource;

/// The variables for a pod: of the API server's service always, of those in the pod's namespace if it wants links.
pub(super) async fn variables(sources: &dyn ObjectSource, pod: &Value) -> Result<BTreeMap<String, String>, String> {
    let wants_links = pod.at(&["spec", "enableServiceLinks"]).and_then(Value::as_bool).unwrap_or(true);
    let mut found: Vec<Arc<Value>> = sources.services("default").await?;
    found.retain(|service| service.name() == "kubernetes" && has_address(service));
    if wants_links {
        let mut own = sources.services(pod.namespace()).await?;
        own.retain(|service| has_address(service));
        // A service of that name in the pod's own namespace is the one that its author means.
        if own.iter().any(|service| service.name() == "kubernetes") {
            found.clear();
        }
        found.append(&mut own);
    }
    let mut variables = BTreeMap::new();
    for service in &found {
        add(&mut variables, service, service.str_at(&["spec", "clusterIP"]));
    }
    Ok(variables)
}

/// Headless services and those without an address have no variables.
fn has_address(service: &Value) -> bool {
    !matches!(service.str_at(&["spec", "clusterIP"]), "" | "None")
}

fn variable_name(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

fn add(variables: &mut BTreeMap<String, String>, service: &Value, address: &str) {
    let prefix = variable_name(service.name());
    let host = if address.parse::<Ipv6Addr>().is_ok() { format!("[{address}]") } else { address.to_owned() };
    variables.insert(format!("{prefix}_SERVICE_HOST"), address.to_owned());
    for (index, port) in service.list_at(&["spec", "ports"]).iter().enumerate() {
        let number = port.int_at(&["port"]).unwrap_or(0).to_string();
        let protocol = match port.str_at(&["protocol"]) {
            "" => "TCP",
            protocol => protocol,
        };
        let url = format!("{}://{host}:{number}", protocol.to_lowercase());
        if index == 0 {
            variables.insert(format!("{prefix}_SERVICE_PORT"), number.clone());
            variables.insert(format!("{prefix}_PORT"), url.clone());
        }
        let name = port.str_at(&["name"]);
        if !name.is_empty() {
            variables.insert(format!("{prefix}_SERVICE_PORT_{}", variable_name(name)), number.clone());
        }
        let of_port = format!("{prefix}_PORT_{number}_{}", protocol.to_uppercase());
        variables.insert(format!("{of_port}_PROTO"), protocol.to_lowercase());
        variables.insert(format!("{of_port}_PORT"), number);
        variables.insert(format!("{of_port}_ADDR"), address.to_owned());
        variables.insert(of_port, url);
    }
}
