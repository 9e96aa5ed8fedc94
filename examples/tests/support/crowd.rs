//! Many builds in one store, of which some are killed.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::building::{Build, assert_prunes_to_nothing, assert_undamaged};
use super::succeed;

/// Builds in a round that are left alone, and builds that are killed.
const SURVIVORS: usize = 4;
const VICTIMS: usize = 4;

/// From this number on builds do not end by themselves, so that some are at work when they are killed however fast the
/// machine is.
const ENDLESS: usize = SURVIVORS + 2;

/// Lines of progress that a build of three steps with an image and a cache writes at most, about.
const LINES: u64 = 40;

/// Lines that an endless build writes at least: its steps are cached, and it begins its last one.
const ENDLESS_LINES: u64 = 3;

/// A build's steps. `salt` is in the keys, so that builds with different salts make equal layers under different keys.
fn steps(salt: &str, round: usize) -> [(String, String); 3] {
    let stamp = "find . -exec touch -hd @1000000000 {} +";
    let make =
        format!("mkdir -p a/b c; for n in 1 2 3 4 5 6; do echo {round} $n > a/b/$n; done; ln a/b/1 c/1; {stamp}");
    let change = format!("rm a/b/2; mkdir d; seq 1 {round}00 > d/numbers; mv c e; {stamp}");
    let last = format!("rm -r a; mkdir a; echo {round} > a/new; {stamp}");
    [("make", make), ("change", change), ("last", last)].map(|(key, command)| (format!("{key} {salt}"), command))
}

/// A build that makes an image and a cache below `work`.
fn build(work: &Path, snapshotter: &'static str, round: usize, number: usize) -> Build {
    // Two builds and two victims have the same keys, the others have keys of their own. All make equal layers.
    let salt = if number.is_multiple_of(2) { format!("{round}") } else { format!("{round} of {number}") };
    let steps = steps(&salt, round);
    let mut steps: Vec<_> = steps.iter().map(|(key, command)| (key.as_str(), command.as_str())).collect();
    if number >= ENDLESS {
        steps.push(("wait", "exec sleep 60"));
    }
    let out = work.join(format!("out-{round}-{number}"));
    Build::new(&work.join("store"), &steps)
        .with_snapshotter(snapshotter)
        .with_cache_export(&out.join("cache"), ",mode=max")
        .with_layout(&out.join("image"))
}

/// Kills `child` after so many lines of its progress and a little more, wherever that is; whether it was still at work.
fn kill_after(mut child: Child, lines: u64, more: Duration) -> bool {
    let mut progress = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    for _ in 0..lines {
        line.clear();
        if progress.read_line(&mut line).unwrap() == 0 {
            break;
        }
    }
    std::thread::sleep(more);
    child.kill().unwrap();
    child.wait().unwrap().signal().is_some()
}

/// What a build that was left alone said, if it failed.
fn failure(child: Child) -> Option<String> {
    let output = child.wait_with_output().unwrap();
    (!output.status.success()).then(|| format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// A number below `bound` that nobody foresees.
fn random(bound: u64) -> u64 {
    RandomState::new().build_hasher().finish() % bound
}

/// In each round as many builds start at once; those that are to die are killed at random instants. Asserts that those that
/// were left alone succeed, that the store is not damaged, and that it can be emptied.
pub fn assert_store_survives(work: &Path, snapshotter: &'static str, rounds: usize) {
    let store = work.join("store");
    let mut killed = 0;
    for round in 1..=rounds {
        std::thread::scope(|scope| {
            let spawn = |number| {
                let mut command = build(work, snapshotter, round, number).command();
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            };
            let survivors: Vec<_> =
                (0..SURVIVORS).map(&spawn).map(|child| scope.spawn(move || failure(child))).collect();
            let mut victims = Vec::new();
            for number in SURVIVORS..SURVIVORS + VICTIMS {
                let lines = random(if number < ENDLESS { LINES } else { ENDLESS_LINES });
                let (child, more) = (spawn(number), Duration::from_millis(random(40)));
                victims.push(scope.spawn(move || kill_after(child, lines, more)));
            }
            killed += victims.into_iter().filter_map(|victim| victim.join().unwrap().then_some(())).count();
            for survivor in survivors {
                assert_eq!(survivor.join().unwrap(), None, "round {round}");
            }
        });
        assert_undamaged(&store);
        // Now and then the next round starts in an empty store; else a copy is emptied, and the round starts among what the killed left.
        let emptied = if round % 3 == 0 || round == rounds { &store } else { &copy(&store, work) };
        assert_prunes_to_nothing(emptied);
        assert_undamaged(emptied);
    }
    assert!(killed >= rounds, "only {killed} builds were killed at work");
    assert_nothing_is_mounted_in(&store);
}

/// A store of its own with everything that `store` has.
fn copy(store: &Path, work: &Path) -> PathBuf {
    let copy = work.join("copy");
    std::fs::remove_dir_all(&copy).or_else(|error| if copy.exists() { Err(error) } else { Ok(()) }).unwrap();
    succeed(Command::new("cp").arg("--archive").arg(store).arg(&copy));
    copy
}

fn assert_nothing_is_mounted_in(store: &Path) {
    let mut mounts = String::new();
    std::fs::File::open("/proc/self/mountinfo").unwrap().read_to_string(&mut mounts).unwrap();
    assert!(!mounts.contains(store.to_str().unwrap()), "{mounts}");
}
