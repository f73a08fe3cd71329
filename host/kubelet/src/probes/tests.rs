use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::FutureExt as _;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use portcullis_machinery::Value;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error>;

fn body(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An application: the path says what it answers. What it was asked is noted.
async fn application(request: ::http::Request<hyper::body::Incoming>, seen: Seen) -> ::http::Response<Body> {
    let path = request.uri().path().to_owned();
    let text = |name: &str| request.headers().get(name).map_or("-", |v| v.to_str().unwrap_or("?")).to_owned();
    seen.lock().push(format!(
        "{} ua={} host={} x={}",
        request.uri(),
        text("user-agent"),
        text("host"),
        text("x-probe")
    ));
    let code = path.trim_start_matches('/').split('/').next().and_then(|code| code.parse::<u16>().ok());
    let response = ::http::Response::builder();
    match (path.as_str(), code) {
        ("/grpc.health.v1.Health/Check", _) => {
            let asked = request.into_body().collect().await.unwrap().to_bytes();
            let status = match asked.get(7..).unwrap_or_default() {
                b"" => Some(1),
                b"bad" => Some(2),
                _ => None,
            };
            let response = response.header("content-type", "application/grpc");
            let Some(status) = status else {
                let response = response.header("grpc-status", "12").header("grpc-message", "unknown service");
                return response.body(body("")).unwrap();
            };
            let mut trailers = ::http::HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            let message = Bytes::from(vec![0, 0, 0, 0, 2, 8, status]);
            let frames = [Ok(Frame::data(message)), Ok(Frame::trailers(trailers))];
            response.body(StreamBody::new(futures::stream::iter(frames)).boxed_unsync()).unwrap()
        }
        ("/slow", _) => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            response.body(body("")).unwrap()
        }
        ("/endless", _) => {
            let frames = futures::stream::repeat_with(|| Ok(Frame::data(Bytes::from_static(&[b'x'; 1000]))));
            response.body(StreamBody::new(frames).boxed_unsync()).unwrap()
        }
        ("/to-other", _) => response.status(302).header("location", "http://192.0.2.1/").body(body("moved")).unwrap(),
        ("/to-fail", _) => response.status(302).header("location", "/500").body(body("")).unwrap(),
        ("/to-ok", _) => response.status(307).header("location", "200").body(body("")).unwrap(),
        ("/loop", _) => response.status(302).header("location", "/loop").body(body("")).unwrap(),
        (_, code) => response.status(code.unwrap_or(200)).body(body("secret words")).unwrap(),
    }
}

type Seen = Arc<Mutex<Vec<String>>>;

async fn serve(tls: bool) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let noted = seen.clone();
    let acceptor = tls.then(|| {
        let made = rcgen::generate_simple_self_signed(["elsewhere.example".to_owned()]).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    });
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (seen, acceptor) = (noted.clone(), acceptor.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let seen = seen.clone();
                    async move { Ok::<_, std::convert::Infallible>(application(request, seen).await) }
                });
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = match acceptor {
                    None => builder.serve_connection(TokioIo::new(stream), service).await,
                    Some(acceptor) => match acceptor.accept(stream).await {
                        Ok(stream) => builder.serve_connection(TokioIo::new(stream), service).await,
                        Err(_) => Ok(()),
                    },
                };
            });
        }
    });
    (address, seen)
}

fn target(port: u16) -> ProbeTarget {
    let container = json!({"ports": [{"name": "web", "containerPort": port}]});
    ProbeTarget::new(IpAddr::V4(Ipv4Addr::LOCALHOST), &container)
}

async fn check(port: u16, probe: Value, expected: Attempt) {
    let spec = ProbeSpec::parse(&probe).unwrap();
    assert_eq!(attempt(&spec, &target(port)).await, expected, "{probe}");
}

fn failure(why: impl Into<String>) -> Attempt {
    Attempt::Failure(why.into())
}

