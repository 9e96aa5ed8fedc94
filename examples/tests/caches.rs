//! The remote caches that BuildKit v0.32.2 wrote: what is in them, the tree they stand for, and their bytes again.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cache_blobs::tar::{Header, Kind, Reader};
use cache_core::Digest;
use serde_json::Value;
use support::building::{blob, option};
use support::{Entry, run, run_json, tree};
use tempfile::tempdir;

/// The caches, with what makes `cache copy` write the same layout.
const CACHES: [(&str, &str, &str); 10] = [
    ("cache-estargz-max-image", "image-manifest", ""),
    ("cache-gzip-max-docker", "docker-list", ",oci-mediatypes=false"),
    ("cache-gzip-max-image", "image-manifest", ""),
    ("cache-gzip-max-index", "index", ",image-manifest=false"),
    ("cache-gzip-min-docker", "docker-list", ",oci-mediatypes=false"),
    ("cache-gzip-min-image", "image-manifest", ""),
    ("cache-gzip-min-index", "index", ",image-manifest=false"),
    ("cache-uncompressed-max-image", "image-manifest", ""),
    ("cache-zstd-max-image", "image-manifest", ""),
    ("cache-zstd-min-index", "index", ",image-manifest=false"),
];

/// The longest chain of layers that the build made.
const LAYERS: usize = 7;

fn cache(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cache-remote/tests/fixtures/buildkit-0.32.2").join(name)
}

fn inspect(name: &str) -> Value {
    run_json(["cache", "inspect", &format!("type=local,src={}", cache(name).display()), "--json"])
}

/// The record with the longest chain, and how long that is.
fn longest(report: &Value) -> (String, usize) {
    let layers = |record: &Value| record["layers"].as_array().map_or(0, Vec::len);
    let record = report["records"].as_array().unwrap().iter().max_by_key(|record| layers(record)).unwrap();
    (record["digest"].as_str().unwrap().to_owned(), layers(record))
}

#[test]
fn every_cache_is_read_whole() {
    for (name, layout, _) in CACHES {
        let report = inspect(name);
        assert_eq!(report["layout"], layout, "{name}");
        assert_eq!(report["warnings"].as_array().unwrap().len(), 0, "{name}");
        let (records, blobs) = (report["records"].as_array().unwrap(), report["blobs"].as_array().unwrap());
        assert_eq!(records.len(), 14, "{name}");
        assert_eq!(longest(&report).1, LAYERS, "{name}");
        for input in records
            .iter()
            .flat_map(|record| record["inputs"].as_array().unwrap())
            .flat_map(|slot| slot.as_array().unwrap())
        {
            assert!(input["record"].as_u64().unwrap() < 14, "{name}");
        }
        for found in blobs {
            let bytes = std::fs::read(blob(&cache(name), found["digest"].as_str().unwrap())).unwrap();
            assert_eq!(found["size"].as_u64().unwrap(), bytes.len() as u64, "{name}");
            assert!(found["diffID"].is_string(), "{name}");
        }
        let known = |digest: &Value| blobs.iter().any(|blob| &blob["digest"] == digest);
        assert!(records.iter().filter_map(|record| record["layers"].as_array()).flatten().all(known), "{name}");
    }
}

#[test]
fn checkout_of_the_longest_chain_gives_the_files_that_buildkit_wrote_out() {
    let is_root = support::is_root("comparison of owners and devices");
    let mut archive =
        archive_tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/buildkit-0.32.2/rootfs.tar"));
    assert!(archive.len() > 15 && ["dev", "proc", "sys"].iter().all(|name| archive.contains_key(Path::new(name))));
    if !is_root {
        // Only root may make devices and give files away; others leave that out.
        archive.retain(|_, entry| entry.device.is_none());
    }
    for (name, ..) in CACHES {
        let work = tempdir().unwrap();
        let into = work.path().join("tree");
        let spec = format!("type=local,src={}", cache(name).display());
        let record = longest(&inspect(name)).0;
        let arguments = ["cache", "checkout", &spec, "--record", &record].map(Into::into);
        let places = [option("store", &work.path().join("store")), option("into", &into), "--json".into()];
        let report: Value = serde_json::from_slice(&run(arguments.into_iter().chain(places)).stdout).unwrap();
        assert_eq!(report["layers"].as_array().unwrap().len(), LAYERS);

        let mut ours = tree(&into);
        if !is_root {
            let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            assert!(ours.values().all(|entry| entry.owner == me));
            ours.iter_mut().chain(&mut archive).for_each(|(_, entry)| entry.owner = me);
        }
        for path in ours.keys().chain(archive.keys()) {
            assert_eq!(ours.get(path), archive.get(path), "{name}: {}", path.display());
        }
    }
}

