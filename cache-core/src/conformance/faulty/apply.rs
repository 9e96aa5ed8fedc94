//! Faulty appliers.

use std::fs;

use async_trait::async_trait;

use crate::conformance::blob::{ALL, read_range};
use crate::conformance::faulty::{Fault, Faulty};
use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::media_type::MediaType;
use crate::ports::{Applied, Applier, ApplyOptions, ApplySource, Mount};

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: Applier + ?Sized> Applier for Faulty<T> {
    async fn apply(
        &self,
        descriptor: &Descriptor,
        source: ApplySource,
        mounts: &[Mount],
        options: &ApplyOptions,
    ) -> Result<Applied> {
        let (mut descriptor, mut options, mut mounts, mut source) =
            (descriptor.clone(), options.clone(), mounts.to_vec(), source);
        match self.fault {
            Fault::UnpacksNothing => mounts.clear(),
            Fault::IgnoresExpectedDiffId => options.expected_diff_id = None,
            Fault::TrustsBlobs => {
                if let ApplySource::Reader(reader) = &source {
                    let blob = read_range(&**reader, ALL).await?;
                    descriptor = Descriptor::of(descriptor.media_type, &blob);
                    source = ApplySource::Reader(Box::new(blob));
                }
            }
            Fault::UnpacksOneCompression if descriptor.media_type != MediaType::OCI_LAYER => mounts.clear(),
            Fault::TouchesOutside => {
                if let Some(parent) = mounts.first().and_then(|mount| mount.source.parent()) {
                    // Where there is nothing outside there is nothing to touch.
                    let _ = fs::write(parent.join("outside").join("touched"), "!");
                }
            }
            _ => {}
        }
        match (self.inner.apply(&descriptor, source, &mounts, &options).await, self.fault) {
            (Err(_), Fault::SaysUnpacked) => Ok(Applied { diff_id: descriptor.digest, size: descriptor.size }),
            (Ok(applied), Fault::SaysBlobDigest) => Ok(Applied { diff_id: descriptor.digest, ..applied }),
            (Ok(applied), Fault::ForgetsTrailingBytes) => Ok(Applied { size: applied.size - 1024, ..applied }),
            (applied, _) => applied,
        }
    }
}
