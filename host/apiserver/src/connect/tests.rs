//! Against doubles of a kubelet and of an application that say what they were asked.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::authn::ConnectionInfo;
use crate::server::tests::{Fixture, fixture};

/// What the other side answers. `/stream` sends what the channel gives, an upgrade echoes, `/page` is a page with a link,
/// `/refuse` is refused; everything else says what was asked.
async fn application(mut request: Request<hyper::body::Incoming>, chunks: Chunks) -> Response<Body> {
    let path = request.uri().path().to_owned();
    if request.headers().contains_key(UPGRADE) {
        tokio::spawn(async move {
            let mut io = TokioIo::new(hyper::upgrade::on(&mut request).await.unwrap());
            let mut word = [0; 5];
            io.read_exact(&mut word).await.unwrap();
            io.write_all(&word).await.unwrap();
        });
        let response = Response::builder().status(101).header("upgrade", "SPDY/3.1").header("connection", "upgrade");
        return response.body(Body::empty()).unwrap();
    }
    if path.ends_with("/stream") {
        let receiver = chunks.lock().await.take().expect("one stream");
        let stream = futures::stream::unfold(receiver, |mut receiver| async move {
            let chunk: Bytes = receiver.recv().await?;
            Some((Ok::<_, std::io::Error>(chunk), receiver))
        });
        return Response::new(Body::from_stream(stream));
    }
    if path.ends_with("/refuse") {
        let why = "container \"refuse\" in pod \"web\" is waiting to start: ContainerCreating";
        return Response::builder().status(400).body(Body::from(why)).unwrap();
    }
    if path.ends_with("/page") {
        return Response::builder().header("content-type", "text/html").body(Body::from("<a href=\"/x\">")).unwrap();
    }
    let text = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
    let said = json!({
        "method": request.method().as_str(), "uri": request.uri().to_string(), "authorization": text("authorization"),
        "impersonate": text("impersonate-user"), "host": text("host"), "forwarded": text("x-forwarded-uri"),
        "custom": text("x-custom"),
        "body": String::from_utf8_lossy(&request.into_body().collect().await.unwrap().to_bytes()),
    });
    Response::builder().header("content-type", "application/json").body(Body::from(said.to_string())).unwrap()
}

type Chunks = Arc<tokio::sync::Mutex<Option<mpsc::Receiver<Bytes>>>>;

/// Serves the application, with TLS if settings are given.
async fn serve(address: &str, tls: Option<rustls::ServerConfig>, chunks: Chunks) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let bound = listener.local_addr().unwrap();
    let acceptor = tls.map(|tls| tokio_rustls::TlsAcceptor::from(Arc::new(tls)));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, chunks) = (acceptor.clone(), chunks.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let chunks = chunks.clone();
                    async move { Ok::<_, std::convert::Infallible>(application(request, chunks).await) }
                });
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = match acceptor {
                    None => builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await,
                    Some(acceptor) => match acceptor.accept(stream).await {
                        Ok(stream) => builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await,
                        Err(_) => Ok(()),
                    },
                };
            });
        }
    });
    bound
}

/// The kubelet's TLS: its serving certificate, and only clients of the cluster's CA.
fn kubelet_tls(fixture: &Fixture) -> rustls::ServerConfig {
    let identity = fixture.server.pki.kubelet_serving();
    let key = rustls_pki_types::PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).unwrap();
    let mut tls = fixture.server.pki.server_tls(true).unwrap();
    tls.cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(
        rustls::sign::CertifiedKey::from_der(identity.chain.clone(), key, &rustls::crypto::ring::default_provider())
            .unwrap(),
    ));
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    tls
}

struct Cluster {
    fixture: Fixture,
    chunks: mpsc::Sender<Bytes>,
    application: SocketAddr,
}

