//! The tables of messages against themselves, and against the golden vectors: every object of the API as JSON and as
//! protobuf, as the reference writes them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use super::{TABLE, can_encode, decode, encode, list, message, message_of, watch_frame};
use crate::codec::conform;
use crate::definition::{builtin::DEFINITIONS, split_api_version};
use crate::object;
use crate::schema::{SchemaRef, builtin};

#[test]
fn every_message_that_a_field_holds_is_there() {
    let scalars = ["string", "bytes", "bool", "int32", "int64", "double"];
    for (name, message) in TABLE.iter() {
        for field in message.values().filter(|field| !scalars.contains(&field.kind.as_str())) {
            assert!(TABLE.contains_key(&field.kind), "{name}.{} holds {}", field.name, field.kind);
        }
    }
}

#[test]
fn every_built_in_kind_has_a_message() {
    let without: BTreeSet<String> = DEFINITIONS
        .iter()
        .filter(|d| d.group != crate::definition::plugins::GROUP && !can_encode(&d.api_version(), &d.kind))
        .map(|d| format!("{} {}", d.api_version(), d.kind))
        .collect();
    assert_eq!(without, BTreeSet::new());
}

/// A golden vector.
struct Vector {
    name: String,
    json: Value,
    bytes: Vec<u8>,
}

/// The vectors, where their folder is present; `None` is said on standard output.
fn vectors() -> Option<Vec<Vector>> {
    let shared = std::env::var_os("PORTCULLIS_SHARED").map_or_else(|| "../../../shared".into(), PathBuf::from);
    let Ok(entries) = std::fs::read_dir(shared.join("kubernetes-1.36/wire")) else {
        println!("the golden vectors are not here: skipped");
        return None;
    };
    let paths = entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "pb"));
    let mut vectors: Vec<Vector> = paths
        .map(|path| Vector {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            json: serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap(),
            bytes: std::fs::read(&path).unwrap(),
        })
        .collect();
    vectors.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(vectors.len() > 100, "the folder of golden vectors holds {}", vectors.len());
    Some(vectors)
}

/// The type of an object, where the API has it as one.
fn type_of(object: &Value) -> Option<SchemaRef> {
    let (group, version) = split_api_version(object::api_version(object));
    let kind = object::kind(object);
    let definition = DEFINITIONS.iter().find(|d| d.group == group && d.version == version && d.kind == kind);
    definition.map(|definition| definition.schema.clone()).or_else(|| {
        let message = message_of(object::api_version(object), kind)?;
        builtin::schema(&match message.strip_prefix("machinery.apis.meta.") {
            Some(rest) => format!("io.k8s.apimachinery.pkg.apis.meta.{rest}"),
            None => format!("io.k8s.{message}"),
        })
    })
}

/// The object in a frame of a watch: the frame is an event of this type, and the object is in an envelope of its own.
fn unframed<'f>(frame: &'f [u8], type_: &str) -> Option<&'f [u8]> {
    fn field<'b>(bytes: &'b [u8], number: u8) -> Option<(&'b [u8], &'b [u8])> {
        let (key, mut rest) = bytes.split_first()?;
        let mut length = 0usize;
        for shift in (0..).step_by(7) {
            let (byte, after) = rest.split_first()?;
            length |= usize::from(byte & 0x7f) << shift;
            rest = after;
            if byte & 0x80 == 0 {
                break;
            }
        }
        (*key == number << 3 | 2).then(|| rest.split_at_checked(length)).flatten()
    }
    let (length, event) = frame.split_at_checked(4)?;
    let (said, rest) = field(event, 1)?;
    let (extension, rest) = field(rest, 2).filter(|_| said == type_.as_bytes())?;
    let (object, end) = field(extension, 1)?;
    let complete = length == (event.len() as u32).to_be_bytes() && rest.is_empty() && end.is_empty();
    complete.then_some(object)
}

/// What is wrong with a vector both ways, in itself and in a frame of a watch.
fn differences(vector: &Vector) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: &'static str| {
        if !holds {
            wrong.push(what);
        }
    };
    let Ok(decoded) = decode(&vector.bytes) else { return vec!["not decoded"] };
    let mut found = decoded.object;
    check(encode(&found).as_deref() == Some(&*vector.bytes), "other bytes");
    check(encode(&vector.json).as_deref() == Some(&*vector.bytes), "other bytes from JSON");
    if let Some(schema) = type_of(&vector.json) {
        let mut normal = vector.json.clone();
        let fits = conform(&mut found, &schema).is_ok() && conform(&mut normal, &schema).is_ok_and(|u| u.is_empty());
        check(fits, "does not fit its type");
        check(found == normal, "other JSON");
        check(normal == vector.json, "another normal form");
        check(encode(&found).as_deref() == Some(&*vector.bytes), "other bytes from the normal form");
    }
    let frame = watch_frame("MODIFIED", &vector.bytes);
    check(unframed(&frame, "MODIFIED") == Some(&*vector.bytes), "another object in a watch");
    wrong
}

/// Kinds that are no objects: the reference has them in its own tests only, or on other wires.
const OTHERS: [&str; 1] = ["core.v1.WatchEvent"];

#[test]
fn vectors_both_ways() {
    let Some(vectors) = vectors() else { return };
    let (mut seen, mut wrong) = (0, Vec::new());
    for vector in vectors.iter().filter(|vector| !OTHERS.contains(&vector.name.as_str())) {
        let (api_version, kind) = (object::api_version(&vector.json), object::kind(&vector.json));
        let differences = match can_encode(api_version, kind) {
            true => differences(vector),
            // The reference still has types of versions that it serves no more.
            false if type_of(&vector.json).is_none() => continue,
            false => vec!["no message"],
        };
        seen += 1;
        if !differences.is_empty() {
            wrong.push(format!("{}: {}", vector.name, differences.join(", ")));
        }
    }
    println!("{seen} of {} vectors are of kinds that are served", vectors.len());
    assert!(wrong.is_empty(), "{} of {seen} vectors disagree: {wrong:#?}", wrong.len());
}

/// An event of a watch as a whole is a vector too; its object is of a kind that has no message.
#[test]
fn vector_of_an_event() {
    let Some(vectors) = vectors() else { return };
    let Some(vector) = vectors.iter().find(|vector| vector.name == OTHERS[0]) else { return };
    let object = serde_json::to_vec(&vector.json["object"]).unwrap();
    let frame = watch_frame(vector.json["type"].as_str().unwrap(), &object);
    let event = &frame[4..];
    assert!(vector.bytes.windows(event.len()).any(|window| window == event), "another event");
}

/// A list is its items' messages: the same whether it is made of those or of a whole document.
#[test]
fn lists_of_vectors() {
    let Some(vectors) = vectors() else { return };
    let mut seen = 0;
    for vector in &vectors {
        let (api_version, kind) = (object::api_version(&vector.json), format!("{}List", object::kind(&vector.json)));
        let is_object = vector.json.get("metadata").is_some() && can_encode(api_version, object::kind(&vector.json));
        if !is_object || !can_encode(api_version, &kind) {
            continue;
        }
        seen += 1;
        let metadata = serde_json::json!({"resourceVersion": "7", "continue": "c"});
        let document = serde_json::json!({
            "apiVersion": api_version, "kind": kind, "metadata": metadata, "items": [vector.json, vector.json],
        });
        let item = message(&vector.json).unwrap();
        let made = list(api_version, &kind, &metadata, [&*item, &*item].into_iter()).unwrap();
        assert!(encode(&document).unwrap() == made, "{}: {:?}", vector.name, encode(&document));
    }
    assert!(seen > 50, "only {seen} kinds have lists");
}
