use super::*;
use crate::schema::{Emit, Field, ListShape, ListType, ObjectShape, PatchStrategy, Schema, Shape};
use serde_json::json;

fn field(name: &str, schema: SchemaRef, emit: Emit) -> Field {
    Field {
        name: name.into(),
        schema,
        required: false,
        default: None,
        emit,
        go_pointer: false,
        patch_strategy: PatchStrategy::default(),
        patch_merge_key: None,
    }
}

fn builtin_map() -> SchemaRef {
    let shape = Shape::Map(Schema::plain(Shape::String));
    std::sync::Arc::new(Schema { name: "".into(), go_type: "map[string]string".into(), shape })
}

fn list(items: SchemaRef, list_type: ListType, keys: &[&str]) -> SchemaRef {
    Schema::plain(Shape::List(ListShape { items, list_type, map_keys: keys.iter().map(|key| (*key).into()).collect() }))
}

/// A kind with everything that merges in its own way: maps, lists of all types, structs by value.
fn schema() -> SchemaRef {
    let text = || Schema::plain(Shape::String);
    let map = || Schema::plain(Shape::Map(Schema::plain(Shape::String)));
    let some = Emit::IfPresent;
    let port = Schema::object(
        "Port",
        vec![
            field("port", Schema::plain(Shape::Int32), some),
            Field { default: Some(json!("TCP")), ..field("protocol", text(), some) },
            field("name", text(), some),
        ],
    );
    let container = Schema::object(
        "Container",
        vec![
            field("name", text(), some),
            field("image", text(), some),
            field("args", list(text(), ListType::Atomic, &[]), some),
            field("ports", list(port, ListType::Map, &["port", "protocol"]), some),
        ],
    );
    let spec = Schema::object(
        "Spec",
        vec![
            field("replicas", Schema::plain(Shape::Int32), some),
            // Atomic by its name, as such maps of built-in types are.
            field("selector", builtin_map(), some),
            field("containers", list(container, ListType::Map, &["name"]), some),
        ],
    );
    let metadata = Schema::object(
        "Meta",
        vec![
            field("name", text(), some),
            field("namespace", text(), some),
            field("uid", text(), some),
            field("labels", map(), some),
            field("annotations", map(), some),
            field("finalizers", list(text(), ListType::Set, &[]), some),
            field("managedFields", list(Schema::plain(Shape::Any), ListType::Atomic, &[]), some),
        ],
    );
    let status = Schema::object("Status", vec![field("ready", Schema::plain(Shape::Int32), some)]);
    let _ = ObjectShape::default();
    Schema::object(
        "Thing",
        vec![
            field("apiVersion", text(), some),
            field("kind", text(), some),
            field("metadata", metadata, Emit::Always),
            field("spec", spec, Emit::Always),
            field("status", status, Emit::Always),
            field("data", map(), some),
        ],
    )
}

fn writer<'a>(manager: &'a str, schema: &'a SchemaRef) -> Writer<'a> {
    let now = "2026-01-02T03:04:05Z".parse().expect("time");
    Writer { manager, subresource: "", api_version: "v1", schema, reset_fields: &[&["status"]], now, versions: None }
}

