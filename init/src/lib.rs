//! vial-init.
#![no_std]
