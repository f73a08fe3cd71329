use portcullis_machinery::structural::Structural;
use serde_json::{Value, json};

use crate::types::of_schema;
use crate::{Budget, Program, Val, Variables};

/// The estimate of an expression, and what it costs when it is run.
fn check(expression: &str, estimate: (u64, u64), actual: u64) {
    let program = Program::compile(expression, &[]).expect(expression);
    assert_eq!((program.min_cost(), program.max_cost()), estimate, "the estimate of {expression}");
    let mut budget = Budget { per_call: u64::MAX, left: u64::MAX };
    program.run(&Variables::default(), &mut budget).expect(expression);
    assert_eq!(u64::MAX - budget.left, actual, "the cost of {expression}");
}

#[test]
fn functions_of_libraries() {
    for accessor in ["getScheme", "getHostname", "getHost", "getPort", "getEscapedPath", "getQuery"] {
        check(&format!("url('https://kubernetes.io/').{accessor}()"), (4, 4), 4);
    }
    for (text, base) in [("192.168.0.1", 2), ("2001:db8:3333:4444:5555:6666:7777:8888", 4)] {
        check(&format!("ip('{text}')"), (base, base), base);
        check(&format!("ip('{text}').family()"), (base + 1, base + 1), base + 1);
        check(&format!("ip('{text}') == ip('192.168.0.1')"), (base + 3, base + 3), base + 3);
        check(
            &format!("ip.isCanonical('{text}')"),
            (base * 2 - u64::from(base == 2), base * 2 - u64::from(base == 2)),
            base * 2 - u64::from(base == 2),
        );
    }
    check("cidr('192.168.0.0/16').masked()", (3, 3), 3);
    check("cidr('192.168.0.0/16').containsCIDR(cidr('192.0.0.0/30'))", (7, 11), 7);
    check("cidr('192.168.0.0/16').containsCIDR('192.0.0.0/30')", (7, 11), 7);
    check("cidr('192.168.0.0/16').containsIP(ip('192.0.0.1'))", (4, 7), 4);
    check("cidr('192.168.0.0/16').containsIP('192.169.0.1')", (5, 8), 5);
    check("'ABCDEFGHIJ abcdefghij'.lowerAscii()", (3, 3), 3);
    check("'ABCDEFGHIJ abcdefghij'.lowerAscii() == 'abcdefghij ABCDEFGHIJ'.lowerAscii()", (7, 9), 9);
    check("strings.quote('ABCDEFGHIJ abcdefghij')", (3, 3), 3);
    check("strings.quote('ABCDEFGHIJ abcdefghij') == strings.quote('ABCDEFGHIJ abcdefghij')", (7, 11), 9);
    for args in ["'123', '456'", "'', 'x'", "'123', ''", "'123', '456', 1"] {
        check(&format!("'abc 123 def 123'.replace({args})"), (3, 3), 3);
    }
    check("'abc 123 def 123'.split(' ', 1)", (3, 3), 3);
    check("'abc 123 def 123'.substring(5, 8)", (2, 2), 2);
    check("'  abc 123 def 123  '.trim()", (2, 2), 2);
    check("'abc 123 def 123'.findAll('123')", (2, 2), 2);
    check("'01234567890123456789012345678901234567890123456789'.indexOf('123')", (5, 5), 5);
}

#[test]
fn lists_of_literals_are_made_once() {
    // The estimate counts the making of the list, which is done when the expression is compiled.
    for call in ["sum()", "isSorted()", "max()", "min()", "indexOf(3)"] {
        check(&format!("[1, 2, 3, 4, 5].{call}"), (15, 15), 5);
    }
    check("3 in [1, 2, 3]", (13, 13), 0);
    check("[duration('1s'), duration('2s')].sum()", (14, 14), 2);
    check("sets.contains([1, 2], [1])", (23, 23), 3);
}

/// The most that a rule on this schema is estimated to cost.
fn check_rule(schema: Value, rule: &str, most: u64) {
    let type_ = of_schema(&Structural::read(&schema), false).expect("a type");
    let program = Program::compile(rule, &[("self".to_owned(), type_)]).expect(rule);
    assert_eq!(program.max_cost(), most, "{rule}");
}

#[test]
fn sizes_come_from_the_schema() {
    let text = |most: u64| json!({"type": "string", "maxLength": most});
    let object = json!({"type": "object", "properties": {
        "n": {"type": "integer"}, "s": text(10), "l": {"type": "array", "maxItems": 5, "items": text(10)},
        "m": {"type": "object", "maxProperties": 4, "additionalProperties": {"type": "integer"}},
    }});
    // A variable and a field cost one each; what has no size in the schema compares for nothing.
    check_rule(object.clone(), "self.n == 1", 2);
    check_rule(object.clone(), "self.n > 1", 3);
    check_rule(object.clone(), "has(self.n)", 1);
    // Four bytes for each character; a tenth of the shorter side.
    check_rule(object.clone(), "self.s == 'abcdefghijklmnopqrstuvwxyz'", 5);
    check_rule(object.clone(), "self.s.startsWith('ab')", 3);
    check_rule(object.clone(), "self.s + self.s == self.s", 4 + 8 + 2 + 4);
    // Five rounds: the condition costs two, a step three and a tenth of two.
    check_rule(object.clone(), "self.l.all(x, x.startsWith('ab'))", 2 + 5 * (2 + 1 + 1 + 1) + 1);
    check_rule(object, "self.m.all(k, k != '')", 2 + 4 * (2 + 1 + 1) + 1);
}

#[test]
fn values_have_the_sizes_of_what_they_hold() {
    let ip = |text: &str| Val::Ip(text.parse().expect("an address"));
    assert_eq!((ip("10.0.0.1").size(), ip("::1").size()), (4, 16));
    assert_eq!(Val::from("äöü").size(), 3);
}
