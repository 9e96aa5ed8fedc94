//! Packing one layer, into one blob or several.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cache_core::ports::{Ingest, Pool};
use cache_core::{Error, ErrorKind, Result};
use futures::channel::oneshot;
use futures::future::try_join_all;

use crate::codec::{Codec, Recipe};
use crate::pack::budget::Budget;
use crate::pack::commit::{Drained, commit_all};
use crate::pack::failed_variant::VariantName;
use crate::pack::line::{Failure, GivenUp, Line, panicked};
use crate::pack::packed::{PackOptions, PackTarget, Packed, PackedVariants};
use crate::pack::stage::{Follower, Stage};
use crate::pack::strand::Strand;
use crate::pack::writer::{PackWriter, Sealed};

/// Most bytes of one write to the ingest.
const CHUNK_BYTES: usize = 1 << 20;

/// Packs what `produce` writes on a thread of `pool`, and commits it to `ingest`, which must be fresh. The blob gets the labels
/// [`UNCOMPRESSED`](cache_core::annotation::UNCOMPRESSED), unless its DiffID is its own digest, and
/// [`RECIPE`](cache_core::annotation::RECIPE).
///
/// # Errors
/// What `produce` gives; `Invalid` for a level out of range or an ingest that holds bytes; `LimitExceeded` for a budget
/// in which no block of the codec fits; `Cancelled` where `produce` or the encoder panicked; what the encoder and the ingest
/// give. The ingest is aborted then, and neither producer nor workers have anything to do with the layer any more. When one failure leads to another,
/// the first one is told.
///
/// # Cancel safety
/// A dropped call leaves nothing visible. Its producer's next block fails, and all that it used is given back then.
pub async fn pack<T, E, F>(
    budget: &Budget,
    pool: &Arc<dyn Pool>,
    codec: &dyn Codec,
    ingest: Box<dyn Ingest>,
    options: PackOptions,
    produce: F,
) -> Result<Packed<T>, E>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
    F: FnOnce(&mut PackWriter) -> Result<T, E> + Send + 'static,
{
    let packed = pack_variants(budget, pool, vec![PackTarget { codec, ingest, options }], produce).await?;
    let lone = packed.variants.into_iter().next().expect("one target becomes one blob");
    Ok(lone.with_produced(packed.produced))
}

/// Packs what `produce` writes once, on a thread of `pool`, as a blob for each of `targets`: each has the bytes and the labels that
/// [`pack`] gives it alone, and all have one DiffID, but for codecs with a rule of their own. The tar is hashed once, and
/// not at all beside a plain one, whose digest the store takes, unless a codec needs the hasher.
///
/// The layer owns the memory of one block of every target, and is admitted when all of that is free. A target that takes its bytes
/// slowly, or not at all, holds up the others, within their shares of the budget.
///
/// # Errors
/// As [`pack`]; `Invalid` without targets. Where there are several and one fails, all do, and the error says which it
/// was ([`FailedVariant`](super::FailedVariant)): no ingest is committed before all of them have all bytes. Only if a commit itself is refused,
/// other blobs may have been committed, whole.
///
/// # Cancel safety
/// As [`pack`]; a call that is dropped while it commits leaves whole blobs or none.
pub async fn pack_variants<T, E, F>(
    budget: &Budget,
    pool: &Arc<dyn Pool>,
    targets: Vec<PackTarget<'_>>,
    produce: F,
) -> Result<PackedVariants<T>, E>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
    F: FnOnce(&mut PackWriter) -> Result<T, E> + Send + 'static,
{
    let names = names(&targets);
    let started = start(budget, pool, &targets, &names, produce).await;
    let Packing { lines, outcome, recipes } = match started {
        Ok(packing) => packing,
        Err(error) => return Err(give_up(targets, error.into()).await),
    };
    let mut targets = targets;
    if drain_all(&lines.0, &mut targets).await.is_err() {
        lines.0.iter().for_each(|line| line.fail_beside());
    }
    let mut failures = Vec::new();
    for (line, name) in lines.0.iter().zip(&names) {
        failures.extend(line.ended().await.map(|failure| (failure, name)));
    }
    // The job has ended, so its outcome is there; without one its pool dropped it.
    let outcome = outcome.await.unwrap_or_else(|_| Err(panicked("producer").into()));
    drop(lines);
    let first = failures.iter().find_map(|(failure, name)| match failure {
        Failure::Here(first) => Some(name.name(first.clone())),
        Failure::Producer | Failure::Beside => None,
    });
    let (produced, sealed) = match (first, outcome) {
        (Some(first), _) => return Err(give_up(targets, first.into()).await),
        (None, Err(error)) => return Err(give_up(targets, error).await),
        (None, Ok(_)) if !failures.is_empty() => {
            return Err(give_up(targets, panicked("producer").into()).await);
        }
        (None, Ok(outcome)) => outcome,
    };
    let Sealed { tar_digest, tar_bytes, endings } = sealed;
    let drained = targets.into_iter().zip(names).zip(recipes).zip(endings);
    let drained = drained.map(|(((target, name), recipe), ending)| Drained { target, name, recipe, ending });
    let variants = commit_all(drained.collect(), tar_digest, tar_bytes).await?;
    Ok(PackedVariants { produced, variants })
}