/// A node whose kubelet is the double, a pod `web` on it and a pod `lost` on no node, and a service of `web`.
async fn cluster() -> Cluster {
    let fixture = fixture().await;
    let (sender, receiver) = mpsc::channel(4);
    let chunks = Arc::new(tokio::sync::Mutex::new(Some(receiver)));
    let kubelet = serve("127.0.0.1:0", Some(kubelet_tls(&fixture)), chunks.clone()).await;
    let application = serve("127.244.0.9:0", None, chunks).await;
    let port = application.port();
    let post = async |path: &str, object: Value| {
        let (code, answer) = fixture.admin("POST", path, object).await;
        assert_eq!(code, 201, "{path}: {answer}");
        answer
    };
    let put_status = async |path: &str, mut object: Value, status: Value| {
        object["status"] = status;
        let (code, answer) = fixture.admin("PUT", &format!("{path}/status"), object).await;
        assert_eq!(code, 200, "{path}: {answer}");
    };
    post("/api/v1/namespaces", json!({"metadata": {"name": "ns"}})).await;
    let node = post("/api/v1/nodes", json!({"metadata": {"name": "n1"}})).await;
    let status = json!({"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port()}}});
    put_status("/api/v1/nodes/n1", node, status).await;
    let pods = "/api/v1/namespaces/ns/pods";
    let container = |name: &str| json!({"name": name, "image": "i", "ports": [{"containerPort": port}]});
    let containers = json!([container("main"), container("refuse"), container("stream")]);
    let web = json!({"metadata": {"name": "web"}, "spec": {"nodeName": "n1", "containers": containers}});
    let web = post(pods, web).await;
    put_status(&format!("{pods}/web"), web, json!({"podIP": "127.244.0.9", "podIPs": [{"ip": "127.244.0.9"}]})).await;
    post(pods, json!({"metadata": {"name": "lost"}, "spec": {"containers": [container("main")]}})).await;
    let ports = json!([{"name": "http", "port": 80, "targetPort": port}]);
    post("/api/v1/namespaces/ns/services", json!({"metadata": {"name": "svc"}, "spec": {"ports": ports}})).await;
    let slice = |name: &str, target: Value| {
        json!({"metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}}, "addressType": "IPv4",
            "endpoints": [{"addresses": ["127.244.0.9"], "targetRef": target}],
            "ports": [{"name": "http", "port": port}]})
    };
    let slices = "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices";
    post(slices, slice("svc", json!({"kind": "Pod", "namespace": "ns", "name": "web"}))).await;
    let ports = json!([{"name": "http", "port": 80}]);
    post("/api/v1/namespaces/ns/services", json!({"metadata": {"name": "fake"}, "spec": {"ports": ports}})).await;
    post(slices, slice("fake", json!({"kind": "Pod", "namespace": "ns", "name": "lost"}))).await;
    Cluster { fixture, chunks: sender, application }
}

impl Cluster {
    async fn get(&self, path: &str) -> (u16, Value) {
        let path = path.replace("NS", "/api/v1/namespaces/ns");
        let headers = [("x-custom", "kept"), ("host", "api.example:6443")];
        self.fixture.send(&self.fixture.admin, "GET", &path, &headers, Value::Null).await
    }

    async fn check(&self, path: &str, expected: Result<&str, (u16, &str)>) {
        let (code, answer) = self.get(path).await;
        match expected {
            Ok(uri) => assert_eq!((code, &answer["uri"]), (200, &json!(uri)), "{path}: {answer}"),
            Err((expected, message)) => {
                assert_eq!((code, &answer["message"]), (expected, &json!(message)), "{path}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn logs_come_from_the_pods_kubelet() {
    let cluster = cluster().await;
    let log = "/containerLogs/ns/web/main";
    cluster.check("NS/pods/web/log?container=main", Ok(log)).await;
    let query = "NS/pods/web/log?container=main&timestamps=true&tailLines=3&follow=false&unknown=x";
    cluster.check(query, Ok(&format!("{log}?tailLines=3&timestamps=true"))).await;
    let choose = "a container name must be specified for pod web, choose one of: [main refuse stream]";
    cluster.check("NS/pods/web/log", Err((400, choose))).await;
    cluster.check("NS/pods/web/log?container=x", Err((400, "container x is not valid for pod web"))).await;
    let invalid = "PodLogOptions \"web\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0";
    cluster.check("NS/pods/web/log?container=main&tailLines=-1", Err((422, invalid))).await;
    cluster.check("NS/pods/none/log", Err((404, "pods \"none\" not found"))).await;
    let waiting = "container \"refuse\" in pod \"web\" is waiting to start: ContainerCreating";
    cluster.check("NS/pods/web/log?container=refuse", Err((400, waiting))).await;
    assert_eq!(cluster.get("NS/pods/lost/log").await, (200, json!("")));
}

#[tokio::test]
async fn a_followed_log_is_passed_on_as_it_comes() {
    let cluster = cluster().await;
    let request = Request::get("/api/v1/namespaces/ns/pods/web/log?container=stream&follow=true");
    let info = ConnectionInfo::in_process(cluster.fixture.admin.clone());
    let response = cluster.fixture.server.handle(request.body(Body::empty()).unwrap(), info).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"text/plain".parse().unwrap())
    );
    let mut body = response.into_body();
    for line in ["one\n", "two\n"] {
        // The next line is not written before this one was read: nothing may wait for a full buffer.
        cluster.chunks.send(Bytes::from(line)).await.unwrap();
        let frame = tokio::time::timeout(std::time::Duration::from_secs(5), body.frame()).await.expect("in time");
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), line);
    }
    drop(cluster.chunks);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn proxies_reach_pods_services_and_nodes() {
    let cluster = cluster().await;
    let port = cluster.application.port();
    for path in ["NS/pods/web/proxy/a/proxy/b?q=%2F", "NS/services/svc:http/proxy/a/proxy/b?q=%2F"] {
        cluster.check(path, Ok("/a/proxy/b?q=%2F")).await;
    }
    cluster.check(&format!("NS/pods/http:web:{port}/proxy/"), Ok("/")).await;
    cluster.check("NS/services/svc:80/proxy/x%20y", Ok("/x%20y")).await;
    cluster.check("/api/v1/nodes/n1/proxy/pods", Ok("/pods")).await;
    let (_, said) = cluster.get("NS/pods/web/proxy/x").await;
    assert_eq!((&said["host"], &said["custom"]), (&json!("api.example:6443"), &json!("kept")));
    assert_eq!(said["forwarded"], "/api/v1/namespaces/ns/pods/web/proxy/x");
    let (code, page) = cluster.get("NS/pods/web/proxy/page").await;
    assert_eq!((code, page), (200, json!("<a href=\"/api/v1/namespaces/ns/pods/web/proxy/x\">")));
    assert_eq!(cluster.get("NS/pods/web/proxy").await.0, 301);
    let headers = [("impersonate-user", "admin"), ("impersonate-group", "system:masters")];
    let path = "/api/v1/namespaces/ns/pods/web/proxy/post";
    let fixture = &cluster.fixture;
    let (_, said) = fixture.send(&fixture.admin, "POST", path, &headers, json!("text")).await;
    assert_eq!(
        (&said["method"], &said["body"], &said["impersonate"]),
        (&json!("POST"), &json!("\"text\""), &json!(""))
    );

    cluster.check("NS/pods/none/proxy/", Err((404, "pods \"none\" not found"))).await;
    cluster.check("NS/pods/lost/proxy/", Err((400, "address not allowed"))).await;
    cluster.check("NS/pods/ftp:web:1/proxy/", Err((400, "invalid pod request \"ftp:web:1\""))).await;
    cluster.check("NS/services/svc:81/proxy/", Err((503, "no service port 81 found for service \"svc\""))).await;
    cluster.check("NS/services/svc/proxy/", Err((503, "no endpoints available for service \"svc\""))).await;
    // The endpoint claims an address that its pod has not got.
    cluster.check("NS/services/fake:http/proxy/", Err((503, "no endpoints available for service \"fake:http\""))).await;
    cluster.check(&format!("/api/v1/nodes/n1:{port}/proxy/"), Err((400, "address not allowed"))).await;
    let refused = "error trying to reach service: dial tcp 127.244.0.9:1: connect: connection refused";
    cluster.check("NS/pods/web:1/proxy/", Err((503, refused))).await;
}

#[tokio::test]
async fn upgrades_are_piped() {
    let cluster = cluster().await;
    cluster.check("NS/pods/web/exec?container=main&command=sh", Err((400, "Upgrade request required"))).await;
    let unassigned = "pod lost does not have a host assigned";
    cluster.check("NS/pods/lost/portforward?ports=80", Err((400, unassigned))).await;
    let (server, admin) = (cluster.fixture.server.clone(), cluster.fixture.admin.clone());
    for path in ["exec?container=main&command=sh&stdin=true", "portforward", "proxy/socket"] {
        let (near, far) = tokio::io::duplex(4096);
        let (server, admin) = (server.clone(), admin.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let (server, info) = (server.clone(), ConnectionInfo::in_process(admin.clone()));
                async move { Ok::<_, std::convert::Infallible>(server.handle(request.map(Body::new), info).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service);
            let _ = connection.with_upgrades().await;
        });
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        let request = Request::post(format!("/api/v1/namespaces/ns/pods/web/{path}"))
            .header("host", "api")
            .header("connection", "Upgrade")
            .header("upgrade", "SPDY/3.1");
        let mut response = sender.send_request(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS, "{path}");
        let mut io = TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap());
        io.write_all(b"hello").await.unwrap();
        let mut word = [0; 5];
        io.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"hello", "{path}");
    }
}

#[tokio::test]
async fn opening_a_shell_by_get_needs_the_right_to_create() {
    let cluster = cluster().await;
    let fixture = &cluster.fixture;
    let rules = json!([{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}]);
    let role = json!({"metadata": {"name": "look"}, "rules": rules});
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/ns";
    assert_eq!(fixture.admin("POST", &format!("{rbac}/roles"), role).await.0, 201);
    let binding = json!({"metadata": {"name": "look"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role", "name": "look"}, "subjects": [{"kind": "User", "name": "jo",
        "apiGroup": "rbac.authorization.k8s.io"}]});
    assert_eq!(fixture.admin("POST", &format!("{rbac}/rolebindings"), binding).await.0, 201);
    let path = "/api/v1/namespaces/ns/pods/web/exec?container=main&command=sh";
    let mut message = String::new();
    for _ in 0..100 {
        let (code, answer) =
            fixture.send(&fixture.admin, "GET", path, &[("impersonate-user", "jo")], Value::Null).await;
        assert_eq!(code, 403, "{answer}");
        message = answer["message"].as_str().unwrap_or("").to_owned();
        if message.contains("cannot create") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{message}");
}
