//! Where in an object something is. A path is a chain of borrowed segments on the stack: nothing is allocated or
//! formatted until an error needs the text, so that checking a good object costs no more than reading it.

use std::fmt;

/// A place in an object, such as `spec.containers[0].name`.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    parent: Option<&'a Field<'a>>,
    part: Part<'a>,
}

#[derive(Clone, Copy)]
enum Part<'a> {
    Name(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Field<'a> {
    /// A path of one or more names from the object's root.
    pub const fn new(name: &'a str) -> Self {
        Field { parent: None, part: Part::Name(name) }
    }

    /// A member of this; `a.b` is a member's member.
    pub fn child<'b>(&'b self, name: &'b str) -> Field<'b>
    where
        'a: 'b,
    {
        Field { parent: Some(self), part: Part::Name(name) }
    }

    /// Whether this is the member `name` of `parent`.
    pub fn is_child_of(&self, parent: &Field, name: &str) -> bool {
        matches!(self.part, Part::Name(part) if part == name)
            && self.parent.is_some_and(|mine| std::ptr::eq(mine, parent))
    }

    /// Whether this is the entry `key` of the properties of `parent`.
    pub fn is_property_of(&self, parent: &Field, key: &str) -> bool {
        let mine = matches!(self.part, Part::Key(part) if part == key);
        mine && self.parent.is_some_and(|list| list.is_child_of(parent, "properties"))
    }

    /// An item of this list.
    pub fn index<'b>(&'b self, index: usize) -> Field<'b>
    where
        'a: 'b,
    {
        Field { parent: Some(self), part: Part::Index(index) }
    }

    /// An entry of this map.
    pub fn key<'b>(&'b self, key: &'b str) -> Field<'b>
    where
        'a: 'b,
    {
        Field { parent: Some(self), part: Part::Key(key) }
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.part {
            Part::Name("") => Ok(()),
            Part::Name(name) => match self.parent {
                Some(Field { parent: None, part: Part::Name("") }) | None => f.write_str(name),
                Some(_) => write!(f, ".{name}"),
            },
            Part::Index(index) => write!(f, "[{index}]"),
            Part::Key(key) => write!(f, "[{key}]"),
        }
    }
}

/// Whatever names a place.
pub trait Place {
    /// The path as text.
    fn text(self) -> String;
}

impl Place for Field<'_> {
    fn text(self) -> String {
        self.to_string()
    }
}

impl Place for &Field<'_> {
    fn text(self) -> String {
        self.to_string()
    }
}

impl Place for &str {
    fn text(self) -> String {
        self.to_owned()
    }
}

impl Place for String {
    fn text(self) -> String {
        self
    }
}
