//! The binary `runyard`.
fn main() {}
