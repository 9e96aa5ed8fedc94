//! One step's command: it runs in its snapshot's root and dies with the tool.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use cache_core::mount::{die_with_parent, run_attached};
use cache_core::ports::Mount;

use crate::failure::Failure;

/// The hidden subcommand by which the tool runs itself between it and a step's shell, so that the kernel's parent-death
/// signal can be set without code between fork and exec.
pub(crate) const SUBCOMMAND: &str = "__run-step";

/// The variable that tells the wrapper which process the tool is.
const TOOL_PROCESS: &str = "LAYERCACHE_TOOL_PROCESS";

/// Runs `command` by `sh -ec` in the tree of `mounts`, which it alone sees at the directory `at`. Its output goes to
/// standard error, because standard output belongs to the tool's result.
pub(crate) fn run(key: &str, command: &str, mounts: &[Mount], at: &Path, origin: &Path) -> Result<(), Failure> {
    let tool = std::env::current_exe().map_err(|error| Failure::while_doing("find the tool itself", error))?;
    let status = run_attached(mounts, at, |root| {
        Command::new(tool)
            .arg(SUBCOMMAND)
            .arg("--")
            .arg(command)
            .current_dir(root)
            .env("ROOT", root)
            .env("ORIGIN", origin)
            .env(TOOL_PROCESS, std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .status()
    })?;
    let status = status.map_err(|error| Failure::while_doing(format!("start step {key}"), error))?;
    if status.success() { Ok(()) } else { Err(Failure::work(format!("step {key} ended with {status}"))) }
}

/// Becomes `sh -ec command`. The working directory and the environment are those that the tool gave.
pub(crate) fn become_shell(command: &str) -> Failure {
    let Some(tool) = std::env::var(TOOL_PROCESS).ok().and_then(|text| text.parse().ok()) else {
        return Failure::usage(format!("{SUBCOMMAND} is for the tool itself"));
    };
    if let Err(error) = die_with_parent(tool) {
        return error.into();
    }
    let error = Command::new("sh").arg("-ec").arg(command).env_remove(TOOL_PROCESS).exec();
    Failure::while_doing("run sh", error)
}