#[tokio::test]
async fn http_probes_judge_by_the_code() {
    let (address, seen) = serve(false).await;
    let port = address.port();
    let get = |path: &str| json!({"httpGet": {"path": path, "port": "web"}});
    check(port, get("/200"), Attempt::Success).await;
    check(port, get("201"), Attempt::Success).await;
    check(port, get("/399"), Attempt::Warning("Probe terminated redirects, Response body: secret words".into())).await;
    check(port, get("/400"), failure("HTTP probe failed with statuscode: 400")).await;
    check(port, get("/503"), failure("HTTP probe failed with statuscode: 503")).await;
    check(port, get("/endless"), Attempt::Success).await;
    check(port, get("/to-ok"), Attempt::Success).await;
    check(port, get("/to-fail"), failure("HTTP probe failed with statuscode: 500")).await;
    check(port, get("/to-other"), Attempt::Warning("Probe terminated redirects, Response body: moved".into())).await;
    let url = format!("http://{address}");
    check(port, get("/loop"), failure(format!("Get \"{url}/loop\": stopped after 10 redirects"))).await;
    let late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
    check(port, get("/slow"), failure(format!("Get \"{url}/slow\": {late}"))).await;
    let refused = "Get \"http://127.0.0.1:1/\": dial tcp 127.0.0.1:1: connect: connection refused";
    check(port, json!({"httpGet": {"path": "/", "port": 1}}), failure(refused)).await;
    let unknown = "couldn't extract port: nope is no port of the container";
    check(port, json!({"httpGet": {"port": "nope"}}), Attempt::Error(unknown.into())).await;
    check(port, json!({"httpGet": {"port": 70000}}), Attempt::Error("invalid port number: 70000".into())).await;

    seen.lock().clear();
    let headers = json!([{"name": "Host", "value": "web.example"}, {"name": "X-Probe", "value": "1"}]);
    check(port, json!({"httpGet": {"path": "/200?a=b c", "port": port, "httpHeaders": headers}}), Attempt::Success)
        .await;
    let own = json!([{"name": "User-Agent", "value": "mine"}]);
    check(port, json!({"httpGet": {"path": "/200", "port": port, "httpHeaders": own}}), Attempt::Success).await;
    let expected =
        ["/200?a=b%20c ua=kube-probe/1.36 host=web.example x=1".to_owned(), format!("/200 ua=mine host={address} x=-")];
    assert_eq!(*seen.lock(), expected);
}

#[tokio::test]
async fn https_probes_check_no_certificate() {
    let (address, _) = serve(true).await;
    let probe = json!({"httpGet": {"path": "/200", "port": "web", "scheme": "HTTPS"}});
    check(address.port(), probe, Attempt::Success).await;
}

#[tokio::test]
async fn sockets_are_opened_and_health_is_asked() {
    let (address, _) = serve(false).await;
    let port = address.port();
    check(port, json!({"tcpSocket": {"port": "web"}}), Attempt::Success).await;
    let refused = "dial tcp 127.0.0.1:1: connect: connection refused";
    check(port, json!({"tcpSocket": {"port": 1, "host": "127.0.0.1"}}), failure(refused)).await;
    check(port, json!({"grpc": {"port": port}}), Attempt::Success).await;
    let unhealthy = "service unhealthy (responded with \"NOT_SERVING\")";
    check(port, json!({"grpc": {"port": port, "service": "bad"}}), failure(unhealthy)).await;
    let unimplemented = "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): \
                         unknown service";
    check(port, json!({"grpc": {"port": port, "service": "x"}}), failure(unimplemented)).await;
    let gone = format!("error: failed to connect service \"127.0.0.1:1\": {refused}");
    check(port, json!({"grpc": {"port": 1}}), failure(gone)).await;
}

