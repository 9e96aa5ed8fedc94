//! When `apply` has the disk take the files of a layer, as strace sees it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;
use std::process::Command;

use support::building::option;
use support::{assert_same_tree, shell, succeed, with_tools};

/// Several times what is written before the disk is to take it.
const TREE: &str = "mkdir -p tree/d; for n in $(seq 1 10); do head -c 8000000 /dev/urandom > tree/d/$n; done; \
    ln -s d/1 tree/link; tar -C tree -cf layer.tar .";

/// The syncs of one `apply`, and the call after which nothing more is changed in the tree.
fn syncs(work: &Path, into: &str, durability: &[&str]) -> (usize, String) {
    let trace = work.join(format!("trace-{into}"));
    succeed(
        Command::new("strace")
            .args(["-f", "-qq", "-o"])
            .arg(&trace)
            .args(["-e", "trace=syncfs,fsync,fdatasync,sync,openat,pwrite64,utimensat,fchmod"])
            .arg(env!("CARGO_BIN_EXE_layercache"))
            .arg("apply")
            .args([option("blob", &work.join("layer.tar")), option("into", &work.join(into))])
            .args(durability),
    );
    let trace = std::fs::read_to_string(trace).unwrap();
    assert!(trace.lines().filter(|line| line.contains("pwrite64(")).count() > 100, "strace saw next to nothing");
    let last = trace.lines().rfind(|line| !line.contains("/proc") && !line.contains("/sys")).unwrap().to_owned();
    (trace.lines().filter(|line| line.contains("sync(") || line.contains("syncfs(")).count(), last)
}

#[test]
fn apply_syncs_on_the_way_and_last_of_all_when_it_is_asked_to_and_else_never() {
    if !with_tools("the syncs of apply", &["strace", "tar"]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    shell(work, TREE);
    assert_eq!(syncs(work, "relaxed", &[]).0, 0);
    let (syncs, last) = syncs(work, "synced", &["--durability=synced"]);
    assert!(syncs >= 2, "{syncs} syncs");
    assert!(last.contains("syncfs(") || last.contains("syncfs resumed"), "{last}");
    assert_same_tree(&work.join("relaxed"), &work.join("synced"));
}
