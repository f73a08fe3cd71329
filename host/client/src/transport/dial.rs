//! Connections, and the words that clients know for those that cannot be made.

use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::net::TcpStream;

/// `host:port`, an IPv6 address in brackets.
pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Connects, or says why not: `dial tcp 127.0.0.1:80: connect: connection refused`.
///
/// # Errors
/// The text of what went wrong.
pub async fn dial(host: &str, port: u16, timeout: Duration) -> Result<TcpStream, String> {
    let authority = authority(host, port);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let problem = match tokio::time::timeout(timeout, TcpStream::connect((bare, port))).await {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) => problem(&error),
        Err(_) => "i/o timeout".to_owned(),
    };
    Err(format!("dial tcp {authority}: {problem}"))
}

fn problem(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        ErrorKind::ConnectionReset => "connect: connection reset by peer".to_owned(),
        ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        ErrorKind::TimedOut => "connect: connection timed out".to_owned(),
        _ => error.to_string(),
    }
}
