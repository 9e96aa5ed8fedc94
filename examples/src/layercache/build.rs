//! `layercache build`: steps become snapshots, layers, images and caches.

use std::path::PathBuf;
use std::sync::Arc;

use cache_blobs::embedded::{Embedded, EmbeddedOptions};
use cache_core::Digest;
use cache_core::cache::{ImmutableRef, RefOptions};
use cache_core::ports::{Progress, ProgressEvent, TemporaryLease};
use pollster::block_on;
use serde::Serialize;

use crate::args::Build;
use crate::base::Base;
use crate::cache_export::CacheExport;
use crate::cache_lookup::ImportedCaches;
use crate::failure::Failure;
use crate::forced::Forced;
use crate::image_output::{ImageOutput, OutputReport};
use crate::output::Format;
use crate::progress::progress;
use crate::spec::Spec;
use crate::step_index::{StepChain, StepIndex};
use crate::{cache, image, session, step};

/// A step as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Its key.
    pub(crate) key: String,
    /// What `sh -ec` runs.
    pub(crate) command: String,
}

impl Step {
    fn parse(text: &str) -> Result<Self, Failure> {
        match text.split_once('=') {
            Some((key, command)) if !key.is_empty() => Ok(Self { key: key.to_owned(), command: command.to_owned() }),
            _ => Err(Failure::usage(format!("--step {text:?} is not KEY=COMMAND"))),
        }
    }

    /// Its cache-map digest.
    pub(crate) fn cache_map(&self) -> Digest {
        Digest::of(&self.key)
    }

    /// What its ref and its line in an image's history say of it.
    pub(crate) fn description(&self) -> String {
        format!("[{}] {}", self.key, self.command)
    }

