//! A policy's folder: the source, `plugin.yaml`, `cases/`, and what is built in `build/`.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use portcullis_machinery::{Value, object};
use portcullis_plugins::spec::PluginSpec;
use portcullis_policy::{Digest, ModuleSource, Stage};
use serde_json::json;

use crate::{KitError, Language};

/// A policy's folder.
#[derive(Clone, Debug)]
pub struct Project {
    /// Where it is.
    pub dir: PathBuf,
    /// What it is written in.
    pub language: Language,
    /// The Plugin object, without its source.
    pub manifest: Value,
    /// The stage that the Plugin names.
    pub stage: Stage,
}

impl Project {
    /// Reads a project's manifest.
    ///
    /// # Errors
    /// If the folder has none, is in no known language, or the manifest is no Plugin.
    pub fn open(dir: &Path) -> Result<Project, KitError> {
        let path = dir.join("plugin.yaml");
        let text = fs::read_to_string(&path).map_err(KitError::file(&path))?;
        let wrong = |what: &dyn std::fmt::Display| KitError::Project(format!("{}: {what}", path.display()));
        let manifest: Value = serde_saphyr::from_str(&text).map_err(|error| wrong(&error))?;
        if object::kind(&manifest) != "Plugin" || object::name(&manifest).is_empty() {
            return Err(wrong(&"it holds no Plugin with a name"));
        }
        let language = Language::of(dir).ok_or_else(|| {
            let hint = "a Cargo.toml, package.json, policy.py, go.mod or policy.c says what it is written in";
            KitError::Project(format!("{}: the project has no language: {hint}", dir.display()))
        })?;
        let project = Project { dir: dir.to_owned(), language, manifest, stage: Stage::Validator };
        let stage = project.spec(&Digest::of(b"")).map_err(|error| wrong(&error))?.stage;
        Ok(Project { stage, ..project })
    }

    /// The name of the Plugin.
    pub fn name(&self) -> &str {
        object::name(&self.manifest)
    }

    /// Where the component is built.
    pub fn component(&self) -> PathBuf {
        self.dir.join("build").join(format!("{}.wasm", self.name()))
    }

    /// The component's bytes.
    ///
    /// # Errors
    /// If it was not built.
    pub fn read_component(&self) -> Result<Bytes, KitError> {
        let path = self.component();
        fs::read(&path).map(Bytes::from).map_err(KitError::file(&path))
    }

    /// The Plugin object with its source.
    pub fn object(&self, digest: &Digest) -> Value {
        let mut object = self.manifest.clone();
        object["spec"]["source"] = json!({"digest": digest.to_string()});
        object
    }

    fn spec(&self, digest: &Digest) -> Result<PluginSpec, portcullis_plugins::spec::SpecError> {
        PluginSpec::from_object(&self.object(digest))
    }

    /// What the runtime is told, with the Plugin's own limits and grants, and its own configuration unless there is
    /// another.
    ///
    /// # Errors
    /// If the manifest is no Plugin.
    pub fn runtime_spec(
        &self,
        bytes: &Bytes,
        config: Option<&Value>,
    ) -> Result<portcullis_policy::PluginSpec, KitError> {
        let wrong = |error| KitError::Project(format!("{}: {error}", self.dir.join("plugin.yaml").display()));
        let spec = self.spec(&Digest::of(bytes)).map_err(wrong)?;
        let source = ModuleSource::Bytes(bytes.clone());
        let mut told = portcullis_policy::PluginSpec::new(self.name(), spec.stage, source);
        told.limits = spec.limits().map_err(wrong)?;
        told.grants = spec.grants();
        told.config = config.unwrap_or(&spec.config).clone();
        Ok(told)
    }
}
