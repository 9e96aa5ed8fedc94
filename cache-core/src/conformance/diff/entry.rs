//! Entries of layers, all of them and in their order. Mirrors: containerd `TestDiffTar`, whose check passes when
//! entries are missing at the end; this one does not.

use rustix::fs::FileType;

use crate::compression::CompressionConfig;
use crate::conformance::Outcome;
use crate::conformance::diff::{DiffSubject, bind, small};
use crate::conformance::require::{require, require_equal};
use crate::conformance::tree::Change;
use crate::ports::DiffOptions;

impl DiffSubject {
    /// Requires that the layer of `changes` over `lower` has just the entries `wanted`: kind, name, and target or mode.
    async fn makes(&self, lower: &[Change], changes: &[Change], wanted: &[(char, &str, &str)]) -> Outcome {
        let layer = self.layer(lower, changes).await?;
        let found: Vec<_> = self
            .entries(&layer)
            .await?
            .into_iter()
            .map(|entry| {
                let detail = if entry.link.is_empty() { format!("{:o}", entry.mode) } else { entry.link };
                (entry.kind, entry.name, detail)
            })
            .collect();
        let wanted: Vec<_> =
            wanted.iter().map(|(kind, name, detail)| (*kind, (*name).to_owned(), (*detail).to_owned())).collect();
        require_equal(&found, &wanted, "a layer has just its entries, in their order")
    }
}

/// Equal trees make a layer without entries. Mirrors: case `EmptyDiff`.
pub async fn no_change_is_no_entry(subject: DiffSubject) -> Outcome {
    subject.makes(&small().0, &[], &[]).await
}

/// Over nothing, everything is there, in lexical order, where `/` comes before all other bytes.
pub async fn from_nothing_everything_is_new(subject: DiffSubject) -> Outcome {
    let changes = [
        Change::directory("dir1", 0o755),
        Change::file("dir1/f", "1", 0o644),
        Change::file("dir1-before", "2", 0o600),
        Change::directory("dir1/sub", 0o700),
        Change::symlink("l", "dir1/f"),
        Change::Node("pipe".into(), FileType::Fifo, 0, 0),
        Change::hard_link("z", "dir1/f"),
    ];
    let above = subject.tree("b", &[&changes])?;
    let options = DiffOptions::new(CompressionConfig::uncompressed());
    let lease = subject.lease().await?;
    let layer = subject.differ.diff(&lease, "key", &[], &[bind(&above)], &options).await?;
    let entries = subject.entries(&layer).await?;
    let found: Vec<_> = entries.iter().map(|entry| (entry.kind, entry.name.as_str(), entry.link.as_str())).collect();
    let wanted = vec![
        ('5', "dir1/", ""),
        ('0', "dir1/f", ""),
        ('5', "dir1/sub/", ""),
        ('0', "dir1-before", ""),
        ('2', "l", "dir1/f"),
        ('6', "pipe", ""),
        ('1', "z", "dir1/f"),
    ];
    require_equal(&found, &wanted, "over nothing everything is new")?;
    require(entries.iter().any(|entry| entry.content == b"2"), "a file has its content")
}

/// To nothing, every name at the root is deleted.
pub async fn to_nothing_everything_is_deleted(subject: DiffSubject) -> Outcome {
    let below = subject.tree("a", &[&small().0])?;
    let options = DiffOptions::new(CompressionConfig::uncompressed());
    let lease = subject.lease().await?;
    let layer = subject.differ.diff(&lease, "key", &[bind(&below)], &[], &options).await?;
    let names: Vec<_> = subject.entries(&layer).await?.into_iter().map(|entry| entry.name).collect();
    require_equal(&names, &[".wh.d", ".wh.gone", ".wh.kept"].map(str::to_owned).to_vec(), "everything is deleted")
}

/// The directories of a change stand before it, changed or not. Mirrors: case `ParentInclusion`.
pub async fn parents_come_before_their_children(subject: DiffSubject) -> Outcome {
    subject
        .makes(
            &[Change::directory("d1", 0o755), Change::directory("d2", 0o770), Change::directory("d2/sub", 0o711)],
            &[Change::directory("d1/d", 0o700), Change::file("d2/sub/f", "ok", 0o644)],
            &[
                ('5', "d1/", "755"),
                ('5', "d1/d/", "700"),
                ('5', "d2/", "770"),
                ('5', "d2/sub/", "711"),
                ('0', "d2/sub/f", "644"),
            ],
        )
        .await
}

/// A new name of an old file brings the file, and the old name as a link to it. Mirrors: case
/// `HardlinkParentInclusion`.
pub async fn linked_files_name_their_first_name(subject: DiffSubject) -> Outcome {
    subject
        .makes(
            &[
                Change::directory("d1", 0o755),
                Change::file("d1/f1", "link me", 0o644),
                Change::directory("d2", 0o755),
                Change::directory("d3", 0o755),
                Change::directory("d4", 0o755),
                Change::file("d4/f1", "link me", 0o644),
                Change::directory("d6", 0o755),
                Change::file("d6/l1", "1", 0o644),
                Change::file("d6/l2", "2", 0o644),
            ],
            &[
                Change::hard_link("d2/l1", "d1/f1"),
                Change::hard_link("d3/l1", "d4/f1"),
                Change::remove("d6/l1"),
                Change::remove("d6/l2"),
            ],
            &[
                ('5', "d2/", "755"),
                ('0', "d2/l1", "644"),
                ('5', "d1/", "755"),
                ('1', "d1/f1", "d2/l1"),
                ('5', "d3/", "755"),
                ('0', "d3/l1", "644"),
                ('5', "d4/", "755"),
                ('1', "d4/f1", "d3/l1"),
                ('5', "d6/", "755"),
                ('0', "d6/.wh.l1", "0"),
                ('0', "d6/.wh.l2", "0"),
            ],
        )
        .await
}

