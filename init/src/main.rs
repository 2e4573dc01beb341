//! vial-init.
fn main() {}
