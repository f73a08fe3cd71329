//! Tests of the tape.

use super::*;

/// A document with everything in it: nesting, shared keys, unsorted and repeated members, all kinds of scalars.
fn sample() -> Vec<u8> {
    let mut b = Builder::new();
    b.begin_object();
    for (key, text) in [("name", "first"), ("b", "2"), ("name", "last")] {
        b.key(key);
        b.string(text);
    }
    b.key("list");
    b.begin_array();
    b.i64(-1);
    b.u64(u64::MAX);
    b.f64(0.5);
    b.bool(true);
    b.null();
    b.absent();
    for name in ["x", "y"] {
        b.begin_object();
        b.key("name");
        b.string(name);
        b.end_object();
    }
    b.end_array();
    b.key("a/~");
    b.begin_object();
    b.end_object();
    b.end_object();
    b.finish().expect("well-formed")
}

#[test]
fn reading() {
    let bytes = sample();
    let root = Tape::new(&bytes).expect("verified").root();
    assert_eq!(root.get("name").as_str(), Some("last"));
    assert!(root.get("name").is_str("last") && !root.get("name").is_str("first"));
    assert_eq!(root.len(), 4);
    assert_eq!(root.entries().map(|(key, _)| key).collect::<Vec<_>>(), ["a/~", "b", "list", "name"]);
    let list = root.get("list");
    assert_eq!((list.index(0).as_i64(), list.index(0).as_u64(), list.index(0).as_f64()), (Some(-1), None, Some(-1.0)));
    assert_eq!((list.index(1).as_i64(), list.index(1).as_u64()), (None, Some(u64::MAX)));
    assert_eq!(list.index(2).as_f64(), Some(0.5));
    assert_eq!(list.index(3).as_bool(), Some(true));
    assert!(list.index(4).is_null() && !list.index(4).is_absent() && list.index(4).is_none());
    assert!(list.index(5).is_absent() && list.index(99).is_absent());
    assert_eq!(list.iter().count(), 8);
    for (pointer, expected) in
        [("/list/7/name", Some("y")), ("/list/07/name", None), ("/b", Some("2")), ("/none/x", None), ("b", None)]
    {
        assert_eq!(root.pointer(pointer).as_str(), expected, "{pointer}");
    }
    assert_eq!(root.pointer("/a~1~0").kind(), Kind::Object);
    assert_eq!(root.pointer("").kind(), Kind::Object);
    assert!(ValueRef::ABSENT.get("x").index(1).pointer("/a").is_absent());
}

#[test]
fn large_objects_are_searched_by_halves() {
    let mut b = Builder::new();
    b.begin_object();
    for number in 0..1000 {
        b.key(&format!("k{number}"));
        b.i64(number);
    }
    b.end_object();
    let bytes = b.finish().expect("well-formed");
    let root = Tape::new(&bytes).expect("verified").root();
    for number in 0..1000 {
        assert_eq!(root.get(&format!("k{number}")).as_i64(), Some(number));
    }
    assert!(root.get("k1000").is_absent() && root.get("").is_absent() && root.get("z").is_absent());
}

#[test]
fn repeated_members_leave_a_valid_tape() {
    let mut b = Builder::new();
    b.begin_array();
    for _ in 0..3 {
        b.begin_object();
        for value in 0..3 {
            b.key("k");
            b.begin_object();
            b.key("inner");
            b.i64(value);
            b.key("inner");
            b.begin_array();
            b.i64(value);
            b.end_array();
            b.end_object();
        }
        b.end_object();
    }
    b.end_array();
    let bytes = b.finish().expect("well-formed");
    let root = Tape::new(&bytes).expect("verified").root();
    for item in root.iter() {
        assert_eq!((item.len(), item.pointer("/k/inner/0").as_i64()), (1, Some(2)));
    }
}

#[test]
fn joined_and_copied() {
    let bytes = sample();
    let tape = Tape::trusted(&bytes);
    let joined = join([tape, tape]).expect("joined");
    let root = Tape::new(&joined).expect("verified").root();
    assert_eq!(root.len(), 2);
    assert_eq!(root.pointer("/1/list/6/name").as_str(), Some("x"));
    let mut b = Builder::new();
    b.value(root);
    let copy = b.finish().expect("copied");
    assert_eq!(format!("{:?}", Tape::new(&copy).expect("verified").root()), format!("{root:?}"));
}