fn thing(parts: Value) -> Value {
    let mut thing = json!({"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "x"}});
    for (key, value) in parts.as_object().cloned().unwrap_or_default() {
        if key == "metadata" {
            for (key, value) in value.as_object().cloned().unwrap_or_default() {
                thing["metadata"][key] = value;
            }
        } else {
            thing[key] = value;
        }
    }
    thing
}

/// Who owns what: `manager` to `fieldsV1`.
fn owners(object: &Value) -> Value {
    let list = object.pointer("/metadata/managedFields").and_then(Value::as_array).cloned().unwrap_or_default();
    let pair = |entry: &Value| {
        (
            format!("{} {}", entry["manager"].as_str().unwrap_or(""), entry["operation"].as_str().unwrap_or("")),
            entry["fieldsV1"].clone(),
        )
    };
    list.iter().map(pair).collect::<serde_json::Map<_, _>>().into()
}

/// The live object of a first apply: what the handler makes of a name that is not there.
fn nothing() -> Value {
    thing(json!({}))
}

/// What the server adds when it stores a new object.
fn stored(mut object: Value) -> Value {
    object["metadata"]["uid"] = json!("u");
    object
}

/// Applies, and compares the object's parts (all but its identity) and owners; or the error's code and message.
fn check(
    live: &Value,
    config: Value,
    manager: &str,
    force: bool,
    expected: Result<(Value, Value), (u16, &str)>,
) -> Value {
    let schema = schema();
    match (apply(live, &thing(config.clone()), force, &writer(manager, &schema)), expected) {
        (Ok(found), Ok((parts, who))) => {
            assert_eq!(owners(&found), who, "owners of {config}");
            let mut bare = without_managed_fields(&found);
            object::remove_at(&mut bare, &["metadata", "uid"]);
            assert_eq!(bare, thing(parts), "{config}");
            stored(found)
        }
        (Err(found), Err((code, message))) => {
            assert_eq!((found.code, found.message.as_str()), (code, message), "{config}");
            Value::Null
        }
        (found, expected) => panic!("{config}: {found:?}, expected {expected:?}"),
    }
}

#[test]
fn applying_by_turns() {
    let live = check(
        &nothing(),
        json!({"data": {"k": "v"}}),
        "m1",
        false,
        Ok((json!({"data": {"k": "v"}}), json!({"m1 Apply": {"f:data": {"f:k": {}}}}))),
    );
    let again = apply(&live, &thing(json!({"data": {"k": "v"}})), false, &writer("m1", &schema())).expect("again");
    assert_eq!(again, live, "applying the same changes nothing, not even a time");
    let live = check(
        &live,
        json!({"metadata": {"labels": {"two": "2"}}}),
        "m2",
        false,
        Ok((
            json!({"data": {"k": "v"}, "metadata": {"labels": {"two": "2"}}}),
            json!({"m1 Apply": {"f:data": {"f:k": {}}}, "m2 Apply": {"f:metadata": {"f:labels": {"f:two": {}}}}}),
        )),
    );
    check(
        &live,
        json!({"data": {"k": "w"}}),
        "m3",
        false,
        Err((409, "Apply failed with 1 conflict: conflict with \"m1\": .data.k")),
    );
    let live = check(
        &live,
        json!({"data": {"k": "w"}}),
        "m3",
        true,
        Ok((
            json!({"data": {"k": "w"}, "metadata": {"labels": {"two": "2"}}}),
            json!({"m2 Apply": {"f:metadata": {"f:labels": {"f:two": {}}}}, "m3 Apply": {"f:data": {"f:k": {}}}}),
        )),
    );
    let live = check(
        &live,
        json!({}),
        "m2",
        false,
        Ok((json!({"data": {"k": "w"}}), json!({"m3 Apply": {"f:data": {"f:k": {}}}}))),
    );
    let live = check(
        &live,
        json!({"data": {"k": "w"}}),
        "m1",
        false,
        Ok((
            json!({"data": {"k": "w"}}),
            json!({"m1 Apply": {"f:data": {"f:k": {}}}, "m3 Apply": {"f:data": {"f:k": {}}}}),
        )),
    );
    // One of two owners lets go: the value stays.
    check(
        &live,
        json!({}),
        "m3",
        false,
        Ok((json!({"data": {"k": "w"}}), json!({"m1 Apply": {"f:data": {"f:k": {}}}}))),
    );
}

#[test]
fn lists() {
    let a = json!({"name": "a", "image": "1", "args": ["x"]});
    let item = |name: &str, fields: Value| {
        let mut set = fields;
        set["."] = json!({});
        set["f:name"] = json!({});
        json!({"f:spec": {"f:containers": {format!("k:{{\"name\":\"{name}\"}}"): set}}})
    };
    let live = check(
        &nothing(),
        json!({"spec": {"containers": [a]}}),
        "m1",
        false,
        Ok((
            json!({"spec": {"containers": [a]}}),
            json!({"m1 Apply": item("a", json!({"f:image": {}, "f:args": {}}))}),
        )),
    );
    let b = json!({"name": "b", "ports": [{"port": 80}]});
    let owners_b = item("b", json!({"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}));
    let live = check(
        &live,
        json!({"spec": {"containers": [b]}}),
        "m2",
        false,
        Ok((
            json!({"spec": {"containers": [a, b]}}),
            json!({"m1 Apply": item("a", json!({"f:image": {}, "f:args": {}})), "m2 Apply": owners_b}),
        )),
    );
    let a = json!({"name": "a"});
    check(
        &live,
        json!({"spec": {"containers": [{"name": "a"}]}}),
        "m1",
        false,
        Ok((json!({"spec": {"containers": [a, b]}}), json!({"m1 Apply": item("a", json!({})), "m2 Apply": owners_b}))),
    );
    check(
        &live,
        json!({"spec": {"containers": [{"name": "a"}]}, "metadata": {"finalizers": ["f", "f"]}}),
        "m1",
        false,
        Err((
            500,
            "failed to create typed patch object (/x; /v1, Kind=Thing): .metadata.finalizers: duplicate entries for key [=\"f\"]",
        )),
    );
}

#[test]
fn bad_configurations() {
    let live = nothing();
    check(
        &live,
        json!({"nonsense": 1}),
        "m",
        false,
        Err((
            500,
            "failed to create typed patch object (/x; /v1, Kind=Thing): .nonsense: field not declared in schema",
        )),
    );
    check(
        &live,
        json!({"data": "str"}),
        "m",
        false,
        Err((500, "failed to create typed patch object (/x; /v1, Kind=Thing): .data: expected map, got &{str}")),
    );
    check(
        &live,
        json!({"metadata": {"managedFields": []}}),
        "m",
        false,
        Err((400, "metadata.managedFields must be nil")),
    );
    check(
        &live,
        json!({"apiVersion": "v2"}),
        "m",
        false,
        Err((400, "Incorrect version specified in apply patch. Specified patch version: v2, expected: v1")),
    );
}

/// Writes in the ordinary way, and compares the owners.
fn check_update(live: Option<&Value>, new: Value, manager: &str, expected: Value) -> Value {
    let mut new = thing(new);
    if let Some(live) = live {
        new["metadata"]["uid"] = live["metadata"]["uid"].clone();
    }
    track_update(live, &mut new, &writer(manager, &schema()));
    assert_eq!(owners(&new), expected);
    stored(new)
}

#[test]
fn ordinary_writes() {
    let created = check_update(
        None,
        json!({"metadata": {"labels": {"a": "1"}}, "spec": {"replicas": 1, "selector": {"x": "y"}, "containers": [{"name": "c", "image": "i"}]}, "status": {"ready": 1}}),
        "creator",
        json!({"creator Update": {
            "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
            "f:spec": {"f:replicas": {}, "f:selector": {}, "f:containers": {".": {}, "k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:image": {}}}},
        }}),
    );
    let changed = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"replicas": 2, "selector": {"x": "y"}, "containers": [{"name": "c", "image": "i"}]}, "status": {"ready": 1}});
    let updated = check_update(
        Some(&created),
        changed.clone(),
        "scaler",
        json!({
            "creator Update": {
                "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
                "f:spec": {"f:selector": {}, "f:containers": {".": {}, "k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:image": {}}}},
            },
            "scaler Update": {"f:metadata": {"f:labels": {"f:b": {}}}, "f:spec": {"f:replicas": {}}},
        }),
    );
    check(
        &updated,
        json!({"spec": {"replicas": 3}}),
        "m",
        false,
        Err((409, "Apply failed with 1 conflict: conflict with \"scaler\" using v1: .spec.replicas")),
    );
    check(
        &updated,
        json!({"spec": {"replicas": 3}, "metadata": {"labels": {"b": "3"}}}),
        "m",
        false,
        Err((
            409,
            "Apply failed with 2 conflicts: conflicts with \"scaler\" using v1:\n- .metadata.labels.b\n- .spec.replicas",
        )),
    );
    // A write that changes nothing leaves owners and times as they are.
    let mut same = updated.clone();
    track_update(Some(&updated), &mut same, &writer("other", &schema()));
    assert_eq!(same, updated);
    // An empty list resets the owners, and then nobody tracks them until someone applies.
    let mut reset = changed.clone();
    reset["metadata"]["managedFields"] = json!([{}]);
    let untracked = check_update(Some(&updated), reset, "scaler", json!({}));
    let applied = check(
        &untracked,
        json!({"data": {"k": "v"}}),
        "m",
        false,
        Ok((
            {
                let mut all = changed.clone();
                all["data"] = json!({"k": "v"});
                all
            },
            json!({
                "m Apply": {"f:data": {"f:k": {}}},
                "before-first-apply Update": {
                    "f:metadata": {"f:labels": {".": {}, "f:a": {}, "f:b": {}}},
                    "f:spec": {"f:replicas": {}, "f:selector": {}, "f:containers": {".": {}, "k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:image": {}}}},
                },
            }),
        )),
    );
    assert!(applied.is_object());
}

