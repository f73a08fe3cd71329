//! Step 1 by components.

use std::sync::Arc;

use async_trait::async_trait;
use portcullis_machinery::{Status, Value};
use portcullis_plugins::manager::PluginManager;
use portcullis_policy::{AuthenticatorOutcome, Document, JsonDocument, Stage};

use crate::authn::{Authenticated, Authenticators};
use crate::context::UserInfo;

/// The authenticator plugins, asked in their order.
pub struct ComponentAuthenticators {
    plugins: Arc<PluginManager>,
}

impl ComponentAuthenticators {
    /// The authenticators that `plugins` has in service at the time of each request.
    pub fn new(plugins: Arc<PluginManager>) -> Self {
        Self { plugins }
    }
}

#[async_trait]
impl Authenticators for ComponentAuthenticators {
    async fn authenticate(&self, document: &Value) -> Result<Option<Authenticated>, Status> {
        let table = self.plugins.stage(Stage::Authenticator);
        let document: Arc<dyn Document> = Arc::new(JsonDocument(document.clone()));
        let mut remember = true;
        for plugin in table.all() {
            // The same credential may be taken for the same user without asking again only if nothing else than the
            // credential can have had a part in the answer.
            let reads_credentials_only =
                |path: &String| path.starts_with("/tls/") || path.starts_with("/authorization/");
            remember &= plugin.policy.is_pure() && plugin.policy.declaration().paths.iter().all(reads_credentials_only);
            match plugin.policy.call_authenticator(&document) {
                Ok(AuthenticatorOutcome::NoOpinion) => {}
                Ok(AuthenticatorOutcome::Authenticated(user)) => {
                    let portcullis_policy::UserInfo { username, uid, groups, extra } = user;
                    return Ok(Some(Authenticated { user: UserInfo { username, uid, groups, extra }, remember }));
                }
                Ok(AuthenticatorOutcome::Rejected(why)) => {
                    tracing::debug!(plugin = plugin.name, why, "a credential was rejected");
                    return Err(Status::unauthorized());
                }
                // An authenticator that cannot be asked must not turn a caller into somebody else, whatever its failure
                // policy: the next one may know the credential, and if none does the caller is nobody.
                Err(error) => {
                    tracing::warn!(plugin = plugin.name, reason = error.reason(), %error, "an authenticator failed");
                    remember = false;
                }
            }
        }
        Ok(None)
    }

    fn generation(&self) -> u64 {
        self.plugins.generation()
    }

    fn reads_headers(&self) -> bool {
        // A path to the headers, or one that comes by them: the document as a whole, all or all of the request.
        let reads = |path: &String| {
            path.starts_with("/request/headers")
                || path.starts_with("/*")
                || path.starts_with("/request/*")
                || matches!(path.as_str(), "" | "/request")
        };
        self.plugins.stage(Stage::Authenticator).all().iter().any(|p| p.policy.declaration().paths.iter().any(reads))
    }
}
