//! The layercache tool.
fn main() {}
