//! Layers that are made and unpacked again. Mirrors: continuity `fstest.FSSuite`, as `TestDiffApply` runs it; times are
//! compared, too.

use std::path::Path;
use std::sync::Arc;

use crate::compression::{Compression, CompressionConfig};
use crate::conformance::diff::{DiffSubject, bind, small};
use crate::conformance::require::require_equal;
use crate::conformance::sample::sample;
use crate::conformance::tree::{Change, observe};
use crate::conformance::{Outcome, Unmet};
use crate::ports::{Applier, ApplyOptions, ApplySource, DiffOptions, Mount};

impl DiffSubject {
    fn applier(&self) -> Result<&Arc<dyn Applier>, Unmet> {
        self.applier.as_ref().ok_or(Unmet::needs("an applier"))
    }

    /// Requires that the layers of `steps`, unpacked one over the other, give after each step the tree of all changes
    /// so far.
    async fn come_back(&self, compression: Compression, steps: &[&[Change]]) -> Outcome {
        let applier = self.applier()?;
        let lease = self.lease().await?;
        let options = DiffOptions::new(CompressionConfig::new(compression.clone()));
        let target = self.tree(&format!("target {compression}"), &[])?;
        let mut below = self.tree(&format!("0 {compression}"), &[])?;
        for number in 1..=steps.len() {
            let name = format!("{number} {compression}");
            let above = self.tree(&name, &steps[..number])?;
            let layer = self.differ.diff(&lease, &name, &[bind(&below)], &[bind(&above)], &options).await?;
            let expected = ApplyOptions::default().with_expected_diff_id(layer.diff_id);
            let mounts = [writable(&target)];
            let applied = applier.apply(&layer.descriptor, ApplySource::Committed, &mounts, &expected).await?;
            require_equal(&applied.diff_id, &layer.diff_id, "the applier finds the DiffID that the differ told")?;
            let (found, wanted) = (observe(&target)?.in_whole_seconds(), observe(&above)?.in_whole_seconds());
            if let Some(difference) = found.difference(&wanted) {
                let promise = format!("a layer leads from one tree to the next: step {number}, {difference}");
                return Err(crate::conformance::Violation::new(promise).into());
            }
            below = above;
        }
        Ok(())
    }
}

fn writable(root: &Path) -> Mount {
    let options = vec!["rbind".to_owned(), "rw".to_owned()];
    Mount { options, ..bind(root) }
}

/// Mirrors: `FSSuite` Basic.
pub async fn basic_changes_come_back(subject: DiffSubject) -> Outcome {
    subject
        .come_back(
            Compression::Uncompressed,
            &[
                &[
                    Change::directory("etc", 0o755),
                    Change::file("etc/hosts", "127.0.0.1 localhost", 0o644),
                    Change::hard_link("etc/hosts.allow", "etc/hosts"),
                    Change::directory("usr", 0o755),
                    Change::directory("usr/local", 0o755),
                    Change::file("usr/local/lib.so", "\0\0", 0o755),
                    Change::symlink("usr/local/lib.so.2", "lib.so"),
                    Change::directory("home", 0o755),
                ],
                &[
                    Change::file("etc/hosts", "127.0.0.1 localhost.localdomain", 0o644),
                    Change::remove("usr/local/lib.so"),
                    Change::file("usr/local/lib.so", "\0\0\0\0", 0o755),
                    Change::directory("home/derek", 0o700),
                    Change::file("home/derek/.bashrc", "#profile", 0o640),
                    Change::hard_link("home/derek/.profile", "home/derek/.bashrc"),
                ],
                &[Change::remove("usr/local/lib.so.2"), Change::remove("home/derek/.bashrc")],
            ],
        )
        .await
}

/// Mirrors: `FSSuite` Deletion.
pub async fn deletions_come_back(subject: DiffSubject) -> Outcome {
    subject
        .come_back(
            Compression::Uncompressed,
            &[
                &[
                    Change::directory("test", 0o755),
                    Change::directory("test/somedir", 0o755),
                    Change::directory("lib", 0o700),
                    Change::file("lib/hidden", "\0\0", 0o644),
                ],
                &[
                    Change::file("test/a", "", 0o644),
                    Change::file("test/b", "", 0o644),
                    Change::directory("test/otherdir", 0o755),
                    Change::file("test/otherdir/.empty", "", 0o644),
                    Change::remove("lib"),
                    Change::directory("lib", 0o700),
                    Change::file("lib/not-hidden", "\0\0", 0o644),
                ],
                &[Change::remove("test/a"), Change::file("test/b", "b", 0o644), Change::remove("test/otherdir")],
                &[Change::remove("lib/not-hidden"), Change::remove("lib"), Change::symlink("lib", "test")],
            ],
        )
        .await
}

