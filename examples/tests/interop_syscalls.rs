//! The system calls of `diff` on an overlay's upperdir, as strace sees them: lower directories are not opened, no file is looked
//! at twice in one layer, and none is looked at that did not change.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use support::building::option;
use support::{is_root, shell, succeed, with_tools};

/// Two lower directories and the upper one, of a mounted overlay in which the last command was run.
const BOTTOM: &str = "mkdir -p usr/bin usr/share/doc/deep etc; for n in $(seq 1 50); do echo $n > usr/bin/$n; done; \
    echo a > etc/a; echo b > etc/b; echo c > usr/share/doc/deep/c; echo d > usr/share/doc/d";
const TOP: &str = "mkdir -p usr/bin opt/new; echo more >> usr/bin/7; echo x > opt/new/x; rm etc/b";
const UPPER: &str = "echo more >> usr/bin/7; echo more >> usr/bin/8; rm usr/bin/9; echo e > usr/share/doc/deep/e; \
    echo more >> opt/new/x; mkdir -p srv/s/t; echo f > srv/s/t/f; ln -s f srv/s/t/link; ln srv/s/t/f srv/s/t/hard; \
    rm usr/share/doc/d; chmod 600 etc/a";

/// One call: its name, the path that it is about, and the rest of the line.
struct Call {
    name: String,
    path: PathBuf,
    line: String,
}

/// Reads `name(5</directory>, "below", …) = 7</directory/below>`; calls that name no path are left out.
fn parse(line: &str) -> Option<Call> {
    let (name, arguments) = line.split_once('(')?;
    // `AT_FDCWD` is the thread's own directory, which strace tells as well.
    let is_handle = |text: &str| text == "AT_FDCWD" || text.bytes().all(|byte| byte.is_ascii_digit());
    let directory = arguments.split_once('<').filter(|(before, _)| is_handle(before));
    let directory = directory.and_then(|(_, rest)| rest.split_once('>')).map(|(path, _)| PathBuf::from(path));
    // What stands in quotes in a call about an open file is what it gave.
    let below = arguments.split('"').nth(1).filter(|_| !matches!(name, "flistxattr" | "fgetxattr" | "read" | "write"));
    // A link of the process to an open directory, which strace shows as it is given.
    let path = match (directory, below) {
        (Some(directory), Some(below)) => directory.join(below),
        (Some(path), None) => path,
        (None, Some(below)) => PathBuf::from(below),
        (None, None) => return None,
    };
    Some(Call { name: name.to_owned(), path, line: line.to_owned() })
}

/// Runs the tool under strace; the calls of all its threads.
fn traced(work: &Path, lowers: &[&Path], upper: &Path) -> Vec<Call> {
    let trace = work.join("trace");
    std::fs::create_dir(&trace).unwrap();
    let mut lower = std::ffi::OsString::from("--lower=");
    lower.push(lowers.iter().map(|path| path.to_str().unwrap()).collect::<Vec<_>>().join(":"));
    succeed(
        Command::new("strace")
            .args(["-ff", "-qq", "-y", "-s", "4096", "-e", "trace=%file,%desc", "-o"])
            .arg(trace.join("thread"))
            .arg(env!("CARGO_BIN_EXE_layercache"))
            .args(["diff", "--differ=overlay", "--compression=uncompressed"])
            .args([lower, option("upper", upper), option("store", &work.join("store"))]),
    );
    let mut calls = Vec::new();
    for file in std::fs::read_dir(&trace).unwrap() {
        let text = std::fs::read(file.unwrap().path()).unwrap();
        calls.extend(String::from_utf8_lossy(&text).lines().filter_map(parse));
    }
    assert!(calls.len() > 100, "strace saw next to nothing");
    calls
}

fn is_look(call: &Call) -> bool {
    matches!(call.name.as_str(), "newfstatat" | "statx" | "lstat" | "stat")
}

/// How often each path below `root` was looked at by its name.
fn looks(calls: &[Call], root: &Path) -> BTreeMap<PathBuf, usize> {
    let mut looks = BTreeMap::new();
    for call in calls.iter().filter(|call| is_look(call) && !call.line.contains("\"\"")) {
        if let Ok(below) = call.path.strip_prefix(root).map(Path::to_owned)
            && !below.as_os_str().is_empty()
        {
            *looks.entry(below).or_default() += 1;
        }
    }
    looks
}

/// Every path below `root`.
fn paths(root: &Path) -> BTreeSet<PathBuf> {
    let found = shell(root, "find . -mindepth 1 -printf '%P\\n'").stdout;
    String::from_utf8(found).unwrap().lines().map(PathBuf::from).collect()
}

#[test]
fn an_upperdir_is_packed_without_opening_a_lower_directory_and_with_one_look_a_file() {
    let test = "the system calls on an upperdir";
    if !with_tools(test, &["strace"]) || !is_root(test) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    // The tool resolves links in the paths that it is given, and so does strace.
    let work = work.path().canonicalize().unwrap();
    let [bottom, top, upper, second, merged] =
        ["bottom", "top", "upper", "second", "merged"].map(|name| work.join(name));
    for directory in [&bottom, &top, &upper, &second, &merged] {
        std::fs::create_dir(directory).unwrap();
    }
    shell(&bottom, BOTTOM);
    let mount = |lower: &str, upper: &str, command: &str| {
        let script = format!(
            "mkdir index-{upper}; mount -t overlay overlay -o lowerdir={lower},upperdir={upper},workdir=index-{upper} merged; \
             trap 'cd \"$ROOT\"; umount merged' EXIT; cd merged; {command}"
        );
        shell(&work, &script);
    };
    mount("bottom", "top", TOP);
    mount("top:bottom", "upper", UPPER);
    mount("bottom", "second", "echo more >> usr/bin/8; mkdir srv; echo f > srv/f");

    let changed = paths(&upper);
    assert!(changed.len() > 15);
    for (number, (lowers, upper)) in
        [(vec![&*top, &*bottom], &*upper), (vec![&*bottom], &*second)].into_iter().enumerate()
    {
        let work = work.join(format!("run-{number}"));
        std::fs::create_dir(&work).unwrap();
        let calls = traced(&work, &lowers, upper);
        let changed = paths(upper);
        for lower in lowers {
            for call in &calls {
                let below = call.path.strip_prefix(lower).is_ok_and(|below| !below.as_os_str().is_empty());
                let opens = call.name.starts_with("open") || call.name.starts_with("getdents");
                assert!(!(opens && below), "{}", call.line);
                assert!(!(call.name.starts_with("getdents") && call.path == lower), "{}", call.line);
            }
            let looks = looks(&calls, lower);
            assert!(!looks.is_empty(), "nothing was asked of {}", lower.display());
            for (path, times) in looks {
                assert!(times == 1 && changed.contains(&path), "{times} looks at {path:?} in {}", lower.display());
            }
        }
        let looks = looks(&calls, upper);
        assert_eq!(looks.keys().cloned().collect::<BTreeSet<_>>(), changed);
        assert!(looks.values().all(|times| *times == 1), "{looks:?}");

        // Files have names of their own, since calls in a thread's own directory have no others.
        let files: Vec<_> =
            changed.iter().filter(|path| upper.join(path).symlink_metadata().unwrap().is_file()).collect();
        for file in files {
            let name = file.file_name();
            let lists = |call: &&Call| call.name.ends_with("listxattr") && call.path.file_name() == name;
            assert_eq!(calls.iter().filter(lists).count(), 1, "lists of the attributes of {file:?}");
        }
    }
}