#[test]
fn builder_errors() {
    let check = |build: &dyn Fn(&mut Builder), expected: Error| {
        let mut builder = Builder::new();
        build(&mut builder);
        assert_eq!(builder.finish(), Err(expected));
    };
    check(&|_| {}, Error::Shape);
    check(&|b| (b.null(), b.null()).0, Error::Shape);
    check(&|b| b.begin_array(), Error::Shape);
    check(&|b| b.end_object(), Error::Shape);
    check(&|b| b.key("a"), Error::Shape);
    check(&|b| (b.begin_object(), b.null(), b.end_object()).0, Error::Shape);
    check(&|b| (b.begin_array(), b.end_object()).0, Error::Shape);
    check(&|b| (0..=MAX_DEPTH).for_each(|_| b.begin_array()), Error::Depth);
}

#[test]
fn depth_is_bounded() {
    let nest = |depth: usize| {
        let mut b = Builder::new();
        (0..depth).for_each(|_| b.begin_array());
        (0..depth).for_each(|_| b.end_array());
        b.finish()
    };
    assert!(nest(MAX_DEPTH).is_ok_and(|bytes| Tape::new(&bytes).is_ok()));
    assert_eq!(nest(MAX_DEPTH + 1), Err(Error::Depth));
}

#[test]
fn refused_buffers() {
    let good = sample();
    let check = |change: &dyn Fn(&mut Vec<u8>), what: &str| {
        let mut bytes = good.clone();
        change(&mut bytes);
        assert!(Tape::new(&bytes).is_err(), "{what}");
    };
    check(&|b| b.clear(), "empty");
    check(&|b| b[0] ^= 1, "magic");
    check(&|b| b[4] ^= 2, "version");
    check(&|b| b[6] ^= 1, "flags");
    check(&|b| b.truncate(b.len() - 4), "cut off");
    check(&|b| b.extend([0; 4]), "longer than it says");
    check(&|b| b[12] ^= 4, "root");
    // An array whose two items are one value, as the bricks of exponential documents would be.
    let mut shared = Vec::new();
    for word in [u32::from_le_bytes(*b"PTAP"), 1, 36, 24, 1, 1, 8 | 2 << 4, 4, 4] {
        shared.extend_from_slice(&u32::to_le_bytes(word));
    }
    assert_eq!(Tape::new(&shared).map(|_| ()), Err(Error::Reference(24)));
}

fn visit(value: ValueRef<'_>, budget: &mut usize) {
    if *budget == 0 {
        return;
    }
    *budget -= 1;
    let _ = (
        value.as_str(),
        value.as_i64(),
        value.as_u64(),
        value.as_f64(),
        value.as_bool(),
        value.get("name"),
        value.index(1),
    );
    for item in value.iter().chain(value.entries().map(|(_, member)| member)) {
        if *budget == 0 {
            return;
        }
        visit(item, budget);
    }
}

/// Whatever the bytes are, nothing panics, and what is verified is walked to its end in as many steps as it has bytes.
#[test]
fn mutated_buffers() {
    let good = sample();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let mut accepted = 0;
    for _ in 0..200_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + next() % 4 {
            let at = next() % bytes.len();
            bytes[at] = match next() % 3 {
                0 => next() as u8,
                1 => bytes[at] ^ 1 << (next() % 8),
                _ => bytes[next() % bytes.len()],
            };
        }
        if next() % 8 == 0 {
            bytes.truncate(next() % bytes.len());
        }
        let mut budget = 100;
        visit(Tape::trusted(&bytes).root(), &mut budget);
        if let Ok(tape) = Tape::new(&bytes) {
            accepted += 1;
            let mut budget = bytes.len();
            visit(tape.root(), &mut budget);
            assert!(budget > 0, "a verified tape has fewer values than bytes");
        }
    }
    assert!(accepted > 0, "some mutations, of a letter say, leave the tape valid");
}
