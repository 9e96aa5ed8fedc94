//! A content store of your own and the suite that tries it: `own_store` prints every check with its outcome.
//!
//! The store is a map: [`blobs`] reads it, [`drafts`] and [`writer`] fill it.
#![allow(clippy::print_stdout, reason = "a program prints")]

mod blobs;
mod drafts;
mod writer;

use std::sync::Arc;

use cache_core::conformance::content::{CHECKS, ContentSubject};
use cache_core::conformance::{SuiteClock, Unmet, block_on};
use cache_core::memory::{ManualClock, Memory};

use blobs::Store;

/// An empty store with the leases of a manager that exists already, as an embedder's would.
fn subject() -> ContentSubject {
    let clock = Arc::new(ManualClock::default());
    let leases = Memory::new(clock.clone()).leases;
    let store = Store::new(leases.clone(), clock.clone());
    ContentSubject::new(Arc::new(store), leases, SuiteClock::Manual(clock))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut violations = 0;
    for check in CHECKS {
        match block_on((check.run)(subject())) {
            Ok(()) => println!("ok       {}", check.name),
            Err(Unmet::NotApplicable { needs }) => println!("skipped  {} (needs {needs})", check.name),
            Err(Unmet::Violated(violation)) => {
                violations += 1;
                println!("violated {}: {violation}", check.name);
            }
        }
    }
    if violations == 0 { Ok(()) } else { Err(format!("{violations} of {} checks", CHECKS.len()).into()) }
}
