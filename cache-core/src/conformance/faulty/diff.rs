//! Faulty differs.

use async_trait::async_trait;

use crate::compression::CompressionConfig;
use crate::conformance::faulty::{Fault, Faulty};
use crate::digest::Digest;
use crate::error::Result;
use crate::layer::Layer;
use crate::ports::{DiffOptions, Differ, LayerMode, Lease, LeaseOptions, Mount, ParentDiff, ParentDiffer};

impl<T: ?Sized> Faulty<T> {
    /// Options as a differ that does not heed them has them.
    fn heeded(&self, options: &DiffOptions) -> DiffOptions {
        let mut options = options.clone();
        match self.fault {
            Fault::IgnoresCompression => options.compression = CompressionConfig::uncompressed(),
            Fault::SupportsEverything => {
                options.compression = CompressionConfig::uncompressed();
                options.layer_mode = LayerMode::Linux;
                options.variants.clear();
            }
            Fault::IgnoresEpoch => options.epoch = None,
            Fault::ForgetsVariants => options.variants.clear(),
            _ => {}
        }
        options
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: Differ + ?Sized> Differ for Faulty<T> {
    fn supports(&self, options: &DiffOptions) -> bool {
        self.has(Fault::SupportsEverything) || self.inner.supports(options)
    }

    async fn diff(
        &self,
        lease: &Lease,
        key: &str,
        lower: &[Mount],
        upper: &[Mount],
        options: &DiffOptions,
    ) -> Result<Layer> {
        let (mut lower, mut upper) = (lower, upper);
        match self.fault {
            Fault::ForgetsLower => lower = &[],
            Fault::ComparesUpperAlone => lower = upper,
            Fault::ComparesBackwards => (lower, upper) = (upper, lower),
            Fault::IgnoresMissingTrees => {
                let is_there = |mounts: &[Mount]| mounts.iter().all(|mount| mount.source.exists());
                lower = if is_there(lower) { lower } else { &[] };
                upper = if is_there(upper) { upper } else { &[] };
            }
            _ => {}
        }
        let own = match self.fault {
            Fault::AcceptsDeadLease => Some(lease.manager().create(LeaseOptions::default()).await?),
            _ => None,
        };
        let held = own.as_ref().unwrap_or(lease);
        let mut layer = self.inner.diff(held, key, lower, upper, &self.heeded(options)).await?;
        match self.fault {
            Fault::SaysBlobDigest => layer.diff_id = layer.descriptor.digest,
            // As if the tar had never been hashed.
            Fault::SaysNoDiffId => layer.diff_id = Digest::of(""),
            Fault::NamesAnotherBlob => layer.descriptor.digest = Digest::of("another blob"),
            Fault::LeaseNotAttached => {
                let held = lease.manager().resources(lease).await?;
                lease.manager().detach(lease, &held).await?;
            }
            _ => {}
        }
        Ok(layer)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: ParentDiffer + ?Sized> ParentDiffer for Faulty<T> {
    async fn compare_with_parent(&self, lease: &Lease, key: &str, options: &DiffOptions) -> Result<Option<ParentDiff>> {
        let mut known = self.inner.compare_with_parent(lease, key, &self.heeded(options)).await?;
        if let (Some(known), Fault::SaysNoDiffId) = (&mut known, self.fault) {
            known.diff_id = Digest::of("");
        }
        Ok(known)
    }
}