/// Mirrors: `FSSuite` Update.
pub async fn updates_come_back(subject: DiffSubject) -> Outcome {
    subject
        .come_back(
            Compression::Uncompressed,
            &[
                &[
                    Change::directory("etc", 0o755),
                    Change::file("etc/hosts", "mydomain 10.0.0.1", 0o644),
                    Change::file("etc/resolv.conf", "nameserver 8.8.8.8", 0o644),
                    Change::directory("root", 0o700),
                    Change::file("root/.bashrc", "PATH=/usr/bin", 0o644),
                    Change::file("root/.profile", "PATH=/usr/bin", 0o644),
                ],
                &[
                    Change::file("etc/hosts", "mydomain 10.0.0.2", 0o666),
                    Change::mode("etc/hosts", 0o600),
                    Change::file("root/.bashrc", "PATH=/root/.local/bin:/usr/bin", 0o664),
                    Change::rename("root/.profile", "root/.renamed"),
                ],
                &[Change::mode("root", 0o711), Change::file("etc/hosts", "mydomain 10.0.0.3", 0o600)],
            ],
        )
        .await
}

/// Mirrors: `FSSuite` DirectoryPermission.
pub async fn directory_modes_come_back(subject: DiffSubject) -> Outcome {
    subject
        .come_back(
            Compression::Uncompressed,
            &[
                &[
                    Change::directory("d1", 0o700),
                    Change::directory("d2", 0o751),
                    Change::directory("d3", 0o777),
                    Change::directory("d4", 0o1777),
                ],
                &[
                    Change::file("d1/f", "irrelevant", 0o644),
                    Change::directory("d1/d", 0o700),
                    Change::directory("d2/d", 0o711),
                    Change::mode("d3", 0o2755),
                ],
                &[Change::remove("d2"), Change::directory("d2", 0o700), Change::mode("d4", 0o755)],
            ],
        )
        .await
}

/// Mirrors: `FSSuite` ParentDirectoryPermission.
pub async fn modes_of_parents_come_back(subject: DiffSubject) -> Outcome {
    subject
        .come_back(
            Compression::Uncompressed,
            &[
                &[
                    Change::directory("d1", 0o700),
                    Change::directory("d1/a", 0o700),
                    Change::directory("d1/a/b", 0o700),
                    Change::directory("d1/a/b/c", 0o711),
                    Change::directory("d2", 0o751),
                    Change::directory("d3", 0o777),
                ],
                &[Change::file("d1/a/b/f", "content1", 0o644), Change::file("d1/a/b/c/f", "content1", 0o644)],
                &[Change::file("d3/f1", "irrelevant", 0o644), Change::file("d1/a/b/c/f", "other", 0o600)],
            ],
        )
        .await
}

/// Mirrors: `FSSuite` HardlinkUnmodified.
pub async fn unchanged_links_come_back(subject: DiffSubject) -> Outcome {
    subject
        .come_back(
            Compression::Uncompressed,
            &[
                &[
                    Change::file("a", "content", 0o600),
                    Change::hard_link("b", "a"),
                    Change::file("c", "content", 0o600),
                ],
                &[Change::hard_link("d", "a"), Change::hard_link("e", "c")],
                &[Change::remove("a"), Change::file("new", "1", 0o644)],
            ],
        )
        .await
}

/// Mirrors: `FSSuite` HardlinkBeforeUnmodified.
pub async fn links_before_unchanged_files_come_back(subject: DiffSubject) -> Outcome {
    subject
        .come_back(
            Compression::Uncompressed,
            &[
                &[
                    Change::directory("d", 0o755),
                    Change::file("d/b1", "content", 0o600),
                    Change::file("d/b2", "2", 0o600),
                ],
                &[Change::hard_link("d/a1", "d/b1"), Change::hard_link("a", "d/b2")],
            ],
        )
        .await
}

/// Mirrors: `FSSuite` HardlinkBeforeModified.
pub async fn links_before_changed_files_come_back(subject: DiffSubject) -> Outcome {
    subject
        .come_back(
            Compression::Uncompressed,
            &[
                &[
                    Change::directory("d", 0o755),
                    Change::file("d/b", "content", 0o600),
                    Change::hard_link("d/c", "d/b"),
                ],
                &[Change::hard_link("d/a", "d/b"), Change::file("d/b", "other content", 0o640)],
                &[Change::mode("d/c", 0o644)],
            ],
        )
        .await
}

/// Each compression that the differ supports, of a layer of some size.
pub async fn every_compression_comes_back(subject: DiffSubject) -> Outcome {
    let (mut lower, changes) = small();
    lower.push(Change::File("large".into(), sample(1, 3_000_000).to_vec(), 0o644));
    for compression in [Compression::Uncompressed, Compression::Gzip, Compression::Zstd] {
        let options = DiffOptions::new(CompressionConfig::new(compression.clone()));
        if subject.differ.supports(&options) {
            subject.come_back(compression, &[&lower, &changes]).await?;
        }
    }
    Ok(())
}
