//! Other readers of gzip and zstd make of our layers the tar whose digest is the DiffID.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use cache_blobs::codec::{Block, Codec, DeflateLibrary, Encoder, Gzip};
use cache_core::Digest;
use support::building::{blob, option};
use support::{run_json, shell, succeed, with_tools};

/// Reads a blob from standard input and writes the tar: the name of each reader and how it is called.
const OF_GZIP: [(&str, &[&str]); 5] = [
    ("GNU gzip", &["gzip", "-dc"]),
    ("pigz", &["pigz", "-dc"]),
    ("igzip", &["igzip", "-dc"]),
    ("Python", &["python3", "-c", PYTHON]),
    ("libarchive", &["bsdcat"]),
];
const PYTHON: &str = "import gzip, shutil, sys; shutil.copyfileobj(gzip.open(sys.stdin.buffer), sys.stdout.buffer)";
const OF_ZSTD: [(&str, &[&str]); 2] = [("zstd", &["zstd", "-dcq"]), ("libarchive", &["bsdcat"])];

/// A tree of several blocks of every codec: text, noise, a hole, small files, and one of no bytes.
const TREE: &str = "mkdir -p d/e; seq 1 3000000 > numbers; head -c 9000000 /dev/urandom > noise; truncate -s 3000000 hole; \
    for n in $(seq 1 300); do echo $n > d/e/$n; done; : > d/none; ln -s ../numbers d/link; ln numbers d/numbers";

fn packed(work: &Path, codec: &str, level: &str) -> (PathBuf, Digest) {
    let store = work.join("store");
    let report = run_json([
        "diff".into(),
        "--json".into(),
        "--lower=".into(),
        format!("--compression={codec}").into(),
        format!("--compression-level={level}").into(),
        option("upper", &work.join("tree")),
        option("store", &store),
    ]);
    (blob(&store, report["digest"].as_str().unwrap()), report["diffID"].as_str().unwrap().parse().unwrap())
}

fn assert_read(name: &str, command: &[&str], file: &Path, diff_id: Digest) {
    let output = succeed(Command::new(command[0]).args(&command[1..]).stdin(File::open(file).unwrap()));
    assert_eq!(Digest::of(&output.stdout), diff_id, "{name}");
}

/// bsdtar's listing of a tar, by the size, kind and name of each entry.
fn listed(file: &Path) -> Vec<u8> {
    succeed(Command::new("bsdtar").args(["--numeric-owner", "-tvf"]).arg(file)).stdout
}

fn assert_read_by_all(test: &str, codec: &str, levels: &[&str], readers: &[(&str, &[&str])]) {
    let tools: Vec<_> = readers.iter().map(|(_, command)| command[0]).chain(["bsdtar"]).collect();
    if !with_tools(test, &tools) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let tree = work.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    shell(&tree, TREE);
    let (plain, plain_id) = packed(work.path(), "uncompressed", "0");
    for level in levels {
        let (file, diff_id) = packed(work.path(), codec, level);
        assert_eq!(diff_id, plain_id);
        for (name, command) in readers {
            assert_read(name, command, &file, diff_id);
        }
        assert_eq!(listed(&file), listed(&plain));
    }
}

#[test]
fn gnu_gzip_pigz_igzip_python_and_bsdtar_read_our_gzip() {
    assert_read_by_all("our gzip in other readers", "gzip", &["1", "5", "9"], &OF_GZIP);
}

/// The tool packs by libdeflate; a build without C has zlib-rs alone.
#[test]
fn gnu_gzip_pigz_igzip_python_and_bsdtar_read_our_gzip_by_zlib_rs() {
    let test = "our gzip by zlib-rs in other readers";
    if !with_tools(test, &["gzip", "pigz", "igzip", "python3", "bsdcat", "bsdtar"]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let tree = work.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    shell(&tree, TREE);
    let (plain, diff_id) = packed(work.path(), "uncompressed", "0");
    let tar = std::fs::read(&plain).unwrap();
    let file = work.path().join("blob");
    for level in [0, 1, 6, 9] {
        let codec = Gzip::by(DeflateLibrary::ZlibRs);
        let Encoder::Blocks(encoder) = codec.encoder(Some(level)).unwrap() else { panic!("gzip is block-shaped") };
        let member = |bytes: &[u8]| {
            encoder.encode(&mut Block { bytes: bytes.to_vec().into(), ..Block::default() }).unwrap().bytes.to_vec()
        };
        let members: Vec<_> = tar.chunks(encoder.block_bytes()).map(member).collect();
        std::fs::write(&file, members.concat()).unwrap();
        for (name, command) in OF_GZIP {
            assert_read(name, command, &file, diff_id);
        }
        assert_eq!(listed(&file), listed(&plain));
    }
}

#[test]
fn zstd_and_bsdtar_read_our_zstd() {
    assert_read_by_all("our zstd in other readers", "zstd", &["1", "3", "9"], &OF_ZSTD);
}
