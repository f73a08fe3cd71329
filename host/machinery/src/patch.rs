//! The three kinds of patches: JSON patch (RFC 6902), JSON merge patch (RFC 7386), and the API's strategic merge patch.
//! Server-side apply is in [`crate::apply`].

mod json;
mod merge;
mod strategic;

pub use json::json_patch;
pub use merge::merge_patch;
pub use strategic::strategic_merge;

#[cfg(test)]
mod tests;
