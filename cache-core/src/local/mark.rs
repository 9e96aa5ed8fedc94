//! What is reached: the first half of a collection.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use crate::error::Result;
use crate::local::begin::{self, IngestRow};
use crate::local::labels::Labelled;
use crate::local::resources::{CONTENT, IMAGES, INGESTS, SNAPSHOTS};
use crate::local::sql::SqlContext;
use crate::timestamp::Timestamp;

/// containerd's labels of garbage collection (`core/metadata/gc.go`).
const ROOT: &str = "containerd.io/gc.root";
const FLAT: &str = "containerd.io/gc.flat";
const EXPIRE: &str = "containerd.io/gc.expire";
const REFERENCE: &str = "containerd.io/gc.ref.";
const BACK_REFERENCE: &str = "containerd.io/gc.bref.";

/// A thing that can be collected: the two columns of a resource.
pub(super) type Node = (String, String);

/// How a node was reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// By a flat lease: labels are not followed from here.
    Flat,
    Full,
}

/// Everything that leases, images and root labels reach in the state of `transaction`.
pub(super) fn mark(transaction: &Connection, now: Timestamp) -> Result<HashSet<Node>> {
    let mut graph = Graph::load(transaction, now)?;
    let (mut full, mut flat) = (HashSet::new(), HashSet::new());
    while let Some((node, reach)) = graph.pending.pop() {
        let is_new = match reach {
            Reach::Full => full.insert(node.clone()),
            Reach::Flat => !full.contains(&node) && flat.insert(node.clone()),
        };
        if !is_new {
            continue;
        }
        if let Some(parent) = graph.parents.get(&node) {
            graph.pending.push((parent.clone(), reach));
        }
        if reach == Reach::Full {
            let edges = graph.edges.get(&node).into_iter().flatten();
            graph.pending.extend(edges.map(|target| (target.clone(), Reach::Full)));
        }
    }
    full.extend(flat);
    Ok(full)
}

#[derive(Default)]
struct Graph {
    pending: Vec<(Node, Reach)>,
    /// Followed from nodes that are fully reached.
    edges: HashMap<Node, Vec<Node>>,
    /// Followed always: a snapshot is nothing without its parent.
    parents: HashMap<Node, Node>,
}

impl Graph {
    fn load(transaction: &Connection, now: Timestamp) -> Result<Self> {
        let mut graph = Self::default();
        let snapshots = graph.load_snapshots(transaction)?;
        let images = graph.load_images(transaction)?;
        let (flat_leases, expired_images) = graph.load_labels(transaction, &snapshots, now)?;
        for name in images {
            if !expired_images.contains(&name) {
                graph.pending.push(((IMAGES.to_owned(), name), Reach::Full));
            }
        }
        graph.load_ingests(transaction)?;
        graph.load_leases(transaction, &flat_leases)?;
        Ok(graph)
    }

    /// Gives each snapshot's node by its id.
    fn load_snapshots(&mut self, transaction: &Connection) -> Result<HashMap<i64, Node>> {
        let mut snapshots = HashMap::new();
        let mut parents = Vec::new();
        let mut statement =
            transaction.prepare("SELECT id, snapshotter, key, parent FROM snapshots").doing("mark snapshots")?;
        let mut rows = statement.query([]).doing("mark snapshots")?;
        while let Some(row) = rows.next().doing("mark snapshots")? {
            let id: i64 = row.get(0).doing("mark snapshots")?;
            let snapshotter: String = row.get(1).doing("mark snapshots")?;
            snapshots.insert(id, (format!("{SNAPSHOTS}{snapshotter}"), row.get(2).doing("mark snapshots")?));
            if let Some(parent) = row.get::<_, Option<i64>>(3).doing("mark snapshots")? {
                parents.push((id, parent));
            }
        }
        for (child, parent) in parents {
            if let (Some(child), Some(parent)) = (snapshots.get(&child), snapshots.get(&parent)) {
                self.parents.insert(child.clone(), parent.clone());
            }
        }
        Ok(snapshots)
    }

    fn load_images(&mut self, transaction: &Connection) -> Result<Vec<String>> {
        let mut statement = transaction.prepare("SELECT name, digest FROM images").doing("mark images")?;
        let mut rows = statement.query([]).doing("mark images")?;
        let mut names = Vec::new();
        while let Some(row) = rows.next().doing("mark images")? {
            let name: String = row.get(0).doing("mark images")?;
            let target = (CONTENT.to_owned(), row.get(1).doing("mark images")?);
            self.edges.entry((IMAGES.to_owned(), name.clone())).or_default().push(target);
            names.push(name);
        }
        Ok(names)
    }

