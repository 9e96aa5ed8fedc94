//! gunzip and stargz-snapshotter's `ctr-remote` read our eStargz, and we read theirs.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use cache_blobs::codec::estargz::{EstargzReader, TOC_DIGEST, TocKind, TocLimits};
use cache_blobs::layout::{LayoutOptions, OciLayout};
use cache_core::ports::Provider;
use cache_core::{Descriptor, Digest, ThreadPool};
use futures::TryStreamExt;
use pollster::block_on;
use serde_json::Value;
use support::building::{Build, blob};
use support::{is_root, shell, succeed, with_tools};

const STEPS: [(&str, &str); 2] = [
    (
        "make",
        "mkdir -p d/sub; seq 1 1500000 > d/numbers; head -c 9000000 /dev/urandom > d/noise; echo small > d/small; : > d/empty; \
         ln d/numbers hard; ln -s d/numbers link; mkfifo pipe; chmod 4755 d/small; printf 'caf\\303\\251' > \"$(printf 'caf\\303\\251')\"",
    ),
    ("change", "rm hard; echo new > d/sub/new; echo more >> d/small"),
];

/// An image of eStargz layers, as an archive, and the layers in its manifest.
fn image(work: &Path) -> (PathBuf, Vec<Value>) {
    let output =
        |attributes: &str| format!("--output=type=oci,name=example.com/demo:latest,compression=estargz,{attributes}");
    let (archive, layout) = (work.join("image.tar"), work.join("layout"));
    Build::new(&work.join("store"), &STEPS)
        .with(output(&format!("dest={}", archive.display())))
        .with(output(&format!("tar=false,dest={}", layout.display())))
        .run();
    (archive, layers(&layout))
}

fn layers(layout: &Path) -> Vec<Value> {
    let json = |path: &Path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
    let index = json(&layout.join("index.json"));
    let manifest = json(&blob(layout, index["manifests"][0]["digest"].as_str().unwrap()));
    manifest["layers"].as_array().unwrap().clone()
}

#[test]
fn gunzip_and_tar_read_estargz_as_any_layer() {
    if !with_tools("gunzip and tar on eStargz", &["gunzip", "tar"]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let (_, layers) = image(work.path());
    for layer in layers {
        let digest = layer["digest"].as_str().unwrap();
        let file = blob(&work.path().join("layout"), digest).display().to_string();
        shell(work.path(), &format!("gunzip -t < {file}; gunzip -c < {file} > layer.tar"));
        // The end of the archive hides the table of contents from readers of tars.
        let names = shell(work.path(), "tar -tf layer.tar").stdout;
        assert!(!String::from_utf8(names).unwrap().contains("stargz.index.json"));
        // GNU tar shows what follows it, too, if told to.
        let names = shell(work.path(), "tar -itf layer.tar").stdout;
        assert_eq!(String::from_utf8(names).unwrap().lines().last(), Some("stargz.index.json"));
    }
}

/// containerd with a root of its own, until it is dropped.
struct Containerd {
    process: Child,
    socket: PathBuf,
}

impl Containerd {
    fn start(work: &Path) -> Self {
        let place = |name: &str| work.join(name).display().to_string();
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {:?}\n",
            place("root"),
            place("state"),
            place("socket")
        );
        std::fs::write(work.join("config.toml"), config).unwrap();
        let mut process = Command::new("containerd")
            .args(["--config", &place("config.toml")])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("successfully booted") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "containerd ended");
        }
        std::thread::spawn(move || drop(log.read_to_end(&mut Vec::new())));
        Self { process, socket: work.join("socket") }
    }

    /// What `tool`, which is `ctr` or `ctr-remote`, prints with `arguments`.
    fn run(&self, tool: &str, arguments: &[&str]) -> String {
        let output = succeed(Command::new(tool).arg("--address").arg(&self.socket).args(arguments));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn containerd_unpacks_estargz_and_ctr_remote_reads_and_optimizes_it() {
    let test = "ctr-remote on eStargz";
    if !(with_tools(test, &["containerd", "ctr", "ctr-remote"]) && is_root(test)) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let (archive, layers) = image(work.path());
    let containerd = Containerd::start(work.path());
    // It compares the DiffIDs with the config's.
    let archive = archive.display().to_string();
    containerd.run("ctr", &["images", "import", "--snapshotter=native", &archive]);
    let snapshots = containerd.run("ctr", &["snapshots", "--snapshotter=native", "list"]);
    assert_eq!(snapshots.lines().filter(|line| line.contains("Committed")).count(), layers.len());
    for layer in &layers {
        let digest = layer["digest"].as_str().unwrap();
        let theirs = containerd.run("ctr-remote", &["images", "get-toc-digest", digest]);
        assert_eq!(theirs.trim(), layer["annotations"][TOC_DIGEST].as_str().unwrap());
        let toc = containerd.run("ctr-remote", &["images", "get-toc-digest", "--dump-toc", digest]);
        assert_eq!(Digest::of(toc.trim_end()).to_string(), theirs.trim());
    }
    let (from, to) = ("example.com/demo:latest", "example.com/demo:optimized");
    containerd.run("ctr-remote", &["images", "optimize", "--oci", "--no-optimize", from, to]);
    let exported = work.path().join("optimized.tar").display().to_string();
    containerd.run("ctr", &["images", "export", &exported, to]);
    drop(containerd);
    let optimized = work.path().join("optimized");
    std::fs::create_dir(&optimized).unwrap();
    shell(&optimized, "tar -xf ../optimized.tar");
    assert_eq!(read_all(&optimized), 2 + 8);
}

/// Reads every file of every layer of `layout`, and gives their number.
fn read_all(layout: &Path) -> usize {
    let pool = Arc::new(ThreadPool::new());
    let opened = block_on(OciLayout::open(layout, pool.clone(), LayoutOptions::default())).unwrap().unwrap();
    let mut files = 0;
    for layer in layers(layout) {
        let toc_digest = layer["annotations"][TOC_DIGEST].as_str().unwrap().parse().unwrap();
        let descriptor: Descriptor = serde_json::from_value(layer).unwrap();
        let blob = block_on(opened.open(&descriptor)).unwrap().unwrap();
        let open = EstargzReader::open(pool.clone(), blob, Some(toc_digest), TocLimits::default());
        let reader = block_on(open).unwrap();
        for entry in reader.toc().entries.iter().filter(|entry| entry.kind == TocKind::Reg) {
            let pieces = reader.read(&entry.name, 0..u64::MAX).unwrap().unwrap();
            let contents = block_on(pieces.try_collect::<Vec<_>>()).unwrap().concat();
            assert_eq!(Some(Digest::of(contents)), entry.digest);
            files += 1;
        }
    }
    files
}
