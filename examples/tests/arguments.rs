//! Wrong arguments end with exit code 2 before anything is done, and name what is right.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use support::layercache;
use tempfile::tempdir;

/// Runs the tool with `arguments`, in which `STORE` stands for a store that must not come to be.
fn refused(arguments: &[&str]) -> String {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    let arguments = arguments.iter().map(|argument| argument.replace("STORE", store.to_str().unwrap()));
    let output = layercache(arguments).current_dir(work.path()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(output.stdout.is_empty());
    assert!(stderr.starts_with("error: "), "{stderr}");
    assert_eq!(std::fs::read_dir(work.path()).unwrap().count(), 0, "something was done");
    stderr
}

fn assert_names(arguments: &[&str], names: &[&str]) {
    let stderr = refused(arguments);
    for name in names {
        assert!(stderr.contains(name), "{name} is missing in {stderr}");
    }
}

#[test]
fn prioritised_files_are_for_estargz_alone() {
    let convert = ["convert", "--store=STORE", "--blob=x", "--prioritized-files=list", "--compression=gzip"];
    assert_names(&convert, &["--prioritized-files", "estargz"]);
}

fn build_with(argument: &str) -> Vec<&str> {
    vec!["build", "--store=STORE", "--step=a=echo a > a", argument]
}

#[test]
fn an_unknown_key_is_refused_with_the_keys_that_there_are() {
    let cases: [(&str, &[&str]); 4] = [
        ("--export-cache=type=local,dest=x,moed=max", &["moed", "mode", "dest", "ignore-error"]),
        ("--import-cache=type=local,source=x", &["source", "src", "tag", "digest"]),
        ("--output=type=oci,dest=x,tra=false", &["tra", "tar", "name", "compression"]),
        ("--output=type=image,name=x,dest=x", &["dest", "name", "push"]),
    ];
    for (argument, names) in cases {
        assert_names(&build_with(argument), names);
    }
    assert_names(&["cache", "inspect", "type=local,dest=x"], &["dest", "src", "tag"]);
    assert_names(
        &["cache", "copy", "type=local,src=x", "type=local,dest=y,mode=max", "--store=STORE"],
        &["mode", "dest"],
    );
    assert_names(&["cache", "copy", "type=local,scr=x", "type=local,dest=y", "--store=STORE"], &["scr", "src"]);
}

#[test]
fn an_unknown_type_is_refused_with_the_types_that_there_are() {
    let cases: [(&str, &[&str]); 3] = [
        ("--export-cache=type=floppy,dest=x", &["floppy", "local"]),
        ("--import-cache=type=floppy,src=x", &["floppy", "local"]),
        ("--output=type=floppy,dest=x", &["floppy", "image", "oci", "docker"]),
    ];
    for (argument, names) in cases {
        assert_names(&build_with(argument), names);
    }
    assert_names(&["cache", "inspect", "type=floppy,src=x"], &["floppy", "local"]);
}

#[test]
fn wrong_values_are_refused() {
    for argument in [
        "--export-cache=type=local",
        "--export-cache=dest=x",
        "--export-cache=type=local,dest=x,mode=medium",
        "--export-cache=type=local,dest=x,compression=lzma",
        "--export-cache=type=local,dest=x,compression=gzip,compression-level=99",
        "--export-cache=type=local,dest=x,image-manifest=perhaps",
        "--export-cache=type=local,dest=x,oci-mediatypes=false,image-manifest=true",
        "--export-cache=type=local,dest=x,compression=estargz,compression-level=13",
        "--export-cache=type=local,dest=x,compression=zstd:chunked,compression-level=23",
        "--import-cache=type=local",
        "--output=type=oci",
        "--output=type=image",
        "--output=type=oci,dest=x,compression-level=high",
        "--step=no command",
        "--step==no key",
        "--platform=x",
        "--base=somewhere",
        "--snapshotter=zfs",
    ] {
        refused(&build_with(argument));
    }
    refused(&["build", "--store=STORE"]);
    refused(&["prune", "--store=STORE", "--filter=kind=layer"]);
    refused(&["prune", "--store=STORE", "--keep-duration=5x"]);
    refused(&["diff", "--store=STORE", "--lower=", "--upper=.", "--compression=lzma"]);
    refused(&["diff", "--store=STORE", "--lower=", "--upper=.", "--threads=0"]);
    refused(&["convert", "--store=STORE", "--blob=x", "--compression=lzma"]);
    refused(&["convert", "--store=STORE", "--blob=x", "--compression=zstd", "--compression-level=23"]);
    refused(&build_with("--output=type=oci,dest=x,force-compression=perhaps"));
    refused(&["image", "inspect", "somewhere"]);
}

#[test]
fn estargz_with_docker_media_types_is_refused() {
    for argument in [
        "--output=type=oci,dest=x,compression=estargz,oci-mediatypes=false",
        "--output=type=docker,dest=x,compression=estargz,oci-mediatypes=false",
        "--export-cache=type=local,dest=x,compression=estargz,oci-mediatypes=false",
    ] {
        assert_names(&build_with(argument), &["estargz", "Docker"]);
    }
}

#[test]
fn zstd_chunked_with_docker_media_types_is_refused() {
    for argument in [
        "--output=type=oci,dest=x,compression=zstd:chunked,oci-mediatypes=false",
        "--export-cache=type=local,dest=x,compression=zstd:chunked,oci-mediatypes=false",
    ] {
        assert_names(&build_with(argument), &["zstd:chunked", "Docker"]);
    }
}

#[test]
fn what_is_not_built_yet_says_so() {
    let commands: [&[&str]; 9] = [
        &["cache", "explain", "type=local,src=x", "--key=a"],
        &["image", "copy", "oci:x", "type=oci,dest=y", "--store=STORE"],
        &["image", "inspect", "registry:example.com/x"],
        &["cache", "inspect", "type=registry,ref=example.com/x"],
        &build_with("--output=type=local,dest=x"),
        &build_with("--output=type=tar,dest=x"),
        &build_with("--output=type=image,name=x,push=true"),
        &build_with("--import-cache=type=registry,ref=example.com/x"),
        &build_with("--export-cache=type=inline"),
    ];
    for command in commands {
        assert_names(command, &["not built yet"]);
    }
}
