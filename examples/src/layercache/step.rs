//! One step's command: it runs in its snapshot's root and dies with the tool.

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::failure::Failure;

/// The hidden subcommand by which the tool runs itself as a step's parent, so that the kernel's parent-death signal can be
/// set without code between fork and exec.
pub(crate) const SUBCOMMAND: &str = "__run-step";

/// The variable that carries the process id of the tool to the step.
pub(crate) const TOOL_PROCESS: &str = "LAYERCACHE_TOOL_PROCESS";

/// Becomes `sh -ec command`. The working directory and the environment are those the tool gave.
pub(crate) fn become_shell(command: &str) -> Failure {
    let tool = std::env::var(TOOL_PROCESS).unwrap_or_default();
    if let Err(source) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return Failure::while_doing("tie the step to the tool", source);
    }
    let parent = getppid().map(|process| process.as_raw_nonzero().to_string()).unwrap_or_default();
    if parent != tool {
        return Failure::work("the tool died before its step began");
    }
    let error = Command::new("sh").arg("-ec").arg(command).env_remove(TOOL_PROCESS).exec();
    Failure::while_doing("run sh", error)
}
