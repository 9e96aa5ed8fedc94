//! A content store of your own and the suite that tries it: `own_store` prints every check with its outcome.
//!
//! What is your own is where the bytes lie, here a map. All else comes from [`DriverContent`] and from backends that an
//! embedder has anyway.
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::conformance::content::{CHECKS, ContentSubject};
use cache_core::conformance::{SuiteClock, Unmet, block_on};
use cache_core::driver::{DriverContent, StorageDriver};
use cache_core::memory::{ManualClock, Memory};
use cache_core::ports::ByteStream;
use cache_core::{Error, ErrorKind, Result};
use futures::stream::{StreamExt, iter};

/// Objects in memory, by name.
#[derive(Debug, Default)]
struct Objects(Mutex<BTreeMap<String, Vec<u8>>>);

impl Objects {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StorageDriver for Objects {
    async fn append(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.lock().entry(name.to_owned()).or_default().extend(bytes);
        Ok(())
    }

    async fn sync(&self, _name: &str) -> Result<()> {
        Ok(())
    }

    async fn read(&self, name: &str, range: Range<u64>) -> Result<ByteStream> {
        let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
        let found = self.lock().get(name).and_then(|object| object.get(start..end)).map(Bytes::copy_from_slice);
        let bytes = found.ok_or_else(|| Error::new(ErrorKind::NotFound, "read object", name))?;
        Ok(iter([Ok(bytes)]).boxed())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.lock().remove(name);
        Ok(())
    }
}

/// An empty store, with the leases and the metadata of backends that exist already.
fn subject() -> ContentSubject {
    let clock = Arc::new(ManualClock::default());
    let memory = Memory::new(clock.clone());
    let store = DriverContent::new(Arc::new(Objects::default()), memory.leases.clone(), memory.metadata, clock.clone());
    ContentSubject::new(Arc::new(store), memory.leases, SuiteClock::Manual(clock))
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
