//! A root to unpack into, with an outside that must stay as it is.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::panic, unreachable_pub)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use cache_blobs::apply::{Applied, ApplyOptions, Error, Resolution, unpack};
use cache_blobs::tar::{Header, Kind, Writer};
use tempfile::{TempDir, tempdir};

pub const RESOLUTIONS: [Resolution; 2] = [Resolution::Automatic, Resolution::Walk];

/// Mode, number of names, time and contents of everything outside.
type Outside = BTreeMap<PathBuf, (u32, u64, i64, Option<Vec<u8>>)>;

pub struct Jail {
    whole: TempDir,
    pub resolution: Resolution,
}

impl Jail {
    pub fn new(resolution: Resolution) -> Self {
        let whole = tempdir().unwrap();
        fs::create_dir_all(whole.path().join("a/root")).unwrap();
        fs::create_dir_all(whole.path().join("etc")).unwrap();
        fs::create_dir_all(whole.path().join("a/etc")).unwrap();
        for outside in ["etc/passwd", "a/etc/passwd", "secret", "a/secret"] {
            fs::write(whole.path().join(outside), "outside").unwrap();
            fs::set_permissions(whole.path().join(outside), PermissionsExt::from_mode(0o400)).unwrap();
        }
        Self { whole, resolution }
    }

    pub fn root(&self) -> PathBuf {
        self.whole.path().join("a/root")
    }

    /// The path of something in the root.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    pub fn options(&self) -> ApplyOptions {
        ApplyOptions::default().with_resolution(self.resolution)
    }

    pub fn unpack(&self, entries: &[(Header, &str)]) -> Result<Applied, Error> {
        self.unpack_with(entries, &self.options())
    }

    /// Unpacks, and makes sure that nothing happened outside.
    pub fn unpack_with(&self, entries: &[(Header, &str)], options: &ApplyOptions) -> Result<Applied, Error> {
        let before = self.outside();
        let result = unpack(&archive(entries)[..], File::open(self.root()).unwrap(), options);
        assert_eq!(self.outside(), before, "something outside of the root changed");
        result
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    pub fn exists(&self, path: &str) -> bool {
        self.at(path).symlink_metadata().is_ok()
    }

    pub fn target(&self, path: &str) -> String {
        fs::read_link(self.at(path)).unwrap().into_os_string().into_string().unwrap()
    }

    pub fn is_same_file(&self, one: &str, two: &str) -> bool {
        let inode = |path| self.at(path).symlink_metadata().unwrap().ino();
        inode(one) == inode(two)
    }

    fn outside(&self) -> Outside {
        let mut found = BTreeMap::new();
        collect(self.whole.path(), &self.root(), &mut found);
        found
    }
}

fn collect(directory: &Path, skip: &Path, found: &mut Outside) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path == skip {
            continue;
        }
        let metadata = path.symlink_metadata().unwrap();
        let content = metadata.is_file().then(|| fs::read(&path).unwrap_or_default());
        found.insert(path.clone(), (metadata.mode(), metadata.nlink(), metadata.mtime(), content));
        if metadata.is_dir() {
            collect(&path, skip, found);
        }
    }
}

pub fn archive(entries: &[(Header, &str)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (header, content) in entries {
        let mut header = header.clone();
        // Whoever runs the tests owns what they make.
        header.uid = rustix::process::getuid().as_raw().into();
        header.gid = rustix::process::getgid().as_raw().into();
        if header.kind == Kind::File {
            header.size = content.len() as u64;
        }
        writer.append(&header, content.as_bytes()).unwrap();
    }
    writer.finish().unwrap()
}

pub fn directory(path: &str) -> (Header, &'static str) {
    (Header::directory(path), "")
}

pub fn file<'a>(path: &str, content: &'a str) -> (Header, &'a str) {
    (Header::file(path, 0), content)
}

pub fn link(path: &str, target: &str) -> (Header, &'static str) {
    (Header::symlink(path, target), "")
}

pub fn hard_link(path: &str, first: &str) -> (Header, &'static str) {
    (Header::hard_link(path, first), "")
}

pub fn make_link(path: &Path, target: &str) {
    symlink(target, path).unwrap();
}
