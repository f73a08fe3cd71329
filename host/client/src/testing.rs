//! A double of the API server for this crate's own tests: objects by path, and scripted answers.

use std::collections::{BTreeMap, VecDeque};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use parking_lot::Mutex;
use portcullis_machinery::{Status, Value};

use crate::error::ClientError;
use crate::object::ObjectExt;
use crate::transport::{ClientBody, Transport};

/// Keeps objects by path with versions; answers that were scripted come first.
#[derive(Default)]
pub(crate) struct Double {
    objects: Mutex<BTreeMap<String, Value>>,
    version: Mutex<u64>,
    /// Answers for list and watch calls, in order: code and body.
    pub(crate) script: Mutex<VecDeque<(u16, String)>>,
    /// The path and query of each request.
    pub(crate) seen: Mutex<Vec<String>>,
}

pub(crate) fn body(text: impl Into<Bytes>) -> ClientBody {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}

impl Double {
    pub(crate) fn object(&self, path: &str) -> Value {
        self.objects.lock().get(path).cloned().unwrap_or_default()
    }

    fn put(&self, path: String, mut object: Value) -> (u16, String) {
        let mut version = self.version.lock();
        *version += 1;
        object["metadata"]["resourceVersion"] = version.to_string().into();
        let text = object.to_string();
        self.objects.lock().insert(path, object);
        (200, text)
    }

    fn answer(&self, method: &Method, path: &str, text: &[u8]) -> (u16, String) {
        let plain = path.split('?').next().unwrap_or("").to_owned();
        let object: Value = serde_json::from_slice(text).unwrap_or_default();
        let missing = || (404, serde_json::to_string(&Status::not_found("", "things", "x")).unwrap());
        match *method {
            Method::GET => self.objects.lock().get(&plain).map_or_else(missing, |found| (200, found.to_string())),
            Method::POST => self.put(format!("{plain}/{}", object.name()), object),
            _ => {
                let known = self.objects.lock().get(&plain).map(|known| known.resource_version().to_owned());
                match known {
                    None => missing(),
                    Some(known) if known != object.resource_version() => {
                        (409, serde_json::to_string(&Status::modified("", "things", "x")).unwrap())
                    }
                    Some(_) => self.put(plain, object),
                }
            }
        }
    }
}

#[async_trait]
impl Transport for Double {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ClientBody>, ClientError> {
        let path = request.uri().to_string();
        self.seen.lock().push(path.clone());
        let scripted = self.script.lock().pop_front();
        let (code, text) = scripted.unwrap_or_else(|| self.answer(request.method(), &path, request.body()));
        if code == 0 {
            return Err(ClientError::Transport(text));
        }
        let mut response = Response::new(body(text));
        *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
        Ok(response)
    }
}
