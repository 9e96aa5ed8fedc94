//! `diff` and `apply`: a difference, packed and unpacked, is the tree again.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cache_blobs::tar::{Header, Writer};
use serde_json::Value;
use support::building::{assert_prunes_to_nothing, assert_undamaged, blob, option};
use support::{assert_same_tree, layercache, run, run_json, shell};
use tempfile::{TempDir, tempdir};

/// Two trees, of which `after` is `before` with all kinds of changes.
fn trees() -> TempDir {
    let work = tempdir().unwrap();
    shell(
        work.path(),
        "mkdir -p before/dir/sub before/opaque; echo same > before/same; echo old > before/changed; echo gone > before/gone; \
         echo x > before/dir/sub/x; echo y > before/opaque/y; ln -s same before/link; \
         cp -a before after; cd after; echo new > changed; rm gone; rm -r opaque dir/sub; mkdir opaque; echo z > opaque/z; \
         echo file > dir/sub; ln changed hard; chmod 700 dir; ln -sf changed link; seq 1 100000 > large",
    );
    work
}

fn diff(work: &Path, lower: &Path, upper: &Path, arguments: &[&str]) -> (Value, PathBuf) {
    let store = work.join("store");
    let places = [option("store", &store), option("lower", lower), option("upper", upper)];
    let given = arguments.iter().map(Into::into);
    let report = run_json(["diff".into(), "--json".into()].into_iter().chain(places).chain(given));
    let file = blob(&store, report["digest"].as_str().unwrap());
    (report, file)
}

fn apply(blob: &Path, into: &Path) -> Value {
    run_json(["apply".into(), "--json".into(), option("blob", blob), option("into", into)])
}

#[test]
fn a_layer_of_any_compression_makes_the_upper_tree_of_the_lower() {
    let work = trees();
    let (before, after) = (work.path().join("before"), work.path().join("after"));
    let mut diff_ids = Vec::new();
    for compression in ["uncompressed", "gzip", "zstd", "zstd:chunked", "estargz"] {
        let (report, blob) = diff(work.path(), &before, &after, &["--differ=walking", "--compression", compression]);
        assert_eq!(report["size"].as_u64().unwrap(), blob.metadata().unwrap().len());
        let into = work.path().join(format!("applied-{compression}"));
        shell(work.path(), &format!("cp -a before {}", into.display()));
        let applied = apply(&blob, &into);
        assert_eq!(applied["diffID"], report["diffID"]);
        assert_eq!(applied["bytes"], report["uncompressedSize"]);
        assert_same_tree(&into, &after);
        diff_ids.push(report["diffID"].clone());
    }
    // That of eStargz covers its table of contents, too.
    let estargz = diff_ids.pop().unwrap();
    assert!(!diff_ids.contains(&estargz));
    assert!(diff_ids.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_bottom_layer_has_no_lower_tree() {
    let work = trees();
    let after = work.path().join("after");
    for differ in ["walking", "overlay", "auto"] {
        let differ_option = format!("--differ={differ}");
        let (_, blob) = diff(work.path(), Path::new(""), &after, &[&differ_option]);
        let into = work.path().join(format!("applied-{differ}"));
        apply(&blob, &into);
        assert_same_tree(&into, &after);
    }
}

#[test]
fn levels_and_threads_change_no_content() {
    let work = trees();
    let after = work.path().join("after");
    let one = diff(work.path(), Path::new(""), &after, &["--compression=zstd", "--threads=1"]).0;
    let four = diff(work.path(), Path::new(""), &after, &["--compression=zstd", "--threads=4", "--memory=67108864"]).0;
    assert_eq!(one["digest"], four["digest"]);
    let best = diff(work.path(), Path::new(""), &after, &["--compression=zstd", "--compression-level=15"]).0;
    assert_eq!(one["diffID"], best["diffID"]);
    assert_ne!(one["digest"], best["digest"]);
}

#[test]
fn the_blob_of_diff_is_kept_until_everything_is_pruned() {
    let work = trees();
    let store = work.path().join("store");
    let (_, blob) = diff(work.path(), &work.path().join("before"), &work.path().join("after"), &["--differ=walking"]);
    run(["prune".into(), option("store", &store)]);
    assert!(blob.exists());
    assert_undamaged(&store);
    assert_prunes_to_nothing(&store);
}

#[test]
fn a_damaged_layer_is_not_applied() {
    let work = trees();
    let (_, blob) = diff(work.path(), Path::new(""), &work.path().join("after"), &[]);
    let bytes = std::fs::read(&blob).unwrap();
    let damaged = work.path().join("damaged");
    std::fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    let command = ["apply".into(), option("blob", &damaged), option("into", &work.path().join("into"))];
    assert_eq!(layercache(command).output().unwrap().status.code(), Some(1));
}

/// A layer that hides a file and all that a directory held.
fn layer_with_whiteouts(work: &Path) -> PathBuf {
    let mut layer = Writer::new(Vec::new());
    for header in [
        Header::file("a/.wh.gone", 0),
        Header::directory("opaque/"),
        Header::file("opaque/.wh..wh..opq", 0),
        Header::file("opaque/new", 0),
    ] {
        layer.append(&header, std::io::empty()).unwrap();
    }
    let file = work.join("layer.tar");
    std::fs::write(&file, layer.finish().unwrap()).unwrap();
    file
}

#[test]
fn whiteouts_become_overlay_whiteouts_for_root() {
    if !support::is_root("making overlay whiteouts") {
        return;
    }
    let work = tempdir().unwrap();
    let (blob, into) = (layer_with_whiteouts(work.path()), work.path().join("upper"));
    run(["apply".into(), "--whiteouts=overlay".into(), option("blob", &blob), option("into", &into)]);
    let made = support::tree(&into);
    let whiteout = &made[Path::new("a/gone")];
    assert_eq!((whiteout.kind.as_str(), whiteout.device), ("character device", Some(0)));
    assert!(!made.contains_key(Path::new("opaque/.wh..wh..opq")));
    let mut value = [0_u8; 8];
    let length = rustix::fs::lgetxattr(into.join("opaque"), "trusted.overlay.opaque", &mut value[..]).unwrap();
    assert_eq!(&value[..length], b"y");
}

#[test]
fn an_ordinary_user_gets_no_opaque_directory_and_is_told() {
    let work = tempdir().unwrap();
    let (blob, into) = (layer_with_whiteouts(work.path()), work.path().join("upper"));
    std::fs::create_dir(&into).unwrap();
    let mut tool = PathBuf::from(env!("CARGO_BIN_EXE_layercache"));
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        // The tool where an ordinary user can run it.
        let copy = work.path().join("tool");
        std::fs::copy(&tool, &copy).unwrap();
        for path in [work.path(), &copy, &blob, &into] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
        }
        tool = copy;
    }
    for (whiteouts, code) in [("remove", 0), ("overlay", 1)] {
        let mut command = Command::new(&tool);
        command
            .args(["apply".into(), option("blob", &blob), option("into", &into)])
            .arg(format!("--whiteouts={whiteouts}"));
        if is_root {
            command.uid(65534).gid(65534);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
