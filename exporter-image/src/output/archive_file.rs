//! Image archives that become files.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cache_blobs::pack::PipeReader;
use cache_core::ports::{Pool, Provider};

use super::archive::ArchiveKind;
use super::entries::{Entry, entries};
use super::options::OutputOptions;
use super::stream::{run_on_pool, write_entries};
use crate::compose::ComposedImage;
use crate::error::Result;

/// Writes an archive as [`write_archive`](super::write_archive) into the file `path`. A regular file appears, or is
/// replaced, only when the archive is complete and on disk; into anything else (a pipe, a device) the archive is streamed.
///
/// # Errors
/// As [`write_archive`](super::write_archive), and those of the file system. A regular file is as it was before then.
///
/// # Cancel safety
/// A dropped call leaves the file as it was; the unfinished one is removed soon after.
pub async fn write_archive_file(
    pool: &dyn Pool,
    image: &ComposedImage,
    provider: &dyn Provider,
    kind: ArchiveKind,
    options: &OutputOptions,
    path: &Path,
) -> Result<()> {
    let entries = entries(image, kind, options)?;
    let path = path.to_owned();
    run_on_pool(pool, entries, provider, options, move |entries, layers| write_file(entries, layers, &path)).await
}

fn write_file(entries: Vec<(String, Entry)>, layers: PipeReader, path: &Path) -> Result<()> {
    // A link stays one: the file that it leads to is replaced.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let failed = |operation| {
        let target = path.display().to_string();
        move |source| cache_core::Error::io(operation, target, source)
    };
    if std::fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
        let sink = File::options().write(true).open(&path).map_err(failed("open archive"))?;
        return write_entries(entries, layers, sink).map(drop);
    }
    let (partial, file) = Partial::create(&path).map_err(failed("create archive"))?;
    let file = write_entries(entries, layers, file)?;
    file.sync_all().map_err(failed("sync archive"))?;
    partial.rename_to(&path).map_err(failed("rename archive"))?;
    Ok(())
}

/// An unfinished file, removed when dropped.
#[derive(Debug)]
struct Partial(Option<PathBuf>);

impl Partial {
    /// A fresh file beside `path`.
    fn create(path: &Path) -> std::io::Result<(Self, File)> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{}-{count}.partial", std::process::id()));
            let partial = path.with_file_name(name);
            match File::create_new(&partial) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                created => return created.map(|file| (Self(Some(partial)), file)),
            }
        }
    }

    fn rename_to(mut self, path: &Path) -> std::io::Result<()> {
        if let Some(partial) = &self.0 {
            std::fs::rename(partial, path)?;
        }
        self.0 = None;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(partial) = &self.0
            && let Err(error) = std::fs::remove_file(partial)
        {
            tracing::warn!(path = %partial.display(), %error, "an unfinished archive stays behind");
        }
    }
}
