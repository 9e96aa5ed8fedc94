//! `--export-cache`: the steps of a build as a remote cache.

use std::sync::Arc;

use cache_blobs::chain::RemoteExt;
use cache_blobs::codec::Codecs;
use cache_blobs::embedded::Embedded;
use cache_core::cache::ImmutableRef;
use cache_core::ports::{Progress, TemporaryLease};
use cache_core::{CompressionConfig, Digest, MediaTypeFamily};
use cache_remote::{Availability, Choice, ExportMode, ExportRecord, ExportResult, RecordKey, assemble, select};

use crate::base::Base;
use crate::build::Step;
use crate::cache::Destination;
use crate::failure::Failure;
use crate::forced::Forced;
use crate::spec::Spec;

/// Where a cache goes and what goes into it.
#[derive(Clone, Debug)]
pub(crate) struct CacheExport {
    kind: String,
    destination: Destination,
    mode: ExportMode,
    compression: CompressionConfig,
    ignore_error: bool,
    forced: Forced,
}

/// The compression that `spec` asks for, in manifests of `family`.
pub(crate) fn compression(spec: &Spec, family: MediaTypeFamily) -> Result<CompressionConfig, Failure> {
    let codecs = Codecs::default();
    let codec = codecs.named(spec.get("compression").unwrap_or("gzip")).map_err(Failure::wrong_argument)?;
    let mut config = CompressionConfig::new(codec.compression());
    if let Some(level) = spec.get("compression-level") {
        let level = level.parse();
        let level =
            level.map_err(|_| Failure::usage(format!("compression-level is no number in {:?}", spec.text())))?;
        config = config.with_level(level);
    }
    codecs.for_family(&config, family).map_err(Failure::wrong_argument)?;
    Ok(if spec.flag("force-compression", false)? { config.forced() } else { config })
}

impl CacheExport {
    pub(crate) fn of(spec: &Spec) -> Result<Self, Failure> {
        let others = ["mode", "compression", "compression-level", "force-compression", "ignore-error"];
        let destination = Destination::of(spec, &others)?;
        let mode = match spec.get("mode") {
            None | Some("min") => ExportMode::Min,
            Some("max") => ExportMode::Max,
            Some(other) => return Err(Failure::usage(format!("mode={other:?} is neither min nor max"))),
        };
        Ok(Self {
            kind: spec.kind().to_owned(),
            destination,
            mode,
            compression: compression(spec, spec.family()?)?,
            ignore_error: spec.flag("ignore-error", false)?,
            forced: Forced::default(),
        })
    }

    /// The compression of its layers, unless the build may go on without this cache: what fails in making it may fail nothing
    /// else then.
    pub(crate) fn needed_compression(&self) -> Option<&CompressionConfig> {
        (!self.ignore_error).then_some(&self.compression)
    }

    /// Has new layers made in what the build forces, too.
    pub(crate) fn expect_forced(&mut self, forced: &Forced) {
        self.forced = forced.clone();
    }

    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    /// Exports the results of `steps`. With `ignore-error` a failure is a warning.
    pub(crate) async fn run(
        &self,
        store: &Embedded,
        steps: &[Step],
        refs: &[Option<ImmutableRef>],
        base: Option<&Base>,
        lease: &TemporaryLease,
        progress: &Arc<dyn Progress>,
    ) -> Result<(Option<Digest>, Vec<String>), Failure> {
        match self.export(store, steps, refs, base, lease, progress).await {
            Ok(Some((digest, warnings))) => Ok((Some(digest), warnings)),
            Ok(None) => Ok((None, Vec::new())),
            Err(failure) if self.ignore_error => Ok((None, vec![failure.chain()])),
            Err(failure) => Err(failure),
        }
    }

    async fn export(
        &self,
        store: &Embedded,
        steps: &[Step],
        refs: &[Option<ImmutableRef>],
        base: Option<&Base>,
        lease: &TemporaryLease,
        progress: &Arc<dyn Progress>,
    ) -> Result<Option<(Digest, Vec<String>)>, Failure> {
        let mut records: Vec<ExportRecord> = base.iter().map(|base| source(base)).collect();
        let offset = records.len();
        for (step, made) in steps.iter().zip(refs) {
            let inputs: Vec<usize> = records.len().checked_sub(1).into_iter().collect();
            let availability = availability(made.as_ref(), store, lease).await?;
            let key = RecordKey::Stable(step.record());
            records.push(ExportRecord::step(key, &inputs, availability));
        }
        let mut choices = select(&records, &[records.len() - 1], self.mode);
        // Without a base the first step links to nothing. BuildKit knows such records as sources only, which have no
        // results; here it is a step like any other.
        if base.is_none() && (self.mode == ExportMode::Max || steps.len() == 1) {
            choices[0] = match records[0].result {
                Availability::None => Choice::RecordOnly,
                Availability::HasBlobs => Choice::TakeResult,
                Availability::NeedsBlobs => Choice::MakeResult,
            };
        }
        let mut results = Vec::with_capacity(records.len());
        for (at, choice) in choices.iter().enumerate() {
            let made = at.checked_sub(offset).and_then(|step| refs[step].as_ref());
            let wanted = matches!(choice, Choice::TakeResult | Choice::MakeResult);
            results.push(match made.filter(|_| wanted) {
                Some(made) => {
                    let options = self.forced.options(&self.compression);
                    let remote = made.ensure_remote(lease.lease(), &store.layers, &options).await?;
                    vec![ExportResult { created_at: made.created_at().to_utc(), remote }]
                }
                None => Vec::new(),
            });
        }
        let chains = assemble(&records, &choices, |at| std::mem::take(&mut results[at]));
        let chains = chains.map_err(|error| Failure::while_doing("assemble the cache", error))?;
        self.destination.export(&chains, &store.backends.pool, progress).await
    }
}

fn source(base: &Base) -> ExportRecord {
    ExportRecord::source(RecordKey::Stable(cache_remote::output_key(&base.cache_map(), 0)))
}

async fn availability(
    made: Option<&ImmutableRef>,
    store: &Embedded,
    lease: &TemporaryLease,
) -> Result<Availability, Failure> {
    let Some(made) = made else { return Ok(Availability::None) };
    Ok(match made.remote(lease.lease(), &store.layers).await? {
        Some(_) => Availability::HasBlobs,
        None => Availability::NeedsBlobs,
    })
}
