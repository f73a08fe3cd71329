use serde_json::json;

use crate::types::{DYN, Listed, Type};
use crate::{Budget, Kind, Options, Program, Val, Variables};

/// What an expression gives: `true`, or the text of its failure.
fn run(expression: &str, variables: &[(&'static str, Val<'_>, Type)]) -> String {
    let types: Vec<(String, Type)> =
        variables.iter().map(|(name, _, type_)| ((*name).to_owned(), type_.clone())).collect();
    let program = match Program::compile_with(expression, &types, Options { patches: true }) {
        Ok(program) => program,
        Err(error) => return error,
    };
    let values: Variables<'_> = variables.iter().map(|(name, value, _)| ((*name).into(), Ok(value.clone()))).collect();
    match program.run(&values, &mut Budget::default()) {
        Ok(Val::Bool(value)) => value.to_string(),
        Ok(other) => format!("{other:?}"),
        Err(error) => error.to_string(),
    }
}

fn check(expression: &str, expected: &str) {
    let found = run(expression, &[]);
    assert!(found == expected || (expected.len() > 4 && found.contains(expected)), "{expression}: {found}");
}

#[test]
fn lists() {
    for expression in [
        "lists.range(4) == [0, 1, 2, 3]",
        "[[1], [2, 3]].flatten() == [1, 2, 3]",
        "[[[1]], [[2]]].flatten(2) == [1, 2]",
        "[3, 1, 2].sort() == [1, 2, 3]",
        "['ccc', 'a', 'bb'].sortBy(x, x.size()) == ['a', 'bb', 'ccc']",
        "[1, 2, 3].first().value() == 1 && [1, 2, 3].last().value() == 3 && ![].first().hasValue()",
        "optional.unwrap([optional.of(1), optional.none()]) == [1]",
        "[optional.of(1), optional.none()].unwrapOpt() == [1]",
        "[1, 2, 2].distinct() == [1, 2] && [1, 2].reverse() == [2, 1] && [1, 2, 3].slice(1, 3) == [2, 3]",
        "{'a': 1}.transformMap(k, v, v + 1) == {'a': 2}",
        "{'a': 'b'}.transformMapEntry(k, v, {v: k}) == {'b': 'a'}",
    ] {
        check(expression, "true");
    }
    check("[1].slice(1, 0) == []", "cannot slice(1, 0), start index must be less than or equal to end index");
    check("[1].slice(-1, 0) == []", "cannot slice(-1, 0), negative indexes not supported");
    check("[1].slice(0, 2) == []", "cannot slice(0, 2), list is length 1");
    check("[[1]].flatten(-1) == []", "level must be non-negative");
}

#[test]
fn literals_are_checked() {
    check("duration('x') == duration('1s')", "ERROR: <input>:1:10: invalid duration argument");
    check("timestamp('x') == timestamp('y')", "ERROR: <input>:1:11: invalid timestamp argument");
    check("'a'.matches('(')", "ERROR: <input>:1:13: invalid matches argument");
    check("[1, 'a'] == []", "ERROR: <input>:1:5: expected type 'int' but found 'string'");
}

#[test]
fn patches() {
    check("jsonpatch.escapeKey('a/b~c') == 'a~1b~0c'", "true");
    check("Object{spec: Object.spec{replicas: 1}}.spec.replicas == 1", "true");
    check("!has(Object{?spec: optional.none()}.spec)", "true");
    check("[JSONPatch{op: 'add', path: '/a', value: {'b': 1}}][0].value.b == 1", "true");
    check(
        "JSONPatch{op: 1}.op == ''",
        "ERROR: <input>:1:13: expected type of field 'op' is 'string' but provided type is 'int'",
    );
    check("JSONPatch{nothing: 1}.op == ''", "expected type of field 'nothing' is '' but provided type is 'int'");
    check("1 == 1 && 1", "ERROR: <input>:1:11: expected type 'bool' but found 'int'");
    check(
        "a.b(c)",
        "ERROR: <input>:1:1: undeclared reference to 'a' (in container '')\n | a.b(c)\n | ^\nERROR: <input>:1:4: undeclared reference to 'b'",
    );
    check("Other{} == Other{}", "undeclared reference to 'Other' (in container '')");
    let refused = Program::compile("Object{}", &[]).expect_err("only where patches are made");
    assert!(refused.contains("undeclared reference to 'Object' (in container '')"), "{refused}");
}

/// The type of an expression.
fn check_type(expression: &str, expected: &str) {
    let program = Program::compile_with(expression, &[], Options { patches: true }).expect(expression);
    assert_eq!(program.result().to_string(), expected, "{expression}");
}

#[test]
fn empty_lists_are_of_what_is_wanted() {
    check_type("[]", "list(dyn)");
    check_type("{}", "map(dyn, dyn)");
    check_type("true ? [] : [1]", "list(int)");
    check_type("true ? [1] : []", "list(int)");
    check_type("[] + [JSONPatch{op: 'a'}]", "list(JSONPatch)");
    check_type("(true ? [] : [JSONPatch{op: 'a'}]) + [JSONPatch{op: 'b'}]", "list(JSONPatch)");
    check_type("[[], [1]]", "list(list(int))");
    check_type("[1].map(x, [])", "list(list(dyn))");
    check_type("[1].filter(x, x > 1)", "list(int)");
    check_type("{'a': []}['a']", "list(dyn)");
}

#[test]
fn sets_and_lists_by_key_have_no_order() {
    let (one, other) = (json!([1, 2, 3]), json!([3, 1, 2]));
    let set = Type::list(Type { listed: Listed::Set, ..Kind::Int.into() });
    let values = |type_: &'static Type| {
        [
            ("a", Val::from_json(Box::leak(Box::new(one.clone())), type_), type_.clone()),
            ("b", Val::from_json(Box::leak(Box::new(other.clone())), type_), type_.clone()),
        ]
    };
    let set: &'static Type = Box::leak(Box::new(set));
    assert_eq!(run("a == b && a + [3, 4] == [1, 2, 3, 4]", &values(set)), "true");
    let list: &'static Type = Box::leak(Box::new(Type::list(Kind::Int.into())));
    assert_eq!(run("a != b && (a + [3, 4]).size() == 5", &values(list)), "true");
    let item = Type::object("item", vec![("k", Kind::String.into()), ("v", Kind::Int.into())]);
    let map: &'static Type =
        Box::leak(Box::new(Type::list(Type { listed: Listed::Map(vec!["k".to_owned()].into()), ..item })));
    let keyed: &'static serde_json::Value = Box::leak(Box::new(json!([{"k": "a", "v": 1}, {"k": "b", "v": 2}])));
    let turned: &'static serde_json::Value = Box::leak(Box::new(json!([{"k": "b", "v": 2}, {"k": "a", "v": 1}])));
    let changed: &'static serde_json::Value = Box::leak(Box::new(json!([{"k": "b", "v": 3}])));
    let variables = [
        ("a", Val::from_json(keyed, map), map.clone()),
        ("b", Val::from_json(turned, map), map.clone()),
        ("c", Val::from_json(changed, map), map.clone()),
    ];
    assert_eq!(run("a == b && (a + c).size() == 2 && (a + c)[1].v == 3", &variables), "true");
    assert!(!Val::from_json(keyed, &DYN).equals(&Val::from_json(turned, &DYN)));
}
