//! OpenAPI v2 documents of other servers, as parts of this server's.
//!
//! Of such a document only the paths of the versions that an APIService gives the server are taken, with the types that
//! they need. A type that is another one than this server's of the same name gets a new name (`…Widget_v2`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use portcullis_machinery::Value;
use portcullis_machinery::openapi::Part;
use sha2::{Digest as _, Sha256};

use super::Services;

/// How references to types begin.
const REFERENCE: &str = "#/definitions/";

/// A server's document, compressed.
#[derive(Debug)]
pub struct Spec {
    /// The tag that the server gave it, or a hash.
    pub tag: String,
    packed: Vec<u8>,
}

impl Spec {
    /// A document as it was received.
    ///
    /// # Errors
    /// If it is no OpenAPI v2 document.
    pub fn read(body: &[u8], tag: &str) -> Result<Self, String> {
        let document: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if document["swagger"] != "2.0" {
            return Err("not an OpenAPI v2 document".to_owned());
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let packed = encoder.write_all(body).and_then(|()| encoder.finish()).map_err(|error| error.to_string())?;
        let tag = if tag.is_empty() { hex::encode(Sha256::digest(body)) } else { tag.to_owned() };
        Ok(Self { tag, packed })
    }

    fn document(&self) -> Value {
        let mut text = Vec::new();
        match GzDecoder::new(&self.packed[..]).read_to_end(&mut text) {
            Ok(_) => serde_json::from_slice(&text).unwrap_or_default(),
            Err(_) => Value::Null,
        }
    }
}

/// The types of a document that is put together, by name, each with a hash of what it is.
#[derive(Default)]
pub struct Known(HashMap<String, [u8; 32]>);

impl Known {
    /// Notes a type.
    pub fn add(&mut self, name: &str, schema: &Value) {
        self.0.insert(name.to_owned(), hash(schema));
    }

    /// The name that a type can have, and whether it is there under that name already.
    fn place(&self, name: &str, schema: &Value) -> (String, bool) {
        let hash = hash(schema);
        let names = std::iter::once(name.to_owned()).chain((2..).map(|number| format!("{name}_v{number}")));
        for candidate in names {
            match self.0.get(&candidate) {
                None => return (candidate, false),
                Some(known) if *known == hash => return (candidate, true),
                Some(_) => {}
            }
        }
        (name.to_owned(), false)
    }
}

fn hash(schema: &Value) -> [u8; 32] {
    Sha256::digest(schema.to_string()).into()
}

/// What one server adds.
struct Addition {
    definitions: BTreeMap<String, Value>,
    paths: BTreeMap<String, Value>,
}

/// What all servers add.
pub struct Additions(Vec<Addition>);

impl Additions {
    /// Those of the documents that are known, given this server's own types.
    pub fn of(services: &Services, mut known: Known) -> Self {
        let specs = services.all().filter_map(|service| Some((service.path(), service.learned.v2.as_ref()?)));
        Self(specs.map(|(path, spec)| addition(&spec.document(), &path, &mut known)).collect())
    }

    /// Hands out the types.
    pub fn types(&self, each: &mut dyn FnMut(Part<'_>)) {
        let all = self.0.iter().flat_map(|addition| &addition.definitions);
        all.for_each(|(name, schema)| each(Part::Definition(name, schema)));
    }

    /// Hands out the paths.
    pub fn paths(&self, each: &mut dyn FnMut(Part<'_>)) {
        let all = self.0.iter().flat_map(|addition| &addition.paths);
        all.for_each(|(path, item)| each(Part::Path(path, item)));
    }
}

fn addition(document: &Value, prefix: &str, known: &mut Known) -> Addition {
    let under = |path: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let paths = document["paths"].as_object().into_iter().flatten().filter(|(path, _)| under(path));
    let mut paths: BTreeMap<String, Value> = paths.map(|(path, item)| (path.clone(), item.clone())).collect();
    let needed = needed(document, &paths);
    let mut names = HashMap::new();
    let mut definitions = BTreeMap::new();
    for name in needed {
        let Some(schema) = document["definitions"].get(&name) else { continue };
        let (placed, there) = known.place(&name, schema);
        if !there {
            known.add(&placed, schema);
            definitions.insert(placed.clone(), schema.clone());
        }
        if placed != name {
            names.insert(name, placed);
        }
    }
    for value in paths.values_mut().chain(definitions.values_mut()) {
        rename(value, &names);
    }
    Addition { definitions, paths }
}

/// The types that paths refer to, and those that these refer to.
fn needed(document: &Value, paths: &BTreeMap<String, Value>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut queue: Vec<&Value> = paths.values().collect();
    while let Some(value) = queue.pop() {
        match value {
            Value::Object(members) => {
                if let Some(name) = members.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix(REFERENCE))
                    && found.insert(name.to_owned())
                    && let Some(schema) = document["definitions"].get(name)
                {
                    queue.push(schema);
                }
                queue.extend(members.values());
            }
            Value::Array(items) => queue.extend(items),
            _ => {}
        }
    }
    found
}

fn rename(value: &mut Value, names: &HashMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let renamed = value.as_str().filter(|_| key == "$ref").and_then(|text| text.strip_prefix(REFERENCE));
                match renamed.and_then(|name| names.get(name)) {
                    Some(name) => *value = format!("{REFERENCE}{name}").into(),
                    None => rename(value, names),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
