//! The writer of protobuf messages.
//!
//! A message's length stands before it, so messages are written from their end to their beginning into a buffer that is
//! turned round once at the end: no length is counted twice and nothing is copied between buffers.

/// A buffer that is filled from its end.
pub(crate) struct Back(Vec<u8>);

pub(crate) const VARINT: u32 = 0;
pub(crate) const FIXED64: u32 = 1;
pub(crate) const LENGTH: u32 = 2;

impl Back {
    /// An empty one, with room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// How many bytes are written.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend(bytes.iter().rev());
    }

    pub(crate) fn varint(&mut self, mut value: u64) {
        let (mut digits, mut count) = ([0u8; 10], 0);
        loop {
            let more = value > 0x7f;
            digits[count] = (value & 0x7f) as u8 | if more { 0x80 } else { 0 };
            count += 1;
            value >>= 7;
            if !more {
                break;
            }
        }
        self.bytes(&digits[..count]);
    }

    pub(crate) fn key(&mut self, tag: u32, wire: u32) {
        self.varint(u64::from(tag << 3 | wire));
    }

    /// What `write` writes, with its length and key before it.
    pub(crate) fn nested(&mut self, tag: u32, write: impl FnOnce(&mut Self)) {
        let end = self.0.len();
        write(self);
        self.varint((self.0.len() - end) as u64);
        self.key(tag, LENGTH);
    }

    pub(crate) fn text(&mut self, tag: u32, text: &str) {
        self.nested(tag, |out| out.bytes(text.as_bytes()));
    }

    pub(crate) fn number(&mut self, tag: u32, value: i64) {
        self.varint(value.cast_unsigned());
        self.key(tag, VARINT);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.reverse();
        self.0
    }
}
