//! `convert`, and builds that force a compression.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use cache_blobs::codec::Codecs;
use cache_blobs::tar::{Header, Reader, Writer};
use cache_core::Digest;
use serde_json::{Value, json};
use support::building::{Build, assert_prunes_to_nothing, assert_undamaged, blob, latest, layers, option};
use support::{layercache, run_json};
use tempfile::tempdir;

const STEPS: [(&str, &str); 6] = [
    ("1", "echo one > one"),
    ("2", "echo two > two"),
    ("3", "rm one"),
    ("4", "mkdir four"),
    ("5", "echo five > four/five"),
    ("6", "ln two six"),
];

fn tar(work: &Path) -> PathBuf {
    let mut layer = Writer::new(Vec::new());
    let content = vec![7; 100_000];
    layer.append(&Header::file("file", content.len() as u64), &content[..]).unwrap();
    let file = work.join("layer.tar");
    std::fs::write(&file, layer.finish().unwrap()).unwrap();
    file
}

fn convert(store: &Path, blob: &Path, compression: &str) -> Value {
    let compression = format!("--compression={compression}");
    run_json(["convert".into(), "--json".into(), option("store", store), option("blob", blob), compression.into()])
}

fn decoded(blob: &Path) -> Vec<u8> {
    let mut tar = Vec::new();
    let file = std::fs::File::open(blob).unwrap();
    Codecs::default().decode(Box::new(file)).unwrap().read_to_end(&mut tar).unwrap();
    tar
}

#[test]
fn a_layer_is_converted_around_and_its_tar_stays() {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    let plain = tar(work.path());
    let mut file = plain.clone();
    let mut diff_ids = BTreeSet::new();
    for (compression, suffix) in [
        ("gzip", "+gzip"),
        ("zstd", "+zstd"),
        ("zstd:chunked", "+zstd"),
        ("uncompressed", ""),
        ("zstd:chunked", "+zstd"),
        ("zstd", "+zstd"),
    ] {
        let report = convert(&store, &file, compression);
        let media_type = format!("application/vnd.oci.image.layer.v1.tar{suffix}");
        assert_eq!(report["mediaType"], media_type.as_str());
        file = blob(&store, report["digest"].as_str().unwrap());
        assert_eq!(report["size"].as_u64().unwrap(), file.metadata().unwrap().len());
        assert!(decoded(&file) == std::fs::read(&plain).unwrap());
        diff_ids.insert(report["diffID"].to_string());
    }
    assert_eq!(diff_ids.len(), 1);
    assert_undamaged(&store);
    assert_prunes_to_nothing(&store);
}

#[test]
fn prioritised_files_make_another_tar_and_those_that_the_layer_has_not_are_told() {
    let work = tempdir().unwrap();
    let (store, list) = (work.path().join("store"), work.path().join("list"));
    let plain = tar(work.path());
    let prioritized = |names: &str| {
        std::fs::write(&list, names).unwrap();
        let options = [option("store", &store), option("blob", &plain), option("prioritized-files", &list)];
        let command = ["convert".into(), "--json".into(), "--compression=estargz".into()];
        let report = run_json(command.into_iter().chain(options));
        let tar = decoded(&blob(&store, report["digest"].as_str().unwrap()));
        assert_eq!(report["diffID"], Digest::of(&tar).to_string());
        let mut reader = Reader::new(&tar[..]);
        let mut names = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            names.push(String::from_utf8(entry.header().path.clone()).unwrap());
        }
        (names, report["missing"].clone())
    };
    assert_eq!(prioritized("./none\n/file\n"), (vec!["file".into(), ".prefetch.landmark".into()], json!(["./none"])));
    assert_eq!(prioritized(""), (vec![".no.prefetch.landmark".into(), "file".into()], json!([])));
    assert_eq!(convert(&store, &plain, "estargz")["missing"], json!([]));
    assert_undamaged(&store);
    assert_prunes_to_nothing(&store);
}

#[test]
fn a_damaged_or_missing_layer_is_not_converted() {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    let report = convert(&store, &tar(work.path()), "gzip");
    let bytes = std::fs::read(blob(&store, report["digest"].as_str().unwrap())).unwrap();
    let damaged = work.path().join("damaged");
    std::fs::write(&damaged, &bytes[..bytes.len() - 5]).unwrap();
    for file in [damaged, work.path().join("missing")] {
        let command = ["convert".into(), option("store", &store), option("blob", &file), "--compression=zstd".into()];
        assert_eq!(layercache(command).output().unwrap().status.code(), Some(1));
    }
}

