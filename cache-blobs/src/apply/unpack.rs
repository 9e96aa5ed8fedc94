//! The applier.
//!
//! Mirrors: containerd `pkg/archive` `Apply`, `applyNaive`, `createTarFile`.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::BufRead;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::thread;

use cache_core::ports::LayerMode;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, XattrFlags, chownat, fsetxattr, fstat, mknodat, openat, statat,
};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};

use super::attributes::{LeftOutXattrs, owner, set_attributes};
use super::budget::Budget;
use super::create::{Created, Made, create};
use super::directories::{Directory, finish, working_mode};
use super::durability::{Durability, synced};
use super::files::Files;
use super::parents::inherit;
use super::path::clean;
use super::remove::{Location, Removed, clear, location, remove_all};
use super::root::Root;
use super::walk::Missing;
use super::{Applied, ApplyOptions, Error, Operation, OverlayXattrs, Ownership, Problem, Whiteouts};
use crate::changes::FileKind;
use crate::content::BLOCK_BYTES;
use crate::layer::{OPAQUE_MARKER, WHITEOUT_PREFIX};
use crate::tar::{Entry, Header, Kind, Reader};
use crate::windows;

/// Unpacks an uncompressed layer into the directory `root`, and reads `archive` to its very end.
///
/// Entries are found as in a chroot: absolute links, `..` and too many `..` end at the root. Parents that the archive
/// does not hold are made with mode 0755. What an entry finds in its place is removed, except that a directory takes
/// over a directory. The entry `.` is ignored.
///
/// A second thread writes what is in the files and sets their attributes, if it can be had, while this one makes the names; a few dozen files are open at a
/// time. Large files are written by this one from the buffer of `archive` itself, where that has 32 KiB or more: a reader without a buffer goes into a
/// [`BufReader`](std::io::BufReader), of 64 KiB or more. To cancel, let `archive` fail.
///
/// # Errors
/// [`Error::Archive`], [`Error::Invalid`], [`Error::LimitExceeded`], [`Error::Io`], [`Error::Parents`]. What was
/// unpacked before stays, and so may some of what comes next in the archive.
pub fn unpack(archive: impl BufRead, root: impl AsFd, options: &ApplyOptions) -> Result<Applied, Error> {
    match options.durability {
        Durability::Relaxed => unpack_files(archive, root.as_fd(), options, &mut |_| {}),
        Durability::Synced => synced(root.as_fd(), |progress| unpack_files(archive, root.as_fd(), options, progress)),
    }
}

fn unpack_files(
    archive: impl BufRead,
    root: BorrowedFd<'_>,
    options: &ApplyOptions,
    progress: &mut dyn FnMut(u64),
) -> Result<Applied, Error> {
    thread::scope(|scope| {
        let mut unpack = Unpack {
            root: Root::new(root, options.resolution),
            options,
            budget: Budget::new(options, progress),
            applied: Applied::default(),
            left_out: LeftOutXattrs::default(),
            unpacked: HashSet::new(),
            directories: Vec::new(),
            parent: None,
            files: Files::new(scope, options),
            user: (geteuid().as_raw().into(), getegid().as_raw().into()),
        };
        let all = unpack.all(Reader::with_limits(archive, options.read_limits.clone()));
        let Unpack { files, mut applied, mut left_out, .. } = unpack;
        // Where it fails, that lies further up in the archive.
        left_out.append(files.finish()?);
        all?;
        applied.xattrs = left_out.into_map();
        Ok(applied)
    })
}

struct Unpack<'scope, 'a> {
    root: Root<'a>,
    options: &'a ApplyOptions,
    budget: Budget<'a>,
    applied: Applied,
    left_out: LeftOutXattrs,
    /// What this layer holds, which its own opaque markers do not hide.
    unpacked: HashSet<Location>,
    directories: Vec<Directory>,
    /// The directory of the entry before, which is usually that of the next one.
    parent: Option<OpenParent>,
    files: Files<'scope, 'a>,
    /// To whom a new file belongs, as a rule.
    user: (u64, u64),
}

/// A directory into which something is unpacked.
struct OpenParent {
    path: Vec<u8>,
    directory: OwnedFd,
    /// Device and inode.
    identity: (u64, u64),
    /// That of what is made in it, if it gives it.
    group: Option<u64>,
}

