//! Packing one layer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cache_core::annotation::{RECIPE, UNCOMPRESSED};
use cache_core::ports::{BlobInfo, Ingest, Pool};
use cache_core::{Annotations, Descriptor, Digest, Error, ErrorKind, Labels, Layer, MediaType, Result};
use futures::channel::oneshot;

use crate::codec::{Codec, DiffIdRule, Ending, Recipe};
use crate::pack::budget::Budget;
use crate::pack::line::{Failure, Line, panicked};
use crate::pack::stage::Stage;
use crate::pack::writer::{PackWriter, Sealed};

/// Most bytes of one write to the ingest.
const CHUNK_BYTES: usize = 1 << 20;

/// How a layer is packed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackOptions {
    /// The codec's level; `None` is its default.
    pub level: Option<i32>,
    /// Labels of the blob besides the DiffID and the recipe.
    pub labels: Labels,
}

impl PackOptions {
    /// The same at `level`; `None` is the codec's default.
    #[must_use]
    pub fn with_level(mut self, level: Option<i32>) -> Self {
        self.level = level;
        self
    }

    /// The same with `labels` on the blob.
    #[must_use]
    pub fn with_labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }
}

/// A packed layer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packed<T> {
    /// The committed blob.
    pub info: BlobInfo,
    /// The codec's OCI media type.
    pub media_type: MediaType,
    /// The layer's DiffID.
    pub diff_id: Digest,
    /// Bytes that the DiffID covers.
    pub uncompressed_bytes: u64,
    /// The codec's annotations.
    pub annotations: Annotations,
    /// How the blob was made.
    pub recipe: Recipe,
    /// What the producer gave.
    pub produced: T,
}

impl<T> Packed<T> {
    /// The layer with the codec's media type and annotations.
    pub fn layer(&self) -> Layer {
        let mut descriptor = Descriptor::new(self.media_type.clone(), self.info.digest, self.info.size);
        descriptor.annotations = self.annotations.clone();
        Layer::new(descriptor, self.diff_id)
    }
}

/// Packs what `produce` writes on a thread of `pool`, and commits it to `ingest`, which must be fresh. The blob gets the labels
/// [`UNCOMPRESSED`], unless its DiffID is its own digest, and [`RECIPE`].
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
    let mut ingest = ingest;
    let Packing { line, outcome, recipe } = match start(budget, pool, codec, &options, ingest.offset(), produce).await {
        Ok(packing) => packing,
        Err(error) => return Err(give_up(ingest, error.into()).await),
    };
    let drained = drain(&line.0, &mut *ingest).await;
    // The job has ended, so its outcome is there; without one its pool dropped it.
    let outcome = outcome.await.unwrap_or_else(|_| Err(panicked("producer").into()));
    drop(line);
    let (produced, sealed) = match (drained, outcome) {
        (Ok(()), Ok(outcome)) => outcome,
        (Err(Failure::Here(first)), _) => return Err(give_up(ingest, first.into()).await),
        (_, Err(error)) => return Err(give_up(ingest, error).await),
        (Err(Failure::Producer), Ok(_)) => return Err(give_up(ingest, panicked("producer").into()).await),
    };
    commit(ingest, codec, options.labels, recipe, produced, sealed).await.map_err(E::from)
}

/// A layer whose producer runs.
struct Packing<T, E> {
    line: Attended,
    outcome: oneshot::Receiver<Result<(T, Sealed), E>>,
    recipe: Recipe,
}

/// The caller's hold on a line, which is left when it is dropped.
struct Attended(Arc<Line>);

impl Drop for Attended {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// The producer's hold on a line: dropped without [`end`](Self::end), as in a panic or by a pool that runs no more jobs,
/// it is a failure.
struct Producing(Option<Arc<Line>>);

impl Producing {
    fn end(mut self, succeeded: bool) {
        if let Some(line) = self.0.take() {
            line.producer_ended(succeeded);
        }
    }
}

impl Drop for Producing {
    fn drop(&mut self) {
        if let Some(line) = self.0.take() {
            line.producer_ended(false);
        }
    }
}

/// Waits for the layer's admission and starts its producer.
async fn start<T, E, F>(
    budget: &Budget,
    pool: &Arc<dyn Pool>,
    codec: &dyn Codec,
    options: &PackOptions,
    offset: u64,
    produce: F,
) -> Result<Packing<T, E>>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
    F: FnOnce(&mut PackWriter) -> Result<T, E> + Send + 'static,
{
    if offset != 0 {
        return Err(Error::new(ErrorKind::Invalid, "pack", format_args!("into an ingest that holds {offset} bytes")));
    }
    let recipe = codec.recipe(options.level)?;
    let (stage, follower) = Stage::new(codec.encoder(options.level)?)?;
    let share = budget.memory().admit(stage.block_cost())?.await;
    let line = Arc::new(Line::new(stage, share, budget.blocks_per_layer()));
    let producing = Producing(Some(Arc::clone(&line)));
    let attended = Attended(Arc::clone(&line));
    let turns = Arc::clone(budget.turns());
    let (sender, outcome) = oneshot::channel();
    pool.spawn(Box::new(move || {
        let outcome = run(PackWriter::new(line, turns, follower), produce);
        let succeeded = outcome.is_ok();
        drop(sender.send(outcome));
        producing.end(succeeded);
    }))?;
    Ok(Packing { line: attended, outcome, recipe })
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

/// Writes what comes out of `line` until its end.
async fn drain(line: &Line, ingest: &mut dyn Ingest) -> Result<(), Failure> {
    while let Some(output) = line.next_output().await? {
        let (mut bytes, charge) = output.into_parts();
        while !bytes.is_empty() {
            let chunk = bytes.split_to(bytes.len().min(CHUNK_BYTES));
            if let Err(error) = ingest.write(chunk).await {
                line.fail(error);
                break;
            }
        }
        drop(bytes);
        line.written(charge);
    }
    Ok(())
}

/// Aborts `ingest` because of `error`, which is what counts.
async fn give_up<E>(ingest: Box<dyn Ingest>, error: E) -> E {
    if let Err(abort) = ingest.abort().await {
        tracing::warn!(error = %abort, "an ingest could not be aborted after its layer failed");
    }
    error
}

async fn commit<T>(
    ingest: Box<dyn Ingest>,
    codec: &dyn Codec,
    mut labels: Labels,
    recipe: Recipe,
    produced: T,
    sealed: Sealed,
) -> Result<Packed<T>> {
    let Sealed { tar_digest, tar_bytes, ending: Ending { annotations, diff_id, trailer: _ } } = sealed;
    let known = match (diff_id, tar_digest) {
        (DiffIdRule::OfTar, Some(digest)) => Some((digest, tar_bytes)),
        (DiffIdRule::Own { diff_id, uncompressed_bytes }, _) => Some((diff_id, uncompressed_bytes)),
        (DiffIdRule::OfTar, None) | (DiffIdRule::OfBlob, _) => None,
    };
    if let Some((diff_id, _)) = known {
        labels.insert(UNCOMPRESSED.to_owned(), diff_id.to_string());
    }
    labels.insert(RECIPE.to_owned(), recipe.to_label());
    let info = ingest.commit(None, labels).await?.into_info();
    let (diff_id, uncompressed_bytes) = known.unwrap_or((info.digest, info.size));
    let media_type = codec.media_types().oci;
    Ok(Packed { info, media_type, diff_id, uncompressed_bytes, annotations, recipe, produced })
}
