//! The files of a layout, reached from one directory handle without following symbolic links.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::{Algorithm, Digest, Error, ErrorKind, Result};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// A FIFO in the place of a file must not block its reader.
const READ: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const CREATE: OFlags =
    OFlags::RDWR.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Tells apart the temporary files of one process; names that another process took are skipped.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// The open directory of a layout. Its methods block.
#[derive(Debug)]
pub(super) struct Directory {
    root: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// The directory at `path`; `None` if there is none.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        match rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(root) => Ok(Some(Self { root, path: path.to_owned() })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::io("open layout", path.display(), errno.into())),
        }
    }

    /// The directory at `path`, made if there is none.
    pub(super) fn create(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(|source| Error::io("create layout", path.display(), source))?;
        Self::open(path)?.ok_or_else(|| Error::new(ErrorKind::NotFound, "open layout", path.display()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Where the blob lies, if it is there.
    pub(super) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs").join(digest.algorithm().name()).join(digest.hex())
    }

    /// The file of a blob with its length in bytes.
    pub(super) fn open_blob(&self, digest: &Digest) -> Result<Option<(File, u64)>> {
        let Some(blobs) = self.open_directory(self.root(), "blobs")? else { return Ok(None) };
        let Some(algorithm) = self.open_directory(blobs.as_fd(), digest.algorithm().name())? else { return Ok(None) };
        self.open_file(algorithm.as_fd(), &digest.hex())
    }

    /// The directory of blobs of `algorithm`, made durably if there is none.
    pub(super) fn make_blob_directory(&self, algorithm: Algorithm) -> Result<OwnedFd> {
        let blobs = self.make_directory(self.root(), "blobs")?;
        self.make_directory(blobs.as_fd(), algorithm.name())
    }

    pub(super) fn open_ingest_directory(&self) -> Result<Option<OwnedFd>> {
        self.open_directory(self.root(), "ingest")
    }

    pub(super) fn make_ingest_directory(&self) -> Result<OwnedFd> {
        self.make_directory(self.root(), "ingest")
    }

    /// A file of the layout, whole, if it has at most `limit` bytes.
    pub(super) fn read_small(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some((file, size)) = self.open_file(self.root(), name)? else { return Ok(None) };
        if size > limit {
            return Err(self.error(ErrorKind::LimitExceeded, "read (max_index_bytes)", name));
        }
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map_err(|source| self.io("read", name, source))?;
        if bytes.len() as u64 > limit {
            return Err(self.error(ErrorKind::LimitExceeded, "read (max_index_bytes)", name));
        }
        Ok(Some(bytes))
    }

    /// A new empty file in `directory` under a name that starts with `prefix`.
    pub(super) fn create_unique(&self, directory: BorrowedFd<'_>, prefix: &str) -> Result<(String, File)> {
        loop {
            let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
            let name = format!("{prefix}{}-{serial}", std::process::id());
            match rustix::fs::openat(directory, name.as_str(), CREATE, Mode::from_raw_mode(0o644)) {
                Ok(file) => return Ok((name, file.into())),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(self.io("create", &name, errno.into())),
            }
        }
    }

    pub(super) fn io(&self, operation: &'static str, name: &str, source: std::io::Error) -> Error {
        Error::io(operation, self.path.join(name).display(), source)
    }

    pub(super) fn error(&self, kind: ErrorKind, operation: &'static str, name: &str) -> Error {
        Error::new(kind, operation, self.path.join(name).display())
    }

    fn open_directory(&self, parent: BorrowedFd<'_>, name: &str) -> Result<Option<OwnedFd>> {
        match rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()) {
            Ok(directory) => Ok(Some(directory)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.refuse("open directory", name, errno)),
        }
    }

    fn make_directory(&self, parent: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
        loop {
            if let Some(directory) = self.open_directory(parent, name)? {
                return Ok(directory);
            }
            match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
                Ok(()) => rustix::fs::fsync(parent).map_err(|errno| self.io("sync", name, errno.into()))?,
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(self.io("create directory", name, errno.into())),
            }
        }
    }

    fn open_file(&self, parent: BorrowedFd<'_>, name: &str) -> Result<Option<(File, u64)>> {
        let file = match rustix::fs::openat(parent, name, READ, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(self.refuse("open file", name, errno)),
        };
        let stat = rustix::fs::fstat(&file).map_err(|errno| self.io("stat", name, errno.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.error(ErrorKind::Corrupt, "open file (it is no regular file)", name));
        }
        Ok(Some((file.into(), stat.st_size.unsigned_abs())))
    }

    /// A symbolic link or a file in the place of a directory is the layout's fault, not the system's.
    fn refuse(&self, operation: &'static str, name: &str, errno: Errno) -> Error {
        match errno {
            Errno::LOOP | Errno::NOTDIR | Errno::NXIO => {
                self.error(ErrorKind::Corrupt, operation, name).with_source(std::io::Error::from(errno))
            }
            errno => self.io(operation, name, errno.into()),
        }
    }
}