impl<'a: 'scope, 'scope> Unpack<'scope, 'a> {
    fn all<R: BufRead>(&mut self, mut reader: Reader<R>) -> Result<(), Error> {
        while let Some(entry) = reader.next_entry()? {
            self.entry(entry)?;
        }
        finish(&self.root, std::mem::take(&mut self.directories))?;
        self.drain(reader)
    }

    fn entry<R: BufRead>(&mut self, mut entry: Entry<'_, R>) -> Result<(), Error> {
        let inside = match self.options.layer_mode {
            LayerMode::Linux => true,
            LayerMode::Windows => windows::unwrap(entry.header_mut()),
        };
        let header = Arc::new(entry.header().clone());
        let parts = clean(&header.path);
        self.budget.entry(&mut self.applied, &header.path, header.size, parts.len())?;
        if !inside {
            return Ok(());
        }
        let Some((name, parents)) = parts.split_last() else {
            return Ok(());
        };
        if self.options.ownership == Ownership::Preserve {
            owner(&header)?;
        }
        let parents = parents.join(&b'/');
        let parent = self.directory(parents)?;
        let result = self.entry_in(&parent, name, &header, &mut entry);
        if self.parent.is_none() {
            self.parent = Some(parent);
        }
        match result? {
            // A path through what was removed may lead elsewhere now.
            Place::Changed => self.parent = None,
            Place::Kept => {}
        }
        Ok(())
    }

    /// The directory at `path`, made if it is not there.
    fn directory(&mut self, path: Vec<u8>) -> Result<OpenParent, Error> {
        if let Some(known) = self.parent.take()
            && known.path == path
        {
            return Ok(known);
        }
        let failed = |error| Error::io(Operation::Inspect, &path, error);
        let (options, unpacked) = (self.options, &mut self.unpacked);
        let mut created = |directory: BorrowedFd<'_>, above: BorrowedFd<'_>, names: &[Vec<u8>]| {
            let name = names.last().expect("what was made has a name");
            unpacked.insert(location(above, name).map_err(failed)?);
            inherit(directory, names, options)
        };
        let found = self.root.directory(&path, Missing::Create(&mut created))?;
        let directory = found.expect("a missing directory was made");
        let stat = fstat(&directory).map_err(failed)?;
        let group = (stat.st_mode & Mode::SGID.as_raw_mode() != 0).then_some(stat.st_gid.into());
        Ok(OpenParent { path, directory, identity: (stat.st_dev, stat.st_ino), group })
    }

    fn entry_in<R: BufRead>(
        &mut self,
        parent: &OpenParent,
        name: &[u8],
        header: &Arc<Header>,
        entry: &mut Entry<'_, R>,
    ) -> Result<Place, Error> {
        let directory = parent.directory.as_fd();
        if name == OPAQUE_MARKER {
            self.make_opaque(directory, &header.path)?;
            return Ok(Place::Changed);
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT_PREFIX) {
            if matches!(hidden, b"" | b"." | b"..") {
                return Err(Error::invalid(&header.path, Problem::WhiteoutName));
            }
            return self.white_out(directory, hidden, header);
        }
        if header.kind == Kind::HardLink {
            // Its attributes are those of what it names.
            self.files.settle()?;
        }
        let (place, made) = self.make(parent, name, header)?;
        let Some(made) = made else {
            self.applied.devices.add(&header.path);
            return Ok(place);
        };
        let (device, inode) = parent.identity;
        self.unpacked.insert((device, inode, name.to_vec()));
        let made = match made {
            Made { kind: FileKind::File, handle: Some(file) } => {
                self.files.write(file, header, entry, &mut self.budget)?;
                return Ok(place);
            }
            made => made,
        };
        let is_directory = made.kind == FileKind::Directory;
        let mode = if is_directory { working_mode(header.mode) } else { header.mode };
        set_attributes(&made.object(directory, name), header, mode, self.options, &mut self.left_out)?;
        if is_directory {
            let stat = statat(directory, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| Error::io(Operation::Inspect, &header.path, error))?;
            self.directories.push(Directory { header: Header::clone(header), identity: (stat.st_dev, stat.st_ino) });
        }
        Ok(place)
    }

    /// Makes the entry, and removes what is in the way; a directory stays where a directory comes. Gives no entry for a device that
    /// was left out.
    fn make(&mut self, parent: &OpenParent, name: &[u8], header: &Header) -> Result<(Place, Option<Made>), Error> {
        let (directory, file_mode) = (parent.directory.as_fd(), self.first_mode(parent, header));
        let (root, devices) = (&self.root, self.options.devices);
        let create = || create(root, directory, name, header, file_mode, devices);
        let (place, created) = match create()? {
            Created::InTheWay => {
                self.files.settle()?;
                (make_room(directory, name, header)?, create()?)
            }
            created => (Place::Kept, created),
        };
        match created {
            Created::Made(made) => Ok((place, Some(made))),
            // Who refuses it may have done so without a look at what is there.
            Created::LeftOut => match make_room(directory, name, header)? {
                Place::Kept => Ok((place, None)),
                Place::Changed => Ok((Place::Changed, None)),
            },
            // Somebody else puts it there.
            Created::InTheWay => Err(Error::io(Operation::Create, &header.path, Errno::EXIST)),
        }
    }

    /// The mode that a file is made with in `parent`: its own, if its owner is right then, too, as for most files, and nothing else is
    /// set; otherwise one that keeps others out until its owner is.
    fn first_mode(&self, parent: &OpenParent, header: &Header) -> u32 {
        let (uid, gid) = self.user;
        let is_own = match self.options.ownership {
            Ownership::Preserve => (header.uid, header.gid) == (uid, parent.group.unwrap_or(gid)),
            Ownership::Current => true,
        };
        if is_own && header.xattrs.is_empty() { header.mode & 0o777 } else { 0o600 }
    }

    fn white_out(&mut self, directory: BorrowedFd<'_>, hidden: &[u8], header: &Header) -> Result<Place, Error> {
        self.files.settle()?;
        let removed = remove_all(directory, hidden, &header.path)?;
        if self.options.whiteouts != Whiteouts::Remove {
            let failed = |error: Errno| Error::io(Operation::Create, &header.path, error);
            let name = OsStr::from_bytes(hidden);
            mknodat(directory, name, FileType::CharacterDevice, Mode::empty(), 0).map_err(failed)?;
            if self.options.ownership == Ownership::Preserve {
                let (uid, gid): (Uid, Gid) = owner(header)?;
                chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|error| Error::io(Operation::SetOwner, &header.path, error))?;
            }
        }
        Ok(if removed == Removed::Nothing { Place::Kept } else { Place::Changed })
    }

    fn make_opaque(&self, directory: BorrowedFd<'_>, path: &[u8]) -> Result<(), Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let own =
            openat(directory, c".", flags, Mode::empty()).map_err(|error| Error::io(Operation::Remove, path, error))?;
        let key = match self.options.whiteouts {
            Whiteouts::Remove => {
                return clear(own, path, &|location| self.unpacked.contains(location));
            }
            Whiteouts::Overlay(OverlayXattrs::Trusted) => c"trusted.overlay.opaque",
            Whiteouts::Overlay(OverlayXattrs::User) => c"user.overlay.opaque",
        };
        fsetxattr(own, key, b"y", XattrFlags::empty()).map_err(|error| Error::io(Operation::SetXattr, path, error))
    }

    /// Reads what follows the archive, because digests cover it.
    fn drain<R: BufRead>(&mut self, mut reader: Reader<R>) -> Result<(), Error> {
        let end = reader.offset();
        let mut buffer = vec![0; BLOCK_BYTES];
        while reader.read_trailing(&mut buffer)? > 0 {
            self.budget.trailing(&self.applied, reader.offset() - end)?;
        }
        self.applied.stream_bytes = reader.offset();
        Ok(())
    }
}

/// Removes what is in the way.
fn make_room(directory: BorrowedFd<'_>, name: &[u8], header: &Header) -> Result<Place, Error> {
    let stat = match statat(directory, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(Place::Kept),
        Err(error) => return Err(Error::io(Operation::Inspect, &header.path, error)),
    };
    remove_all(directory, name, &header.path)?;
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory | FileType::Symlink => Place::Changed,
        _ => Place::Kept,
    })
}

/// Whether the entry before may have changed where paths lead.
enum Place {
    Kept,
    Changed,
}
