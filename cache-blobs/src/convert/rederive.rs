//! Making a blob again by its recipe, to see whether the bytes are the same.

use cache_core::annotation::{RECIPE, UNCOMPRESSED};
use cache_core::ports::{BlobInfo, Expected};
use cache_core::{Compression, CompressionConfig, Descriptor, Digest, Error, ErrorKind, Layer, Result};

use crate::codec::{Codecs, Recipe};
use crate::convert::converter::ConverterBackends;
use crate::convert::find::variants;
use crate::convert::limits::ConversionLimits;
use crate::convert::repack::repack;
use crate::convert::source_tar::{Shape, SourceTar, Verifier};
use crate::convert::stored_codec::codec_of;
use crate::convert::unkept::Unkept;

/// A blob that was made again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rederived {
    /// How it was made.
    pub recipe: Recipe,
    /// The blob whose tar was packed: a variant, or the blob itself where it has none.
    pub derived_from: Digest,
    /// The digest of what came out.
    pub digest: Digest,
    /// Length in bytes of what came out.
    pub size: u64,
    /// Whether these are the bytes of the blob.
    pub same: bool,
}

impl Codecs {
    /// The compression and level by which `recipe` is followed here, for a packer or a differ.
    ///
    /// # Errors
    /// `Unsupported` if the codec is not known, or would not make the same bytes today: its library is of another version, or
    /// it cuts or chooses otherwise.
    pub fn follow(&self, recipe: &Recipe) -> Result<CompressionConfig> {
        let refused = || Error::new(ErrorKind::Unsupported, "follow recipe", recipe.to_label());
        let codec = self.named(&recipe.codec).map_err(|source| refused().with_source(source))?;
        let ours = codec.recipe(recipe.level).map_err(|source| refused().with_source(source))?;
        if ours != *recipe {
            return Err(refused().with_source(format!("here it is {}", ours.to_label())));
        }
        let mut config = CompressionConfig::new(codec.compression());
        config.level = recipe.level;
        Ok(config)
    }
}

/// Packs the tar of `blob` again by the recipe that is stored with it, and compares the digests. The tar is that of a variant where
/// there is one that can be decoded here, a plain one first, else that of the blob itself; it is verified on the way. Nothing is written to the store. The blob's own bytes are
/// read only in the second case; whether they are still the ones of its digest is for [`verify_blob`](crate::verify_blob) to say.
///
/// Of a snapshot a blob is made again by a differ over [`Unkept`], with what [`Codecs::follow`] gives.
///
/// # Errors
/// `NotFound` if the store has no such blob, or no recipe with it; `Unsupported` for a recipe that cannot be followed here; `Corrupt`
/// for a tar that is not the one of its layer; `LimitExceeded` past a limit; what the store gives.
///
/// # Cancel safety
/// Nothing is changed.
pub async fn rederive(backends: &ConverterBackends, limits: ConversionLimits, blob: Digest) -> Result<Rederived> {
    let content = backends.content.as_ref();
    let info = content.info(&blob).await?.ok_or_else(|| Error::new(ErrorKind::NotFound, "find blob", blob))?;
    let recipe = recipe_of(&info)?;
    let config = backends.codecs.follow(&recipe)?;
    let (source, shape) = source_of(backends, &info).await?;
    let reader = content.open(&source.descriptor).await?;
    let reader = reader.ok_or_else(|| Error::new(ErrorKind::NotFound, "open blob", source.descriptor.digest))?;
    let tar = SourceTar::new(&source, shape, limits, Verifier::Decoder);
    let ingest = Unkept::ingest("rederive", Expected::UNKNOWN);
    let codec = backends.codecs.of(&config.compression)?;
    let made = repack(backends, reader.as_ref(), tar, &*codec, config.level, ingest).await?.info;
    let (derived_from, same) = (source.descriptor.digest, made.digest == blob);
    Ok(Rederived { recipe, derived_from, digest: made.digest, size: made.size, same })
}

fn recipe_of(info: &BlobInfo) -> Result<Recipe> {
    let label = info.labels.get(RECIPE);
    let label = label.ok_or_else(|| Error::new(ErrorKind::NotFound, "find the recipe of", info.digest))?;
    Recipe::from_label(label)
        .map_err(|source| Error::new(ErrorKind::Unsupported, "read the recipe of", info.digest).with_source(source))
}

/// Where the tar is taken from, and how it lies there.
async fn source_of(backends: &ConverterBackends, info: &BlobInfo) -> Result<(Layer, Shape)> {
    let content = backends.content.as_ref();
    let own = own_layer(backends, info)?;
    let mut sources = Vec::new();
    for layer in variants(content, &own).await? {
        if let Some(shape) = shape_of(backends, &layer).await? {
            sources.push((layer, shape));
        }
    }
    // The blob itself comes last, a plain tar, which is read at no cost, first.
    sources.sort_by_key(|(layer, shape)| {
        (layer.descriptor.digest == info.digest, shape.compression() != Compression::Uncompressed)
    });
    let missing = || Error::new(ErrorKind::NotFound, "open blob", info.digest);
    sources.into_iter().next().ok_or_else(missing)
}

async fn shape_of(backends: &ConverterBackends, layer: &Layer) -> Result<Option<Shape>> {
    let content = backends.content.as_ref();
    let Some(info) = content.info(&layer.descriptor.digest).await? else { return Ok(None) };
    let Some(codec) = codec_of(content, &backends.codecs, &info).await? else { return Ok(None) };
    let Some(reader) = content.open(&layer.descriptor).await? else { return Ok(None) };
    Shape::of(reader.as_ref(), codec).await.map(Some)
}

/// The blob as a layer, by its labels.
fn own_layer(backends: &ConverterBackends, info: &BlobInfo) -> Result<Layer> {
    let recipe = recipe_of(info)?;
    let codec = backends.codecs.named(&recipe.codec)?;
    // Where a blob's DiffID is its own digest, no label says so.
    let diff_id = info.labels.get(UNCOMPRESSED).map_or(Ok(info.digest), |diff_id| diff_id.parse())?;
    Ok(Layer::new(Descriptor::new(codec.media_types().oci, info.digest, info.size), diff_id))
}
