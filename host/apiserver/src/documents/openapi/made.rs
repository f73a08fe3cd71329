//! The documents, made from the registry and of what other servers say.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use parking_lot::Mutex;
use portcullis_descriptions::Descriptions;
use portcullis_machinery::Value;
use portcullis_machinery::definition::Registry;
use portcullis_machinery::openapi::{self, Part, gnostic};
use sha2::{Digest as _, Sha512};

use crate::aggregation::Services;
use crate::aggregation::specs::{Additions, Known};

/// What of a document is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As JSON.
    Json,
    /// As protobuf.
    Protobuf,
}

/// A document's compressed bytes, once they are made.
type Slot = Arc<OnceLock<Bytes>>;

/// The documents of what is served at one moment.
pub(super) struct Documents {
    registry: Arc<Registry>,
    /// Other servers, whose documents are added to this one's.
    pub(super) services: Arc<Services>,
    /// By path: the hash and the document of each version.
    pub(super) versions: BTreeMap<String, (String, Slot)>,
    /// The tag of the document of everything.
    pub(super) tag: String,
    json: Slot,
    protobuf: Slot,
}

/// The documents, replaced when something else is served.
#[derive(Default)]
pub struct OpenApi {
    current: Mutex<Option<Arc<Documents>>>,
}

impl OpenApi {
    /// The documents of what is served now. Those of versions that have not changed are kept.
    pub(super) fn of(&self, registry: Arc<Registry>, services: Arc<Services>) -> Arc<Documents> {
        let mut current = self.current.lock();
        let same = |documents: &&Arc<Documents>| {
            Arc::ptr_eq(&documents.registry, &registry) && Arc::ptr_eq(&documents.services, &services)
        };
        if let Some(documents) = current.as_ref().filter(same) {
            return Arc::clone(documents);
        }
        let known = |path: &str, hash: &str| {
            let (known, slot) = current.as_ref()?.versions.get(path)?;
            (known == hash).then(|| Arc::clone(slot))
        };
        let mut all = Sha512::new();
        let versions: BTreeMap<String, (String, Slot)> = openapi::document_hashes(&registry, &Descriptions::default())
            .into_iter()
            .map(|(path, hash)| {
                all.update(&path);
                all.update(&hash);
                let slot = known(&path, &hash).unwrap_or_default();
                (path, (hash, slot))
            })
            .collect();
        for spec in services.all().filter_map(|service| service.learned.v2.as_ref()) {
            all.update(&spec.tag);
        }
        let tag = hex::encode_upper(all.finalize());
        // What other servers are like changes more often than what they serve.
        let before = current.as_ref().filter(|before| before.tag == tag);
        let documents = Arc::new(Documents {
            registry,
            services,
            versions,
            json: before.map(|before| Arc::clone(&before.json)).unwrap_or_default(),
            protobuf: before.map(|before| Arc::clone(&before.protobuf)).unwrap_or_default(),
            tag,
        });
        *current = Some(Arc::clone(&documents));
        documents
    }
}

impl Documents {
    pub(super) fn index(&self) -> Value {
        let own = self.versions.iter().map(|(path, (hash, _))| (path.as_str(), hash.as_str()));
        let mut index = openapi::v3_index(own);
        for service in self.services.all() {
            let path = service.path();
            let path = path.trim_start_matches('/');
            match (&service.learned.v3, index["paths"].as_object_mut()) {
                (Some(url), _) => index["paths"][path] = serde_json::json!({"serverRelativeURL": **url}),
                (None, Some(paths)) => drop(paths.remove(path)),
                (None, None) => {}
            }
        }
        index
    }

    /// The document of one version, if it is served.
    pub(super) fn version(&self, path: &str) -> Option<Bytes> {
        let (_, slot) = self.versions.get(path)?;
        let make = || {
            let document = openapi::v3_document(&self.registry, &Descriptions::default(), path).unwrap_or_default();
            let mut encoder = compressor();
            let _ = serde_json::to_writer(&mut encoder, &document);
            encoder.finish().unwrap_or_default().into()
        };
        Some(slot.get_or_init(make).clone())
    }

    pub(super) fn everything(&self, form: Form) -> Bytes {
        match form {
            Form::Json => self.json.get_or_init(|| self.make_json().unwrap_or_default()),
            Form::Protobuf => self.protobuf.get_or_init(|| self.make_protobuf().unwrap_or_default()),
        }
        .clone()
    }

    /// Everything, the types before the paths: which names the types of other servers get is known only then.
    fn parts(&self, each: &mut dyn FnMut(Part<'_>)) {
        let mut known = Known::default();
        openapi::v2_types(&self.registry, &Descriptions::default(), &mut |part| {
            if let Part::Definition(name, schema) = part {
                known.add(name, schema);
            }
            each(part);
        });
        let additions = Additions::of(&self.services, known);
        additions.types(each);
        openapi::v2_paths(&self.registry, each);
        additions.paths(each);
    }

    fn make_json(&self) -> std::io::Result<Bytes> {
        let mut text = JsonText::begin()?;
        let mut result = Ok(());
        self.parts(&mut |part| {
            if result.is_ok() {
                result = text.add(part);
            }
        });
        result?;
        text.finish()
    }

    fn make_protobuf(&self) -> std::io::Result<Bytes> {
        let mut document = gnostic::Document::new(openapi::info());
        self.parts(&mut |part| document.add(part));
        let mut encoder = compressor();
        encoder.write_all(&document.finish())?;
        encoder.finish().map(Bytes::from)
    }
}

/// The JSON text of a document of everything, which is written and compressed part by part. Compressing into memory does
/// not fail.
struct JsonText {
    encoder: GzEncoder<Vec<u8>>,
    in_paths: bool,
    first: bool,
}

impl JsonText {
    fn begin() -> std::io::Result<Self> {
        let mut encoder = compressor();
        write!(encoder, "{{\"swagger\":\"2.0\",\"info\":{},\"definitions\":{{", openapi::info())?;
        Ok(Self { encoder, in_paths: false, first: true })
    }

    fn begin_paths(&mut self) -> std::io::Result<()> {
        self.first = true;
        self.in_paths = true;
        self.encoder.write_all(b"},\"paths\":{")
    }

    fn add(&mut self, part: Part<'_>) -> std::io::Result<()> {
        let (name, value) = match part {
            Part::Definition(name, value) => (name, value),
            Part::Path(name, value) => {
                if !self.in_paths {
                    self.begin_paths()?;
                }
                (name, value)
            }
        };
        if !std::mem::replace(&mut self.first, false) {
            self.encoder.write_all(b",")?;
        }
        serde_json::to_writer(&mut self.encoder, name)?;
        self.encoder.write_all(b":")?;
        Ok(serde_json::to_writer(&mut self.encoder, value)?)
    }

    fn finish(mut self) -> std::io::Result<Bytes> {
        if !self.in_paths {
            self.begin_paths()?;
        }
        self.encoder.write_all(b"}}")?;
        self.encoder.finish().map(Bytes::from)
    }
}

fn compressor() -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::new(), Compression::default())
}
