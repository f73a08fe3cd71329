//! The flags of the audit log.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use portcullis_apiserver::audit::Audit;

/// See the module.
#[derive(Args)]
pub struct AuditFlags {
    /// Where audit events go, one JSON object a line; - is the standard output. There is no audit log without this
    #[arg(long)]
    audit_log_path: Option<PathBuf>,
    /// The audit policy (audit.k8s.io/v1 Policy); everything at level Metadata without one
    #[arg(long)]
    audit_policy_file: Option<PathBuf>,
}

impl AuditFlags {
    /// Opens the log, if there is to be one.
    ///
    /// # Errors
    /// If a file cannot be opened, or holds no policy.
    pub fn open(&self) -> anyhow::Result<Option<Arc<Audit>>> {
        match (&self.audit_log_path, &self.audit_policy_file) {
            (Some(log), policy) => Ok(Some(Audit::open(log, policy.as_deref())?)),
            (None, Some(_)) => bail!("--audit-policy-file needs --audit-log-path"),
            (None, None) => Ok(None),
        }
    }
}
