//! What an image says is data: its names, labels, annotations and files decide nothing on this machine.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use cache_core::Digest;
use serde_json::{Value, json};
use support::building::{Build, assert_prunes_to_nothing, blob, latest, option, states};
use support::{run, run_json, shell};
use tempfile::{TempDir, tempdir};

const BASE: &str = "mkdir -p bin etc; printf 'no:lines\\377of:any' > etc/passwd; cp etc/passwd etc/group; \
                    for name in gzip gunzip unpigz igzip zstd tar; do \
                    printf '#!/bin/sh\\ntouch %s/ran\\n' \"$ORIGIN\" > bin/$name; chmod 755 bin/$name; done";

/// An image whose every claim is hostile, in the layout `image` under the name of somebody else.
fn hostile_image() -> TempDir {
    let work = tempdir().unwrap();
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "config": {
            "User": "nobody-of-this-name:no-group", "WorkingDir": "/../../escaped", "Volumes": {"/../../../volume": {}},
            "Env": ["PATH=/bin"], "Labels": {"containerd.io/gc.root": "2026-11-21T00:00:00Z"},
        },
    });
    let file = work.path().join("config.json");
    fs::write(&file, config.to_string()).unwrap();
    let layout = work.path().join("image");
    let build = Build::new(&work.path().join("maker"), &[("base", BASE)]).with(option("config", &file));
    support::succeed(build.with_layout(&layout).command().current_dir(work.path()));
    claim(&layout);
    work
}

/// Annotates layer, config and manifest with the labels that hold things in a store.
fn claim(layout: &Path) {
    let index = layout.join("index.json");
    let mut root: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    let named = &mut root["manifests"][0];
    let old = blob(layout, named["digest"].as_str().unwrap());
    let mut manifest: Value = serde_json::from_slice(&fs::read(&old).unwrap()).unwrap();
    let claims = json!({
        "containerd.io/gc.root": "2026-11-21T00:00:00Z",
        "containerd.io/gc.ref.content.other": manifest["layers"][0]["digest"],
        "containerd.io/uncompressed": Digest::of("something else").to_string(),
    });
    for annotated in ["layers", "config"] {
        let place = if annotated == "layers" { &mut manifest["layers"][0] } else { &mut manifest["config"] };
        place["annotations"] = claims.clone();
    }
    manifest["annotations"] = claims;
    let bytes = serde_json::to_vec(&manifest).unwrap();
    named["digest"] = json!(Digest::of(&bytes).to_string());
    named["size"] = json!(bytes.len());
    fs::write(blob(layout, named["digest"].as_str().unwrap()), bytes).unwrap();
    fs::remove_file(old).unwrap();
    fs::write(index, root.to_string()).unwrap();
}

fn base(work: &TempDir) -> String {
    format!("--base={}", latest(&work.path().join("image")))
}

fn path(work: &TempDir, name: &str) -> PathBuf {
    work.path().join(name)
}

#[test]
fn names_labels_and_annotations_of_a_base_are_not_adopted() {
    let work = hostile_image();
    let store = path(&work, "store");
    let mine =
        Build::new(&store, &[("mine", "echo mine > mine")]).with("--output=type=image,name=example.com/demo:latest");
    let digest = mine.run()["outputs"][0]["digest"].clone();

    assert_eq!(states(&Build::new(&store, &[("step", "test -e etc/passwd")]).with(base(&work)).run()), ["run"]);

    let images = [OsString::from("images"), "--json".into(), option("store", &store)];
    let images = run_json(images)["images"].as_array().unwrap().clone();
    assert_eq!(images.len(), 1);
    assert_eq!((&images[0]["name"], &images[0]["digest"]), (&json!("example.com/demo:latest"), &digest));

    run([OsString::from("images"), "--remove".into(), "example.com/demo:latest".into(), option("store", &store)]);
    assert_prunes_to_nothing(&store);
}

#[test]
fn paths_and_users_of_a_config_are_text() {
    let work = hostile_image();
    let into = path(&work, "tree");
    let source = latest(&path(&work, "image"));
    let config = run_json(["image", "inspect", &source, "--json"])["config"].clone();
    assert_eq!(config["config"]["User"], "nobody-of-this-name:no-group");

    let places = [option("store", &path(&work, "store")), option("into", &into)];
    run(["image", "unpack", &source].map(OsString::from).into_iter().chain(places));
    let plain = path(&work, "plain");
    fs::create_dir(&plain).unwrap();
    shell(&plain, &BASE.replace("$ORIGIN", &work.path().display().to_string()));
    support::assert_same_tree(&into, &plain);
    for name in ["escaped", "volume"] {
        assert!(!work.path().join(name).exists() && !work.path().parent().unwrap().join(name).exists());
    }
}

#[test]
fn no_file_of_an_image_is_parsed_or_run() {
    let work = hostile_image();
    for compression in ["gzip", "zstd"] {
        let layout = path(&work, compression);
        let build = Build::new(&path(&work, "store"), &[("step", ": > made")]).with(base(&work));
        let output = format!("--output=type=oci,tar=false,compression={compression},dest={}", layout.display());
        support::succeed(build.with(output).command().current_dir(path(&work, "image")));
        let into = path(&work, &format!("tree-{compression}"));
        let source = format!("oci:{}", layout.display());
        let places = [option("store", &path(&work, "other-store")), option("into", &into)];
        run(["image", "unpack", &source].map(OsString::from).into_iter().chain(places));
        assert_eq!(fs::read(into.join("etc/passwd")).unwrap(), b"no:lines\xffof:any");
        assert!(!path(&work, "ran").exists());
    }
}