    /// The digest of its record.
    pub(crate) fn record(&self) -> Digest {
        cache_remote::output_key(&self.cache_map(), 0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Cached,
    Run,
    Skipped,
}

/// What became of a step.
#[derive(Clone, Debug)]
struct Outcome {
    state: State,
    source: Option<String>,
    made: Option<ImmutableRef>,
}

#[derive(Serialize)]
struct StepReport {
    key: String,
    record: Digest,
    state: State,
    source: Option<String>,
    layer: Option<Digest>,
    #[serde(rename = "diffID")]
    diff_id: Option<Digest>,
}

#[derive(Serialize)]
struct CacheReport {
    #[serde(rename = "type")]
    kind: String,
    digest: Option<Digest>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Report {
    steps: Vec<StepReport>,
    outputs: Vec<OutputReport>,
    caches: Vec<CacheReport>,
}

pub(crate) fn run(arguments: &Build) -> Result<(), Failure> {
    let steps = arguments.steps.iter().map(|text| Step::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let mut outputs = arguments.outputs.iter().map(ImageOutput::of).collect::<Result<Vec<_>, _>>()?;
    let mut exports = arguments.export_caches.iter().map(CacheExport::of).collect::<Result<Vec<_>, _>>()?;
    let wanted = outputs.iter().map(ImageOutput::compression);
    let forced = Forced::of(wanted.chain(exports.iter().filter_map(CacheExport::needed_compression)));
    outputs.iter_mut().for_each(|output| output.expect_forced(&forced));
    exports.iter_mut().for_each(|export| export.expect_forced(&forced));
    refuse_twice(&arguments.export_caches)?;
    for spec in &arguments.import_caches {
        cache::place(spec)?;
    }
    if let Some(base) = &arguments.base {
        image::place(base)?;
    }
    let config = arguments.config.as_ref().map(std::fs::read).transpose();
    let config = config.map_err(|error| Failure::while_doing("read the image config", error))?;
    let options = EmbeddedOptions::default().with_snapshotter(arguments.snapshotter.into());
    let store = session::open_with(&arguments.store, options)?;
    let build = Running { arguments, store, steps, progress: progress(arguments.progress) };
    let report = block_on(build.run(&outputs, &exports, config))?;
    Format::of(arguments.json).print(&report, text)
}

/// Refuses to export the same cache twice. Mirrors: BuildKit, `duplicate cache exports`.
fn refuse_twice(exports: &[Spec]) -> Result<(), Failure> {
    let twice = exports.iter().enumerate().find(|(at, spec)| exports[..*at].iter().any(|earlier| earlier.means(spec)));
    match twice {
        None => Ok(()),
        Some((_, spec)) => Err(Failure::usage(format!("the cache {:?} is exported twice", spec.text()))),
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for step in &report.steps {
        let state = match step.state {
            State::Cached => "cached",
            State::Run => "run",
            State::Skipped => "skipped",
        };
        let layer = step.layer.map_or_else(|| "-".to_owned(), |layer| layer.to_string());
        text.push_str(&format!("step {:<20} {state:<8} {layer}\n", step.key));
    }
    for output in &report.outputs {
        text.push_str(&format!("{:<5} {} {}\n", output.kind, output.digest, output.name.as_deref().unwrap_or("")));
    }
    for cache in &report.caches {
        match cache.digest {
            Some(digest) => text.push_str(&format!("cache {digest}\n")),
            None if cache.warnings.is_empty() => text.push_str("cache is empty, nothing was written\n"),
            None => text.push_str("cache was not written\n"),
        }
        cache.warnings.iter().for_each(|warning| text.push_str(&format!("cache warning: {warning}\n")));
    }
    text
}

struct Running<'a> {
    arguments: &'a Build,
    store: Embedded,
    steps: Vec<Step>,
    progress: Arc<dyn Progress>,
}

impl Running<'_> {
    async fn run(
        &self,
        outputs: &[ImageOutput],
        exports: &[CacheExport],
        config: Option<Vec<u8>>,
    ) -> Result<Report, Failure> {
        // Everything that the build makes is held by this lease until refs and names hold it.
        let lease = TemporaryLease::create(self.store.backends.leases.as_ref()).await?;
        let base = match &self.arguments.base {
            Some(source) => Some(Base::load(source, &self.store, &lease, &self.progress).await?),
            None => None,
        };
        let outcomes = self.run_steps(base.as_ref(), &lease).await?;
        let top = outcomes.last().and_then(|outcome| outcome.made.clone());
        let top = top.ok_or_else(|| Failure::work("the build made nothing"))?;
        let mut output_reports = Vec::with_capacity(outputs.len());
        for output in outputs {
            let export = output.export(&self.store, &top, &lease, base.as_ref(), config.as_deref(), self.arguments);
            output_reports.push(export.await?);
        }
        let refs: Vec<_> = outcomes.iter().map(|outcome| outcome.made.clone()).collect();
        let mut caches = Vec::with_capacity(exports.len());
        for export in exports {
            let (digest, warnings) =
                export.run(&self.store, &self.steps, &refs, base.as_ref(), &lease, &self.progress).await?;
            caches.push(CacheReport { kind: export.kind().to_owned(), digest, warnings });
        }
        if let Some(path) = &self.arguments.metadata_file {
            crate::metadata_file::write(path, &output_reports)?;
        }
        let steps = self.steps.iter().zip(&outcomes).map(|(step, outcome)| step_report(step, outcome)).collect();
        drop((outcomes, refs, top, base));
        self.store.cache.flush().await;
        lease.release().await?;
        Ok(Report { steps, outputs: output_reports, caches })
    }

    /// Runs the steps whose results nobody has, and those after them.
    async fn run_steps(&self, base: Option<&Base>, lease: &TemporaryLease) -> Result<Vec<Outcome>, Failure> {
        let index = StepIndex::new(&self.store);
        let chain = StepChain::of(base.map(Base::chain_key), &self.steps);
        let imported = ImportedCaches::import(&self.arguments.import_caches, &self.store, &self.progress).await;
        let records = imported.find(base, &self.steps).await?;
        let mut outcomes = vec![Outcome { state: State::Skipped, source: None, made: None }; self.steps.len()];
        let mut first = 0;
        for at in (0..self.steps.len()).rev() {
            let found = match index.find(chain.key(at)).await? {
                Some(found) => Some(Outcome { state: State::Cached, source: None, made: Some(found) }),
                None => match records.load(at, &self.store, lease, &self.progress).await {
                    Some((source, made)) => {
                        describe(&made, &self.steps[..=at]).await?;
                        index.put(chain.key(at), &made).await?;
                        Some(Outcome { state: State::Cached, source: Some(source), made: Some(made) })
                    }
                    None => None,
                },
            };
            let Some(found) = found else { continue };
            self.tell(&self.steps[at], "CACHED");
            outcomes[at] = found;
            first = at + 1;
            // Results below it are not needed, but what is there is told.
            for (below, outcome) in outcomes.iter_mut().enumerate().take(at) {
                if let Some(made) = index.find(chain.key(below)).await? {
                    *outcome = Outcome { state: State::Cached, source: None, made: Some(made) };
                }
            }
            break;
        }
        for at in first..self.steps.len() {
            let parent = match at.checked_sub(1) {
                Some(below) => outcomes[below].made.clone(),
                None => base.and_then(|base| base.top.clone()),
            };
            let made = self.run_step(&self.steps[at], parent.as_ref()).await?;
            index.put(chain.key(at), &made).await?;
            outcomes[at] = Outcome { state: State::Run, source: None, made: Some(made) };
        }
        Ok(outcomes)
    }

    async fn run_step(&self, step: &Step, parent: Option<&ImmutableRef>) -> Result<ImmutableRef, Failure> {
        let id = step.description();
        let phase = cache_core::ports::Phase::start(&self.progress, id.clone());
        let made = self.make_step(step, id, parent).await;
        phase.finish(made.as_ref().err().map(Failure::kind));
        made
    }

    async fn make_step(&self, step: &Step, id: String, parent: Option<&ImmutableRef>) -> Result<ImmutableRef, Failure> {
        let options = RefOptions::default().with_description(id);
        let mutable = self.store.cache.create(parent, options).await?;
        let mounts = mutable.mounts().await?;
        let at = self.mount_point()?;
        let origin = std::env::current_dir().map_err(|error| Failure::while_doing("find the directory", error))?;
        step::run(&step.key, &step.command, &mounts, &at, &origin)?;
        let made = mutable.commit().await.map_err(|error| Failure::from(error.error().clone()))?;
        made.finalize().await?;
        Ok(made)
    }

    /// Where steps see their tree. One directory does for all of them, because each has a mount namespace of its own.
    fn mount_point(&self) -> Result<PathBuf, Failure> {
        let at = self.store.local.directory().join("mounts").join("root");
        std::fs::create_dir_all(&at).map_err(|error| Failure::while_doing("create the mount point", error))?;
        Ok(at)
    }

    fn tell(&self, step: &Step, what: &str) {
        let id = format!("[{}] {what}", step.key);
        self.progress.event(ProgressEvent::Started { id: id.clone(), total: None });
        self.progress.event(ProgressEvent::Finished { id, error: None });
    }
}

/// Says of the imported layers under `top` which of `steps` made them. Caches do not hold that.
async fn describe(top: &ImmutableRef, steps: &[Step]) -> cache_core::Result<()> {
    for (of, step) in top.layer_chain().iter().rev().zip(steps.iter().rev()) {
        // One that this store made says it already.
        if of.layer().is_some_and(|layer| of.description() == format!("imported {}", layer.descriptor.digest)) {
            of.set_description(&step.description()).await?;
        }
    }
    Ok(())
}

fn step_report(step: &Step, outcome: &Outcome) -> StepReport {
    let layer = outcome.made.as_ref().and_then(ImmutableRef::layer);
    StepReport {
        key: step.key.clone(),
        record: step.record(),
        state: outcome.state,
        source: outcome.source.clone(),
        layer: layer.as_ref().map(|layer| layer.descriptor.digest),
        diff_id: layer.map(|layer| layer.diff_id),
    }
}
