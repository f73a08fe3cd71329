use serde_json::json;

use super::{Document, Part};

/// The lines of a message: each field's path of tags, and a number or text (a message's parts where it is one).
fn read(mut bytes: &[u8], at: &str, lines: &mut Vec<String>) -> Option<()> {
    fn varint(bytes: &mut &[u8]) -> Option<u64> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let (first, rest) = bytes.split_first()?;
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(value);
            }
            shift += 7;
        }
    }
    let start = lines.len();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let at = format!("{at}.{}", key >> 3);
        match key & 7 {
            0 => lines.push(format!("{at} = {}", varint(&mut bytes)?)),
            1 => {
                let (number, rest) = bytes.split_first_chunk::<8>()?;
                bytes = rest;
                lines.push(format!("{at} = {}", f64::from_le_bytes(*number)));
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (inner, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                let before = lines.len();
                // A text may look like a message; none of these does.
                if read(inner, &at, lines).is_none() {
                    lines.truncate(before);
                    lines.push(format!("{at} = {}", String::from_utf8_lossy(inner)));
                } else if lines.len() == before {
                    lines.push(format!("{at} empty"));
                }
            }
            _ => {
                lines.truncate(start);
                return None;
            }
        }
    }
    Some(())
}

#[track_caller]
fn check(part: Part<'_>, expected: &[&str]) {
    let mut document = Document::new(json!({"title": "T", "version": "v"}));
    document.add(part);
    let mut lines = Vec::new();
    read(&document.finish(), "", &mut lines).expect("a message");
    let head = [".1 = 2.0", ".2.1 = T", ".2.2 = v"];
    assert_eq!(lines[..3], head);
    let lines: Vec<&str> = lines[3..].iter().map(String::as_str).filter(|line| !line.ends_with(" empty")).collect();
    assert_eq!(lines, expected);
}

#[test]
fn schemas() {
    check(
        Part::Definition(
            "Thing",
            &json!({
                "type": "object", "description": "What it is.", "required": ["Spec"], "readOnly": false,
                "x-kubernetes-group-version-kind": [{"kind": "Thing"}],
                "properties": {
                    "Spec": {"$ref": "#/definitions/Other", "description": "And more"},
                    "List": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
                    "Map": {"type": "object", "additionalProperties": {"type": "number", "minimum": 0.5}},
                    "Open": {"additionalProperties": false},
                },
            }),
        ),
        &[
            ".9.1.1 = Thing",
            ".9.1.2.4 = What it is.",
            ".9.1.2.19 = Spec",
            ".9.1.2.22.1 = object",
            ".9.1.2.25.1.1 = List",
            ".9.1.2.25.1.2.14 = 3",
            ".9.1.2.25.1.2.22.1 = array",
            ".9.1.2.25.1.2.23.1.22.1 = string",
            ".9.1.2.25.1.1 = Map",
            ".9.1.2.25.1.2.21.1.9 = 0.5",
            ".9.1.2.25.1.2.21.1.22.1 = number",
            ".9.1.2.25.1.2.22.1 = object",
            ".9.1.2.25.1.1 = Open",
            ".9.1.2.25.1.2.21.2 = 0",
            ".9.1.2.25.1.1 = Spec",
            ".9.1.2.25.1.2.1 = #/definitions/Other",
            ".9.1.2.25.1.2.4 = And more",
            ".9.1.2.31.1 = x-kubernetes-group-version-kind",
            ".9.1.2.31.2.2 = [{\"kind\":\"Thing\"}]",
        ],
    );
}

#[test]
fn paths() {
    check(
        Part::Path(
            "/apis",
            &json!({"patch": {
                "operationId": "patchThing", "deprecated": true,
                "parameters": [
                    {"in": "query", "name": "fieldValidation", "type": "string", "uniqueItems": true},
                    {"in": "body", "name": "body", "required": true, "schema": {"$ref": "#/definitions/Thing"}},
                    {"in": "path", "name": "name", "required": true},
                ],
                "responses": {"200": {"description": "OK", "schema": {"type": "string"}}},
            }}),
        ),
        &[
            ".8.2.1 = /apis",
            ".8.2.2.8.5 = patchThing",
            ".8.2.2.8.8.1.2.3.2 = query",
            ".8.2.2.8.8.1.2.3.4 = fieldValidation",
            ".8.2.2.8.8.1.2.3.6 = string",
            ".8.2.2.8.8.1.2.3.20 = 1",
            ".8.2.2.8.8.1.1.2 = body",
            ".8.2.2.8.8.1.1.3 = body",
            ".8.2.2.8.8.1.1.4 = 1",
            ".8.2.2.8.8.1.1.5.1 = #/definitions/Thing",
            ".8.2.2.8.8.1.2.4.1 = 1",
            ".8.2.2.8.8.1.2.4.2 = path",
            ".8.2.2.8.8.1.2.4.4 = name",
            ".8.2.2.8.9.1.1 = 200",
            ".8.2.2.8.9.1.2.1.1 = OK",
            ".8.2.2.8.9.1.2.1.2.1.22.1 = string",
            ".8.2.2.8.11 = 1",
        ],
    );
}
