//! Real etcd servers for tests: on free loopback ports, in directories of their own, killed when dropped.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Client and peer certificates of a cluster, with the CA that signed them.
#[derive(Debug)]
pub struct TlsFiles {
    /// The CA.
    pub ca: PathBuf,
    /// A certificate for servers and clients on the loopback address.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    _directory: tempfile::TempDir,
}

impl TlsFiles {
    /// Makes a CA and a certificate.
    ///
    /// # Panics
    /// If the files cannot be written.
    #[must_use]
    pub fn make() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let ca_key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "etcd test CA");
        let ca_cert = params.self_signed(&ca_key).expect("a CA");
        let ca = rcgen::Issuer::new(params, ca_key);
        let key_pair = rcgen::KeyPair::generate().expect("a key");
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut params = rcgen::CertificateParams::new(names).expect("parameters");
        params.extended_key_usages =
            vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth, rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key_pair, &ca).expect("a certificate");
        let write = |name: &str, text: String| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        Self {
            ca: write("ca.pem", ca_cert.pem()),
            cert: write("cert.pem", certificate.pem()),
            key: write("key.pem", key_pair.serialize_pem()),
            _directory: directory,
        }
    }
}

/// The installed etcd of a version (`3.4` is any 3.4), or any if that is empty. Says so where there is none.
#[must_use]
pub fn find(version: &str) -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
    let unpacked = std::fs::read_dir(tools).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        unpacked.map(|entry| entry.path().join("etcd")).filter(|path| path.is_file()).collect();
    let search = std::env::var_os("PATH").unwrap_or_default();
    found.extend(std::env::split_paths(&search).map(|folder| folder.join("etcd")).filter(|path| path.is_file()));
    let matching = found.into_iter().find(|path| {
        let output = Command::new(path).arg("--version").output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix("etcd Version: ")).unwrap_or_default();
        found.strip_prefix(version).is_some_and(|rest| version.is_empty() || rest.is_empty() || rest.starts_with('.'))
    });
    if matching.is_none() {
        eprintln!("SKIPPED: no etcd {version} is installed; `make test-deps` installs it");
    }
    matching
}

/// Where a member runs.
#[derive(Clone, Debug)]
pub struct Place {
    /// The address that it listens at.
    pub address: Ipv4Addr,
    /// The address that the other members reach it at.
    pub peer_address: Ipv4Addr,
    /// A command to run it with, such as one that enters a network namespace; usually empty.
    pub command: Vec<String>,
}

impl Default for Place {
    fn default() -> Self {
        Self { address: Ipv4Addr::LOCALHOST, peer_address: Ipv4Addr::LOCALHOST, command: Vec::new() }
    }
}

/// A member.
#[derive(Debug)]
struct Member {
    child: Option<Child>,
    command: Vec<String>,
    arguments: Vec<String>,
    url: String,
    address: (Ipv4Addr, u16),
    peer: u16,
}

/// A cluster of etcd servers.
#[derive(Debug)]
pub struct Etcd {
    binary: PathBuf,
    directory: tempfile::TempDir,
    members: Vec<Member>,
    /// The certificates, of a cluster with TLS.
    pub tls: Option<TlsFiles>,
}

/// Ports that are free now: all are held until all are known.
fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("an address").port()).collect()
}

impl Etcd {
    /// Starts a cluster of `count` members of the binary, with TLS on all its connections if asked for, and waits until it
    /// can be connected to.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(binary: &Path, count: usize, tls: bool) -> Self {
        Self::start_at(binary, &vec![Place::default(); count], tls)
    }

    /// The same with members that run elsewhere. Certificates are for the loopback address alone.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_at(binary: &Path, places: &[Place], tls: bool) -> Self {
        let count = places.len();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let tls = tls.then(TlsFiles::make);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let ports = free_ports(count * 2);
        let peer_url = |at: usize| format!("{scheme}://{}:{}", places[at].peer_address, ports[at * 2 + 1]);
        let peers: Vec<String> = (0..count).map(|at| format!("m{at}={}", peer_url(at))).collect();
        let mut members = Vec::new();
        for (at, place) in places.iter().enumerate() {
            let address = (place.address, ports[at * 2]);
            let url = format!("{scheme}://{}:{}", address.0, address.1);
            let peer = peer_url(at);
            let mut arguments: Vec<String> = [
                ("--name", format!("m{at}")),
                ("--data-dir", directory.path().join(format!("m{at}")).display().to_string()),
                ("--listen-client-urls", url.clone()),
                ("--advertise-client-urls", url.clone()),
                ("--listen-peer-urls", peer.clone()),
                ("--initial-advertise-peer-urls", peer),
                ("--initial-cluster", peers.join(",")),
                ("--log-level", "error".to_owned()),
            ]
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value])
            .collect();
            if let Some(tls) = &tls {
                let text = |path: &Path| path.display().to_string();
                for prefix in ["--", "--peer-"] {
                    arguments.extend([
                        format!("{prefix}trusted-ca-file={}", text(&tls.ca)),
                        format!("{prefix}cert-file={}", text(&tls.cert)),
                        format!("{prefix}key-file={}", text(&tls.key)),
                        format!("{prefix}client-cert-auth=true"),
                    ]);
                }
            }
            let command = place.command.clone();
            members.push(Member { child: None, command, arguments, url, address, peer: ports[at * 2 + 1] });
        }
        let mut cluster = Self { binary: binary.to_owned(), directory, members, tls };
        for at in 0..count {
            cluster.launch(at);
        }
        for at in 0..count {
            cluster.wait_for(at);
        }
        cluster
    }

    /// The members' client URLs.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.members.iter().map(|member| member.url.clone()).collect()
    }

    /// Kills a member without a chance to tidy up.
    pub fn kill(&mut self, at: usize) {
        if let Some(mut child) = self.members[at].child.take() {
            // One that has ended already is as dead.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts a member that was killed, with the data that it had.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self, at: usize) {
        self.launch(at);
        self.wait_for(at);
    }

    /// Stops a member in its tracks, or lets it go on.
    ///
    /// # Panics
    /// If there is no `kill` command.
    pub fn pause(&self, at: usize, paused: bool) {
        let Some(child) = &self.members[at].child else { return };
        let signal = if paused { "-STOP" } else { "-CONT" };
        let done = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill");
        assert!(done.success());
    }

    fn launch(&mut self, at: usize) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log(at)).expect("a log file");
        let member = &mut self.members[at];
        let binary = self.binary.display().to_string();
        let mut words = member.command.iter().chain([&binary]).chain(&member.arguments);
        let child = Command::new(words.next().expect("a program"))
            .args(words)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("etcd starts");
        member.child = Some(child);
    }

    fn log(&self, at: usize) -> PathBuf {
        self.directory.path().join(format!("m{at}.log"))
    }

    fn wait_for(&mut self, at: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(self.members[at].address).is_err() {
            let ended = self.members[at].child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            let log = || std::fs::read_to_string(self.log(at)).unwrap_or_default();
            assert!(ended.is_none(), "etcd ended (peer port {}): {}", self.members[at].peer, log());
            assert!(Instant::now() < deadline, "etcd does not listen: {}", log());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for at in 0..self.members.len() {
            self.kill(at);
        }
    }
}
