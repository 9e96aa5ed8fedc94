//! Python's tarfile.

use std::path::Path;
use std::process::Command;

use super::archives::Archive;
use super::listing::{Listing, Seen};
use crate::support::succeed;

const PYTHON_LIST: &str = r"
import json, os, sys, tarfile
KINDS = {tarfile.REGTYPE: '-', tarfile.DIRTYPE: 'd', tarfile.SYMTYPE: 'l', tarfile.LNKTYPE: 'h',
         tarfile.CHRTYPE: 'c', tarfile.BLKTYPE: 'b', tarfile.FIFOTYPE: 'p'}
name = lambda text: text.encode('utf-8', 'surrogateescape').hex()
entry = lambda m: [name(m.name), KINDS[m.type], m.size, m.mode, name(m.linkname)]
def entries(file):
    with tarfile.open(file, encoding='utf-8', errors='surrogateescape') as tar:
        return [entry(member) for member in tar]
json.dump([entries(file) for file in sys.argv[1:]], sys.stdout)
";

const PYTHON_EXTRACT: &str = r"
import sys, tarfile
with tarfile.open(sys.argv[1], encoding='utf-8', errors='surrogateescape') as tar:
    tar.extractall(sys.argv[2], numeric_owner=True, filter='fully_trusted')
";

/// Name, type, size, mode and link; names in hexadecimal.
type Listed = (String, char, u64, u32, String);

/// What it says of all `archives`, in one process.
pub fn list(archives: &[Archive]) -> Vec<Listing> {
    let files = archives.iter().map(|archive| &archive.file);
    let listed = succeed(python().args(["-c", PYTHON_LIST]).args(files));
    let listed: Vec<Vec<Listed>> = serde_json::from_slice(&listed.stdout).unwrap();
    let entry = |(name, kind, size, mode, link): Listed| Seen::new(&bytes(&name), kind, size, mode, &bytes(&link));
    listed.into_iter().map(|entries| entries.into_iter().map(entry).collect()).collect()
}

/// Extracts `file` into the directory `into`.
pub fn extract(file: &Path, into: &Path) {
    succeed(python().args(["-c", PYTHON_EXTRACT]).arg(file).arg(into));
}

fn python() -> Command {
    let mut command = Command::new("python3");
    command.env("LC_ALL", "C.UTF-8");
    command
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}
