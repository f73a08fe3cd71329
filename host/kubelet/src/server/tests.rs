//! The server over TLS, with a double of the API server that knows two tokens.

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use parking_lot::Mutex;
use portcullis_client::transport::client_tls;
use portcullis_client::{ClientBody, ClientConfig, ClientError, ObjectExt as _, Transport};
use rustls_pki_types::ServerName;
use serde_json::json;
use tokio_rustls::TlsConnector;

use super::*;

/// Token `good` is `jo`'s, who may use `nodes/proxy` and `nodes/metrics`; the group `masters` may do all.
#[derive(Default)]
struct Reviews {
    asked: Mutex<Vec<Value>>,
}

#[async_trait]
impl Transport for Reviews {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ClientBody>, ClientError> {
        let review: Value = serde_json::from_slice(request.body()).unwrap();
        self.asked.lock().push(review.clone());
        let status = if request.uri().path().ends_with("/tokenreviews") {
            match review.str_at(&["spec", "token"]) {
                "good" => json!({"authenticated": true, "user": {"username": "jo", "groups": ["g"]}}),
                _ => json!({"user": {}, "error": "invalid bearer token"}),
            }
        } else {
            let subresource = review.str_at(&["spec", "resourceAttributes", "subresource"]);
            let masters = review.list_at(&["spec", "groups"]).contains(&json!("masters"));
            json!({"allowed": masters || matches!(subresource, "proxy" | "metrics")})
        };
        let mut answer = review;
        answer["status"] = status;
        let body = Full::new(Bytes::from(answer.to_string())).map_err(|never| match never {}).boxed_unsync();
        Ok(Response::builder().status(201).body(body).unwrap())
    }
}

struct Node {
    log: PathBuf,
}

#[async_trait]
impl NodeApi for Node {
    fn pods(&self) -> Vec<Arc<Value>> {
        let container = |name: &str| json!({"name": name});
        vec![Arc::new(json!({
            "metadata": {"name": "web", "namespace": "ns", "uid": "u1"},
            "spec": {"containers": [container("c"), container("waits")]},
            "status": {"phase": "Running", "containerStatuses": [
                {"name": "c", "state": {"running": {}}},
                {"name": "waits", "state": {"waiting": {"reason": "ContainerCreating"}}},
            ]},
        }))]
    }

    fn log(&self, _: &str, _: &str, _: &str, _: bool) -> Result<LogFile, NodeApiError> {
        Ok(LogFile { path: self.log.clone(), ended: CancellationToken::new() })
    }

    async fn stats(&self) -> Vec<PodUsage> {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let container = |name: &str, cpu_nanos, memory_bytes| {
            let stats = ContainerStats { cpu_nanos, memory_bytes };
            ContainerUsage { name: name.into(), started_at: at, stats }
        };
        vec![PodUsage {
            namespace: "ns".into(),
            name: "web".into(),
            uid: "u1".into(),
            started_at: at,
            containers: vec![container("c", 1_500_000_000, 4096), container("d", 500_000_000, 1024)],
        }]
    }

    fn metrics(&self) -> String {
        "own_metric 1\n".into()
    }
}

/// A CA and a client certificate of it.
struct Authority {
    ca: String,
    certificate: String,
    key: String,
}

fn authority(common_name: &str, organization: &str) -> Authority {
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(params, ca_key);
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
    params.distinguished_name.push(rcgen::DnType::OrganizationName, organization);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    Authority { ca: ca.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
}

struct Fixture {
    address: SocketAddr,
    reviews: Arc<Reviews>,
    authority: Authority,
    shutdown: CancellationToken,
    directory: tempfile::TempDir,
}

async fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("0.log");
    std::fs::write(&log, "2026-01-02T03:04:01Z stdout F one\n2026-01-02T03:04:02Z stdout F two\n").unwrap();
    let authority = authority("kube-apiserver-kubelet-client", "masters");
    let config = ServerConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        node_name: "n1".into(),
        tls: None,
        directory: directory.path().join("pki"),
        names: vec!["127.0.0.1".into()],
        client_ca: Some(authority.ca.clone()),
        configuration: json!({"kind": "KubeletConfiguration"}),
    };
    let reviews = Arc::new(Reviews::default());
    let client = Client::new(reviews.clone());
    let server = Server::bind(config, &client, Arc::new(Node { log })).await.unwrap();
    let address = server.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    tokio::spawn(server.run(shutdown.clone()));
    Fixture { address, reviews, authority, shutdown, directory }
}

