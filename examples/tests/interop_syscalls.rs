//! The system calls of `diff` and `apply`, as strace sees them. Of an overlay, lower directories are not opened, no file is looked at twice in
//! one layer, and none is looked at that did not change; of two trees, directories are read at large and attributes asked for
//! only where they count. What a new file has already is not set.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
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
    let below = arguments
        .split('"')
        .nth(1)
        .filter(|_| !matches!(name, "flistxattr" | "fgetxattr" | "read" | "write" | "pwrite64"));
    // A link of the process to an open directory, which strace shows as it is given.
    let path = match (directory, below) {
        (Some(directory), Some(below)) => directory.join(below),
        (Some(path), None) => path,
        (None, Some(below)) => PathBuf::from(below),
        (None, None) => return None,
    };
    Some(Call { name: name.to_owned(), path, line: line.to_owned() })
}

/// Runs the tool's `diff` with this differ under strace; the calls of all its threads.
fn traced_diff(work: &Path, differ: &str, lowers: &[&Path], upper: &Path) -> Vec<Call> {
    let mut lower = OsString::from("--lower=");
    lower.push(lowers.iter().map(|path| path.to_str().unwrap()).collect::<Vec<_>>().join(":"));
    let differ = format!("--differ={differ}").into();
    let (upper, store) = (option("upper", upper), option("store", &work.join("store")));
    traced(work, [OsString::from("diff"), differ, "--compression=uncompressed".into(), lower, upper, store])
}

/// Runs the tool under strace; the calls of all its threads.
fn traced<const N: usize>(work: &Path, arguments: [OsString; N]) -> Vec<Call> {
    let trace = work.join("trace");
    std::fs::create_dir(&trace).unwrap();
    succeed(
        Command::new("strace")
            .args(["-ff", "-qq", "-y", "-s", "4096", "-e", "trace=%file,%desc", "-o"])
            .arg(trace.join("thread"))
            .arg(env!("CARGO_BIN_EXE_layercache"))
            .args(arguments),
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

/// The calls whose name ends so, on a file of this name, wherever it is: calls in a thread's own directory name no other one, and
/// of a tree that the tool has mounted for itself strace tells nothing but what is below its root.
fn on<'a>(calls: &'a [Call], end: &str, name: &str) -> Vec<&'a Call> {
    let is_it = |call: &&Call| call.name.ends_with(end) && call.path.file_name().is_some_and(|it| it == name);
    calls.iter().filter(is_it).collect()
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
        let calls = traced_diff(&work, "overlay", &lowers, upper);
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

        let files: Vec<_> =
            changed.iter().filter(|path| upper.join(path).symlink_metadata().unwrap().is_file()).collect();
        for file in files {
            let name = file.file_name().unwrap().to_str().unwrap();
            assert_eq!(on(&calls, "listxattr", name).len(), 1, "lists of the attributes of {file:?}");
        }
    }
}

#[test]
fn a_large_directory_is_read_by_few_calls() {
    let test = "the system calls on a large directory";
    if !with_tools(test, &["strace"]) || !is_root(test) {
        return;
    }
    // What `linux_dirent64` takes for a name: 19 bytes before it, a 0 behind it, and what makes that a multiple of 8.
    const NAMES: usize = 5_000;
    const NAME_BYTES: usize = 100;
    const ENTRY_BYTES: usize = (19 + NAME_BYTES + 1usize).next_multiple_of(8);
    /// In buffers of 64 KiB, twice those of the C library: the kernel fills each but for a rest in which no entry has room, and the
    /// last call gives nothing.
    const CALLS: usize = (NAMES * ENTRY_BYTES).div_ceil(64 * 1024 - ENTRY_BYTES) + 1;
    let work = tempfile::tempdir().unwrap();
    let work = work.path().canonicalize().unwrap();
    let [lower, upper] = ["lower", "upper"].map(|name| work.join(name));
    for tree in [&lower, &upper] {
        std::fs::create_dir_all(tree.join("many")).unwrap();
        for number in 0..NAMES {
            std::fs::write(tree.join(format!("many/{number:0NAME_BYTES$}")), "").unwrap();
        }
    }
    let calls = traced_diff(&work, "walking", &[&lower], &upper);
    let reads = on(&calls, "getdents64", "many").len();
    assert!((2 * 2..=2 * CALLS).contains(&reads), "{reads} calls for two directories, not {CALLS} for each");
}

#[test]
fn two_trees_are_compared_without_needless_calls_for_attributes() {
    let test = "the system calls for attributes";
    if !with_tools(test, &["strace", "setcap"]) || !is_root(test) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let work = work.path().canonicalize().unwrap();
    shell(
        &work,
        "mkdir -p lower/directory; cd lower/directory; ln -s equal link; : > empty; \
         for name in equal modified deleted capable whole-second; do echo $name > $name; done; touch -d @1 whole-second; \
         cd ../..; cp -a lower upper; echo kept > lower/kept; ln lower/kept upper/kept; \
         cd upper/directory; rm deleted; echo more >> modified; echo added > added; setcap cap_net_raw+ep capable",
    );
    let calls = traced_diff(&work, "walking", &[&work.join("lower")], &work.join("upper"));
    for (name, lists, gets) in [
        // One file under two names.
        ("kept", 0, 0),
        // Files that look the same differ if their capabilities do, so both are asked.
        ("equal", 2, 0),
        ("empty", 2, 0),
        ("link", 2, 0),
        // To be read they are opened, and asked then.
        ("whole-second", 2, 0),
        // What differs, or is in one tree only, is asked for when it is packed.
        ("modified", 1, 0),
        ("added", 1, 0),
        ("deleted", 0, 0),
        // Compared, and then packed. Only a list that names an attribute lets it be asked for.
        ("directory", 3, 0),
        ("capable", 3, 2),
    ] {
        let found = ["listxattr", "getxattr"].map(|end| on(&calls, end, name).len());
        assert_eq!(found, [lists, gets], "lists and values of the attributes of {name}");
    }
}

#[test]
fn a_file_is_unpacked_without_needless_calls() {
    let test = "the system calls of unpacking";
    if !with_tools(test, &["strace"]) || !is_root(test) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let work = work.path().canonicalize().unwrap();
    shell(
        &work,
        "mkdir tree; cd tree; for name in plain program set-id foreign; do echo $name > $name; done; \
         chmod 644 plain foreign; chmod 755 program; chmod 4755 set-id; chown 1000:1000 foreign; \
         tar --numeric-owner -cf ../layer.tar plain program set-id foreign",
    );
    let into = work.join("into");
    let calls =
        traced(&work, [OsString::from("apply"), option("blob", &work.join("layer.tar")), option("into", &into)]);
    for (name, owners, modes) in [("plain", 0, 0), ("program", 0, 0), ("set-id", 0, 1), ("foreign", 1, 1)] {
        let of = |call: &str| calls.iter().filter(|it| it.name == call && it.path == into.join(name)).count();
        let once = ["openat", "pwrite64", "fstat", "utimensat", "close"].map(of);
        assert_eq!((once, of("fchown"), of("fchmod")), ([1; 5], owners, modes), "{name}");
    }
}
