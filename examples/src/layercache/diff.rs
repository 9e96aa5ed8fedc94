//! `layercache diff`: the difference of two trees as a layer in the store.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cache_blobs::codec::Codecs;
use cache_blobs::differ::{DifferPath, Difference, FoundBy};
use cache_core::mount::OverlayLayers;
use cache_core::ports::{DiffOptions, LeaseKind, LeaseManager, LeaseOptions, Mount, MountKind};
use cache_core::{Annotations, CompressionConfig, Digest, MediaType};
use pollster::block_on;
use serde::Serialize;

use crate::args::{Diff, DifferChoice};
use crate::failure::Failure;
use crate::kept_blob::keep;
use crate::output::Format;
use crate::session;
use crate::upperdir_marks::looks_like_upperdir;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    media_type: MediaType,
    digest: Digest,
    size: u64,
    #[serde(rename = "diffID")]
    diff_id: Digest,
    uncompressed_size: u64,
    differ: &'static str,
    annotations: Annotations,
}

pub(crate) fn run(arguments: &Diff) -> Result<(), Failure> {
    let codec = Codecs::default().named(&arguments.compression).map_err(Failure::wrong_argument)?;
    codec.recipe(arguments.compression_level).map_err(Failure::wrong_argument)?;
    let mut compression = CompressionConfig::new(codec.compression());
    compression.level = arguments.compression_level;
    let lowers = directories(&arguments.lower)?;
    let upper = absolute(&arguments.upper)?;
    let overlay = match arguments.differ {
        DifferChoice::Overlay => true,
        DifferChoice::Walking => false,
        DifferChoice::Auto => lowers.len() > 1 || looks_like_upperdir(&upper)?,
    };
    let (lower, upper, path) = if overlay { as_overlay(lowers, upper)? } else { as_trees(lowers, upper)? };
    let store = session::open_with(&arguments.store, session::packing(arguments.threads, arguments.memory)?)?;
    let difference = block_on(async {
        // The blob is what the caller came for, so a lease keeps it until `prune --all`.
        let lease = store.local.leases.create(LeaseOptions::new(LeaseKind::Temporary)).await?;
        let key = format!("diff-{}", lease.id());
        let options = DiffOptions::new(compression);
        let difference = store.differ.clone().with_path(path).compare(&lease, &key, &lower, &upper, &options).await?;
        keep(&store, difference.layer.descriptor.digest).await?;
        Ok::<_, cache_core::Error>(difference)
    })?;
    print(arguments, difference)
}

fn print(arguments: &Diff, difference: Difference) -> Result<(), Failure> {
    let layer = difference.layer;
    let report = Report {
        media_type: layer.descriptor.media_type,
        digest: layer.descriptor.digest,
        size: layer.descriptor.size,
        diff_id: layer.diff_id,
        uncompressed_size: difference.uncompressed_bytes,
        differ: match difference.found_by {
            FoundBy::Upperdir => "overlay",
            FoundBy::DoubleWalk => "walking",
        },
        annotations: layer.descriptor.annotations,
    };
    Format::of(arguments.json).print(&report, |report| {
        format!(
            "{} {} bytes\nDiffID {} {} bytes\nfound by the {} differ",
            report.digest, report.size, report.diff_id, report.uncompressed_size, report.differ
        )
    })
}

fn directories(list: &OsStr) -> Result<Vec<PathBuf>, Failure> {
    let parts = list.as_bytes().split(|byte| *byte == b':').filter(|part| !part.is_empty());
    parts.map(|part| absolute(Path::new(OsStr::from_bytes(part)))).collect()
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    let found = path.canonicalize();
    found.map_err(|error| Failure::while_doing(format!("find the directory {}", path.display()), error))
}

fn bind(source: PathBuf) -> Mount {
    Mount { kind: MountKind::Bind, source, options: vec!["ro".to_owned(), "rbind".to_owned()] }
}

type Mounts = (Vec<Mount>, Vec<Mount>, DifferPath);

fn as_overlay(lowers: Vec<PathBuf>, upper: PathBuf) -> Result<Mounts, Failure> {
    let overlay = |lower: Vec<PathBuf>| OverlayLayers { lower, ..OverlayLayers::default() }.to_mount();
    let (lower, upper) = match lowers.len() {
        0 => (Vec::new(), bind(upper)),
        count => {
            let mut all = lowers.clone();
            all.insert(0, upper);
            let lower = if count == 1 { bind(all[1].clone()) } else { overlay(lowers)? };
            (vec![lower], overlay(all)?)
        }
    };
    Ok((lower, vec![upper], DifferPath::OverlayOnly))
}

fn as_trees(mut lowers: Vec<PathBuf>, upper: PathBuf) -> Result<Mounts, Failure> {
    if lowers.len() > 1 {
        return Err(Failure::usage("--differ walking takes one --lower"));
    }
    Ok((lowers.pop().map(bind).into_iter().collect(), vec![bind(upper)], DifferPath::WalkingOnly))
}
