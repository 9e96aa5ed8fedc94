//! Processes of a test: the test's own binary, run again for one of its functions.

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

const ROLE: &str = "LAYERCACHE_TEST_ROLE";
const DIRECTORY: &str = "LAYERCACHE_TEST_DIRECTORY";
const ARGUMENT: &str = "LAYERCACHE_TEST_ARGUMENT";

/// What this process is asked to be, if it is a child.
pub(crate) fn role() -> Option<(String, PathBuf, u64)> {
    let directory = std::env::var_os(DIRECTORY)?.into();
    let argument = std::env::var(ARGUMENT).ok()?.parse().ok()?;
    Some((std::env::var(ROLE).ok()?, directory, argument))
}

/// A line for the parent. The harness writes its own lines too, hence the mark.
pub(crate) fn say(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n@{line}\n").as_bytes()).and_then(|()| out.flush()).expect("the parent listens");
}

/// A running child. It is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Runs the test function `child_process` of this binary as `role`.
    pub(crate) fn spawn(role: &str, directory: &Path, argument: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "child_process", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(DIRECTORY, directory)
            .env(ARGUMENT, argument.to_string())
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Self { child, lines }
    }

    /// The next line that the child said; `None` when it has ended.
    pub(crate) fn line(&mut self) -> Option<String> {
        loop {
            let line = self.lines.next()?.ok()?;
            if let Some(said) = line.strip_prefix('@') {
                return Some(said.to_owned());
            }
        }
    }

    /// SIGKILL, then whatever it had said before.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("the child can be killed");
        self.child.wait().expect("the child ends");
        std::iter::from_fn(|| self.line()).collect()
    }

    /// Waits for its end; whether it ended well.
    pub(crate) fn wait(mut self) -> (bool, Vec<String>) {
        let said = std::iter::from_fn(|| self.line()).collect();
        (self.child.wait().expect("the child ends").success(), said)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.child.kill().and_then(|()| self.child.wait()).expect("the child can be killed");
        }
    }
}
