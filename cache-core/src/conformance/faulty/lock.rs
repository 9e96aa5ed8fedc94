//! Faulty locks.

use std::mem::ManuallyDrop;

use async_trait::async_trait;

use crate::conformance::executor::pause;
use crate::conformance::faulty::{Fault, Faulty};
use crate::error::Result;
use crate::ports::{LockGuard, LockMode, Locks};

/// A guard that guards nothing.
#[derive(Debug)]
struct Nothing;

impl LockGuard for Nothing {}

/// A guard that never lets go.
#[derive(Debug)]
struct Clinging(#[expect(dead_code, reason = "it is held and never dropped")] ManuallyDrop<Box<dyn LockGuard>>);

impl LockGuard for Clinging {}

impl<T: ?Sized> Faulty<T> {
    fn lock_name<'a>(&self, name: &'a str) -> std::borrow::Cow<'a, str> {
        match self.fault {
            Fault::AcceptsEmptyKey if name.is_empty() => "the empty name".into(),
            Fault::FoldsCaseOfKeys => name.to_lowercase().into(),
            _ => name.into(),
        }
    }

    fn lock_mode(&self, mode: LockMode) -> LockMode {
        match self.fault {
            Fault::LocksOnlyShared => LockMode::Shared,
            Fault::LocksOnlyExclusive => LockMode::Exclusive,
            _ => mode,
        }
    }

    fn guard(&self, guard: Box<dyn LockGuard>) -> Box<dyn LockGuard> {
        if self.has(Fault::NeverUnlocks) { Box::new(Clinging(ManuallyDrop::new(guard))) } else { guard }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: Locks + ?Sized> Locks for Faulty<T> {
    async fn acquire(&self, name: &str, mode: LockMode) -> Result<Box<dyn LockGuard>> {
        let (name, mode) = (self.lock_name(name), self.lock_mode(mode));
        match self.fault {
            Fault::AcquireDoesNotWait => {
                let guard = self.inner.try_acquire(&name, mode).await?;
                Ok(guard.unwrap_or_else(|| Box::new(Nothing)))
            }
            Fault::DroppedWaitHolds => {
                // The wait goes on when it is dropped, and nobody will ever let go of what it gets.
                let mut wait = ManuallyDrop::new(self.inner.acquire(&name, mode));
                let guard = futures::future::poll_fn(|context| wait.as_mut().poll(context)).await;
                drop(ManuallyDrop::into_inner(wait));
                guard
            }
            _ => Ok(self.guard(self.inner.acquire(&name, mode).await?)),
        }
    }

    async fn try_acquire(&self, name: &str, mode: LockMode) -> Result<Option<Box<dyn LockGuard>>> {
        let guard = self.inner.try_acquire(&self.lock_name(name), self.lock_mode(mode)).await?;
        Ok(guard.map(|guard| self.guard(guard)))
    }

    async fn holder(&self, name: &str) -> Result<Option<LockMode>> {
        let name = self.lock_name(name);
        match self.fault {
            Fault::LooksByTaking => {
                let guard = self.inner.try_acquire(&name, LockMode::Exclusive).await?;
                pause().await;
                match guard {
                    Some(_) => Ok(None),
                    None => self.inner.holder(&name).await,
                }
            }
            Fault::SeesNoHolder => Ok(None),
            Fault::SeesOnlyExclusive => Ok(self.inner.holder(&name).await?.map(|_| LockMode::Exclusive)),
            _ => self.inner.holder(&name).await,
        }
    }
}
