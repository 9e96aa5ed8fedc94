//! Trees at a path, for commands.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod snapshot_support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use cache_core::mount::{die_with_parent, run_attached};
use cache_core::ports::{Mount, MountKind};
use cache_core::{Error, ErrorKind};
use snapshot_support::{Fixture, is_root, may_mount, names};

/// Runs `sh` at the root of a tree; what it printed.
fn shell(root: &Path, script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).current_dir(root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_command_works_at_the_path_in_the_tree_and_nobody_else_sees_it() {
    if !may_mount() {
        return;
    }
    let fixture = Fixture::overlayfs();
    fixture.layer("base", None, |root| fs::write(root.join("file"), "base").unwrap());
    let at = fixture.directory.path().join("at");
    fs::create_dir(&at).unwrap();
    let mounts = fixture.prepare("step", Some("base"));
    let seen = run_attached(&mounts, &at, |root| {
        assert_eq!(root, at);
        shell(root, "pwd; cat file; rm file; echo new > made; ls ..")
    });
    let seen = seen.unwrap();
    assert!(seen.starts_with(&format!("{}\nbase", at.display())), "{seen}");
    assert!(names(&at).is_empty(), "the tree is seen outside of the command's namespace");
    assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(at.to_str().unwrap()));
    fixture.commit("top", "step");
    let view = run_attached(&fixture.view("v", Some("top")), &at, names);
    assert_eq!(view.unwrap(), ["made"]);
}

#[test]
fn a_first_snapshot_and_a_view_can_be_attached_too() {
    if !may_mount() {
        return;
    }
    let fixture = Fixture::overlayfs();
    let at = fixture.directory.path().join("at");
    fs::create_dir(&at).unwrap();
    run_attached(&fixture.prepare("a", None), &at, |root| shell(root, "echo one > file")).unwrap();
    fixture.commit("base", "a");
    let outcome = run_attached(&fixture.view("v", Some("base")), &at, |root| {
        let written = Command::new("sh").args(["-c", "echo two > file"]).current_dir(root).output().unwrap();
        (written.status.success(), fs::read_to_string(root.join("file")).unwrap())
    });
    assert_eq!(outcome.unwrap(), (false, "one\n".to_owned()));
}

#[test]
fn an_ordinary_user_works_in_the_directory_itself() {
    use rustix::fs::{Gid, Uid};
    if rustix::process::geteuid().is_root() && !is_root() {
        return;
    }
    let fixture = Fixture::native();
    let mounts = fixture.prepare("a", None);
    let view = fixture.view("v", None);
    let at = fixture.directory.path().join("at");
    let source = mounts[0].source.clone();
    let (path, refused) = std::thread::spawn(move || {
        if rustix::process::geteuid().is_root() {
            let (user, group) = (Uid::from_raw(65534), Gid::from_raw(65534));
            rustix::thread::set_thread_res_gid(group, group, group).unwrap();
            rustix::thread::set_thread_res_uid(user, user, user).unwrap();
        }
        (run_attached(&mounts, &at, Path::to_owned), run_attached(&view, &at, |_| ()))
    })
    .join()
    .unwrap();
    assert_eq!(path.unwrap(), source);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::PermissionDenied);
}

#[test]
fn nothing_runs_when_the_mounts_cannot_be_attached() {
    let directory = tempfile::tempdir().unwrap();
    let unknown =
        Mount { kind: MountKind::Other("erofs".to_owned()), source: directory.path().to_owned(), options: Vec::new() };
    for (mounts, kinds) in
        [(vec![], vec![ErrorKind::Invalid]), (vec![unknown], vec![ErrorKind::Unsupported, ErrorKind::PermissionDenied])]
    {
        let outcome = run_attached(&mounts, directory.path(), |_| panic!("it ran"));
        assert!(kinds.contains(&outcome.map_err(|error: Error| error.kind()).unwrap_err()));
    }
}

/// What the tests below start this test binary for.
const ROLE: &str = "LAYERCACHE_TEST_ROLE";

fn in_role(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_wrapped_command_dies_with_the_process_that_started_it", "--nocapture"]).env(ROLE, role);
    command
}

#[test]
fn a_wrapped_command_dies_with_the_process_that_started_it() {
    match std::env::var(ROLE).ok() {
        None => {
            let mut tool = in_role("tool").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(tool.stdout.take().unwrap()).lines();
            assert!(lines.any(|line| line.unwrap() == "command runs"));
            let mut input = tool.stdin.take().unwrap();
            tool.kill().unwrap();
            assert_eq!(tool.wait().unwrap().signal(), Some(9));
            // The signal has been sent by now, and a killed process executes nothing any more.
            drop(input.write_all(b"go on\n"));
            assert_eq!(lines.map_while(Result::ok).filter(|line| line == "command goes on").count(), 0);
        }
        Some(role) if role == "tool" => {
            let mut wrapper = in_role(&std::process::id().to_string()).spawn().unwrap();
            wrapper.wait().unwrap();
        }
        Some(parent) => {
            use std::os::unix::process::CommandExt;
            die_with_parent(parent.parse().unwrap()).unwrap();
            let error =
                Command::new("sh").args(["-c", "echo; echo command runs; read line; echo command goes on"]).exec();
            panic!("{error}");
        }
    }
}

#[test]
fn a_process_whose_parent_is_gone_already_is_told_so() {
    // Process 0 is nobody's parent here: who starts a process is at least 1.
    assert_eq!(in_other_thread(|| die_with_parent(u32::MAX)), Some(ErrorKind::Cancelled));
}

/// The signal is the process's; the tests share it, so it is taken back.
fn in_other_thread(work: impl FnOnce() -> cache_core::Result<()>) -> Option<ErrorKind> {
    let kind = work().err().map(|error| error.kind());
    rustix::process::set_parent_process_death_signal(None).unwrap();
    kind
}
