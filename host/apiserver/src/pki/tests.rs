use super::*;

fn config(dir: &Path) -> ServerConfig {
    ServerConfig { data_dir: dir.to_owned(), node_name: "node-1".to_owned(), ..ServerConfig::default() }
}

#[test]
fn it_is_made_once_and_kept() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let first = Pki::open(&config(dir.path())).unwrap();
    let second = Pki::open(&config(dir.path())).unwrap();
    assert_eq!(first.ca_pem(), second.ca_pem());
    assert_eq!(first.serving.certificate_pem, second.serving.certificate_pem);
    assert_eq!(first.service_account_key_pem(), second.service_account_key_pem());
    for entry in std::fs::read_dir(dir.path().join("pki")).unwrap().chain(std::fs::read_dir(dir.path()).unwrap()) {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        }
    }
    for name in ["admin", "scheduler", "controller-manager", "kubelet", "recovery"] {
        assert!(dir.path().join(format!("{name}.kubeconfig")).exists(), "{name}");
    }
}

#[test]
fn a_changed_name_renews_the_certificate_and_keeps_the_authority() {
    let dir = tempfile::tempdir().unwrap();
    let first = Pki::open(&config(dir.path())).unwrap();
    let second = Pki::open(&ServerConfig { node_name: "node-2".to_owned(), ..config(dir.path()) }).unwrap();
    assert_eq!(first.ca_pem(), second.ca_pem());
    assert_ne!(first.serving.certificate_pem, second.serving.certificate_pem);
    assert_ne!(first.identity(Component::Kubelet).certificate_pem, second.identity(Component::Kubelet).certificate_pem);
    assert_eq!(first.identity(Component::Admin).certificate_pem, second.identity(Component::Admin).certificate_pem);
}

#[test]
fn only_chains_of_a_client_authority_verify() {
    let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ours, other) = (Pki::open(&config(ours.path())).unwrap(), Pki::open(&config(other.path())).unwrap());
    assert!(ours.verify_client(ours.identity(Component::Admin).chain.clone()).verified);
    assert!(!ours.verify_client(other.identity(Component::Admin).chain.clone()).verified);
    assert!(!ours.verify_client(ours.kubelet_serving().chain.clone()).verified, "a serving certificate");
    assert!(!ours.verify_client(Vec::new()).verified);
    assert!(ours.server_tls(true).is_ok());
    let recovery = |chain| ours.verify_client(chain).recovery;
    assert!(recovery(ours.identity(Component::Recovery).chain.clone()));
    assert!(!recovery(ours.identity(Component::Admin).chain.clone()));
    assert!(!recovery(other.identity(Component::Recovery).chain.clone()));
}
