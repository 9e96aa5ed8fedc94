//! Layers as eStargz whose prioritised files come first.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use cache_core::ports::{Begun, BlobReader, ByteStream, Expected, Lease, Start, TemporaryLease};
use cache_core::{Compression, Digest, DigestHasher, Error, ErrorKind, Layer, Result};
use futures::{StreamExt, TryStreamExt, future, pin_mut, stream};

use crate::codec::error_of_io;
use crate::codec::estargz::{Piece, PrefetchOptions, PrefetchOrder};
use crate::convert::converter::Converter;
use crate::convert::recode::recode;
use crate::pack::{PackOptions, PackWriter, PipeReader, feed, pack, pipe, read_blocking};

/// A layer whose prioritised files come first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrioritizedLayer {
    /// The new layer: its tar is another one than that of the layer of which it was made.
    pub layer: Layer,
    /// The prioritised files that the layer has not, as they were spelled.
    pub missing: Vec<Vec<u8>>,
}

impl Converter {
    /// `layer` as eStargz with the files first that `options` names, and a landmark behind them; `level` is that of the codec.
    ///
    /// The tar is another one then, and the new layer none of the variants of `layer`: nothing but `lease` ties it to the store.
    /// What comes first may lie anywhere in the old tar, so that is made a blob first where it has none; it goes afterwards.
    ///
    /// # Errors
    /// Those of [`convert`](Self::convert) and of [`PrefetchOrder::of`]. Nothing that stays is made then.
    ///
    /// # Cancel safety
    /// A dropped call leaves a whole layer or none, and no ingest.
    ///
    /// Mirrors: stargz-snapshotter `nativeconverter/estargz/estargz.go`, `LayerConvertFunc`.
    pub async fn prioritize(
        &self,
        lease: &Lease,
        layer: &Layer,
        options: &PrefetchOptions,
        level: Option<i32>,
    ) -> Result<PrioritizedLayer> {
        let backends = self.backends();
        let codec = backends.codecs.of(&Compression::EStargz)?;
        let level = codec.levels().resolve(&Compression::EStargz, level)?;
        let held = TemporaryLease::create(backends.leases.as_ref()).await?;
        let plain = self.plain(held.lease(), layer).await?;
        let missing = || Error::new(ErrorKind::NotFound, "open blob", plain.descriptor.digest);
        let tar: Arc<dyn BlobReader> = backends.content.open(&plain.descriptor).await?.ok_or_else(missing)?.into();
        let (diff_id, options) = (plain.diff_id, options.clone());
        let stream = tar.read(0..tar.size()).await?;
        let order = read_blocking(&*backends.pool, stream, move |tar| order_of(tar, diff_id, &options)).await?;
        // The lease is in the key, so that other callers have ingests of their own.
        let key = format!("prioritize-{}-{}", layer.descriptor.digest, held.lease().id());
        let begun = backends.content.begin(lease, &key, Expected::UNKNOWN, Start::Fresh).await?;
        let Begun::Started(ingest) = begun else {
            return Err(Error::new(ErrorKind::Invalid, "begin an ingest of nothing that is known", key));
        };
        let (writer, pieces) = pipe();
        let packing = pack(
            &backends.budget,
            &backends.pool,
            &*codec,
            ingest,
            PackOptions::default().with_level(level),
            move |out| copy(pieces, out),
        );
        let feeding = feed(reordered(tar, order.pieces().to_vec()), writer);
        pin_mut!(packing, feeding);
        let packed = match future::select(packing, feeding).await {
            future::Either::Left((packed, _feeding)) => packed?,
            future::Either::Right(((), packing)) => packing.await?,
        };
        held.release().await?;
        Ok(PrioritizedLayer { layer: packed.layer(), missing: order.missing().to_vec() })
    }

    /// The tar of `layer` as a blob: a variant, or a new one that only `lease` holds.
    async fn plain(&self, lease: &Lease, layer: &Layer) -> Result<Layer> {
        let (backends, plain) = (self.backends(), Compression::Uncompressed);
        match backends.find(layer, &plain).await? {
            Some(found) => Ok(found),
            None => recode(backends, self.limits().clone(), lease, layer, &plain, None).await,
        }
    }
}

/// The order of `tar`, which is compared with its digest.
fn order_of(tar: PipeReader, diff_id: Digest, options: &PrefetchOptions) -> Result<PrefetchOrder> {
    let mut tar = Hashed { tar, hasher: DigestHasher::new(diff_id.algorithm()) };
    let order = PrefetchOrder::of(&mut tar, options)?;
    let found = tar.hasher.finish();
    if found == diff_id {
        Ok(order)
    } else {
        let what = format_args!("a tar whose DiffID is {found} instead of {diff_id}");
        Err(Error::new(ErrorKind::Corrupt, "reorder", what))
    }
}

/// The new tar, of which only what is under way is held.
fn reordered(tar: Arc<dyn BlobReader>, pieces: Vec<Piece>) -> ByteStream {
    let pieces = stream::iter(pieces).then(move |piece| {
        let tar = Arc::clone(&tar);
        async move {
            match piece {
                Piece::Old(range) => tar.read(range).await,
                Piece::New(bytes) => Ok(stream::iter([Ok(Bytes::from(bytes))]).boxed()),
            }
        }
    });
    pieces.try_flatten().boxed()
}

fn copy(mut tar: PipeReader, out: &mut PackWriter) -> Result<()> {
    io::copy(&mut tar, out).map(drop).map_err(|error| error_of_io("copy", "a tar", error))
}

struct Hashed {
    tar: PipeReader,
    hasher: DigestHasher,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.tar.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
