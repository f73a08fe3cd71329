//! Tests of the Wasm runtime against real components (`target/guests`).