#[test]
fn subresources_and_limits() {
    let schema = schema();
    let created =
        check_update(None, json!({"data": {"k": "v"}}), "a", json!({"a Update": {"f:data": {".": {}, "f:k": {}}}}));
    let mut new = created.clone();
    new["status"] = json!({"ready": 2});
    let status = Writer {
        subresource: "status",
        reset_fields: &[&["spec"], &["data"], &["metadata"]],
        ..writer("kubelet", &schema)
    };
    track_update(Some(&created), &mut new, &status);
    assert_eq!(owners(&new)["kubelet Update"], json!({"f:status": {"f:ready": {}}}));
    assert_eq!(new["metadata"]["managedFields"][1]["subresource"], "status");
    // The eleventh manager makes the oldest ones one.
    let mut live = new;
    for number in 0..12 {
        let mut new = live.clone();
        new["data"][format!("n{number}")] = json!("x");
        let name = format!("m{number:02}");
        track_update(Some(&live), &mut new, &writer(&name, &schema));
        live = new;
    }
    let who = owners(&live);
    assert!(who.get("ancient-changes Update").is_some(), "{who}");
    assert!(who.as_object().is_some_and(|who| who.len() <= 11), "{who}");
}

#[test]
fn kubectl_takes_over_from_its_annotation() {
    let config = thing(json!({"data": {"k": "v"}}));
    let annotated = json!({"metadata": {"annotations": {LAST_APPLIED: config.to_string()}}, "data": {"k": "v"}});
    let live = check_update(
        None,
        annotated,
        "kubectl-client-side-apply",
        json!({"kubectl-client-side-apply Update": {
        "f:metadata": {"f:annotations": {".": {}, format!("f:{LAST_APPLIED}"): {}}}, "f:data": {".": {}, "f:k": {}}}}),
    );
    let schema = schema();
    let other = apply(&live, &thing(json!({"data": {"k": "w"}})), false, &writer("other", &schema));
    assert_eq!(other.map_err(|status| status.code), Err(409));
    let own = apply(&live, &thing(json!({"data": {"k": "w"}})), false, &writer(KUBECTL, &schema)).expect("takes over");
    assert_eq!(own["data"]["k"], "w");
    assert!(object::annotation(&own, LAST_APPLIED).is_some_and(|text| text.contains("\"w\"")));
}
