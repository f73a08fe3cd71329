use super::*;
use crate::pki::{Component, Identity, Pki};
use crate::server::tests::unstarted;
use http_body_util::{BodyExt, Empty};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

async fn connect(
    address: SocketAddr,
    ca: &str,
    identity: Option<&Identity>,
    http2: bool,
) -> Result<TlsStream, Box<dyn std::error::Error>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut tls = match identity {
        Some(identity) => builder.with_client_auth_cert(
            identity.chain.clone(),
            PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes())?,
        )?,
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    let stream = TcpStream::connect(address).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
    Ok(connector.connect(ServerName::try_from("localhost")?, stream).await?)
}

/// One GET over TLS; `http2` chooses the protocol. The code, or why there is none.
async fn get(
    address: SocketAddr,
    ca: &str,
    identity: Option<&Identity>,
    http2: bool,
    path: &str,
) -> Result<u16, Box<dyn std::error::Error>> {
    let stream = TokioIo::new(connect(address, ca, identity, http2).await?);
    let request = http::Request::get(format!("https://localhost{path}")).header("host", "localhost");
    let request = request.body(Empty::<bytes::Bytes>::new())?;
    let response = if http2 {
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    };
    let code = response.status().as_u16();
    response.into_body().collect().await?;
    Ok(code)
}

#[tokio::test]
async fn certificates_count_and_shutdown_is_clean() {
    let fixture = unstarted().await;
    let pki = fixture.server.pki.clone();
    let elsewhere = tempfile::tempdir().unwrap();
    let config = crate::ServerConfig { data_dir: elsewhere.path().to_owned(), ..crate::ServerConfig::default() };
    let stranger = Pki::open(&config).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve(Tenants::new(fixture.server.clone(), Vec::new()), listener, shutdown.clone()));
    for http2 in [false, true] {
        let check = async |identity: Option<&Identity>, expected: u16| {
            let code = get(address, pki.ca_pem(), identity, http2, "/livez").await.unwrap();
            assert_eq!(code, expected, "http2: {http2}");
        };
        check(Some(pki.identity(Component::Admin)), 200).await;
        check(Some(stranger.identity(Component::Admin)), 401).await;
        // Without the bootstrap policy nobody else may even look.
        check(None, 403).await;
    }
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(5), serving).await.expect("a shutdown in time").unwrap().unwrap();
    assert!(get(address, pki.ca_pem(), None, true, "/livez").await.is_err(), "it still listens");
}

/// A client that sends all of its body before it reads anything reads the answer, also where the body is not read, and
/// can go on with the connection.
#[tokio::test]
async fn the_answer_to_a_body_that_is_not_read() {
    let fixture = unstarted().await;
    let pki = fixture.server.pki.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve(Tenants::new(fixture.server.clone(), Vec::new()), listener, shutdown.clone()));
    for (identity, size, code) in [
        (None, 10 << 20, "403"),
        (Some(pki.identity(Component::Admin)), 10 << 20, "413"),
        (Some(pki.identity(Component::Admin)), 100, "400"),
    ] {
        let mut stream = connect(address, pki.ca_pem(), identity, false).await.unwrap();
        for turn in 0..2 {
            let head = format!(
                "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: localhost\r\ncontent-type: \
                 application/json\r\ncontent-length: {size}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&vec![b' '; size]).await.unwrap();
            stream.flush().await.unwrap();
            let mut answer = Vec::new();
            while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
                let mut part = [0; 4096];
                let read = stream.read(&mut part).await.unwrap();
                assert!(read > 0, "turn {turn}: the connection ended after {:?}", String::from_utf8_lossy(&answer));
                answer.extend_from_slice(&part[..read]);
            }
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(answer.starts_with(&format!("HTTP/1.1 {code}")), "turn {turn}, {size} bytes: {answer}");
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let length = head.to_lowercase().split("content-length: ").nth(1).unwrap().to_owned();
            let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
            let mut rest = vec![0; length - body.len()];
            stream.read_exact(&mut rest).await.unwrap();
        }
    }
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(10), serving).await.expect("a shutdown in time").unwrap().unwrap();
}
