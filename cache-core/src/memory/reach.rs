//! What is reached from leases, image names and labels. Mirrors: containerd `core/metadata/gc.go`.

use std::collections::{BTreeMap, BTreeSet};

use crate::annotation;
use crate::digest::Digest;
use crate::labels::Labels;
use crate::memory::state::{State, Writer};
use crate::ports::{LeaseKind, Resource, SnapshotInfo};

/// The snapshots that there are.
pub(super) type Snapshots = BTreeMap<Resource, SnapshotInfo>;

/// Whether labels of what is reached are followed. A flat lease reaches just what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Deep,
    Flat,
}

impl State {
    /// Everything that must stay. It may name things that are not there.
    pub(super) fn reached(&self, snapshots: &Snapshots) -> BTreeSet<Resource> {
        let mut waiting = self.roots(snapshots);
        let mut seen = BTreeSet::new();
        while let Some((reach, resource)) = waiting.pop() {
            if seen.contains(&(reach, resource.clone())) {
                continue;
            }
            self.follow(reach, &resource, snapshots, &mut waiting);
            seen.insert((reach, resource));
        }
        seen.into_iter().map(|(_, resource)| resource).collect()
    }

    fn roots(&self, snapshots: &Snapshots) -> Vec<(Reach, Resource)> {
        let held = self.leases.values().flat_map(|lease| {
            let reach = match lease.info.kind {
                LeaseKind::Flat => Reach::Flat,
                LeaseKind::Permanent | LeaseKind::Temporary => Reach::Deep,
            };
            lease.resources.iter().map(move |resource| (reach, resource.clone()))
        });
        let images = self.images.keys().map(|name| (Reach::Deep, Resource::Image(name.clone())));
        let labelled = self.blobs.values().filter(|blob| blob.info.labels.contains_key(annotation::GC_ROOT));
        let labelled = labelled.map(|blob| (Reach::Deep, Resource::Content(blob.info.digest)));
        // What somebody writes to at this moment is held by the writer.
        let written = self.ingests.iter().filter(|(_, ingest)| ingest.writer == Writer::Open);
        let written = written.map(|(key, _)| (Reach::Flat, Resource::Ingest(key.clone())));
        let marked = snapshots.iter().filter(|(_, info)| info.labels.contains_key(annotation::GC_ROOT));
        let marked = marked.map(|(resource, _)| (Reach::Deep, resource.clone()));
        held.chain(images).chain(labelled).chain(written).chain(marked).collect()
    }

    fn follow(&self, reach: Reach, resource: &Resource, snapshots: &Snapshots, waiting: &mut Vec<(Reach, Resource)>) {
        let labels = match resource {
            Resource::Content(digest) => self.blobs.get(digest).map(|blob| &blob.info.labels),
            Resource::Image(name) => self.images.get(name).map(|image| {
                waiting.push((Reach::Deep, Resource::Content(image.target.digest)));
                &image.labels
            }),
            Resource::Ingest(key) => {
                let expected = self.ingests.get(key).and_then(|ingest| ingest.status.expected.digest);
                waiting.extend(expected.map(|digest| (reach, Resource::Content(digest))));
                None
            }
            Resource::Snapshot { snapshotter, .. } => snapshots.get(resource).map(|info| {
                // A flat lease keeps the parents, too.
                let parent =
                    info.parent.clone().map(|key| Resource::Snapshot { snapshotter: snapshotter.clone(), key });
                waiting.extend(parent.map(|parent| (reach, parent)));
                &info.labels
            }),
        };
        if let (Reach::Deep, Some(labels)) = (reach, labels) {
            waiting.extend(named(labels).map(|resource| (Reach::Deep, resource)));
        }
    }
}

/// What `labels` name: `containerd.io/gc.ref.content`, alone or followed by `.` or `/` and anything, and
/// `containerd.io/gc.ref.snapshot.<snapshotter>`, alone or followed by `/` and anything.
fn named(labels: &Labels) -> impl Iterator<Item = Resource> + '_ {
    labels.iter().filter_map(|(key, value)| {
        if let Some(rest) = key.strip_prefix(annotation::GC_REF_CONTENT) {
            let separated = rest.is_empty() || rest.starts_with(['.', '/']);
            let digest: Option<Digest> = separated.then(|| value.parse().ok()).flatten();
            return digest.map(Resource::Content);
        }
        let snapshotter = key.strip_prefix(annotation::GC_REF_SNAPSHOT)?.split('/').next()?;
        Some(Resource::Snapshot { snapshotter: snapshotter.to_owned(), key: value.clone() })
    })
}