    /// Gives the flat leases and the expired images.
    fn load_labels(
        &mut self,
        transaction: &Connection,
        snapshots: &HashMap<i64, Node>,
        now: Timestamp,
    ) -> Result<(HashSet<String>, HashSet<String>)> {
        let (mut flat_leases, mut expired_images) = (HashSet::new(), HashSet::new());
        let mut statement = transaction
            .prepare(
                "SELECT kind, id, name, value FROM labels
                 WHERE name >= 'containerd.io/gc.' AND name < 'containerd.io/gc/'",
            )
            .doing("mark labels")?;
        let mut rows = statement.query([]).doing("mark labels")?;
        while let Some(row) = rows.next().doing("mark labels")? {
            let kind: String = row.get(0).doing("mark labels")?;
            let (id, name): (String, String) = (row.get(1).doing("mark labels")?, row.get(2).doing("mark labels")?);
            let value: String = row.get(3).doing("mark labels")?;
            let node = if kind == Labelled::Lease.column() {
                if name == FLAT {
                    flat_leases.insert(id);
                }
                continue;
            } else if kind == Labelled::Snapshot.column() {
                match id.parse().ok().and_then(|id: i64| snapshots.get(&id)) {
                    Some(node) => node.clone(),
                    None => continue,
                }
            } else {
                (kind, id)
            };
            if name == ROOT && node.0 != IMAGES {
                self.pending.push((node, Reach::Full));
            } else if name == EXPIRE && node.0 == IMAGES {
                // As in containerd, a time that cannot be read is none.
                if value.parse::<Timestamp>().is_ok_and(|expiry| expiry <= now) {
                    expired_images.insert(node.1);
                }
            } else if let Some(target) = name.strip_prefix(REFERENCE).and_then(|kind| target(kind, &value)) {
                self.edges.entry(node).or_default().push(target);
            } else if let Some(parent) = name.strip_prefix(BACK_REFERENCE).and_then(|kind| target(kind, &value)) {
                self.edges.entry(parent).or_default().push(node);
            }
        }
        Ok((flat_leases, expired_images))
    }

    /// An ingest keeps the blob that it expects, if another writer committed it meanwhile.
    fn load_ingests(&mut self, transaction: &Connection) -> Result<()> {
        let mut statement = transaction.prepare(&begin::select("")).doing("mark ingests")?;
        let rows = statement.query_map([], IngestRow::read).doing("mark ingests")?;
        for row in rows {
            let row = row.doing("mark ingests")?.parse()?;
            if let Some(digest) = row.expected.digest {
                let expected = (CONTENT.to_owned(), digest.to_string());
                self.edges.entry((INGESTS.to_owned(), row.key)).or_default().push(expected);
            }
        }
        Ok(())
    }

    fn load_leases(&mut self, transaction: &Connection, flat_leases: &HashSet<String>) -> Result<()> {
        let mut statement = transaction
            .prepare(
                "SELECT lease, leases.kind, resources.kind, resources.id
                 FROM resources JOIN leases ON leases.id = resources.lease",
            )
            .doing("mark leases")?;
        let mut rows = statement.query([]).doing("mark leases")?;
        while let Some(row) = rows.next().doing("mark leases")? {
            let (lease, kind): (String, String) = (row.get(0).doing("mark leases")?, row.get(1).doing("mark leases")?);
            let node = (row.get(2).doing("mark leases")?, row.get(3).doing("mark leases")?);
            let is_flat = kind == "flat" || flat_leases.contains(&lease);
            self.pending.push((node, if is_flat { Reach::Flat } else { Reach::Full }));
        }
        Ok(())
    }
}

/// What a reference label names. `kind` is the rest of its name: `content`, `image` or `snapshot.<snapshotter>`, then perhaps
/// `.` or `/` and anything. Snapshotters may have dots in their names, so only `/` ends one.
fn target(kind: &str, value: &str) -> Option<Node> {
    let names =
        |wanted: &str| kind.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/']));
    if names("content") {
        Some((CONTENT.to_owned(), value.to_owned()))
    } else if names("image") {
        Some((IMAGES.to_owned(), value.to_owned()))
    } else {
        let snapshotter = kind.strip_prefix("snapshot.")?;
        let snapshotter = snapshotter.split_once('/').map_or(snapshotter, |(name, _)| name);
        Some((format!("{SNAPSHOTS}{snapshotter}"), value.to_owned()))
    }
}
