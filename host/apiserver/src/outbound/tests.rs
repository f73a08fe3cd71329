use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::server::tests::{Fixture, fixture};
use base64::Engine as _;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A certificate and its key.
struct Made {
    pem: String,
    key: String,
}

/// A certificate for names, by an authority or by itself; `ca` is whether it is one.
fn make(names: &[&str], by: Option<&Made>, ca: bool) -> Made {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    if ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let certificate = match by {
        None => params.self_signed(&key).unwrap(),
        Some(by) => {
            let issuer = Issuer::from_ca_cert_pem(&by.pem, KeyPair::from_pem(&by.key).unwrap()).unwrap();
            params.signed_by(&key, &issuer).unwrap()
        }
    };
    Made { pem: certificate.pem(), key: key.serialize_pem() }
}

/// A server that answers by the path: `/echo`, `/slow`, `/code/CODE`. Its port, and how many connections it took.
async fn serve(certificate: Option<&Made>, http2: bool) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::new(AtomicUsize::new(0));
    let acceptor = certificate.map(|made| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(made.pem.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap(),
            )
            .unwrap();
        tls.alpn_protocols = if http2 { vec![b"h2".to_vec()] } else { vec![b"http/1.1".to_vec()] };
        tokio_rustls::TlsAcceptor::from(Arc::new(tls))
    });
    let count = taken.clone();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let service = service_fn(answer);
                match acceptor {
                    Some(acceptor) => {
                        let Ok(tls) = acceptor.accept(tcp).await else { return };
                        drop(builder.serve_connection(TokioIo::new(tls), service).await);
                    }
                    None => drop(builder.serve_connection(TokioIo::new(tcp), service).await),
                }
            });
        }
    });
    (port, taken)
}

