use super::*;
use serde_json::json;

/// Parses a label selector and compares its canonical text, or the start of the error.
fn check(text: &str, expected: Result<&str, &str>) {
    let found = LabelSelector::parse(text).map(|s| s.to_string()).map_err(|status| status.message);
    match (&found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text:?}"),
        (Err(found), Err(expected)) => assert!(found.starts_with(expected), "{text:?}: {found}"),
        _ => panic!("{text:?}: {found:?}"),
    }
}

#[test]
fn label_selectors() {
    check("", Ok(""));
    check("a=b", Ok("a=b"));
    check("b==c, a!=d ,!x,y", Ok("a!=d,b==c,!x,y"));
    check("x in (foo,,baz),y,z notin ()", Ok("x in (,baz,foo),y,z notin ()"));
    check("in in (in,notin)", Ok("in in (in,notin)"));
    check("i>0,i<5", Ok("i>0,i<5"));
    check("a=", Ok("a="));
    check("i in (", Err("unable to parse requirement: found '', expected: ',', ')' or identifier"));
    check("a=b=c", Err("found '=', expected: ',' or 'end of string'"));
    check("a b c", Err("unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"));
    check("a,", Err("found '', expected: identifier after ','"));
    check(",a", Err("found ',', expected: !, identifier, or 'end of string'"));
    check("i=-x-", Err("unable to parse requirement: values[0][i]: Invalid value: \"-x-\": a valid label must be"));
    check(
        "i>x",
        Err("unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value"),
    );
    check("-a=b", Err("unable to parse requirement: <nil>: Invalid value: \"-a\": name part must consist of"));
    check("!", Err("unable to parse requirement: found '', expected: identifier"));
}

fn check_match(text: &str, expected: bool) {
    let labels = json!({"metadata": {"labels": {"app": "web", "n": "7", "empty": ""}}});
    assert_eq!(LabelSelector::parse(text).expect(text).matches_object(&labels), expected, "{text:?}");
}

#[test]
fn label_matches() {
    for text in
        ["", "app", "app=web", "app in (db,web)", "app!=db", "x!=y", "!x", "n>6", "n<8", "empty=", "x notin (a)"]
    {
        check_match(text, true);
    }
    for text in ["x", "app=db", "app notin (web)", "!app", "n>7", "n<7", "app>1", "x>1", "x=", "app,x"] {
        check_match(text, false);
    }
}

#[test]
fn label_selector_objects() {
    let check = |value: serde_json::Value, expected: Result<&str, &str>| {
        let found = LabelSelector::from_object(Some(&value)).map(|s| s.to_string());
        assert_eq!(found.as_deref().map_err(|e| e.get(..20).unwrap_or(e)), expected, "{value}");
    };
    check(json!({}), Ok(""));
    check(json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "Exists"}]}), Ok("a=b,c"));
    check(json!({"matchExpressions": [{"key": "c", "operator": "In", "values": ["2", "1"]}]}), Ok("c in (1,2)"));
    check(json!({"matchExpressions": [{"key": "c", "operator": "in"}]}), Err("\"in\" is not a valid "));
    check(json!({"matchExpressions": [{"key": "c", "operator": "In"}]}), Err("values: Invalid valu"));
    assert!(!LabelSelector::from_object(None).expect("nothing").matches(|_| None));
}

#[test]
fn field_selectors() {
    let check = |text: &str, expected: Result<&str, &str>| {
        let found = FieldSelector::parse(text).map(|s| s.to_string()).map_err(|status| status.message);
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text:?}");
    };
    check("", Ok(""));
    check("spec.nodeName=n1,metadata.name!=x", Ok("metadata.name!=x,spec.nodeName=n1"));
    check("a==b", Ok("a=b"));
    check(r"a=x\,y\=z\\", Ok(r"a=x\,y\=z\\"));
    check("metadata.name", Err("invalid selector: 'metadata.name'; can't understand 'metadata.name'"));
    check("a=b=c", Err("invalid field selector: unescaped character in value: 61"));
    check(r"a=\x", Err(r"invalid field selector: invalid escape sequence: \x"));
    check("a=\\", Err("invalid field selector: invalid escape sequence: \\"));
    let selector = FieldSelector::parse("a=1,b!=2").expect("selector");
    assert!(selector.matches(|field| if field == "a" { Some("1") } else { None }));
    assert!(!selector.matches(|_| Some("2")));
    assert_eq!((selector.required("a"), selector.required("b")), (Some("1"), None));
}

#[test]
fn any_text_is_answered() {
    let alphabet: Vec<char> = "ab=!<>(), \\\t/-.é\0in".chars().collect();
    let mut state = 11_u64;
    for _ in 0..50_000 {
        let length = state % 16;
        let text: String = (0..length)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                alphabet[(state >> 33) as usize % alphabet.len()]
            })
            .collect();
        state = state.wrapping_add(1);
        if let Ok(selector) = LabelSelector::parse(&text) {
            assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector), "{text:?}");
        }
        if let Ok(selector) = FieldSelector::parse(&text) {
            assert!(FieldSelector::parse(&selector.to_string()).is_ok(), "{text:?}");
        }
    }
}
