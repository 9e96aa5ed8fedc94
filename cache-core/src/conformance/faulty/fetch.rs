//! Faulty fetchers and resolvers.

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;

use crate::conformance::faulty::reader::{FaultyReader, OpenAgain};
use crate::conformance::faulty::{Fault, Faulty};
use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::ports::{BlobReader, Fetcher, Resolver};

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: Fetcher + ?Sized> Fetcher for Faulty<T> {
    async fn fetch(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        let fetched = self.inner.fetch(descriptor).await?;
        let (inner, named) = (Arc::clone(&self.inner), descriptor.clone());
        let again: OpenAgain = Box::new(move || {
            let (inner, named) = (Arc::clone(&inner), named.clone());
            async move { inner.fetch(&named).await }.boxed()
        });
        Ok(FaultyReader::of(fetched, descriptor, self.fault, again))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: Resolver + ?Sized> Resolver for Faulty<T> {
    async fn resolve(&self, name: &str) -> Result<Option<Descriptor>> {
        let resolved = self.inner.resolve(name).await?;
        match (self.fault, resolved) {
            (Fault::ResolvesAnything, None) => Ok(Some(Descriptor::of(crate::MediaType::OCI_INDEX, name.as_bytes()))),
            (Fault::ResolvesWithoutSize, Some(found)) => Ok(Some(Descriptor { size: 0, ..found })),
            (_, resolved) => Ok(resolved),
        }
    }
}
