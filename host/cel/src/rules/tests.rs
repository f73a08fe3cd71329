use portcullis_machinery::structural::Structural;
use serde_json::{Value, json};

use super::{RuleSet, definition};

/// One rule on an object, run on an instance (and an older one): what it says, as `field: message`.
fn check(rule: Value, properties: Value, instance: Value, old: Option<Value>, expected: &[&str]) {
    let schema = json!({"type": "object", "properties": {"spec": {
        "type": "object", "properties": properties, "x-kubernetes-validations": [rule],
    }}});
    let schema = Structural::read(&schema);
    let rules = RuleSet::compile(&schema, true).expect("there is a rule");
    let (instance, old) = (json!({"spec": instance}), old.map(|old| json!({"spec": old})));
    let found = rules.run(&instance, old.as_ref(), &schema);
    let texts: Vec<String> = found.causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
    assert_eq!(texts, expected, "{rule}");
}

fn properties() -> Value {
    json!({
        "n": {"type": "integer"}, "s": {"type": "string"}, "l": {"type": "array", "items": {"type": "integer"}},
        "m": {"type": "object", "additionalProperties": {"type": "string"}}, "io": {"x-kubernetes-int-or-string": true},
        "at": {"type": "string", "format": "date-time"}, "d": {"type": "string", "format": "duration"},
    })
}

#[test]
fn true_rules() {
    let instance = json!({
        "n": 3, "s": "hello-world", "l": [1, 2, 3], "m": {"a": "x", "b": "y"}, "io": "5%",
        "at": "2024-02-03T04:05:06Z", "d": "1h30m",
    });
    for rule in [
        "self.n > 1 && self.n < 10",
        "self.n in self.l",
        "self.s.startsWith('hello') && self.s.size() == 11",
        "self.s.matches('^[a-z]+-[a-z]+$')",
        "self.s.split('-') == ['hello', 'world']",
        "self.s.upperAscii() == 'HELLO-WORLD' && self.s.replace('-', ' ') == 'hello world'",
        "self.s.substring(0, 5) == 'hello' && self.s.indexOf('w') == 6",
        "self.l.all(x, x > 0) && self.l.exists(x, x == 2) && self.l.exists_one(x, x == 3)",
        "self.l.map(x, x * 2) == [2, 4, 6] && self.l.filter(x, x > 1).size() == 2",
        "self.l.all(i, v, v == i + 1)",
        "self.m.all(k, v, v != '' && k != '')",
        "self.m.transformMap(k, v, v + '!')['a'] == 'x!'",
        "self.l.transformList(i, v, i > 0, v * 10) == [20, 30]",
        "self.l.sum() == 6 && self.l.max() == 3 && self.l.isSorted()",
        "has(self.n) && !has(self.m.zz)",
        "self.m.exists(k, k == 'b')",
        "self.?n.orValue(0) == 3 && self.m[?'zz'].orValue('none') == 'none'",
        "self.?n.optMap(x, x + 1).orValue(0) == 4",
        "type(self.io) == string ? self.io.endsWith('%') : self.io > 0",
        "self.at > timestamp('2024-01-01T00:00:00Z') && self.at.getFullYear() == 2024",
        "self.d == duration('90m') && self.d.getMinutes() == 90",
        "url('https://a.example:8080/p?x=1').getHost() == 'a.example:8080' && !isURL('a b')",
        "isIP('10.0.0.1') && ip('::1').family() == 6 && cidr('10.0.0.0/8').containsIP('10.1.2.3')",
        "quantity('1500m').compareTo(quantity('1.5')) == 0 && isQuantity('1Gi') && !isQuantity('x')",
        "semver('1.2.3').isLessThan(semver('1.10.0')) && semver('1.2.3').minor() == 2 && !isSemver('1.2')",
        "!format.dns1123Label().validate('a-b').hasValue()",
        "format.named('dns1123Label').value().validate('A_').hasValue()",
        "self.s.find('[a-z]+$') == 'world' && self.s.findAll('o').size() == 2",
        "sets.contains([1, 2, 3], [2]) && sets.equivalent([1, 1], [1])",
        "'%s has %d'.format([self.s, self.n]) == 'hello-world has 3'",
        "[self.s, 'x'].join(',') == 'hello-world,x'",
        "1 < 1.5 && 2u > 1",
        "self.n == 3 || self.m.zz == ''",
    ] {
        check(json!({"rule": rule}), properties(), instance.clone(), None, &[]);
    }
}

