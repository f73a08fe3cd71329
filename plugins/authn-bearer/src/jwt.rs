//! ServiceAccount tokens: JSON Web Tokens (RFC 7519) that the API server signs.

use portcullis_sdk::{Outcome, UserInfo, host, tape::Tape};
use serde::Deserialize;

use crate::Config;

/// Clocks may differ by this much, in seconds (the reference's leeway).
const LEEWAY: i64 = 60;
/// The extra key in which the host learns which of the wanted audiences a token is for.
const AUDIENCES_EXTRA: &str = "portcullis.dev/audiences";

/// An object as far as the check of a token goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.deletionTimestamp` in seconds since 1970, if it is being deleted.
    pub deleted: Option<i64>,
    /// `spec.nodeName`, of a pod.
    pub node_name: String,
}

/// What the check needs from outside.
pub trait Cluster {
    /// Seconds since 1970.
    fn now(&self) -> i64;
    /// Whether the signature is good.
    fn verify(&self, key_id: &str, algorithm: &str, message: &[u8], signature: &[u8]) -> bool;
    /// An object of the cluster, or why it cannot be had.
    fn get(&self, resource: &str, namespace: &str, name: &str) -> Result<Option<Lookup>, String>;
}

/// The host's functions.
pub struct HostCluster;

impl Cluster for HostCluster {
    fn now(&self) -> i64 {
        (host::now_millis() / 1000) as i64
    }

    fn verify(&self, key_id: &str, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        host::verify("service-account", key_id, algorithm, message, signature).unwrap_or(false)
    }

    fn get(&self, resource: &str, namespace: &str, name: &str) -> Result<Option<Lookup>, String> {
        let paths = ["/metadata/uid", "/metadata/deletionTimestamp", "/spec/nodeName"];
        let found = host::get(resource, namespace, name, &paths).map_err(|error| host::describe(&error).to_owned())?;
        Ok(found.map(|bytes| {
            let root = Tape::trusted(&bytes).root();
            Lookup {
                uid: root.index(0).str_or_empty().to_owned(),
                deleted: root.index(1).as_str().map(|time| seconds(time).unwrap_or(0)),
                node_name: root.index(2).str_or_empty().to_owned(),
            }
        }))
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    iss: String,
    #[serde(default)]
    sub: String,
    aud: Option<Audience>,
    exp: Option<f64>,
    nbf: Option<f64>,
    #[serde(default)]
    jti: String,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<Kubernetes>,
}

#[derive(Deserialize)]
struct Kubernetes {
    namespace: String,
    serviceaccount: Reference,
    pod: Option<Reference>,
    secret: Option<Reference>,
    node: Option<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(default)]
    name: String,
    #[serde(default)]
    uid: String,
}

/// Checks a token. One that is no JWT, or comes from another issuer, is somebody else's business.
pub(crate) fn authenticate(config: &Config, token: &str, wanted: &[&str], cluster: &impl Cluster) -> Outcome {
    let Some((signed, signature)) = token.rsplit_once('.') else { return Outcome::NoOpinion };
    let Some((header, payload)) = signed.split_once('.') else { return Outcome::NoOpinion };
    let (Some(header), Some(claims)) = (part::<Header>(header), part::<Claims>(payload)) else {
        return Outcome::NoOpinion;
    };
    if !config.issuers.contains(&claims.iss) {
        return Outcome::NoOpinion;
    }
    match check(config, &header, claims, (signed, signature), wanted, cluster) {
        Ok(user) => Outcome::Authenticated(user),
        Err(why) => Outcome::Rejected(why),
    }
}

