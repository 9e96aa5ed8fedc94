//! What the tests of the tool share: running it, and comparing trees.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

pub mod building;
pub mod containerd;
pub mod crowd;
pub mod saved_steps;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cache_core::Digest;
use serde_json::Value;

/// Whether this process may do what only root may. Says so when it may not.
pub fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: {test} needs root");
    }
    root
}

/// Whether the foreign tools of `.ci/run` are there. Says so when they are not asked for.
pub fn with_tools(test: &str, tools: &[&str]) -> bool {
    if std::env::var_os("LAYERCACHE_INTEROP").is_none() {
        println!("skipped: {test} needs {} and runs in .ci/run", tools.join(", "));
        return false;
    }
    for tool in tools {
        let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().unwrap().status.success();
        assert!(found, "{tool} is not installed");
    }
    true
}

/// The tool with `arguments`.
pub fn layercache(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_layercache"));
    command.args(arguments);
    command
}

/// What the tool prints with `arguments`, which must succeed.
pub fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    succeed(&mut layercache(arguments))
}

/// The JSON that the tool prints with `arguments`, which must succeed.
pub fn run_json(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Value {
    serde_json::from_slice(&run(arguments).stdout).unwrap()
}

/// Runs a command that must succeed.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Runs `script` by `sh -ec` in `directory`.
pub fn shell(directory: &Path, script: &str) -> Output {
    succeed(Command::new("sh").args(["-ec", script]).current_dir(directory).env("ROOT", directory))
}

/// What a file is, in all that a layer carries but its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub kind: String,
    pub mode: u32,
    pub owner: (u32, u32),
    pub link: Option<PathBuf>,
    pub device: Option<u64>,
    pub content: Option<Digest>,
    /// The first path, in byte order, that is the same file.
    pub same_as: PathBuf,
    pub capability: Option<Vec<u8>>,
}

/// Everything below `root`, by path.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut paths = Vec::new();
    collect(root, Path::new(""), &mut paths);
    paths.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    let mut first = BTreeMap::new();
    let mut entries = BTreeMap::new();
    for path in paths {
        let full = root.join(&path);
        let metadata = std::fs::symlink_metadata(&full).unwrap();
        let kind = metadata.file_type();
        let name = if kind.is_dir() {
            "directory"
        } else if kind.is_symlink() {
            "link"
        } else if kind.is_fifo() {
            "fifo"
        } else if kind.is_char_device() {
            "character device"
        } else if kind.is_block_device() {
            "block device"
        } else if kind.is_socket() {
            "socket"
        } else {
            "file"
        };
        let same_as = first.entry((metadata.dev(), metadata.ino())).or_insert_with(|| path.clone()).clone();
        let entry = Entry {
            kind: name.to_owned(),
            mode: metadata.mode() & 0o7777,
            owner: (metadata.uid(), metadata.gid()),
            link: kind.is_symlink().then(|| std::fs::read_link(&full).unwrap()),
            device: name.ends_with("device").then(|| metadata.rdev()),
            content: kind.is_file().then(|| Digest::of(std::fs::read(&full).unwrap())),
            same_as,
            capability: kind.is_file().then(|| capability(&full)).flatten(),
        };
        entries.insert(path, entry);
    }
    entries
}

fn collect(root: &Path, below: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            collect(root, &path, paths);
        }
        paths.push(path);
    }
}

fn capability(path: &Path) -> Option<Vec<u8>> {
    let mut value = vec![0_u8; 64];
    let length = rustix::fs::lgetxattr(path, "security.capability", &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

/// Asserts that two trees are the same, and names the first difference.
pub fn assert_same_tree(ours: &Path, theirs: &Path) {
    let (ours, theirs) = (tree(ours), tree(theirs));
    for path in ours.keys().chain(theirs.keys()) {
        assert_eq!(ours.get(path), theirs.get(path), "{}", path.display());
    }
}
