//! gunzip and stargz-snapshotter's `ctr-remote` read our eStargz, and we read theirs.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cache_blobs::codec::estargz::{EstargzReader, TOC_DIGEST, TocEntry, TocKind, TocLimits};
use cache_blobs::layout::{LayoutOptions, OciLayout};
use cache_core::ports::{BlobReader, ByteStream, Provider};
use cache_core::{Descriptor, Digest, ThreadPool};
use futures::{StreamExt, TryStreamExt};
use pollster::block_on;
use serde_json::{Value, json};
use support::building::{Build, blob};
use support::containerd::Containerd;
use support::{is_root, run_json, shell, with_tools};

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

#[test]
fn containerd_unpacks_estargz_and_ctr_remote_reads_and_optimizes_it() {
    let test = "ctr-remote on eStargz";
    if !(with_tools(test, &["containerd", "ctr", "ctr-remote"]) && is_root(test)) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let (archive, layers) = image(work.path());
    let containerd = Containerd::start(work.path());
    assert_eq!(containerd.unpack("default", &archive), layers.len());
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

/// Writes an image of the one layer `blob` to `directory`, as an archive.
fn image_of(directory: &Path, blob: &Path, layer: &Value) -> PathBuf {
    let blobs = directory.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8], media_type: &str| {
        let digest = Digest::of(bytes);
        std::fs::write(blobs.join(digest.to_string().split_once(':').unwrap().1), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    };
    let mut descriptor = put(&std::fs::read(blob).unwrap(), layer["mediaType"].as_str().unwrap());
    descriptor["annotations"] = layer["annotations"].clone();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [layer["diffID"]]},
    });
    let config = put(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [descriptor]});
    let mut manifest = put(manifest.to_string().as_bytes(), media_type);
    manifest["annotations"] = json!({"io.containerd.image.name": "example.com/ours:latest"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]}).to_string();
    std::fs::write(directory.join("index.json"), index).unwrap();
    std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    shell(directory, "tar -cf ../ours.tar *");
    directory.parent().unwrap().join("ours.tar")
}

/// What the table of contents of `blob` says, but for the places of chunks.
fn entries_of(blob: &Path) -> Vec<TocEntry> {
    let toc = block_on(EstargzReader::open(
        Arc::new(ThreadPool::new()),
        Box::new(InFile(std::fs::read(blob).unwrap().into())),
        None,
        TocLimits::default(),
    ));
    let mut entries = toc.unwrap().toc().entries.clone();
    entries.iter_mut().for_each(|entry| entry.offset = 0);
    entries
}

#[derive(Debug)]
struct InFile(Bytes);

#[async_trait]
impl BlobReader for InFile {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> cache_core::Result<ByteStream> {
        let bytes = self.0.slice(range.start as usize..range.end as usize);
        Ok(futures::stream::iter([Ok(bytes)]).boxed())
    }

    fn local_file(&self) -> Option<PathBuf> {
        None
    }
}

#[test]
fn prioritised_files_come_in_the_order_of_ctr_remote_and_containerd_unpacks_such_a_layer() {
    let test = "ctr-remote on prioritised files";
    if !(with_tools(test, &["containerd", "ctr", "ctr-remote"]) && is_root(test)) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let (archive, layout) = (work.path().join("image.tar"), work.path().join("layout"));
    let output = |attributes: &str| format!("--output=type=oci,name=example.com/demo:latest,{attributes}");
    Build::new(&work.path().join("store"), &STEPS)
        .with(output(&format!("dest={}", archive.display())))
        .with(output(&format!("tar=false,dest={}", layout.display())))
        .run();
    let containerd = Containerd::start(work.path());
    containerd.run("ctr", &["images", "import", "--no-unpack", &archive.display().to_string()]);
    let lists: [&[&str]; 3] =
        [&["d/small", "nowhere", "/hard", "./d/sub/new", "link"], &["d/sub", "pipe", "d/small"], &[]];
    for (number, list) in lists.into_iter().enumerate() {
        let place = |name: &str| work.path().join(format!("{name}-{number}"));
        std::fs::write(place("list"), list.join("\n")).unwrap();
        let record: String = list.iter().map(|path| format!("{{\"path\":{path:?}}}\n")).collect();
        std::fs::write(place("record"), record).unwrap();
        let (record, target) = (place("record").display().to_string(), format!("example.com/theirs:{number}"));
        let convert = ["images", "convert", "--oci", "--estargz", "--estargz-record-in", &record];
        containerd.run("ctr-remote", &[&convert[..], &["example.com/demo:latest", &target]].concat());
        let theirs = place("theirs");
        std::fs::create_dir(&theirs).unwrap();
        containerd.run("ctr", &["images", "export", &place("theirs.tar").display().to_string(), &target]);
        shell(&theirs, &format!("tar -xf ../theirs.tar-{number}"));
        for (source, theirs_layer) in layers(&layout).iter().zip(layers(&theirs)) {
            let digest = |layer: &Value| layer["digest"].as_str().unwrap().to_owned();
            let ours = run_json([
                "convert".to_owned(),
                "--json".to_owned(),
                "--compression=estargz".to_owned(),
                format!("--store={}", work.path().join("store").display()),
                format!("--blob={}", blob(&layout, &digest(source)).display()),
                format!("--prioritized-files={}", place("list").display()),
            ]);
            let made = blob(&work.path().join("store"), &digest(&ours));
            assert_eq!(entries_of(&made), entries_of(&blob(&theirs, &digest(&theirs_layer))), "{list:?}");
            let archive = image_of(&place(&digest(&ours)[7..]), &made, &ours).display().to_string();
            containerd.run("ctr", &["images", "import", "--snapshotter=native", &archive]);
            let toc_digest = containerd.run("ctr-remote", &["images", "get-toc-digest", &digest(&ours)]);
            assert_eq!(toc_digest.trim(), ours["annotations"][TOC_DIGEST].as_str().unwrap());
        }
    }
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
