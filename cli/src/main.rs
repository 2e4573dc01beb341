//! vial.
fn main() {}
