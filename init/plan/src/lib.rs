//! The Plan.
#![no_std]
#![forbid(unsafe_code)]
