//! `layercache images`: image names.

use std::collections::BTreeSet;

use cache_blobs::embedded::Embedded;
use cache_core::ports::{Collector, ImageStore, Manager};
use cache_core::{Digest, Timestamp, annotation};
use pollster::block_on;
use serde::Serialize;

use crate::args::Images;
use crate::failure::Failure;
use crate::output::Format;
use crate::session;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    name: String,
    digest: Digest,
    media_type: cache_core::MediaType,
    updated_at: Timestamp,
}

#[derive(Serialize)]
struct Report {
    images: Vec<Named>,
}

pub(crate) fn run(arguments: &Images) -> Result<(), Failure> {
    let store = session::open_existing(&arguments.store)?;
    let images = block_on(async {
        if let Some(name) = &arguments.remove {
            if !store.local.images.delete(name).await? {
                return Err(Failure::work(format!("there is no image {name:?}")));
            }
            store.local.collector.collect().await?;
        }
        Ok(store.local.images.list().await?)
    })?;
    let named = |image: cache_core::ports::Image| Named {
        name: image.name,
        digest: image.target.digest,
        media_type: image.target.media_type,
        updated_at: image.updated_at,
    };
    let report = Report { images: images.into_iter().map(named).collect() };
    Format::of(arguments.json).print(&report, |report| {
        report.images.iter().map(|image| format!("{}  {}\n", image.digest, image.name)).collect()
    })
}

/// The blobs that image names hold, by the labels of their manifests.
pub(crate) async fn blobs(store: &Embedded) -> cache_core::Result<BTreeSet<Digest>> {
    let mut waiting: Vec<Digest> = store.local.images.list().await?.iter().map(|image| image.target.digest).collect();
    let mut blobs = BTreeSet::new();
    while let Some(digest) = waiting.pop() {
        if !blobs.insert(digest) {
            continue;
        }
        let Some(info) = store.local.content.info(&digest).await? else { continue };
        let held = info.labels.iter().filter(|(key, _)| key.starts_with(annotation::GC_REF_CONTENT));
        waiting.extend(held.filter_map(|(_, value)| value.parse::<Digest>().ok()));
    }
    Ok(blobs)
}
