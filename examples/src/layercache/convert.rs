//! `layercache convert`: a layer in another compression, in the store.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use cache_blobs::codec::Codecs;
use cache_blobs::codec::estargz::{MissingFiles, PrefetchOptions};
use cache_blobs::convert::{Converter, ConverterBackends};
use cache_blobs::embedded::Embedded;
use cache_blobs::verify_blob;
use cache_core::ports::{
    Begun, BlobReader, Expected, Ingester, Lease, LeaseKind, LeaseManager, LeaseOptions, Provider, Start,
};
use cache_core::{
    Annotations, Compression, CompressionConfig, Descriptor, Digest, Error, ErrorKind, Labels, Layer, MediaType, Result,
};
use pollster::block_on;
use serde::Serialize;

use crate::args::Convert;
use crate::failure::Failure;
use crate::kept_blob::keep;
use crate::output::Format;
use crate::session;

/// Bytes that are read of the file at a time.
const CHUNK_BYTES: usize = 1 << 20;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    media_type: MediaType,
    digest: Digest,
    size: u64,
    #[serde(rename = "diffID")]
    diff_id: Digest,
    annotations: Annotations,
    missing: Vec<String>,
}

pub(crate) fn run(arguments: &Convert) -> Result<(), Failure> {
    let codec = Codecs::default().named(&arguments.compression).map_err(Failure::wrong_argument)?;
    codec.recipe(arguments.compression_level).map_err(Failure::wrong_argument)?;
    let mut wanted = CompressionConfig::new(codec.compression());
    wanted.level = arguments.compression_level;
    let first = arguments.prioritized_files.as_deref().map(|list| listed(list, &wanted)).transpose()?;
    let opened = File::open(&arguments.blob);
    let failed = |error| Failure::while_doing(format!("read {}", arguments.blob.display()), error);
    let blob = opened.map_err(failed)?;
    let store = session::open(&arguments.store)?;
    let work = convert(&store, blob, &arguments.blob, &wanted, first.as_ref());
    let (made, missing) = block_on(work).map_err(failed_to(arguments))?;
    let descriptor = made.descriptor;
    let report = Report {
        media_type: descriptor.media_type,
        digest: descriptor.digest,
        size: descriptor.size,
        diff_id: made.diff_id,
        annotations: descriptor.annotations,
        missing: missing.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect(),
    };
    Format::of(arguments.json).print(&report, |report| {
        let missing: String = report.missing.iter().map(|path| format!("\nno {path}")).collect();
        format!("{} {} bytes\n{}\nDiffID {}{missing}", report.digest, report.size, report.media_type, report.diff_id)
    })
}

fn failed_to(arguments: &Convert) -> impl FnOnce(Error) -> Failure {
    let what = format!("convert {} to {}", arguments.blob.display(), arguments.compression);
    |error| Failure::while_doing(what, error)
}

/// What comes first, by `list`, which may be of more files than the layer's.
fn listed(list: &Path, wanted: &CompressionConfig) -> Result<PrefetchOptions, Failure> {
    if wanted.compression != Compression::EStargz {
        return Err(Failure::usage("--prioritized-files is for --compression estargz"));
    }
    let read = std::fs::read(list);
    let names = read.map_err(|error| Failure::while_doing(format!("read {}", list.display()), error))?;
    let names = names.split(|byte| *byte == b'\n').filter(|name| !name.is_empty());
    Ok(PrefetchOptions::default().with_prioritized(names).with_missing(MissingFiles::Tell))
}

/// The layer that is wanted, and the prioritised files that it has not.
async fn convert(
    store: &Embedded,
    blob: File,
    path: &Path,
    wanted: &CompressionConfig,
    first: Option<&PrefetchOptions>,
) -> Result<(Layer, Vec<Vec<u8>>)> {
    let lease = store.local.leases.create(LeaseOptions::new(LeaseKind::Temporary)).await?;
    let layer = import(store, &lease, blob, path).await?;
    let converter = Converter::new(ConverterBackends {
        content: store.backends.content.clone(),
        leases: store.backends.leases.clone(),
        pool: store.backends.pool.clone(),
        codecs: store.codecs.clone(),
        budget: store.budget.clone(),
    });
    let (made, missing) = match first {
        None => (converter.convert(&lease, &layer, wanted).await?, Vec::new()),
        Some(first) => {
            let made = converter.prioritize(&lease, &layer, first, wanted.level).await?;
            (made.layer, made.missing)
        }
    };
    keep(store, made.descriptor.digest).await?;
    Ok((made, missing))
}

/// The layer that the file is, in the store.
async fn import(store: &Embedded, lease: &Lease, mut blob: File, path: &Path) -> Result<Layer> {
    let content = store.local.content.as_ref();
    let key = format!("convert-{}", lease.id());
    let Begun::Started(mut ingest) = content.begin(lease, &key, Expected::UNKNOWN, Start::Fresh).await? else {
        return Err(Error::new(ErrorKind::Invalid, "begin ingest", key));
    };
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let read = (&mut blob).take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
        if read.map_err(|error| Error::io("read", path.display(), error))? == 0 {
            break;
        }
        ingest.write(chunk.into()).await?;
    }
    let info = ingest.commit(None, Labels::new()).await?.into_info();
    let mut descriptor = Descriptor::new(MediaType::default(), info.digest, info.size);
    let reader = content.open(&descriptor).await?;
    let reader: Box<dyn BlobReader> =
        reader.ok_or_else(|| Error::new(ErrorKind::NotFound, "open blob", info.digest))?;
    descriptor.media_type = store.codecs.recognise(reader.as_ref()).await?.media_types().oci;
    let pool = store.backends.pool.as_ref();
    let verified = verify_blob(pool, &store.codecs, reader.as_ref(), &descriptor, None).await?;
    Ok(Layer::new(descriptor, verified.diff_id))
}
