//! `layercache image`: images in layouts and archives.

use std::path::Path;
use std::sync::Arc;

use cache_blobs::remote::{Remote, RemoteLayer};
use cache_core::ports::Pool;
use cache_core::{Digest, MediaType, ThreadPool};
use exporter_image::source::{ImageSource, LoadOptions, SourceImage};
use pollster::block_on;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::args::Image;
use crate::failure::Failure;
use crate::output::Format;
use crate::{checkout, session};

pub(crate) fn run(command: &Image) -> Result<(), Failure> {
    match command {
        Image::Inspect { source, json } => inspect(source, Format::of(*json)),
        Image::Unpack { source, store, into, json } => unpack(source, store, into, Format::of(*json)),
        Image::Copy(_) => Err(Failure::usage("image copy is not built yet")),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LayerReport {
    digest: Digest,
    media_type: MediaType,
    size: u64,
    #[serde(rename = "diffID")]
    diff_id: Digest,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    digest: Digest,
    media_type: MediaType,
    config: Box<RawValue>,
    layers: Vec<LayerReport>,
    platforms: Vec<String>,
}

/// What `source` stands for, as docs/cli.md spells it.
pub(crate) fn place(source: &str) -> Result<ImageSource, Failure> {
    if source.starts_with("registry:") {
        return Err(Failure::usage("registry: is not built yet; built are oci:, oci-archive: and docker-archive:"));
    }
    source.parse().map_err(|_| {
        Failure::usage(format!(
            "{source:?} is none of oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME]"
        ))
    })
}

/// Opens the image that `source` stands for.
pub(crate) async fn open(source: &str, pool: &Arc<dyn Pool>) -> Result<SourceImage, Failure> {
    let opened = place(source)?.open(pool, &LoadOptions::default()).await;
    opened.map_err(|error| Failure::while_doing(format!("open the image {source}"), error))
}

/// The layers of `image` with where they come from.
pub(crate) fn remote(image: &SourceImage) -> Remote {
    let layer = |layer: &cache_core::Layer| RemoteLayer { layer: layer.clone(), provider: Arc::clone(&image.provider) };
    Remote::new(image.layers.iter().map(layer).collect())
}

fn inspect(source: &str, format: Format) -> Result<(), Failure> {
    let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
    let image = block_on(open(source, &pool))?;
    let config = String::from_utf8_lossy(&image.config.bytes).into_owned();
    let layer = |layer: &cache_core::Layer| LayerReport {
        digest: layer.descriptor.digest,
        media_type: layer.descriptor.media_type.clone(),
        size: layer.descriptor.size,
        diff_id: layer.diff_id,
    };
    let report = Report {
        digest: image.manifest.descriptor.digest,
        media_type: image.manifest.descriptor.media_type.clone(),
        config: RawValue::from_string(config).map_err(|error| Failure::while_doing("print the config", error))?,
        layers: image.layers.iter().map(layer).collect(),
        platforms: image.platforms.iter().map(ToString::to_string).collect(),
    };
    format.print(&report, |report| {
        let mut text = format!("{} {}\n", report.digest, report.media_type);
        for layer in &report.layers {
            text.push_str(&format!("  {} {:>12}  DiffID {}\n", layer.digest, layer.size, layer.diff_id));
        }
        text
    })
}

#[derive(Serialize)]
struct Unpacked {
    digest: Digest,
    layers: usize,
}

fn unpack(source: &str, store: &Path, into: &Path, format: Format) -> Result<(), Failure> {
    place(source)?;
    let store = session::open(store)?;
    checkout::empty_directory(into)?;
    let report = block_on(async {
        let image = open(source, &store.backends.pool).await?;
        checkout::unpack(&store, remote(&image).layers(), into).await?;
        Ok::<_, Failure>(Unpacked { digest: image.manifest.descriptor.digest, layers: image.layers.len() })
    })?;
    format.print(&report, |report| format!("{} with {} layers into {}", report.digest, report.layers, into.display()))
}
