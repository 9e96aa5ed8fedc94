//! Fresh names of records.

use std::hash::{BuildHasher, RandomState};

use crate::digest::Digest;

/// Hexadecimal digits of a name: 128 bits, so that names of different processes do not meet.
const DIGITS: usize = 32;

/// A name that no other call gives, in this process or another. The standard library seeds a `RandomState` with 128 bits
/// from the operating system and gives each one another key.
pub(super) fn fresh() -> String {
    let [first, second, third] = [0, 1, 2].map(|number: u8| RandomState::new().hash_one(number));
    let mut name = Digest::of(format!("{first} {second} {third} {}", std::process::id())).hex();
    name.truncate(DIGITS);
    name
}