#[test]
fn failures_and_their_words() {
    let of = |n: i64| json!({"n": n, "s": "a", "m": {}});
    check(json!({"rule": "self.n > 5"}), properties(), of(1), None, &["spec: Invalid value: failed rule: self.n > 5"]);
    let rule = json!({"rule": "self.n > 5", "message": "too few", "reason": "FieldValueForbidden", "fieldPath": ".n"});
    check(rule, properties(), of(1), None, &["spec.n: Forbidden: too few"]);
    let rule = json!({"rule": "self.n > 5", "messageExpression": "'got ' + string(self.n)"});
    check(rule, properties(), of(1), None, &["spec: Invalid value: got 1"]);
    let missing = "spec: Invalid value: no such key: zz evaluating rule: self.m.zz == ''";
    check(json!({"rule": "self.m.zz == ''"}), properties(), of(1), None, &[missing]);
    let zero = "spec: Invalid value: division by zero evaluating rule: 1 / (self.n - 1) > 0";
    check(json!({"rule": "1 / (self.n - 1) > 0"}), properties(), of(1), None, &[zero]);
}

#[test]
fn old_values() {
    let of = |n: i64| json!({"n": n});
    let rule = || json!({"rule": "self.n >= oldSelf.n"});
    check(rule(), properties(), of(1), None, &[]);
    check(rule(), properties(), of(2), Some(of(1)), &[]);
    check(rule(), properties(), of(1), Some(of(2)), &["spec: Invalid value: failed rule: self.n >= oldSelf.n"]);
    // Paths tell entries of maps from properties.
    let field = |rules: Value| json!({"type": "object", "properties": {"f": {"x-kubernetes-validations": rules, "type": "string"}}});
    let nested = json!({"m": {"type": "object", "additionalProperties": field(json!([{"rule": "self == 'a'"}]))}});
    let instance = json!({"m": {"x": {"f": "b"}, "y.z": {"f": "c"}}});
    let told = |key: &str| format!("spec.m[{key}].f: Invalid value: failed rule: self == 'a'");
    check(json!({"rule": "true"}), nested, instance, None, &[&told("x"), &told("y.z")]);
    // A value that was there before may break a rule.
    check(json!({"rule": "self.n > 5"}), properties(), of(1), Some(of(1)), &[]);
    let rule = || json!({"rule": "oldSelf.hasValue() || self.n == 1", "optionalOldSelf": true});
    check(rule(), properties(), of(1), None, &[]);
    check(rule(), properties(), of(2), None, &["spec: Invalid value: failed rule: oldSelf.hasValue() || self.n == 1"]);
}

#[test]
fn an_endless_rule_is_cut() {
    let many: Vec<i64> = (0..2000).collect();
    let rule = json!({"rule": "self.l.all(a, self.l.all(b, self.l.all(c, a + b + c >= 0)))", "message": "m"});
    let told = "spec: Invalid value: 'operation cancelled: actual cost limit exceeded': no further validation rules will \
                be run due to call cost exceeds limit for rule: m";
    check(rule, properties(), json!({"l": many}), None, &[told]);
}

/// What a definition with this rule is told, without the places.
fn check_definition(rule: Value, expected: &[&str]) {
    let schema = json!({"type": "object", "properties": {"spec": {
        "type": "object", "properties": properties(), "x-kubernetes-validations": [rule],
    }}});
    let found: Vec<String> =
        definition::check(&Structural::read(&schema), "S", &[]).into_iter().map(|c| c.message).collect();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.ends_with(expected), "{found}\n{expected}");
    }
}

#[test]
fn definitions_are_told() {
    check_definition(json!({"rule": "self.n > 1"}), &[]);
    let at = "compilation failed: ERROR: <input>:1:5: undefined field 'zz'\n | self.zz > 1\n | ....^";
    check_definition(json!({"rule": "self.zz > 1"}), &[at]);
    let overload = "ERROR: <input>:1:8: found no matching overload for '_>_' applied to '(int, string)'\n | self.n > 'a'\n | .......^";
    check_definition(json!({"rule": "self.n > 'a'"}), &[overload]);
    check_definition(json!({"rule": "self.n"}), &["cel expression must evaluate to a bool"]);
    check_definition(
        json!({"rule": "true", "messageExpression": "1"}),
        &["messageExpression must evaluate to a string"],
    );
    let syntax = "ERROR: <input>:1:9: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', \
                  'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | self.n >\n | ........^";
    check_definition(json!({"rule": "self.n >"}), &[syntax]);
    let unbounded = "'got ' + string(self.n)";
    check_definition(
        json!({"rule": "self.n > 1", "messageExpression": unbounded}),
        &[
            "estimated messageExpression cost exceeds budget by factor of more than 100x (try simplifying the rule, or \
             adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)",
            "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema",
            "declared)",
        ],
    );
}
