//! `layercache cache`: remote caches.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use cache_blobs::embedded::Embedded;
use cache_blobs::layout::{LayoutOptions, OciLayout};
use cache_core::ports::{Pool, Progress, TemporaryLease};
use cache_core::{Digest, Layer, MediaType, ThreadPool, Timestamp};
use cache_remote::{
    CacheChains, CacheLayout, DEFAULT_TAG, ExportOptions, ExportOutcome, ImportOptions, ImportedCache, ManifestForm,
    export_to_layout, import_from_layout,
};
use pollster::block_on;
use serde::Serialize;

use crate::args::{Cache, ProgressChoice};
use crate::failure::Failure;
use crate::output::Format;
use crate::progress::progress;
use crate::spec::Spec;
use crate::{checkout, session};

/// Types of docs/cli.md that later work brings.
const PLANNED: [&str; 6] = ["registry", "inline", "s3", "azblob", "gha", "gcs"];

pub(crate) fn run(command: &Cache) -> Result<(), Failure> {
    match command {
        Cache::Inspect { spec, json } => inspect(spec, Format::of(*json)),
        Cache::Copy { from, to, store, json } => copy(from, to, store, Format::of(*json)),
        Cache::Checkout { spec, record, store, into, json } => check_out(spec, record, store, into, Format::of(*json)),
        Cache::Explain(_) => Err(Failure::usage("cache explain is not built yet")),
    }
}

/// The directory and the name of the cache that `spec` stands for.
pub(crate) fn place(spec: &Spec) -> Result<(&str, &str), Failure> {
    if spec.kind() != "local" {
        return Err(spec.unknown_kind(&["local"], &PLANNED));
    }
    spec.accept(&["src", "tag", "digest"])?;
    let name = spec.get("digest").or(spec.get("tag")).unwrap_or(DEFAULT_TAG);
    Ok((spec.require("src")?, name))
}

/// Imports the cache that `spec` stands for.
pub(crate) async fn import(
    spec: &Spec,
    pool: &Arc<dyn Pool>,
    progress: &Arc<dyn Progress>,
) -> Result<ImportedCache, Failure> {
    let (directory, name) = place(spec)?;
    let layout = OciLayout::open(directory, Arc::clone(pool), LayoutOptions::default()).await?;
    let layout = layout.ok_or_else(|| Failure::work(format!("there is no cache in {directory}")))?;
    let options = ImportOptions::default().with_name(spec.text()).with_progress(Arc::clone(progress));
    let imported = import_from_layout(&layout, name, &options).await;
    let imported = imported.map_err(|error| Failure::while_doing(format!("import {}", spec.text()), error))?;
    imported.ok_or_else(|| Failure::work(format!("there is no cache {name:?} in {directory}")))
}

/// Where and how a cache is written.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    directory: String,
    tag: String,
    layout: CacheLayout,
}

/// The attributes of an exported cache that are about its place and form.
pub(crate) const PLACE_KEYS: [&str; 4] = ["dest", "tag", "oci-mediatypes", "image-manifest"];

impl Destination {
    /// Reads `spec`, whose keys beside [`PLACE_KEYS`] are `others`.
    pub(crate) fn of(spec: &Spec, others: &[&str]) -> Result<Self, Failure> {
        if spec.kind() != "local" {
            return Err(spec.unknown_kind(&["local"], &PLANNED));
        }
        spec.accept(&[&PLACE_KEYS, others].concat())?;
        let family = spec.family()?;
        let form = match spec.get("image-manifest") {
            None => None,
            Some(_) if spec.flag("image-manifest", true)? => Some(ManifestForm::ImageManifest),
            Some(_) => Some(ManifestForm::List),
        };
        let layout = CacheLayout::choose(family, form)
            .map_err(|error| Failure::usage(format!("{error} in {:?}", spec.text())))?;
        Ok(Self {
            directory: spec.require("dest")?.to_owned(),
            tag: spec.get("tag").unwrap_or(DEFAULT_TAG).to_owned(),
            layout,
        })
    }

    /// Writes `chains`.
    pub(crate) async fn export(
        &self,
        chains: &CacheChains,
        pool: &Arc<dyn Pool>,
        progress: &Arc<dyn Progress>,
    ) -> Result<Option<(Digest, Vec<String>)>, Failure> {
        let layout = OciLayout::create(&self.directory, Arc::clone(pool), LayoutOptions::default()).await?;
        let options = ExportOptions::default().with_layout(self.layout).with_progress(Arc::clone(progress));
        let exported = export_to_layout(chains, &layout, &self.tag, &options).await;
        let exported =
            exported.map_err(|error| Failure::while_doing(format!("export the cache to {}", self.directory), error))?;
        Ok(match exported {
            ExportOutcome::Empty => None,
            ExportOutcome::Exported(exported) => {
                let warnings = exported.warnings.iter().map(ToString::to_string).collect();
                Some((exported.descriptor.digest, warnings))
            }
        })
    }
}