fn names(targets: &[PackTarget<'_>]) -> Vec<VariantName> {
    let name = |target: &PackTarget<'_>| match targets.len() {
        1 => VariantName::LONE,
        _ => VariantName::one_of_several(target.codec.compression(), target.options.level),
    };
    targets.iter().map(name).collect()
}

/// A layer whose producer runs.
struct Packing<T, E> {
    lines: Attended,
    outcome: oneshot::Receiver<Result<(T, Sealed), E>>,
    recipes: Vec<Recipe>,
}

/// The caller's hold on the lines of a layer, which are left when it is dropped.
struct Attended(Vec<Arc<Line>>);

impl Drop for Attended {
    fn drop(&mut self) {
        self.0.iter().for_each(|line| line.leave());
    }
}

/// The producer's hold on the lines of a layer: dropped without [`end`](Self::end), as in a panic or by a pool that runs no
/// more jobs, it is a failure.
struct Producing(Vec<Arc<Line>>);

impl Producing {
    fn end(mut self, succeeded: bool) {
        self.0.drain(..).for_each(|line| line.producer_ended(succeeded));
    }
}

impl Drop for Producing {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|line| line.producer_ended(false));
    }
}

/// Waits for the layer's admission and starts its producer.
async fn start<T, E, F>(
    budget: &Budget,
    pool: &Arc<dyn Pool>,
    targets: &[PackTarget<'_>],
    names: &[VariantName],
    produce: F,
) -> Result<Packing<T, E>>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
    F: FnOnce(&mut PackWriter) -> Result<T, E> + Send + 'static,
{
    if targets.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "pack", "into no ingest"));
    }
    let (mut recipes, mut stages) = (Vec::new(), Vec::new());
    for (target, name) in targets.iter().zip(names) {
        let (recipe, stage) = begin(target).map_err(|error| name.name(error))?;
        recipes.push(recipe);
        stages.push(stage);
    }
    let minimums: Vec<_> = stages.iter().map(|(stage, _)| stage.minimum()).collect();
    let share = budget.memory().admit(minimums.iter().sum())?.await;
    let (mut lines, mut strands) = (Vec::new(), Vec::new());
    for (((stage, follower), share), name) in stages.into_iter().zip(share.split(minimums)).zip(names) {
        let line = Arc::new(Line::new(stage, share, budget.blocks_per_layer()));
        strands.push(Strand::new(Arc::clone(&line), follower, name.clone()));
        lines.push(line);
    }
    let producing = Producing(lines.clone());
    let attended = Attended(lines);
    let turns = Arc::clone(budget.turns());
    let (sender, outcome) = oneshot::channel();
    pool.spawn(Box::new(move || {
        let outcome = run(PackWriter::new(strands, turns), produce);
        let succeeded = outcome.is_ok();
        drop(sender.send(outcome));
        producing.end(succeeded);
    }))?;
    Ok(Packing { lines: attended, outcome, recipes })
}

/// The recipe of one blob, and both sides of its encoder.
fn begin(target: &PackTarget<'_>) -> Result<(Recipe, (Stage, Follower))> {
    let offset = target.ingest.offset();
    if offset != 0 {
        return Err(Error::new(ErrorKind::Invalid, "pack", format_args!("into an ingest that holds {offset} bytes")));
    }
    let (codec, level) = (target.codec, target.options.level);
    Ok((codec.recipe(level)?, Stage::new(codec.encoder(level)?)?))
}

fn run<T, E, F>(mut writer: PackWriter, produce: F) -> Result<(T, Sealed), E>
where
    E: From<Error>,
    F: FnOnce(&mut PackWriter) -> Result<T, E>,
{
    let work = AssertUnwindSafe(move || {
        let produced = produce(&mut writer)?;
        Ok((produced, writer.finish()?))
    });
    catch_unwind(work).unwrap_or_else(|_| Err(panicked("producer").into()))
}

/// Writes what comes out of each of `lines` into its target until all have ended, or one is given up: a write that is under way
/// elsewhere is dropped then.
async fn drain_all(lines: &[Arc<Line>], targets: &mut [PackTarget<'_>]) -> Result<(), GivenUp> {
    let drains = lines.iter().zip(targets).map(|(line, target)| drain(line, &mut *target.ingest));
    try_join_all(drains).await.map(drop)
}

async fn drain(line: &Line, ingest: &mut dyn Ingest) -> Result<(), GivenUp> {
    while let Some(output) = line.next_output().await? {
        let (mut bytes, charge) = output.into_parts();
        while !bytes.is_empty() {
            let chunk = bytes.split_to(bytes.len().min(CHUNK_BYTES));
            if let Err(error) = ingest.write(chunk).await {
                line.fail(error);
                return Err(GivenUp);
            }
        }
        drop(bytes);
        line.written(charge);
    }
    Ok(())
}

/// Aborts all ingests because of `error`, which is what counts.
async fn give_up<E>(targets: Vec<PackTarget<'_>>, error: E) -> E {
    for target in targets {
        target.abort().await;
    }
    error
}
