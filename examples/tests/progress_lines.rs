//! Progress on standard error: plain lines, JSON lines, or nothing.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;

use serde_json::Value;
use support::building::option;
use support::{layercache, succeed};
use tempfile::tempdir;

/// Standard output and error of a build of two steps, whose second one writes a line, with `--progress=choice`.
fn build(work: &Path, choice: &str) -> (String, String) {
    let mut command = layercache(["build", "--json", "--snapshotter=native", "--step=one=echo > one"]);
    command.arg("--step=two=echo > two").arg(format!("--progress={choice}"));
    command.arg(option("store", &work.join(choice)));
    command.arg(format!("--import-cache=type=local,src={}", work.join("absent").display()));
    command.arg(format!("--export-cache=type=local,dest={}", work.join(format!("cache-{choice}")).display()));
    let output = succeed(&mut command);
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn plain_lines_tell_what_begins_how_it_ends_and_what_is_wrong() {
    let work = tempdir().unwrap();
    for choice in ["plain", "auto"] {
        let (stdout, stderr) = build(work.path(), choice);
        assert!(serde_json::from_str::<Value>(&stdout).unwrap().is_object());
        let lines: Vec<_> = stderr.lines().collect();
        assert!(lines.iter().all(|line| line.starts_with("=> ")), "{stderr}");
        let at = |wanted: &str| {
            let found: Vec<_> = (0..lines.len()).filter(|at| lines[*at] == wanted).collect();
            assert_eq!(found.len(), 1, "{wanted} in {stderr}");
            found[0]
        };
        let order = [at("=> [one] echo > one"), at("=> [one] echo > one: done"), at("=> [two] echo > two")];
        assert!(order.is_sorted() && order[2] < at("=> [two] echo > two: done"), "{stderr}");
        assert_eq!(lines.iter().filter(|line| line.contains(": warning: ")).count(), 1, "{stderr}");
    }
}

#[test]
fn json_progress_is_one_object_a_line() {
    let work = tempdir().unwrap();
    let (_, stderr) = build(work.path(), "json");
    let events: Vec<Value> = stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| {
        let found = events.iter().filter(|event| event["event"] == kind);
        let mut ids: Vec<_> = found.map(|event| event["id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        ids
    };
    assert!(of("started").len() >= 3 && of("started") == of("finished"), "{stderr}");
    assert_eq!(of("warning").len(), 1, "{stderr}");
}

#[test]
fn quiet_says_nothing() {
    let work = tempdir().unwrap();
    let (stdout, stderr) = build(work.path(), "quiet");
    assert!(serde_json::from_str::<Value>(&stdout).unwrap().is_object());
    assert_eq!(stderr, "");
}