#[derive(Serialize)]
struct InputReport {
    record: usize,
    selector: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordReport {
    digest: Option<Digest>,
    inputs: Vec<Vec<InputReport>>,
    layers: Option<Vec<Digest>>,
    created_at: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlobReport {
    digest: Digest,
    media_type: MediaType,
    size: u64,
    #[serde(rename = "diffID")]
    diff_id: Option<Digest>,
}

#[derive(Serialize)]
struct Report {
    layout: &'static str,
    digest: Digest,
    records: Vec<RecordReport>,
    blobs: Vec<BlobReport>,
    warnings: Vec<String>,
}

fn inspect(spec: &Spec, format: Format) -> Result<(), Failure> {
    let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
    let cache = block_on(import(spec, &pool, &progress(ProgressChoice::Quiet)))?;
    format.print(&report(&cache), |report| {
        let mut text = format!("{} {}\n", report.digest, report.layout);
        for (index, record) in report.records.iter().enumerate() {
            let digest = record.digest.map_or_else(|| "-".to_owned(), |digest| digest.to_string());
            let inputs: Vec<_> = record.inputs.iter().flatten().map(|input| input.record.to_string()).collect();
            let layers = record.layers.as_ref().map_or(0, Vec::len);
            text.push_str(&format!("{index:>4}  {digest}  {layers:>3} layers  from [{}]\n", inputs.join(", ")));
        }
        text
    })
}

fn report(cache: &ImportedCache) -> Report {
    let config = cache.config();
    let results: Vec<_> = cache
        .keys_in_config()
        .iter()
        .map(|key| key.and_then(|key| cache.results_of(&key).into_iter().next()))
        .collect();
    let record = |(record, result): (&cache_remote::config::CacheRecord, &Option<cache_remote::ImportedResult>)| {
        let input = |input: &cache_remote::config::CacheInput| InputReport {
            record: usize::try_from(input.link).unwrap_or(usize::MAX),
            selector: input.selector.clone(),
        };
        let digests = |result: &cache_remote::ImportedResult| {
            result.remote.layers().iter().map(|layer| layer.layer.descriptor.digest).collect()
        };
        RecordReport {
            digest: record.digest.get(),
            inputs: record.inputs.iter().map(|slot| slot.iter().map(input).collect()).collect(),
            layers: result.as_ref().map(digests),
            created_at: result.as_ref().map(|result| result.created_at),
        }
    };
    let mut blobs = BTreeMap::new();
    for descriptor in &cache.manifest().layers {
        let diff_id = Layer::from_annotated(descriptor.clone()).ok().map(|layer| layer.diff_id);
        blobs.entry(descriptor.digest).or_insert_with(|| BlobReport {
            digest: descriptor.digest,
            media_type: descriptor.media_type.clone(),
            size: descriptor.size,
            diff_id,
        });
    }
    Report {
        layout: cache.manifest().layout.name(),
        digest: cache.descriptor().digest,
        records: config.records.iter().zip(&results).map(record).collect(),
        blobs: blobs.into_values().collect(),
        warnings: cache.warnings().iter().map(ToString::to_string).collect(),
    }
}

#[derive(Serialize)]
struct Copied {
    #[serde(rename = "type")]
    kind: String,
    digest: Option<Digest>,
    warnings: Vec<String>,
}

fn copy(from: &Spec, to: &Spec, store: &Path, format: Format) -> Result<(), Failure> {
    place(from)?;
    let destination = Destination::of(to, &[])?;
    let store = session::open(store)?;
    let progress = progress(ProgressChoice::Quiet);
    let exported = block_on(async {
        let cache = import(from, &store.backends.pool, &progress).await?;
        // Everything is loaded first, so that the copy is verified and does not depend on the source any more.
        let lease = TemporaryLease::create(store.backends.leases.as_ref()).await?;
        for key in cache.keys_in_config().into_iter().flatten() {
            for result in cache.results_of(&key) {
                load(&store, &result.remote, &lease, &progress).await?;
            }
        }
        let exported = destination.export(cache.chains(), &store.backends.pool, &progress).await?;
        lease.release().await?;
        Ok::<_, Failure>(exported)
    })?;
    let (digest, warnings) = exported.unzip();
    let report = Copied { kind: to.kind().to_owned(), digest, warnings: warnings.unwrap_or_default() };
    format.print(&report, |report| match report.digest {
        Some(digest) => digest.to_string(),
        None => "the cache has no layers, so nothing was written".to_owned(),
    })
}

/// Fetches a result into the store, as refs from the bottom up.
pub(crate) async fn load(
    store: &Embedded,
    remote: &cache_blobs::remote::Remote,
    lease: &TemporaryLease,
    progress: &Arc<dyn Progress>,
) -> Result<Vec<cache_core::cache::ImmutableRef>, Failure> {
    let options = cache_remote::LoadOptions::default().with_progress(Arc::clone(progress));
    let loaded = cache_remote::load(remote, &store.cache, lease.lease(), &options).await;
    loaded.map_err(|error| Failure::while_doing("load a cached result", error))
}

#[derive(Serialize)]
struct CheckedOut {
    record: Digest,
    layers: Vec<Digest>,
}

fn check_out(spec: &Spec, record: &Digest, store: &Path, into: &Path, format: Format) -> Result<(), Failure> {
    place(spec)?;
    let store = session::open(store)?;
    checkout::empty_directory(into)?;
    let report = block_on(async {
        let cache = import(spec, &store.backends.pool, &progress(ProgressChoice::Quiet)).await?;
        let keys = cache.keys_of(record);
        if keys.is_empty() {
            return Err(Failure::work(format!("the cache has no record {record}")));
        }
        let results: HashMap<_, _> =
            keys.iter().flat_map(|key| cache.results_of(key)).map(|result| (result.id, result)).collect();
        let newest = results.into_values().max_by_key(|result| (result.created_at, result.id));
        let result = newest.ok_or_else(|| Failure::work(format!("the record {record} has no result")))?;
        checkout::unpack(&store, result.remote.layers(), into).await?;
        let layers = result.remote.layers().iter().map(|layer| layer.layer.descriptor.digest).collect();
        Ok(CheckedOut { record: *record, layers })
    })?;
    format
        .print(&report, |report| format!("{} of {} layers into {}", report.record, report.layers.len(), into.display()))
}
