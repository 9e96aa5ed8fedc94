//! The tables of `cache.db`.

/// The version of the tables below, kept in `PRAGMA user_version`. A store of a higher version is refused.
pub(super) const VERSION: i64 = 1;

/// `PRAGMA application_id`: "lcch", so that file(1) and we know our databases.
pub(super) const APPLICATION_ID: i64 = 0x6c63_6368;

/// Times are nanoseconds since the Unix epoch.
pub(super) const TABLES: &str = "
CREATE TABLE owners (
    id TEXT PRIMARY KEY,
    opened_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ingests (
    key TEXT PRIMARY KEY,
    file TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    expected_digest TEXT,
    expected_size INTEGER,
    kept INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    snapshotter TEXT NOT NULL,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    parent INTEGER REFERENCES snapshots (id),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    bytes INTEGER NOT NULL DEFAULT 0,
    inodes INTEGER NOT NULL DEFAULT 0,
    has_directory INTEGER NOT NULL,
    UNIQUE (snapshotter, key)
) STRICT;
CREATE INDEX snapshots_by_parent ON snapshots (parent) WHERE parent IS NOT NULL;

CREATE TABLE images (
    name TEXT PRIMARY KEY,
    target TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE leases (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    owner TEXT,
    created_at INTEGER NOT NULL,
    lifetime INTEGER,
    expires_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE resources (
    lease TEXT NOT NULL REFERENCES leases (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (lease, kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX resources_by_id ON resources (kind, id);

CREATE TABLE labels (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX labels_of_collection ON labels (name)
    WHERE name >= 'containerd.io/gc.' AND name < 'containerd.io/gc/';

CREATE TABLE records (
    key TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE record_indexes (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    key TEXT NOT NULL REFERENCES records (key) ON DELETE CASCADE,
    is_unique INTEGER NOT NULL,
    PRIMARY KEY (name, value, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_indexes_by_key ON record_indexes (key);

CREATE TABLE revisions (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last INTEGER NOT NULL
) STRICT;
INSERT INTO revisions VALUES (1, 0);
";