#[tokio::test]
async fn commands_run_where_the_runtime_can() {
    let spec = ProbeSpec::parse(&json!({"exec": {"command": ["cat", "/x"]}})).unwrap();
    let mut target = target(1);
    let none = "the container's runtime cannot run commands in a container";
    assert_eq!(attempt(&spec, &target).await, Attempt::Error(none.into()));
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    target.exec = Some(Arc::new(move |command, _| {
        let round = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            match round {
                0 => Err("not yet".to_owned()),
                1 => Ok(ExecOutput { exit_code: 0, output: command.join(" ") }),
                2 => Ok(ExecOutput { exit_code: 1, output: "no such file".to_owned() }),
                _ => std::future::pending().await,
            }
        }
        .boxed()
    }));
    // An attempt that could not be made is made again at once.
    assert_eq!(attempt(&spec, &target).await, Attempt::Success);
    assert_eq!(tries.load(Ordering::SeqCst), 2);
    assert_eq!(attempt(&spec, &target).await, failure("no such file"));
    let late = "command timed out: [\"cat\", \"/x\"] timed out after 1s";
    assert_eq!(attempt(&spec, &target).await, failure(late));
    assert_eq!(ProbeSpec::parse(&json!({"periodSeconds": 1})), Err(ProbeSpecError::NoHandler));
}

/// Plays what commands answer (`+` well, `-` not well, then no telling) and compares the results that are published.
async fn play(kind: ProbeKind, answers: &'static str, success: u32, failure: u32, expected: &[ProbeResult]) {
    let spec = ProbeSpec {
        action: Action::Exec { command: Vec::new() },
        initial_delay: Duration::from_millis(60),
        period: Duration::from_millis(10),
        timeout: Duration::from_secs(5),
        success_threshold: success,
        failure_threshold: failure,
    };
    let mut target = target(1);
    let round = AtomicUsize::new(0);
    target.exec = Some(Arc::new(move |_, _| {
        let answer = answers.as_bytes().get(round.fetch_add(1, Ordering::SeqCst)).copied();
        let answer = match answer {
            Some(b'+') => Ok(ExecOutput { exit_code: 0, output: String::new() }),
            Some(b'-') => Ok(ExecOutput { exit_code: 1, output: String::new() }),
            _ => Err("?".to_owned()),
        };
        std::future::ready(answer).boxed()
    }));
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = attempts.clone();
    let begun = tokio::time::Instant::now();
    let mut handle = start(kind, spec, target, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let mut results = vec![*handle.result.borrow_and_update()];
    while let Ok(Ok(())) = tokio::time::timeout(Duration::from_millis(500), handle.result.changed()).await {
        results.push(*handle.result.borrow_and_update());
    }
    assert_eq!(results, expected, "{kind} {answers}");
    assert!(begun.elapsed() >= Duration::from_millis(50), "{kind}: the initial delay");
    assert!(attempts.load(Ordering::SeqCst) > 0);
}

#[tokio::test]
async fn thresholds_decide() {
    use ProbeResult::{Failure, Success, Unknown};
    play(ProbeKind::Readiness, "++-+--+-++", 2, 2, &[Failure, Success, Failure, Success]).await;
    play(ProbeKind::Readiness, "+-", 1, 1, &[Failure, Success, Failure]).await;
    play(ProbeKind::Liveness, "+--+---+", 1, 3, &[Success, Failure]).await;
    play(ProbeKind::Startup, "--+", 1, 3, &[Unknown, Success]).await;
    play(ProbeKind::Startup, "---", 1, 3, &[Unknown, Failure]).await;
}

#[test]
fn attempts_are_worth_events() {
    let check = |attempt: Attempt, expected: Option<(&str, &str)>| {
        let found = attempt.event(ProbeKind::Liveness);
        assert_eq!(found.as_ref().map(|(reason, message)| (*reason, message.as_str())), expected);
    };
    check(Attempt::Success, None);
    check(Attempt::Warning("w".into()), Some(("ProbeWarning", "Liveness probe warning: w")));
    check(failure("f"), Some(("Unhealthy", "Liveness probe failed: f")));
    check(Attempt::Error("e".into()), Some(("Unhealthy", "Liveness probe errored and resulted in unknown state: e")));
}
