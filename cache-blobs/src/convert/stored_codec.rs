//! What a stored blob is: by its recipe, by what labels remember, or by its content.

use std::sync::Arc;

use cache_core::annotation::{DETECTED, ESTARGZ_DETECTED, RECIPE};
use cache_core::ports::{BlobInfo, ContentStore};
use cache_core::{Compression, Descriptor, Error, ErrorKind, LabelChange, MediaType, Result};

use crate::codec::{Codec, Codecs, Recipe};

/// The codec that made a stored blob; `None` if the known ones do not know it. Content is looked at once: what is found
/// is written into labels, and BuildKit's own is believed.
///
/// Mirrors: BuildKit `util/compression/estargz.go`, `EStargz.Is`, which remembers only whether a blob is eStargz.
///
/// # Errors
/// The store's own failures; a label that cannot be written is none.
pub(crate) async fn codec_of(
    content: &dyn ContentStore,
    codecs: &Codecs,
    info: &BlobInfo,
) -> Result<Option<Arc<dyn Codec>>> {
    if let Some(known) = by_recipe(codecs, info).or_else(|| by_memo(codecs, info)) {
        return Ok(Some(known));
    }
    let descriptor = Descriptor::new(MediaType::default(), info.digest, info.size);
    let Some(reader) = content.open(&descriptor).await? else { return Ok(None) };
    let found = match codecs.recognise(reader.as_ref()).await {
        Ok(codec) => codec,
        Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(None),
        Err(error) => return Err(error),
    };
    if let Err(error) = content.change_labels(&info.digest, &memo(codecs, &found.compression())).await {
        tracing::debug!(%error, blob = %info.digest, "what a blob is could not be remembered");
    }
    Ok(Some(found))
}

/// Refuses a blob whose content shows `compression`, where its media type promises another one.
///
/// # Errors
/// `Corrupt`.
pub(super) fn check_media_type(codecs: &Codecs, blob: &Descriptor, compression: &Compression) -> Result<()> {
    if codecs.agree(&blob.media_type, compression) {
        return Ok(());
    }
    let what = format_args!("{}, which is {compression} under {}", blob.digest, blob.media_type);
    Err(Error::new(ErrorKind::Corrupt, "convert layer", what))
}

fn by_recipe(codecs: &Codecs, info: &BlobInfo) -> Option<Arc<dyn Codec>> {
    let recipe = Recipe::from_label(info.labels.get(RECIPE)?).ok()?;
    codecs.named(&recipe.codec).ok()
}

/// What labels remember, if every codec that is known now was asked then.
fn by_memo(codecs: &Codecs, info: &BlobInfo) -> Option<Arc<dyn Codec>> {
    if let Some((name, asked)) = info.labels.get(DETECTED).and_then(|memo| memo.split_once(' '))
        && codecs.iter().all(|codec| asked.split(' ').any(|name| name == codec.compression().name()))
        && let Ok(codec) = codecs.named(name)
    {
        return Some(codec);
    }
    let is_estargz = info.labels.get(ESTARGZ_DETECTED).is_some_and(|memo| memo == "true");
    if is_estargz { codecs.of(&Compression::EStargz).ok() } else { None }
}

/// The labels that remember `found`: its name before the names of all codecs that were asked, and BuildKit's.
fn memo(codecs: &Codecs, found: &Compression) -> Vec<LabelChange> {
    let asked: Vec<_> = codecs.iter().map(|codec| codec.compression().name().to_owned()).collect();
    let mut labels = vec![LabelChange::Set(DETECTED.to_owned(), format!("{} {}", found.name(), asked.join(" ")))];
    if codecs.of(&Compression::EStargz).is_ok() {
        let is_estargz = (*found == Compression::EStargz).to_string();
        labels.push(LabelChange::Set(ESTARGZ_DETECTED.to_owned(), is_estargz));
    }
    labels
}
