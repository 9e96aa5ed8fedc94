//! The mounter keeps its contract, and every check of the mounter suite can fail.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_core::ThreadPool;
use cache_core::conformance::mount::{CHECKS, MountSubject};
use cache_core::conformance::{Fault, Faulty, prove};
use cache_core::mount::{LinuxMounter, MountCalls};
use tempfile::TempDir;

const FAULTS: &[(&str, Fault)] = &[
    ("a_directory_is_shown_as_it_is", Fault::MountsNothing),
    ("what_is_written_is_in_the_directory", Fault::MountsNothing),
    ("a_missing_directory_is_refused", Fault::MountsWhatIsMissing),
    ("handle_and_path_lead_to_the_same_root", Fault::PathLeadsElsewhere),
    ("no_mounts_are_an_empty_tree", Fault::NothingMountsEmpty),
    ("no_mounts_are_an_empty_tree", Fault::PathLeadsElsewhere),
    ("unknown_kinds_are_unsupported", Fault::MountsUnknownKinds),
    ("read_only_access_changes_nothing", Fault::MountsReadWrite),
    ("a_read_only_mount_is_never_written_to", Fault::MountsReadWrite),
    ("trees_stand_beside_each_other", Fault::TreesDieEarly),
    ("a_tree_lives_as_long_as_a_handle_of_it", Fault::MountsNothing),
    ("nobody_else_sees_a_mount", Fault::MountsAreSeen),
    ("mounting_can_be_repeated", Fault::TreesDieEarly),
    ("upper_lies_over_lower", Fault::MountsTopLayer),
    ("changes_go_to_the_upper_directory", Fault::MountsTopLayer),
    ("lower_directories_alone_are_read_only", Fault::MountsTopLayer),
];

const SEEN: &str = "nobody_else_sees_a_mount";

fn subject(fault: Fault, calls: MountCalls) -> MountSubject {
    let directory = TempDir::new().unwrap();
    for name in ["mounts", "scratch"] {
        std::fs::create_dir(directory.path().join(name)).unwrap();
    }
    let mounter = LinuxMounter::new(Arc::new(ThreadPool::new()), directory.path().join("mounts")).with_calls(calls);
    let mounter = Faulty::new(Arc::new(mounter), fault);
    MountSubject::new(Arc::new(mounter), directory.path().join("scratch")).keeping(directory)
}

#[test]
fn every_check_of_mounters_can_fail() {
    // The fault that makes a mount seen has to mount, too.
    let is_root = rustix::process::geteuid().is_root();
    let checks: Vec<_> = CHECKS.iter().copied().filter(|check| is_root || check.name != SEEN).collect();
    let faults: Vec<_> = FAULTS.iter().copied().filter(|(check, _)| is_root || *check != SEEN).collect();
    prove(&checks, &faults, |fault| subject(fault, MountCalls::Automatic)).unwrap();
}

mod automatic {
    fn subject() -> super::MountSubject {
        super::subject(super::Fault::None, super::MountCalls::Automatic)
    }

    cache_core::mount_conformance!(subject);
}

/// Needs root, as mount(2) does; an ordinary user's binds need no mount at all.
mod classic {
    use super::{Fault, MountCalls, MountSubject};

    fn subject() -> MountSubject {
        let is_root = rustix::process::geteuid().is_root();
        super::subject(Fault::None, if is_root { MountCalls::Classic } else { MountCalls::Automatic })
    }

    cache_core::mount_conformance!(subject);
}
