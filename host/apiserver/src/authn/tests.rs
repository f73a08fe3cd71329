use super::*;
use http::HeaderValue;

/// Knows the token `good`, rejects `bad`, has no opinion on others; knows certificates.
struct Double;

#[async_trait]
impl Authenticators for Double {
    async fn authenticate(&self, document: &Value) -> Result<Option<Authenticated>, Status> {
        let name = match document.pointer("/authorization/token").and_then(Value::as_str) {
            Some("good") => "token-user".to_owned(),
            Some("bad") => return Err(Status::unauthorized()),
            _ => match document.pointer("/tls/peerCertificates/0/subject/commonName").and_then(Value::as_str) {
                Some(name) => name.to_owned(),
                None => return Ok(None),
            },
        };
        Ok(Some(Authenticated { user: UserInfo { username: name, ..UserInfo::default() }, remember: true }))
    }

    fn generation(&self) -> u64 {
        1
    }
}

async fn check(authorization: Option<&str>, peer: Arc<PeerCertificates>, anonymous: bool) -> Result<String, u16> {
    let mut headers = HeaderMap::new();
    if let Some(value) = authorization {
        headers.insert(http::header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    }
    let connection = ConnectionInfo::in_process(peer);
    let user = authenticate(&Double, anonymous, &headers, &RequestInfo::default(), "GET", &connection).await;
    user.map(|user| format!("{} {}", user.username, user.groups.join(","))).map_err(|status| status.code)
}

#[tokio::test]
async fn credentials() {
    let none = || Arc::new(PeerCertificates::default());
    let anonymous = Ok("system:anonymous system:unauthenticated".to_owned());
    assert_eq!(check(None, none(), true).await, anonymous);
    assert_eq!(check(None, none(), false).await, Err(401));
    assert_eq!(check(Some("Basic eDp5"), none(), true).await, anonymous);
    assert_eq!(check(Some("Bearer "), none(), true).await, anonymous);
    assert_eq!(check(Some("Bearer good"), none(), true).await, Ok("token-user system:authenticated".to_owned()));
    assert_eq!(check(Some("Bearer bad"), none(), true).await, Err(401));
    assert_eq!(check(Some("Bearer what"), none(), true).await, Err(401));

    let dir = tempfile::tempdir().unwrap();
    let config = crate::ServerConfig { data_dir: dir.path().to_owned(), ..crate::ServerConfig::default() };
    let pki = crate::pki::Pki::open(&config).unwrap();
    let chain = pki.identity(crate::pki::Component::Admin).chain.clone();
    let verified = pki.verify_client(chain.clone());
    for _ in 0..2 {
        assert_eq!(check(None, verified.clone(), true).await, Ok("kubernetes-admin system:authenticated".to_owned()));
    }
    let unknown = || Arc::new(PeerCertificates::new(chain.clone(), false));
    assert_eq!(check(None, unknown(), true).await, Err(401));
    assert_eq!(check(Some("Bearer good"), unknown(), true).await, Ok("token-user system:authenticated".to_owned()));
}

/// Rejects everyone, and says that it reads headers.
struct Broken;

#[async_trait]
impl Authenticators for Broken {
    async fn authenticate(&self, document: &Value) -> Result<Option<Authenticated>, Status> {
        let seen = document.pointer("/request/headers").cloned().unwrap_or_default();
        Err(Status::failure(401, "Unauthorized", seen.to_string()))
    }

    fn generation(&self) -> u64 {
        1
    }

    fn reads_headers(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn the_recovery_certificate_is_known_without_any_component() {
    let dir = tempfile::tempdir().unwrap();
    let config = crate::ServerConfig { data_dir: dir.path().to_owned(), ..crate::ServerConfig::default() };
    let pki = crate::pki::Pki::open(&config).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
    headers.append("X-Remote-Group", HeaderValue::from_static("a"));
    headers.append("X-Remote-Group", HeaderValue::from_static("b"));
    let who = async |component| {
        let peer = pki.verify_client(pki.identity(component).chain.clone());
        let connection = ConnectionInfo::in_process(peer);
        authenticate(&Broken, true, &headers, &RequestInfo::default(), "GET", &connection).await
    };
    let user = who(crate::pki::Component::Recovery).await.unwrap();
    assert_eq!((user.username.as_str(), user.groups[0].as_str()), (RECOVERY, "system:masters"));
    let refused = who(crate::pki::Component::Admin).await.unwrap_err();
    assert_eq!(refused.message, r#"{"x-remote-group":["a","b"]}"#, "the credential is not among the headers");
}
