//! The engine over the network.
use crate::StoreError;
/// How to reach etcd.
#[derive(Clone, Debug, Default)]
pub struct EtcdOptions {
    /// URLs of the members.
    pub endpoints: Vec<String>,
    /// PEM of the authorities that the servers' certificates are verified with; needed for https endpoints.
    pub ca_pem: Option<Vec<u8>>,
    /// PEM of the client's certificate and key.
    pub client_pem: Option<(Vec<u8>, Vec<u8>)>,
}
/// etcd as a store.
pub struct EtcdStore {}
impl EtcdStore {
    /// Connects.
    pub async fn connect(_options: EtcdOptions) -> Result<std::sync::Arc<dyn crate::Store>, StoreError> { todo!() }
}