#[test]
fn a_build_that_forces_a_compression_converts_every_layer_and_keeps_the_diff_ids() {
    let work = tempdir().unwrap();
    let (store, first) = (work.path().join("store"), work.path().join("first"));
    Build::new(&store, &STEPS).with_layout(&first).run();
    let image = |name: &str, attributes: &str| {
        let directory = work.path().join(name);
        let output = format!("--output=type=oci,tar=false,name=latest,dest={},{attributes}", directory.display());
        Build::new(&store, &STEPS).with(output).run();
        run_json(["image", "inspect", &format!("oci:{}:latest", directory.display()), "--json"])
    };
    let types = |image: &Value| -> BTreeSet<String> {
        image["layers"].as_array().unwrap().iter().map(|layer| layer["mediaType"].to_string()).collect()
    };
    let diff_ids = |image: &Value| image["config"]["rootfs"]["diff_ids"].clone();
    let left = image("left", "compression=zstd");
    assert!(types(&left).iter().all(|name| name.contains("gzip")), "not forced: layers stay as they are");
    let forced = image("forced", "compression=zstd,force-compression=true");
    assert_eq!(types(&forced), [r#""application/vnd.oci.image.layer.v1.tar+zstd""#.to_owned()].into());
    assert_eq!(diff_ids(&forced), diff_ids(&left));
    let again = image("again", "compression=zstd,force-compression=true");
    assert_eq!(again["layers"], forced["layers"]);
    let back = image("back", "compression=gzip,force-compression=true");
    assert_eq!(back["layers"], left["layers"], "the layers' own blobs are found again");
    let docker = image("docker", "compression=zstd,force-compression=true,oci-mediatypes=false");
    assert_eq!(types(&docker), [r#""application/vnd.docker.image.rootfs.diff.tar.zstd""#.to_owned()].into());
    assert_eq!(layers(&latest(&first)).len(), 6);
    assert_undamaged(&store);
    assert_prunes_to_nothing(&store);
}

#[test]
fn a_cache_export_that_forces_a_compression_converts_every_layer() {
    let work = tempdir().unwrap();
    let (store, image) = (work.path().join("store"), work.path().join("image"));
    Build::new(&store, &STEPS).with_layout(&image).run();
    let cache = work.path().join("cache");
    Build::new(&store, &STEPS).with_cache_export(&cache, ",mode=max,compression=zstd,force-compression=true").run();
    let spec = format!("type=local,src={}", cache.display());
    let inspected = run_json(["cache", "inspect", &spec, "--json"]);
    let blobs = inspected["blobs"].as_array().unwrap();
    assert_eq!(blobs.len(), 6);
    assert!(blobs.iter().all(|blob| blob["mediaType"] == "application/vnd.oci.image.layer.v1.tar+zstd"), "{inspected}");
    // Another store makes the same image of it.
    let (other, copy) = (work.path().join("other"), work.path().join("copy"));
    Build::new(&other, &STEPS).with_cache_import(&cache).with_layout(&copy).run();
    let ids = |directory: &Path| layers(&latest(directory)).into_iter().map(|(_, diff_id)| diff_id).collect::<Vec<_>>();
    assert_eq!(ids(&copy), ids(&image));
}

#[test]
fn an_image_and_caches_that_force_other_compressions_each_get_theirs_of_the_same_tars() {
    let work = tempdir().unwrap();
    let (store, image) = (work.path().join("store"), work.path().join("image"));
    let wanted = [("zstd", "tar+zstd"), ("estargz", "tar+gzip"), ("uncompressed", "tar")];
    let place = |name: &str| work.path().join(name);
    let build = wanted.iter().fold(Build::new(&store, &STEPS).with_layout(&image), |build, (name, _)| {
        build.with_cache_export(&place(name), &format!(",mode=max,compression={name},force-compression=true"))
    });
    build.run();
    let own: Vec<_> = layers(&latest(&image)).into_iter().map(|(_, diff_id)| diff_id).collect();
    for (name, ending) in wanted {
        let spec = format!("type=local,src={}", place(name).display());
        let inspected = run_json(["cache", "inspect", &spec, "--json"]);
        let blobs = inspected["blobs"].as_array().unwrap();
        let is_named = |blob: &Value| blob["mediaType"] == format!("application/vnd.oci.image.layer.v1.{ending}");
        assert!(blobs.len() == own.len() && blobs.iter().all(is_named), "{inspected}");
        // An eStargz DiffID covers the table of contents, too.
        let has_tars = blobs.iter().all(|blob| own.iter().any(|id| blob["diffID"] == *id));
        assert_eq!(has_tars, name != "estargz", "{inspected}");
    }
    assert_undamaged(&store);
    assert_prunes_to_nothing(&store);
}
