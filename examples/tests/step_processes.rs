//! A step's processes end with it, and with the tool.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use support::building::{Build, assert_prunes_to_nothing, assert_undamaged, states};
use support::succeed;
use tempfile::tempdir;

/// Processes that tell after a minute that they are still there. Who holds the tool's standard error open is waited for.
const LINGERING: &str =
    "(sleep 60; echo linger\"\"ed) & sh -c '(sleep 60; echo linger\"\"ed) & sleep 60; echo linger\"\"ed' &";

#[test]
fn what_a_step_started_dies_with_the_tool() {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    let step = format!("{LINGERING} echo ready; wait");
    let mut command = Build::new(&store, &[("endless", &step)]).command();
    let mut tool = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(tool.stderr.take().unwrap());
    let mut line = String::new();
    while line != "ready\n" {
        line.clear();
        assert_ne!(told.read_line(&mut line).unwrap(), 0, "the step did not begin");
    }
    tool.kill().unwrap();
    assert_eq!(tool.wait().unwrap().signal(), Some(9));
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("lingered"), "{rest}");
    assert_prunes_to_nothing(&store);
    assert_undamaged(&store);
}

#[test]
fn what_a_step_leaves_running_ends_with_it() {
    let work = tempdir().unwrap();
    let step = format!("{LINGERING} echo done > done");
    let output = succeed(&mut Build::new(&work.path().join("store"), &[("leaves", &step)]).command());
    assert_eq!(states(&serde_json::from_slice(&output.stdout).unwrap()), ["run"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("lingered"));
}

#[test]
fn a_step_that_is_killed_fails() {
    let work = tempdir().unwrap();
    let output = Build::new(&work.path().join("store"), &[("killed", "kill -9 $$")]).command().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error: step killed "));
}
