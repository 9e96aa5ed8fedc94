//! Results of steps in imported caches.

use std::sync::Arc;

use cache_blobs::embedded::Embedded;
use cache_core::cache::ImmutableRef;
use cache_core::ports::{Progress, ProgressEvent, TemporaryLease};
use cache_remote::{ImportedCache, InputKey, KeyId, find_records, output_key};

use crate::base::Base;
use crate::build::Step;
use crate::cache;
use crate::failure::Failure;
use crate::spec::Spec;

/// The caches that a build looks in. One that cannot be read is a warning: a cache never breaks a build.
#[derive(Debug)]
pub(crate) struct ImportedCaches(Vec<(String, ImportedCache)>);

impl ImportedCaches {
    pub(crate) async fn import(specs: &[Spec], store: &Embedded, progress: &Arc<dyn Progress>) -> Self {
        let mut caches = Vec::new();
        for spec in specs {
            match cache::import(spec, &store.backends.pool, progress).await {
                Ok(cache) => caches.push((spec.text().to_owned(), cache)),
                Err(failure) => warn(progress, spec.text(), &failure),
            }
        }
        Self(caches)
    }

    /// The records of `steps` in each cache.
    pub(crate) async fn find<'a>(&'a self, base: Option<&Base>, steps: &[Step]) -> Result<FoundRecords<'a>, Failure> {
        let mut found = Vec::new();
        for (source, cache) in &self.0 {
            let mut below: Option<Vec<KeyId>> = base.map(|base| vec![KeyId::new(output_key(&base.cache_map(), 0))]);
            let mut records = Vec::new();
            for step in steps {
                let inputs: Vec<Vec<InputKey>> = below.iter().map(|sources| links(sources)).collect();
                let keys = match below.as_deref() {
                    Some([]) => Vec::new(),
                    _ => find_records(cache, &step.record(), &inputs).await?,
                };
                below = Some(keys.clone());
                records.push(keys);
            }
            found.push((source.as_str(), cache, records));
        }
        Ok(FoundRecords(found))
    }
}

fn links(sources: &[KeyId]) -> Vec<InputKey> {
    sources.iter().map(|source| InputKey { source: *source, selector: String::new() }).collect()
}

/// The records of each step in each cache.
#[derive(Debug)]
pub(crate) struct FoundRecords<'a>(Vec<(&'a str, &'a ImportedCache, Vec<Vec<KeyId>>)>);

impl FoundRecords<'_> {
    /// The result of the step `at` from the first cache that can give it, and where it came from. A result that cannot be
    /// loaded is a miss with a warning.
    pub(crate) async fn load(
        &self,
        at: usize,
        store: &Embedded,
        lease: &TemporaryLease,
        progress: &Arc<dyn Progress>,
    ) -> Option<(String, ImmutableRef)> {
        for (source, cache, records) in &self.0 {
            for key in &records[at] {
                for result in cache.results_of(key) {
                    match cache::load(store, &result.remote, lease, progress).await {
                        Ok(refs) => match refs.into_iter().last() {
                            Some(made) => return Some(((*source).to_owned(), made)),
                            None => continue,
                        },
                        Err(failure) => warn(progress, source, &failure),
                    }
                }
            }
        }
        None
    }
}

fn warn(progress: &Arc<dyn Progress>, source: &str, failure: &Failure) {
    let id = format!("importing cache from {source}");
    progress.event(ProgressEvent::Warning { id, message: failure.chain() });
}