/// Who a test asks as.
enum As<'a> {
    Nobody,
    Token(&'a str),
    Certificate(&'a Authority),
}

impl Fixture {
    async fn ask(&self, who: &As<'_>, method: &str, path: &str) -> (u16, String) {
        // The certificate of the server's own making is trusted as its own authority.
        let ca = std::fs::read(self.directory.path().join("pki/kubelet.crt")).unwrap();
        let mut config = ClientConfig { ca, ..ClientConfig::default() };
        if let As::Certificate(authority) = who {
            config.client_certificate = authority.certificate.clone().into_bytes();
            config.client_key = authority.key.clone().into_bytes();
        }
        let mut tls = client_tls(&config).unwrap();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", "n1");
        if let As::Token(token) = who {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = sender.send_request(request.body(Body::empty()).unwrap()).await.unwrap();
        let code = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (code, String::from_utf8_lossy(&body).into_owned())
    }

    async fn check(&self, who: &As<'_>, path: &str, code: u16, text: &str) {
        assert_eq!(self.ask(who, "GET", path).await, (code, text.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn only_those_who_may_get_answers() {
    let f = fixture().await;
    f.check(&As::Nobody, "/healthz", 401, "Unauthorized").await;
    f.check(&As::Token("bad"), "/healthz", 401, "Unauthorized").await;
    let stranger = authority("kube-apiserver-kubelet-client", "masters");
    f.check(&As::Certificate(&stranger), "/healthz", 401, "Unauthorized").await;
    f.check(&As::Certificate(&f.authority), "/healthz", 200, "ok").await;
    f.check(&As::Token("good"), "/healthz", 200, "ok").await;
    let forbidden = "Forbidden (user=jo, verb=get, resource=nodes, subresource(s)=[stats])\n";
    f.check(&As::Token("good"), "/stats/summary", 403, forbidden).await;
    let asked = f.reviews.asked.lock().len();
    f.check(&As::Token("good"), "/healthz", 200, "ok").await;
    assert_eq!(f.reviews.asked.lock().len(), asked, "what was answered is not asked again");
    let first = f.reviews.asked.lock().iter().find(|review| review["kind"] == "SubjectAccessReview").cloned().unwrap();
    let expected = json!({
        "user": "kube-apiserver-kubelet-client", "groups": ["masters", "system:authenticated"],
        "resourceAttributes":
            {"verb": "get", "version": "v1", "resource": "nodes", "subresource": "healthz", "name": "n1"},
    });
    assert_eq!(first["spec"], expected);
    f.shutdown.cancel();
}

#[tokio::test]
async fn the_paths_answer() {
    let f = fixture().await;
    let who = As::Certificate(&f.authority);
    f.check(&who, "/containerLogs/ns/web/c", 200, "one\ntwo\n").await;
    f.check(&who, "/containerLogs/ns/web/c?tailLines=1&timestamps=true", 200, "2026-01-02T03:04:02.000000000Z two\n")
        .await;
    f.check(&who, "/containerLogs/ns/web/c?tail=1", 200, "two\n").await;
    f.check(&who, "/containerLogs/ns/web/c?tail=all", 200, "one\ntwo\n").await;
    f.check(&who, "/containerLogs/ns/web/c?tailLines=x", 400, "{\"message\": \"Unable to decode query.\"}").await;
    f.check(&who, "/containerLogs/ns/web/c?tailLines=-1", 422, "{\"message\": \"Invalid request.\"}").await;
    f.check(&who, "/containerLogs/ns/none/c", 404, "pod \"none\" does not exist").await;
    f.check(&who, "/containerLogs/ns/web/x", 404, "container \"x\" not found in pod \"web\"").await;
    let waiting = "container \"waits\" in pod \"web\" is waiting to start: ContainerCreating";
    f.check(&who, "/containerLogs/ns/web/waits", 400, waiting).await;
    let previous = "previous terminated container \"c\" in pod \"web\" not found";
    f.check(&who, "/containerLogs/ns/web/c?previous=true", 400, previous).await;
    f.check(&who, "/containerLogs/ns", 400, "{\"message\": \"Missing podID.\"}").await;
    f.check(&who, "/nothing", 404, "404: Page Not Found").await;
    assert_eq!(f.ask(&who, "POST", "/pods").await.0, 405);
    let unsupported = "exec is not supported by the container runtime of this node";
    assert_eq!(f.ask(&who, "POST", "/exec/ns/web/c").await, (500, unsupported.to_owned()));
    assert_eq!(f.ask(&who, "POST", "/exec/ns/none/c").await, (404, "pod does not exist".to_owned()));
    assert_eq!(f.ask(&who, "POST", "/attach/ns/web/u1/x").await.0, 404);
    assert_eq!(f.ask(&who, "POST", "/portForward/ns/web").await.0, 500);

    let json = async |path: &str| -> Value {
        let (code, text) = f.ask(&who, "GET", path).await;
        assert_eq!(code, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    };
    assert_eq!(json("/pods").await["items"][0]["metadata"]["name"], "web");
    assert_eq!(json("/configz").await["kubeletconfig"]["kind"], "KubeletConfiguration");
    let summary = json("/stats/summary").await;
    assert_eq!(summary["node"]["nodeName"], "n1");
    assert!(summary["node"]["cpu"]["usageCoreNanoSeconds"].as_u64() > Some(0), "{summary}");
    let pod = &summary["pods"][0];
    assert_eq!(pod["podRef"], json!({"name": "web", "namespace": "ns", "uid": "u1"}));
    assert_eq!(pod["cpu"]["usageCoreNanoSeconds"], 2_000_000_000_u64);
    assert_eq!(pod["containers"][0]["memory"]["workingSetBytes"], 4096);
    let (_, metrics) = f.ask(&who, "GET", "/metrics/resource").await;
    for line in [
        "container_cpu_usage_seconds_total{container=\"c\",namespace=\"ns\",pod=\"web\"} 1.5 ",
        "container_memory_working_set_bytes{container=\"d\",namespace=\"ns\",pod=\"web\"} 1024 ",
        "container_start_time_seconds{container=\"c\",namespace=\"ns\",pod=\"web\"} 1700000000\n",
        "pod_cpu_usage_seconds_total{namespace=\"ns\",pod=\"web\"} 2 ",
        "pod_memory_working_set_bytes{namespace=\"ns\",pod=\"web\"} 5120 ",
        "# TYPE node_cpu_usage_seconds_total counter\n",
        "resource_scrape_error 0\n",
    ] {
        assert!(metrics.contains(line), "{line:?} is not in {metrics}");
    }
    let (_, metrics) = f.ask(&who, "GET", "/metrics").await;
    assert!(metrics.contains("kubelet_running_pods 1\n") && metrics.ends_with("own_metric 1\n"), "{metrics}");
    f.shutdown.cancel();
}
