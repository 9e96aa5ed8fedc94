//! One step's command: it runs in its snapshot's root and dies with the tool.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use cache_core::mount::run_attached;
use cache_core::ports::Mount;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::failure::Failure;

/// The hidden subcommand by which the tool runs itself as the guard between it and a step's shell.
pub(crate) const SUBCOMMAND: &str = "__run-step";

/// Runs `command` by `sh -ec` in the tree of `mounts`, which it alone sees at the directory `at`. Its output goes to
/// standard error, because standard output belongs to the tool's result.
pub(crate) fn run(key: &str, command: &str, mounts: &[Mount], at: &Path, origin: &Path) -> Result<(), Failure> {
    let tool = std::env::current_exe().map_err(|error| Failure::while_doing("find the tool itself", error))?;
    let status = run_attached(mounts, at, |root| {
        let mut guard = Command::new(tool)
            .arg(SUBCOMMAND)
            .arg("--")
            .arg(command)
            .current_dir(root)
            .env("ROOT", root)
            .env("ORIGIN", origin)
            .stdin(Stdio::piped())
            .stdout(std::io::stderr())
            // Whoever kills the tool's group leaves the guard, so that it can end the step.
            .process_group(0)
            .spawn()?;
        // The guard reads from it, and learns by its end that there is no tool any more.
        let _lives = guard.stdin.take();
        guard.wait()
    })?;
    let status = status.map_err(|error| Failure::while_doing(format!("start step {key}"), error))?;
    if status.success() { Ok(()) } else { Err(Failure::work(format!("step {key} ended with {status}"))) }
}

/// Runs `sh -ec command` in a process group of its own, which is killed when the tool is gone, that is, when standard input ends,
/// and also when the shell has ended, because nothing may change the tree from then on. The working directory and the environment
/// are those that the tool gave.
pub(crate) fn guard(command: &str) -> Result<ExitCode, Failure> {
    let shell = Command::new("sh").arg("-ec").arg(command).stdin(Stdio::null()).process_group(0).spawn();
    let mut shell = shell.map_err(|error| Failure::while_doing("run sh", error))?;
    let group = Arc::new(Group(Mutex::new(Some(Pid::from_child(&shell)))));
    let watched = Arc::clone(&group);
    std::thread::spawn(move || {
        // It ends or it fails: nobody has the other end.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        watched.kill();
    });
    group.kill_after_its_leader();
    shell.wait().map(code).map_err(|error| Failure::while_doing("wait for sh", error))
}

/// A step's processes, unless they were killed already: their number may be another group's then.
#[derive(Debug)]
struct Group(Mutex<Option<Pid>>);

impl Group {
    fn kill(&self) {
        if let Some(group) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // There is nobody to tell, and a group that is gone is what was wanted.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Waits for the first process without taking its number from it.
    fn kill_after_its_leader(&self) {
        let leader = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leader) = leader {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(leader), options), Err(Errno::INTR)) {}
        }
        self.kill();
    }
}

/// As a shell tells how a command ended.
fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
