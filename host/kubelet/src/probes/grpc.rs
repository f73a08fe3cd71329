//! gRPC probes: `grpc.health.v1.Health/Check`. The call is one message each way, and both messages have one field, so they
//! are written and read here without a gRPC library.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis_client::transport::{authority, dial};

use super::http::USER_AGENT;
use super::{Attempt, ProbeTarget};

const MAX_ANSWER: usize = 64 * 1024;
/// The field number 1 with wire type 2 (bytes): `HealthCheckRequest.service`.
const SERVICE: u8 = 0x0a;
/// The field number 1 with wire type 0 (varint): `HealthCheckResponse.status`.
const STATUS: u8 = 0x08;
/// gRPC's status code for a method that a server has not got.
const UNIMPLEMENTED: &str = "12";
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/// One check.
pub(super) async fn probe(port: u16, service: &str, target: &ProbeTarget, timeout: Duration) -> Attempt {
    let address = authority(&target.ip.to_string(), port);
    match tokio::time::timeout(timeout, check(&address, port, service, target, timeout)).await {
        Ok(Ok(status)) if status == 1 => Attempt::Success,
        Ok(Ok(status)) => {
            let name = usize::try_from(status).ok().and_then(|index| STATUSES.get(index));
            let name = name.map_or_else(|| status.to_string(), ToString::to_string);
            Attempt::Failure(format!("service unhealthy (responded with {name:?})"))
        }
        Ok(Err(why)) => Attempt::Failure(why),
        Err(_) => Attempt::Failure(format!(
            "timeout: failed to connect service {address:?} within {}s: context deadline exceeded",
            timeout.as_secs()
        )),
    }
}

async fn check(
    address: &str,
    port: u16,
    service: &str,
    target: &ProbeTarget,
    timeout: Duration,
) -> Result<u64, String> {
    let unreachable = |why: String| format!("error: failed to connect service {address:?}: {why}");
    let tcp = dial(&target.ip.to_string(), port, timeout).await.map_err(unreachable)?;
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tcp));
    let (mut sender, connection) = handshake.await.map_err(|error| unreachable(error.to_string()))?;
    tokio::spawn(connection);
    let failed = |why: String| format!("error: health rpc probe failed: {why}");
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", USER_AGENT)
        .body(Full::new(request(service)))
        .map_err(|error| failed(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(|error| failed(error.to_string()))?;
    if !response.status().is_success() {
        return Err(failed(format!("unexpected HTTP status code received from server: {}", response.status())));
    }
    // A server that refuses at once says so in the headers, one that answered in the trailers.
    let headers = response.headers().clone();
    let collected = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    let collected = collected.map_err(|error| failed(error.to_string()))?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let text = |name: &str| {
        let of = |map: &HeaderMap| Some(map.get(name)?.to_str().ok()?.to_owned());
        of(&trailers).or_else(|| of(&headers)).unwrap_or_default()
    };
    match text("grpc-status").as_str() {
        "0" => {}
        UNIMPLEMENTED => {
            let why = text("grpc-message");
            return Err(format!(
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {why}"
            ));
        }
        code => return Err(failed(format!("rpc error: code = {code} desc = {}", text("grpc-message")))),
    }
    status(&collected.to_bytes()).ok_or_else(|| failed("the answer cannot be read".to_owned()))
}

/// A framed `HealthCheckRequest`.
fn request(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(SERVICE);
        let mut length = service.len();
        while length >= 0x80 {
            message.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(0).to_be_bytes());
    framed.extend_from_slice(&message);
    framed.into()
}

/// The status of a framed `HealthCheckResponse`; a message without it has the first one.
fn status(framed: &[u8]) -> Option<u64> {
    let [0, a, b, c, d, message @ ..] = framed else { return None };
    let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok()?;
    match message.get(..length)? {
        [] => Some(0),
        [STATUS, value @ ..] => {
            let mut status = 0u64;
            for (index, byte) in value.iter().take(10).enumerate() {
                status |= u64::from(byte & 0x7f).checked_shl(7 * index as u32)?;
                if byte & 0x80 == 0 {
                    return Some(status);
                }
            }
            None
        }
        _ => None,
    }
}
