//! `image inspect` and `image unpack` of everything that a build writes out.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;

use serde_json::Value;
use support::building::{Build, option, states};
use support::{assert_same_tree, layercache, run, run_json, shell};
use tempfile::tempdir;

const STEPS: [(&str, &str); 3] = [
    (
        "make",
        "mkdir -p a/b c; echo one > a/one; ln a/one c/hard; ln -s ../a/one c/link; mkfifo a/pipe; chmod 751 a/one; echo x > a/b/x",
    ),
    (
        "delete",
        "rm a/b/x; printf 'caf\\303\\251' > \"$(printf 'caf\\303\\251')\"; touch .hidden; \
         echo odd > \"$(printf 'odd\\377\\001\\n=\\134name')\"; ln -s \"$(printf '\\376')\" odd-link",
    ),
    ("replace", "rm -r a/b; mkdir a/b; echo new > a/b/new; chmod 1777 a/b"),
];

/// The three forms in which an image leaves a build, with their sources.
fn forms(work: &Path) -> [(String, String); 3] {
    let place = |name: &str| work.join(name).display().to_string();
    let name = "name=example.com/demo:v1";
    [
        (format!("--output=type=oci,tar=false,{name},dest={}", place("layout")), format!("oci:{}:v1", place("layout"))),
        (format!("--output=type=oci,{name},dest={}", place("oci.tar")), format!("oci-archive:{}:v1", place("oci.tar"))),
        (
            format!("--output=type=docker,{name},dest={}", place("docker.tar")),
            format!("docker-archive:{}:example.com/demo:v1", place("docker.tar")),
        ),
    ]
}

#[test]
fn every_form_of_an_image_is_inspected_and_unpacked() {
    let work = tempdir().unwrap();
    let plain = work.path().join("plain");
    std::fs::create_dir(&plain).unwrap();
    STEPS.iter().for_each(|(_, command)| drop(shell(&plain, command)));
    for compression in ["gzip", "zstd", "estargz", "zstd:chunked", "uncompressed"] {
        let out = work.path().join(compression.replace(':', "-"));
        std::fs::create_dir(&out).unwrap();
        let mut build = Build::new(&out.join("store"), &STEPS);
        for (output, _) in forms(&out) {
            build = build.with(format!("{output},compression={compression}"));
        }
        let report = build.run();
        for (at, (_, source)) in forms(&out).iter().enumerate() {
            let image = run_json(["image", "inspect", source, "--json"]);
            let made: Vec<_> = report["steps"].as_array().unwrap().iter().map(|step| &step["diffID"]).collect();
            let found: Vec<_> = image["layers"].as_array().unwrap().iter().map(|layer| &layer["diffID"]).collect();
            assert_eq!(found, made, "{source}");
            assert_eq!(image["config"]["rootfs"]["diff_ids"].as_array().unwrap().iter().collect::<Vec<_>>(), made);
            assert_eq!(image["platforms"].as_array().unwrap().len(), 1);
            // Docker's archive has a manifest of its own kind.
            assert!(at == 2 || image["digest"] == report["outputs"][at]["digest"], "{source}");

            let into = out.join(format!("tree-{at}"));
            let places = [option("store", &work.path().join("other-store")), option("into", &into), "--json".into()];
            run(["image", "unpack", source].map(Into::into).into_iter().chain(places));
            assert_same_tree(&into, &plain);
        }
    }
}

#[test]
fn an_image_is_not_unpacked_into_a_directory_that_holds_something() {
    let work = tempdir().unwrap();
    let (store, into) = (work.path().join("store"), work.path().join("into"));
    let layout = work.path().join("layout");
    Build::new(&store, &STEPS[..1]).with_layout(&layout).run();
    std::fs::create_dir(&into).unwrap();
    std::fs::write(into.join("mine"), "mine").unwrap();
    let source = format!("oci:{}", layout.display());
    let places = [option("store", &store), option("into", &into)];
    let output = layercache(["image", "unpack", &source].map(Into::into).into_iter().chain(places)).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read_dir(&into).unwrap().count(), 1);
}

#[test]
fn the_metadata_file_says_what_was_written() {
    let work = tempdir().unwrap();
    let (layout, file) = (work.path().join("layout"), work.path().join("metadata.json"));
    let build = Build::new(&work.path().join("store"), &STEPS[..1]).with_layout(&layout);
    let report = build.with(option("metadata-file", &file)).run();
    assert_eq!(states(&report), ["run"]);
    let metadata: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(metadata["containerimage.digest"], report["outputs"][0]["digest"]);
    assert_eq!(metadata["containerimage.descriptor"]["digest"], report["outputs"][0]["digest"]);
    assert_eq!(metadata["image.name"], "example.com/demo:latest");
    let index: Value = serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["digest"], metadata["containerimage.digest"]);
}
