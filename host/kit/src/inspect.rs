//! `plugin inspect`: what a component is, before anybody runs it.

use std::sync::Arc;

use bytes::Bytes;
use portcullis_machinery::Value;
use portcullis_policy::{
    Content, Declaration, DetachedHost, Digest, Grant, Grants, InputForm, ModuleSource, PluginSpec, Runtime,
    RuntimeConfig,
};

use crate::KitError;

/// What is known of a component.
pub struct About {
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many there are.
    pub bytes: usize,
    /// What its sections say.
    pub content: Content,
    /// What it declares to read, if it was configured.
    pub declaration: Option<Declaration>,
}

/// Looks at a component; with a configuration, it is also asked what it reads.
///
/// # Errors
/// If it is no component, or refuses the configuration.
pub async fn inspect(bytes: Bytes, config: Option<Value>) -> Result<About, KitError> {
    let content = Content::of(&bytes);
    let mut about = About { digest: Digest::of(&bytes), bytes: bytes.len(), content, declaration: None };
    let declares = config.is_some() && about.content.stage.is_some();
    if about.content.exports.is_empty() || declares {
        // The first is to say what is wrong with something that looks like nothing. Nothing of what is compiled is needed
        // again.
        let scratch = std::env::temp_dir().join(format!("portcullis-inspect-{}", std::process::id()));
        let found = ask(&about.content, bytes, config, Runtime::new(RuntimeConfig::new(&scratch))?).await;
        let _ = std::fs::remove_dir_all(&scratch);
        about.declaration = found?;
    }
    Ok(about)
}

async fn ask(
    content: &Content,
    bytes: Bytes,
    config: Option<Value>,
    runtime: Runtime,
) -> Result<Option<Declaration>, KitError> {
    let (Some(stage), Some(config)) = (content.stage, config) else {
        runtime.inspect(bytes).await?;
        return Ok(None);
    };
    let mut spec = PluginSpec::new("inspected", stage, ModuleSource::Bytes(bytes));
    spec.config = config;
    spec.limits.memory_bytes = 1 << 30;
    spec.grants = Grants { cluster_read: true, verify: true };
    let policy = runtime.load(spec, Arc::new(DetachedHost::default())).await?;
    Ok(Some(policy.declaration().clone()))
}

impl About {
    /// As lines for a person.
    pub fn lines(&self) -> Vec<String> {
        let content = &self.content;
        let joined = |list: &[String]| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        let grants: Vec<String> = content.grants.iter().map(|grant: &Grant| grant.to_string()).collect();
        let mut lines = vec![
            format!("digest:  {}", self.digest),
            format!("size:    {} bytes", self.bytes),
            format!("world:   {}", content.stage.map_or("none of this server's".to_owned(), |stage| stage.world())),
            format!("stage:   {}", content.stage.map_or("none", |stage| stage.as_str())),
            format!("imports: {}", joined(&content.imports)),
            format!("grants:  {}", joined(&grants)),
        ];
        if let Some(declaration) = &self.declaration {
            let form = if declaration.form == InputForm::Tape { "tape" } else { "json" };
            lines.push(format!("form:    {form}"));
            lines.push(format!("paths:   {}", joined(&declaration.paths)));
            if !declaration.node_paths.is_empty() {
                lines.push(format!("node paths: {}", joined(&declaration.node_paths)));
            }
        }
        lines
    }
}
