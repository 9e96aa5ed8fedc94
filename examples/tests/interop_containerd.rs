//! containerd unpacks our layers by the decoders of Go: its standard library's gzip, and klauspost's zstd.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use support::building::Build;
use support::containerd::Containerd;
use support::{is_root, with_tools};

/// Several blocks of gzip and frames of zstd, which containerd must read as one stream, and a layer of few bytes.
const STEPS: [(&str, &str); 3] = [
    ("large", "mkdir -p d/sub; seq 1 1500000 > d/numbers; head -c 9000000 /dev/urandom > d/noise; ln d/numbers hard"),
    ("change", "rm hard; echo new > d/sub/new; echo more >> d/noise; ln -s noise d/link"),
    ("small", "echo small > d/small; rm d/sub/new"),
];

/// Makes a directory of an `unpigz`, which containerd prefers to Go's gzip, that fails and leaves the file `mark`.
fn make_broken_unpigz(directory: &Path, mark: &Path) {
    std::fs::create_dir(directory).unwrap();
    let script = directory.join("unpigz");
    std::fs::write(&script, format!("#!/bin/sh\n: > {}\nexit 1\n", mark.display())).unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn containerd_unpacks_our_gzip_and_zstd_by_gos_own_decoders() {
    let test = "containerd on gzip and zstd";
    if !(with_tools(test, &["containerd", "ctr"]) && is_root(test)) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let place = |name: &str| work.path().join(name);
    let compressions = ["gzip", "zstd", "zstd:chunked"];
    let archive = |compression: &str| place(&format!("{}.tar", compression.replace(':', "-")));
    let build = compressions.iter().fold(Build::new(&place("store"), &STEPS), |build, compression| {
        let attributes = format!("compression={compression},force-compression=true,name=example.com/demo:latest");
        build.with(format!("--output=type=oci,dest={},{attributes}", archive(compression).display()))
    });
    build.run();

    let mark = place("unpigz-was-run");
    make_broken_unpigz(&place("programs"), &mark);
    let programs = format!("{}:{}", place("programs").display(), std::env::var("PATH").unwrap());
    let mut containerd = Command::new("containerd");
    let containerd =
        Containerd::start_as(work.path(), containerd.env("CONTAINERD_DISABLE_PIGZ", "1").env("PATH", programs));
    for compression in compressions {
        let namespace = compression.replace(':', "-");
        assert_eq!(containerd.unpack(&namespace, &archive(compression)), STEPS.len(), "{compression}");
    }
    assert!(!mark.exists(), "another program decompressed");
}