async fn answer(request: Request<hyper::body::Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let (code, body) = match path.as_str() {
        "/slow" => std::future::pending().await,
        path => match path.strip_prefix("/code/") {
            Some(code) => (code.parse().unwrap(), Bytes::from_static(b"it says so")),
            None => (200, body),
        },
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

async fn post(fixture: &Fixture, config: Value, seconds: u64) -> Result<String, String> {
    let destination = Destination::from_client_config(Some(&config)).map_err(|error| error.to_string())?;
    let server = &fixture.server;
    let timeout = Duration::from_secs(seconds);
    let answer = server.outbound.post(server, &destination, Bytes::from_static(b"{}"), timeout).await;
    answer.map(|body| String::from_utf8_lossy(&body).into_owned()).map_err(|error| error.to_string())
}

fn bundle(made: &Made) -> String {
    base64::engine::general_purpose::STANDARD.encode(&made.pem)
}

#[tokio::test]
async fn what_is_answered_and_what_goes_wrong() {
    let fixture = fixture().await;
    let ca = make(&[], None, true);
    let good = make(&["localhost", "127.0.0.1"], Some(&ca), false);
    let other = make(&["elsewhere.example"], Some(&ca), false);
    let own = make(&["localhost"], None, true);
    let ((port, _), (misnamed, _)) = (serve(Some(&good), true).await, serve(Some(&other), false).await);
    let ((own_port, _), (plain, _)) = (serve(Some(&own), false).await, serve(None, false).await);
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = |port: u16, path: &str| format!("https://localhost:{port}{path}");
    let wrong = |url: &str, text: &str| Err(format!("Post \"{url}?timeout=1s\": {text}"));
    let cases = [
        ("it answers", url(port, "/echo"), bundle(&ca), Ok("{}".to_owned())),
        ("by address", format!("https://127.0.0.1:{port}/echo"), bundle(&ca), Ok("{}".to_owned())),
        ("a self-signed certificate is its own bundle", url(own_port, "/echo"), bundle(&own), Ok("{}".to_owned())),
        (
            "another CA",
            url(port, "/echo"),
            bundle(&own),
            wrong(
                &url(port, "/echo"),
                "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            ),
        ),
        (
            "another name",
            url(misnamed, "/echo"),
            bundle(&ca),
            wrong(
                &url(misnamed, "/echo"),
                "tls: failed to verify certificate: x509: certificate is valid for elsewhere.example, not localhost",
            ),
        ),
        (
            "a bundle that is none",
            url(port, "/x"),
            base64::engine::general_purpose::STANDARD.encode("x"),
            wrong(&url(port, "/x"), "unable to load root certificates: unable to parse bytes as PEM block"),
        ),
        (
            "no TLS there",
            url(plain, "/echo"),
            bundle(&ca),
            wrong(&url(plain, "/echo"), "http: server gave HTTP response to HTTPS client"),
        ),
        (
            "nobody there",
            format!("https://127.0.0.1:{closed}/x"),
            bundle(&ca),
            wrong(
                &format!("https://127.0.0.1:{closed}/x"),
                &format!("dial tcp 127.0.0.1:{closed}: connect: connection refused"),
            ),
        ),
        ("no answer", url(port, "/slow"), bundle(&ca), wrong(&url(port, "/slow"), "context deadline exceeded")),
        (
            "a server's failure",
            url(port, "/code/500"),
            bundle(&ca),
            Err("an error on the server (\"it says so\") has prevented the request from succeeding".to_owned()),
        ),
        (
            "not found",
            url(port, "/code/404"),
            bundle(&ca),
            Err("the server could not find the requested resource".to_owned()),
        ),
    ];
    for (what, url, bundle, want) in cases {
        assert_eq!(post(&fixture, json!({"url": url, "caBundle": bundle}), 1).await, want, "{what}");
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let fixture = fixture().await;
    let ca = make(&[], None, true);
    let good = make(&["localhost"], Some(&ca), false);
    for http2 in [false, true] {
        let (port, taken) = serve(Some(&good), http2).await;
        let config = json!({"url": format!("https://localhost:{port}/echo"), "caBundle": bundle(&ca)});
        for _ in 0..5 {
            assert_eq!(post(&fixture, config.clone(), 5).await, Ok("{}".to_owned()));
        }
        assert_eq!(taken.load(Ordering::Relaxed), 1, "http2: {http2}");
    }
}

#[tokio::test]
async fn services_lead_to_their_endpoints() {
    let fixture = fixture().await;
    let ca = make(&[], None, true);
    let good = make(&["hook.default.svc"], Some(&ca), false);
    let (port, _) = serve(Some(&good), false).await;
    let config = |name: &str, port: u16| {
        let service = json!({"namespace": "default", "name": name, "port": port, "path": "/echo"});
        json!({"service": service, "caBundle": bundle(&ca)})
    };
    let create = async |path: &str, object: Value| {
        let (code, body) = fixture.send(&fixture.admin, "POST", path, &[], object).await;
        assert_eq!(code, 201, "{body}");
    };
    let at = |name: &str, port: u16| format!("Post \"https://{name}.default.svc:{port}/echo?timeout=5s\": ");
    let missing = format!("{}service \"hook\" not found", at("hook", 443));
    assert_eq!(post(&fixture, config("hook", 443), 5).await, Err(missing));
    let ports = json!([{"name": "https", "port": 443, "targetPort": port}, {"name": "other", "port": 81}]);
    let meta = json!({"name": "hook"});
    create("/api/v1/namespaces/default/services", json!({"metadata": meta, "spec": {"ports": ports}})).await;
    let empty = format!("{}no endpoints available for service \"hook\"", at("hook", 443));
    assert_eq!(post(&fixture, config("hook", 443), 5).await, Err(empty));
    let other = format!("{}no service port 82 found for service \"hook\"", at("hook", 82));
    assert_eq!(post(&fixture, config("hook", 82), 5).await, Err(other));
    create(
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
        json!({
            "metadata": {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}},
            "addressType": "IPv4",
            "ports": [{"name": "https", "port": port}],
            "endpoints": [
                {"addresses": ["127.0.0.1"]},
                {"addresses": ["127.0.0.2"], "conditions": {"ready": false}},
            ],
        }),
    )
    .await;
    for _ in 0..4 {
        assert_eq!(post(&fixture, config("hook", 443), 5).await, Ok("{}".to_owned()));
    }
}
