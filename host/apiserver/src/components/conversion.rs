//! Converters: what a definition of custom resources names to convert its objects.

use std::sync::Arc;

use portcullis_machinery::Value;
use portcullis_plugins::manager::PluginManager;
use portcullis_plugins::table::LivePlugin;
use portcullis_policy::{Document, JsonDocument, Stage};

use crate::customresources::conversion::{Converter, Converters};

/// The converters that `plugins` has in service.
pub struct ComponentConverters {
    plugins: Arc<PluginManager>,
}

impl ComponentConverters {
    /// The converters of a manager.
    pub fn new(plugins: Arc<PluginManager>) -> Self {
        Self { plugins }
    }
}

impl Converters for ComponentConverters {
    fn find(&self, plugin: &str, group: &str, resource: &str) -> Result<Arc<dyn Converter>, String> {
        let table = self.plugins.stage(Stage::Converter);
        let Some(found) = table.all().iter().find(|live| live.name == plugin) else {
            return Err("there is no plugin of that name and of the stage converter in service".to_owned());
        };
        if !found.matcher.matches_resource_of(group, resource) {
            return Err(format!("its match does not let {resource}.{group} through"));
        }
        Ok(Arc::new(Component(Arc::clone(found))))
    }
}

struct Component(Arc<LivePlugin>);

impl Converter for Component {
    fn serial(&self) -> u64 {
        self.0.policy.serial()
    }

    fn convert(&self, document: Value) -> Result<Vec<Value>, String> {
        let document: Arc<dyn Document> = Arc::new(JsonDocument(document));
        let policy = &self.0.policy;
        let texts = policy.call_converter(&document).map_err(|error| {
            tracing::warn!(plugin = self.0.name, reason = error.reason(), %error, "a converter failed");
            error.to_string()
        })??;
        let parse = |(index, text): (usize, &String)| {
            let parsed = serde_json::from_str(text);
            parsed.map_err(|error| policy.unusable(format!("object {index} of its answer is no JSON: {error}")))
        };
        texts.iter().enumerate().map(parse).collect::<Result<_, _>>().map_err(|error| error.to_string())
    }
}