fn check(
    config: &Config,
    header: &Header,
    claims: Claims,
    (signed, signature): (&str, &str),
    wanted: &[&str],
    cluster: &impl Cluster,
) -> Result<UserInfo, String> {
    // The signature comes first: nothing of an unsigned token may reach the cluster.
    let signature = base64url(signature).ok_or("the signature is not base64url")?;
    if !cluster.verify(&header.kid, &header.alg, signed.as_bytes(), &signature) {
        return Err("the signature is not good under any key".into());
    }
    let audiences = match claims.aud {
        Some(Audience::One(one)) => vec![one],
        Some(Audience::Many(many)) => many,
        None => Vec::new(),
    };
    let own = if config.audiences.is_empty() { &config.issuers } else { &config.audiences };
    let matched: Vec<String> = match wanted {
        [] => audiences.into_iter().filter(|audience| own.contains(audience)).collect(),
        wanted => audiences.into_iter().filter(|audience| wanted.contains(&audience.as_str())).collect(),
    };
    if matched.is_empty() {
        return Err("the token is for other audiences".into());
    }
    let now = cluster.now();
    if claims.exp.is_none_or(|exp| now - LEEWAY > exp as i64) {
        return Err("the token has expired".into());
    }
    if claims.nbf.is_some_and(|nbf| now + LEEWAY < nbf as i64) {
        return Err("the token is not valid yet".into());
    }
    let kubernetes = claims.kubernetes.ok_or("the token has no kubernetes.io claims")?;
    let (namespace, account) = (&kubernetes.namespace, &kubernetes.serviceaccount);
    let username = format!("system:serviceaccount:{namespace}:{}", account.name);
    if claims.sub != username {
        return Err("the subject does not match the ServiceAccount claims".into());
    }
    present(cluster, "serviceaccounts", namespace, account, now)?;
    if let Some(secret) = &kubernetes.secret {
        present(cluster, "secrets", namespace, secret, now)?;
    }
    let mut extra = Vec::new();
    let mut add = |key: &str, value: String| {
        extra.push((format!("authentication.kubernetes.io/{key}"), vec![value]));
    };
    if !claims.jti.is_empty() {
        add("credential-id", format!("JTI={}", claims.jti));
    }
    let mut node = None;
    if let Some(pod) = &kubernetes.pod {
        let found = present(cluster, "pods", namespace, pod, now)?;
        add("pod-name", pod.name.clone());
        add("pod-uid", pod.uid.clone());
        node = Some((found.node_name, String::new())).filter(|(name, _)| !name.is_empty());
    }
    if let Some(claimed) = &kubernetes.node {
        if kubernetes.pod.is_none() {
            present(cluster, "nodes", "", claimed, now)?;
        }
        node = Some((claimed.name.clone(), claimed.uid.clone()));
    }
    if let Some((name, uid)) = node {
        add("node-name", name);
        if !uid.is_empty() {
            add("node-uid", uid);
        }
    }
    if !wanted.is_empty() {
        extra.push((AUDIENCES_EXTRA.to_owned(), matched));
    }
    let groups = vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
    Ok(UserInfo { username, uid: account.uid.clone(), groups, extra })
}

/// The object that a token is bound to, if it is still the same one.
fn present(
    cluster: &impl Cluster,
    resource: &str,
    namespace: &str,
    reference: &Reference,
    now: i64,
) -> Result<Lookup, String> {
    let name = &reference.name;
    let found =
        cluster.get(resource, namespace, name)?.ok_or_else(|| format!("{resource} {namespace}/{name} is gone"))?;
    if found.uid != reference.uid {
        return Err(format!("{resource} {namespace}/{name} is not the one that the token was issued for"));
    }
    // A pod that is shutting down may use its token for as long as the leeway.
    if found.deleted.is_some_and(|deleted| deleted < now - LEEWAY) {
        return Err(format!("{resource} {namespace}/{name} has been deleted"));
    }
    Ok(found)
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&base64url(text)?).ok()
}

/// RFC 4648 base64url without padding.
pub(crate) fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    // What is left over must be padding of zeros, fewer than six of them.
    (count < 6 && bits == 0).then_some(out)
}

/// Seconds since 1970 of `2026-01-02T03:04:05Z`, the form in which the server stores times.
pub(crate) fn seconds(time: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| time.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    // Days from civil: count years from March, so that the leap day comes last.
    let (shifted, moved) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * shifted + shifted.div_euclid(4) - shifted.div_euclid(100)
        + shifted.div_euclid(400)
        + (153 * moved + 2) / 5
        + day
        - 1
        - 719_468;
    Some(days * 86_400 + number(11..13)? * 3_600 + number(14..16)? * 60 + number(17..19)?)
}
