//! The tar of a stored layer, packed again.

use cache_core::Result;
use cache_core::ports::{BlobReader, Ingest};
use futures::{future, pin_mut};

use crate::codec::Codec;
use crate::convert::converter::ConverterBackends;
use crate::convert::source_tar::SourceTar;
use crate::pack::{PackOptions, Packed, feed, pack, pipe};

/// Packs `tar`, which `blob` holds, into `ingest` with `codec` at `level`.
///
/// # Errors
/// Those of [`SourceTar::copy`] and of packing; what reading `blob` gives. The ingest is aborted then, or dropped where `blob` cannot be
/// opened.
pub(super) async fn repack(
    backends: &ConverterBackends,
    blob: &dyn BlobReader,
    tar: SourceTar,
    codec: &dyn Codec,
    level: Option<i32>,
    ingest: Box<dyn Ingest>,
) -> Result<Packed<()>> {
    let stream = blob.read(0..blob.size()).await?;
    let (writer, bytes) = pipe();
    let options = PackOptions::default().with_level(level);
    let packing = pack(&backends.budget, &backends.pool, codec, ingest, options, move |out| tar.copy(bytes, out));
    let feeding = feed(stream, writer);
    pin_mut!(packing, feeding);
    match future::select(packing, feeding).await {
        future::Either::Left((packed, _feeding)) => packed,
        future::Either::Right(((), packing)) => packing.await,
    }
}