/// Another mode of a directory is that directory alone. Mirrors: case `UpdateDirectoryPermission`.
pub async fn a_changed_mode_is_one_entry(subject: DiffSubject) -> Outcome {
    subject
        .makes(
            &[
                Change::directory("d1", 0o777),
                Change::directory("d1/d", 0o700),
                Change::file("d1/d/f", "irrelevant", 0o644),
                Change::directory("d2", 0o755),
            ],
            &[Change::mode("d1/d", 0o777)],
            &[('5', "d1/", "777"), ('5', "d1/d/", "777")],
        )
        .await
}

/// Linked files of which none changed are not in the layer.
pub async fn unchanged_links_are_no_entries(subject: DiffSubject) -> Outcome {
    subject
        .makes(
            &[
                Change::directory("d1", 0o755),
                Change::file("d1/f1", "link me", 0o644),
                Change::hard_link("d1/f2", "d1/f1"),
                Change::hard_link("other", "d1/f1"),
            ],
            &[Change::file("d1/new", "1", 0o644)],
            &[('5', "d1/", "755"), ('0', "d1/new", "644")],
        )
        .await
}

/// A changed directory with a file that has got another name. Mirrors: case `HardlinkUpdatedParent`.
pub async fn links_of_a_changed_parent_are_whole(subject: DiffSubject) -> Outcome {
    subject
        .makes(
            &[Change::directory("d1", 0o755), Change::file("d1/f1", "link me", 0o644), Change::directory("d2", 0o755)],
            &[Change::mode("d1", 0o777), Change::hard_link("d2/l1", "d1/f1")],
            &[('5', "d1/", "777"), ('5', "d2/", "755"), ('0', "d2/l1", "644"), ('1', "d1/f1", "d2/l1")],
        )
        .await
}

/// A whiteout stands after the directory in which it deletes. Mirrors: case `WhiteoutIncludesParents`.
pub async fn whiteouts_come_after_their_parents(subject: DiffSubject) -> Outcome {
    subject
        .makes(
            &[
                Change::directory("d1", 0o755),
                Change::file("d1/f1", "1", 0o644),
                Change::directory("d2", 0o755),
                Change::file("d2/f1", "1", 0o644),
                Change::file("f3", "1", 0o644),
            ],
            &[Change::mode("d2", 0o777), Change::remove("d1/f1"), Change::remove("d2/f1"), Change::remove("f3")],
            &[
                ('5', "d1/", "755"),
                ('0', "d1/.wh.f1", "0"),
                ('5', "d2/", "777"),
                ('0', "d2/.wh.f1", "0"),
                ('0', ".wh.f3", "0"),
            ],
        )
        .await
}

/// What is below a removed directory is not told, and neighbours whose names begin alike are. Mirrors: case
/// `WhiteoutParentRemoval`.
pub async fn a_removed_directory_is_one_whiteout(subject: DiffSubject) -> Outcome {
    subject
        .makes(
            &[
                Change::directory("d1", 0o755),
                Change::directory("d1/d", 0o755),
                Change::file("d1/d/f1", "1", 0o644),
                Change::file("d1/f2", "1", 0o644),
                Change::file("d1-before", "1", 0o644),
                Change::file("d10", "1", 0o644),
                Change::directory("d2", 0o755),
                Change::file("d2/f1", "1", 0o644),
            ],
            &[
                Change::remove("d1"),
                Change::remove("d1-before"),
                Change::remove("d2"),
                Change::file("d2", "a file now", 0o644),
            ],
            &[('0', ".wh.d1", "0"), ('0', ".wh.d1-before", "0"), ('0', "d2", "644")],
        )
        .await
}

/// Sockets have no entries. Mirrors: case `IgnoreSockets`.
pub async fn sockets_are_left_out(subject: DiffSubject) -> Outcome {
    subject
        .makes(
            &[Change::directory("d2", 0o755)],
            &[
                Change::file("f", "1", 0o644),
                Change::Node("s0".into(), FileType::Socket, 0, 0),
                Change::Node("d2/s1".into(), FileType::Socket, 0, 0),
            ],
            &[('0', "f", "644")],
        )
        .await
}

/// Names of users and groups are never looked up, so that a layer does not depend on the machine.
pub async fn owners_are_numbers(subject: DiffSubject) -> Outcome {
    let (lower, changes) = small();
    let layer = subject.layer(&lower, &changes).await?;
    let entries = subject.entries(&layer).await?;
    require(!entries.is_empty(), "a changed tree makes entries")?;
    require(entries.iter().all(|entry| entry.owner_names.is_empty()), "owners are numbers alone")
}
