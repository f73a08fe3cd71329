//! Text to values, with an eye on keys that are there twice.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;
use serde_saphyr::options::DuplicateKeyPolicy;

use super::{Decoded, TypeError};

/// How deep objects may nest, as in the reference's decoder.
const MAX_DEPTH: usize = 10_000;
/// The most duplicates that are reported.
const MAX_REPORTED: usize = 100;

/// A place in the document: what leads to it, innermost last.
enum Step {
    Key(String),
    Index(usize),
}

#[derive(Default)]
struct Reader {
    path: RefCell<Vec<Step>>,
    duplicates: RefCell<Vec<String>>,
    /// The paths whose places are asked for, and where they are: the how manieth key of the document.
    places: RefCell<HashMap<String, Option<usize>>>,
    keys: Cell<usize>,
    /// Whether this is YAML, whose doubled keys are reported by their lines.
    yaml: bool,
    /// The line of the first key below the one whose value was read last.
    first_line: Cell<Option<u64>>,
}

struct Seed<'r>(&'r Reader);

impl Reader {
    fn text(&self) -> String {
        let mut text = String::new();
        for step in self.path.borrow().iter() {
            match step {
                Step::Key(key) if text.is_empty() => text.push_str(key),
                Step::Key(key) => {
                    text.push('.');
                    text.push_str(key);
                }
                Step::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        text
    }
}

impl Reader {
    /// Notes where a key is, if that was asked for.
    fn note(&self) {
        self.keys.set(self.keys.get() + 1);
        let mut places = self.places.borrow_mut();
        if !places.is_empty()
            && let Some(place @ None) = places.get_mut(&self.text())
        {
            *place = Some(self.keys.get());
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            self.0.path.borrow_mut().push(Step::Index(items.len()));
            let item = access.next_element_seed(Seed(self.0));
            self.0.path.borrow_mut().pop();
            match item? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        let mut first_line = None;
        loop {
            let key = match self.0.yaml {
                true => access.next_key::<Spanned<String>>()?.map(|key| (key.value, Some(key.referenced.line()))),
                false => access.next_key::<String>()?.map(|key| (key, None)),
            };
            let Some((key, line)) = key else { break };
            first_line = first_line.or(line);
            self.0.first_line.set(None);
            if self.0.path.borrow().len() > MAX_DEPTH {
                return Err(serde::de::Error::custom("exceeded max depth"));
            }
            self.0.path.borrow_mut().push(Step::Key(key));
            self.0.note();
            let value = access.next_value_seed(Seed(self.0));
            let duplicate = match self.0.path.borrow().last() {
                Some(Step::Key(key)) => members.contains_key(key),
                _ => false,
            };
            if duplicate && self.0.duplicates.borrow().len() < MAX_REPORTED {
                let error = match line {
                    // It is the value's line that counts, which may be further down than the key's.
                    Some(line) => {
                        let key = self.0.path.borrow().last().map(|step| match step {
                            Step::Key(key) => key.clone(),
                            Step::Index(index) => index.to_string(),
                        });
                        let line = self.0.first_line.get().unwrap_or(line);
                        format!("line {line}: key {:?} already set in map", key.unwrap_or_default())
                    }
                    None => format!("duplicate field \"{}\"", self.0.text()),
                };
                let mut duplicates = self.0.duplicates.borrow_mut();
                if !duplicates.contains(&error) {
                    duplicates.push(error);
                }
            }
            if let Some(Step::Key(key)) = self.0.path.borrow_mut().pop() {
                members.insert(key, value?);
            }
        }
        self.0.first_line.set(first_line);
        Ok(Value::Object(members))
    }
}

/// Parses JSON.
pub(super) fn json(body: &[u8]) -> Result<Decoded, TypeError> {
    let reader = Reader::default();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let object = Seed(&reader).deserialize(&mut deserializer).map_err(|error| syntax(&error, body))?;
    deserializer.end().map_err(|error| syntax(&error, body))?;
    Ok(Decoded { object, strict_errors: reader.duplicates.into_inner() })
}

/// Where paths such as `spec.a[0].b` are in a JSON document, as ranks in the order of its text.
pub(super) fn places(body: &[u8], paths: impl Iterator<Item = String>) -> HashMap<String, usize> {
    let reader = Reader { places: RefCell::new(paths.map(|path| (path, None)).collect()), ..Reader::default() };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    // What cannot be read has no place; the document was read before.
    let _ = Seed(&reader).deserialize(&mut deserializer);
    reader.places.into_inner().into_iter().filter_map(|(path, place)| Some((path, place?))).collect()
}

/// A syntax error in the words of the reference's decoder, where the two see the same.
fn syntax(error: &serde_json::Error, body: &[u8]) -> TypeError {
    if error.is_eof() {
        return TypeError("unexpected end of JSON input".to_owned());
    }
    let line = body.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let at = line.get(error.column().saturating_sub(1)).copied();
    match at {
        Some(byte) if error.is_syntax() => {
            let character = char::from(byte);
            let what = if error.to_string().starts_with("expected value") {
                "looking for beginning of value"
            } else if error.to_string().starts_with("key must be") {
                "looking for beginning of object key string"
            } else if error.to_string().starts_with("trailing characters") {
                "after top-level value"
            } else if error.to_string().contains("expected `:`") {
                "after object key"
            } else if error.to_string().contains("`}`") {
                "after object key:value pair"
            } else if error.to_string().contains("`]`") {
                "after array element"
            } else {
                return TypeError(error.to_string());
            };
            TypeError(format!("invalid character {character:?} {what}"))
        }
        _ => TypeError(error.to_string()),
    }
}

/// Parses one YAML document. The errors are the lines of the keys that are there twice.
pub(super) fn yaml(body: &[u8]) -> Result<Decoded, TypeError> {
    let text = std::str::from_utf8(body).map_err(|_| TypeError("yaml: invalid UTF-8".to_owned()))?;
    let reader = Reader { yaml: true, ..Reader::default() };
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough };
    let object = serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        Seed(&reader).deserialize(deserializer)
    })
    .map_err(|error| TypeError(format!("error converting YAML to JSON: yaml: {}", yaml_error(&error, text))))?;
    Ok(Decoded { object, strict_errors: reader.duplicates.into_inner() })
}

/// A syntax error of YAML in one line, in the words of the reference's reader for what ends too early.
fn yaml_error(error: &serde_saphyr::Error, text: &str) -> String {
    let shown = error.to_string();
    let first = shown.lines().next().unwrap_or_default();
    let line = first.split("line ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("1");
    let open = |bracket: char, close: char| {
        let expected_more = text.trim_end().ends_with([bracket, ',']);
        let what = if expected_more { "node content".to_owned() } else { format!("',' or '{close}'") };
        format!("line {line}: did not find expected {what}")
    };
    if first.contains("unclosed bracket '['") {
        open('[', ']')
    } else if first.contains("unclosed bracket '{'") {
        open('{', '}')
    } else {
        first.strip_prefix("error: ").unwrap_or(first).to_owned()
    }
}
