//! Suites that say whether an implementation keeps the contract of its port.
//!
//! Every suite has one macro, its entry point, which takes a factory of fresh subjects and makes one `#[test]` of every
//! check. The checks are public functions too, and each suite lists its own in `CHECKS`. They are futures that any
//! executor can poll, and report a broken promise as a [`Violation`].
//!
//! ```
//! use std::sync::Arc;
//! use cache_core::conformance::{SuiteClock, content::ContentSubject};
//! use cache_core::memory::{ManualClock, Memory};
//!
//! fn my_store() -> ContentSubject {
//!     let clock = Arc::new(ManualClock::default());
//!     let memory = Memory::new(clock.clone());
//!     ContentSubject::new(memory.content, memory.leases, SuiteClock::Manual(clock))
//! }
//!
//! cache_core::content_conformance!(my_store);
//! # fn main() {}
//! ```
//!
//! [`Faulty`] breaks one promise of an implementation at a time, and [`prove`] shows with it that every check can fail.
//! The tests of this crate do so for all suites, with one or more faults for each check.

mod blob;
mod check;
mod clock;
mod executor;
mod patience;
mod proof;
mod require;
mod sample;
#[macro_use]
mod suite;
#[cfg(target_os = "linux")]
mod tree;

#[cfg(target_os = "linux")]
pub mod apply;
#[cfg(target_os = "linux")]
pub mod bundle;
pub mod collector;
pub mod content;
#[cfg(target_os = "linux")]
pub mod diff;
pub mod export;
mod faulty;
pub mod fetch;
pub mod image;
pub mod lease;
pub mod lock;
pub mod metadata;
#[cfg(target_os = "linux")]
pub mod mount;
#[cfg(target_os = "linux")]
pub mod snapshot;

pub use check::{Check, Outcome, Unmet, Violation};
pub use clock::SuiteClock;
pub use executor::block_on;
pub use faulty::{Fault, Faulty};
pub use proof::{Unproven, prove};
