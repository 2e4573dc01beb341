//! vial.
#![forbid(unsafe_code)]
