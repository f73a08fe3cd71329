//! Small components, assembled from core WebAssembly text and the worlds of `wit/`, and what is needed to load them.
#![allow(dead_code, reason = "each test binary uses its part")]

use portcullis_policy::{
    Document, JsonDocument, LoadError, LogLevel, LogLine, ModuleSource, PluginSpec, Policy, PolicyHost, ReadError,
    Runtime, RuntimeConfig, Stage, VerifyError,
};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{Arc, Mutex},
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A component to assemble. Memory: the answer of `configure` is at 1024 and says "accepted" as it stands; 2048 to 2175
/// is zeros for the stage's answer; texts start at 4096 and the heap at 65536.
pub struct Guest {
    pub stage: Stage,
    /// Imports, as core WebAssembly has them.
    pub imports: String,
    /// Data and further definitions.
    pub more: String,
    /// The paths to declare.
    pub paths: Vec<&'static str>,
    /// What runs in `configure` before the answer at 1024 is returned.
    pub configure: String,
    /// What runs in the stage's function before the answer at 2048 is returned. `$count` is the number of the call.
    pub call: String,
    /// Pages of memory at the start.
    pub pages: u32,
    /// Another world than the stage's, in a package of its own.
    pub world: Option<&'static str>,
}

/// A guest of a stage that answers with zeros: allow, no change, nothing wrong.
pub fn guest(stage: Stage) -> Guest {
    Guest {
        stage,
        imports: String::new(),
        more: String::new(),
        paths: Vec::new(),
        configure: String::new(),
        call: String::new(),
        pages: 4,
        world: None,
    }
}

impl Guest {
    pub fn call(mut self, call: impl Into<String>) -> Guest {
        self.call = call.into();
        self
    }

    pub fn configure(mut self, configure: impl Into<String>) -> Guest {
        self.configure = configure.into();
        self
    }

    pub fn imports(mut self, imports: impl Into<String>) -> Guest {
        self.imports = imports.into();
        self
    }

    pub fn paths(mut self, paths: &[&'static str]) -> Guest {
        self.paths = paths.to_vec();
        self
    }

    /// Adds a text at an address.
    pub fn text(mut self, at: u32, text: &[u8]) -> Guest {
        let bytes: String = text.iter().map(|byte| format!("\\{byte:02x}")).collect();
        self.more.push_str(&format!("(data (i32.const {at}) \"{bytes}\")\n"));
        self
    }

    /// The core module.
    pub fn core(&self) -> Vec<u8> {
        let interface = format!("portcullis:policy/{}@0.1.0", self.stage.interface());
        let (function, params) = match self.stage {
            Stage::Authenticator => ("authenticate", 2),
            Stage::Authorizer => ("authorize", 2),
            Stage::Mutator => ("mutate", 2),
            Stage::Validator => ("validate", 2),
            Stage::ObjectValidator => ("validate-object", 2),
            Stage::Scheduler => ("place", 13),
            Stage::Converter => ("convert", 2),
        };
        let params = "i32 ".repeat(params);
        let (mut table, mut texts) = (Vec::new(), Vec::new());
        for path in &self.paths {
            table.extend((512 + texts.len() as u32).to_le_bytes());
            table.extend((path.len() as u32).to_le_bytes());
            texts.extend(path.bytes());
        }
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
        let text = format!(
            r#"(module
                {imports}
                (memory (export "memory") {pages})
                (global $heap (mut i32) (i32.const 65536))
                (global $count (mut i32) (i32.const 0))
                (data (i32.const 256) "{table}")
                (data (i32.const 512) "{texts}")
                {more}
                (func $realloc (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                    (global.set $heap (i32.add (local.get $at) (local.get $size)))
                    (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
                        (then (drop (memory.grow (i32.const 64)))))
                    (local.get $at))
                (func (export "{interface}#configure") (param $config i32) (param $length i32) (result i32)
                    (local $i i32)
                    (i32.store (i32.const 1028) (i32.const 256))
                    (i32.store (i32.const 1032) (i32.const {count}))
                    {configure}
                    (i32.const 1024))
                (func (export "{interface}#{function}") (param {params}) (result i32)
                    (local $i i32)
                    (global.set $heap (i32.const 65536))
                    (global.set $count (i32.add (global.get $count) (i32.const 1)))
                    {call}
                    (i32.const 2048)))"#,
            imports = self.imports,
            pages = self.pages,
            table = hex(&table),
            texts = hex(&texts),
            more = self.more,
            count = self.paths.len(),
            configure = self.configure,
            call = self.call,
        );
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The component.
    pub fn component(&self) -> Vec<u8> {
        let mut resolve = Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let (policy, _) = resolve.push_dir(&wit).unwrap();
        let world = match self.world {
            Some(text) => {
                let package = resolve.push_str("test.wit", text).unwrap();
                resolve.select_world(&[package], None).unwrap()
            }
            None => resolve.select_world(&[policy], Some(&format!("{}-policy", self.stage.interface()))).unwrap(),
        };
        let mut core = self.core();
        embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default().validate(true).module(&core).unwrap().encode().unwrap()
    }

    pub fn spec(&self) -> PluginSpec {
        PluginSpec::new("test", self.stage, ModuleSource::Bytes(self.component().into()))
    }
}

/// A host that writes down what it is asked.
#[derive(Default)]
pub struct Recorder {
    pub lines: Mutex<Vec<(LogLevel, String)>>,
    pub reads: Mutex<Vec<String>>,
    /// What a read does beside answering.
    pub on_read: Option<Box<dyn Fn() + Send + Sync>>,
}

impl PolicyHost for Recorder {
    fn cluster_get(
        &self,
        identity: &str,
        resource: &str,
        ns: &str,
        name: &str,
    ) -> Result<Option<Arc<Value>>, ReadError> {
        self.reads.lock().unwrap().push(format!("{identity} {resource} {ns} {name}"));
        if let Some(act) = &self.on_read {
            act();
        }
        Ok(Some(Arc::new(json!({"metadata": {"name": name}}))))
    }

    fn verify(&self, key_set: &str, _: &str, _: &str, _: &[u8], _: &[u8]) -> Result<bool, VerifyError> {
        Err(VerifyError::UnknownKeySet(key_set.to_owned()))
    }

    fn log(&self, line: &LogLine<'_>) {
        self.lines.lock().unwrap().push((line.level, line.message.to_owned()));
    }
}

/// A runtime with a data directory of its own.
pub struct Bench {
    pub runtime: Runtime,
    pub dir: tempfile::TempDir,
    tokio: tokio::runtime::Runtime,
}

pub fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let mut config = RuntimeConfig::new(dir.path());
    config.instances = 64;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Bench { runtime: Runtime::new(config).unwrap(), dir, tokio }
}

impl Bench {
    pub fn load_with(&self, spec: PluginSpec, host: Arc<dyn PolicyHost>) -> Result<Arc<Policy>, LoadError> {
        self.tokio.block_on(self.runtime.load(spec, host))
    }

    pub fn load(&self, spec: PluginSpec) -> Result<Arc<Policy>, LoadError> {
        self.load_with(spec, Arc::new(Recorder::default()))
    }

    /// Why this does not load.
    pub fn refusal(&self, spec: PluginSpec) -> LoadError {
        self.load(spec).err().expect("this must not load")
    }
}

/// A document.
pub fn document(value: Value) -> Arc<dyn Document> {
    Arc::new(JsonDocument(value))
}
