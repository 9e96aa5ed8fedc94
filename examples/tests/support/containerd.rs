//! A containerd that tests have for themselves.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::succeed;

/// containerd with a root of its own, until it is dropped.
#[derive(Debug)]
pub struct Containerd {
    process: Child,
    socket: PathBuf,
}

impl Containerd {
    /// Starts one that keeps everything in `work`.
    pub fn start(work: &Path) -> Self {
        Self::start_as(work, &mut Command::new("containerd"))
    }

    /// Starts `command`, which is containerd without arguments.
    pub fn start_as(work: &Path, command: &mut Command) -> Self {
        let place = |name: &str| work.join(name).display().to_string();
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {:?}\n",
            place("root"),
            place("state"),
            place("socket")
        );
        std::fs::write(work.join("config.toml"), config).unwrap();
        let mut process = command.args(["--config", &place("config.toml")]).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("successfully booted") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "containerd ended");
        }
        std::thread::spawn(move || drop(log.read_to_end(&mut Vec::new())));
        Self { process, socket: work.join("socket") }
    }

    /// What `tool`, which is `ctr` or `ctr-remote`, prints with `arguments`.
    pub fn run(&self, tool: &str, arguments: &[&str]) -> String {
        let output = succeed(Command::new(tool).arg("--address").arg(&self.socket).args(arguments));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Imports the image in `archive` into `namespace`, where no other one shares its snapshots, and unpacks it there: containerd
    /// compares the DiffIDs with the config's. Gives the number of layers that it unpacked.
    pub fn unpack(&self, namespace: &str, archive: &Path) -> usize {
        let namespace = format!("--namespace={namespace}");
        let archive = archive.display().to_string();
        self.run("ctr", &[&namespace, "images", "import", "--snapshotter=native", &archive]);
        let snapshots = self.run("ctr", &[&namespace, "snapshots", "--snapshotter=native", "list"]);
        snapshots.lines().filter(|line| line.contains("Committed")).count()
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