#[test]
fn copy_in_the_same_layout_writes_the_same_bytes() {
    for (name, _, attributes) in CACHES {
        let work = tempdir().unwrap();
        let (from, copy) = (cache(name), work.path().join("copy"));
        let specs =
            [format!("type=local,src={}", from.display()), format!("type=local,dest={}{attributes}", copy.display())];
        let store = option("store", &work.path().join("store"));
        let report = run_json([
            "cache".into(),
            "copy".into(),
            specs[0].clone().into(),
            specs[1].clone().into(),
            store,
            "--json".into(),
        ]);
        assert_eq!(report["warnings"].as_array().unwrap().len(), 0, "{name}");

        // The manifest too is the same, which names the config and every layer.
        let original = inspect(name);
        assert_eq!(report["digest"], original["digest"], "{name}");
        let manifest = report["digest"].as_str().unwrap();
        let config = config_digest(&from, manifest);
        let layers = original["blobs"].as_array().unwrap().iter().map(|blob| blob["digest"].as_str().unwrap());
        for digest in layers.chain([manifest, &config]) {
            let [theirs, ours] = [&from, &copy].map(|directory| std::fs::read(blob(directory, digest)).unwrap());
            assert!(theirs == ours, "{name}: {digest}");
        }
    }
}

/// The config that the manifest or the list `digest` in the layout `directory` names.
fn config_digest(directory: &Path, digest: &str) -> String {
    let manifest: Value = serde_json::from_slice(&std::fs::read(blob(directory, digest)).unwrap()).unwrap();
    let listed = || manifest["manifests"].as_array().unwrap().iter();
    let config = match &manifest["config"] {
        Value::Null => listed().find(|entry| entry["mediaType"] == "application/vnd.buildkit.cacheconfig.v0").unwrap(),
        config => config,
    };
    config["digest"].as_str().unwrap().to_owned()
}

/// The entries of an archive as they would be on disk.
fn archive_tree(file: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut reader = Reader::new(std::fs::File::open(file).unwrap());
    let mut entries: BTreeMap<PathBuf, Entry> = BTreeMap::new();
    while let Some(mut entry) = reader.next_entry().unwrap() {
        let header = entry.header().clone();
        let path = to_path(&header.path);
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert_eq!(header.size, content.len() as u64);
        let found = match header.kind {
            Kind::HardLink => entries[&to_path(&header.link)].clone(),
            _ => from_header(&header, &path, &content),
        };
        assert!(entries.insert(path, found).is_none());
    }
    entries
}

fn from_header(header: &Header, path: &Path, content: &[u8]) -> Entry {
    let kind = match header.kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "link",
        Kind::CharDevice => "character device",
        Kind::Fifo => "fifo",
        other => panic!("{other:?}"),
    };
    let device = || rustix::fs::makedev(header.device_major, header.device_minor);
    Entry {
        kind: kind.to_owned(),
        mode: header.mode,
        owner: (header.uid.try_into().unwrap(), header.gid.try_into().unwrap()),
        link: (header.kind == Kind::Symlink).then(|| to_path(&header.link)),
        device: (header.kind == Kind::CharDevice).then(device),
        content: (header.kind == Kind::File).then(|| Digest::of(content)),
        same_as: path.to_owned(),
        capability: None,
    }
}

fn to_path(name: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(name.strip_suffix(b"/").unwrap_or(name)))
}
