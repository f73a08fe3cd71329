//! For whom a kubelet may ask tokens of a pod: whom its volumes name.

use std::sync::Arc;

use portcullis_machinery::{Value, object};

/// What finds objects, by group, plural, namespace and name.
pub(super) type Known<'a> = dyn Fn(&str, &str, &str, &str) -> Option<Arc<Value>> + 'a;

/// Whether the pod's volumes name an audience: as a projected token, or by a CSI driver that asks for such tokens.
pub(super) fn is_named_by(pod: &Value, audience: &str, known: &Known<'_>) -> bool {
    object::list_at(pod, &["spec", "volumes"]).iter().any(|volume| {
        let mut projected = object::list_at(volume, &["projected", "sources"]).iter();
        let token = |source: &Value| {
            let token = source.get("serviceAccountToken")?;
            Some(object::str_at(token, &["audience"]).unwrap_or_default() == audience)
        };
        projected.any(|source| token(source) == Some(true))
            || driver_of(pod, volume, known)
                .and_then(|driver| known("storage.k8s.io", "csidrivers", "", &driver))
                .is_some_and(|driver| {
                    let mut requests = object::list_at(&driver, &["spec", "tokenRequests"]).iter();
                    requests.any(|request| object::str_at(request, &["audience"]).unwrap_or_default() == audience)
                })
    })
}

/// The CSI driver behind a volume.
fn driver_of(pod: &Value, volume: &Value, known: &Known<'_>) -> Option<String> {
    if let Some(driver) = object::str_at(volume, &["csi", "driver"]) {
        return Some(driver.to_owned());
    }
    let claim = match object::str_at(volume, &["persistentVolumeClaim", "claimName"]) {
        Some(claim) => claim.to_owned(),
        None => {
            object::get_at(volume, &["ephemeral", "volumeClaimTemplate"])?;
            format!("{}-{}", object::name(pod), object::str_at(volume, &["name"])?)
        }
    };
    let claim = known("", "persistentvolumeclaims", object::namespace(pod), &claim)?;
    let volume = known("", "persistentvolumes", "", object::str_at(&claim, &["spec", "volumeName"])?)?;
    object::str_at(&volume, &["spec", "csi", "driver"]).map(str::to_owned)
}
