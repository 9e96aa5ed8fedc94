//! A disk whose power is cut before every step: what was not synced is lost.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cache_core::local::{Faults, Step};

/// What a cut takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Nothing: the process is killed.
    Nothing,
    /// Every change of files that was not synced. What the database committed stays, synced or not.
    Files,
    /// Every commit that was not synced, and every change of files that was not.
    FilesAndRows,
    /// Every commit that was not synced. Files stay.
    Rows,
}

impl Loss {
    pub(crate) const ALL: [Self; 4] = [Self::Nothing, Self::Files, Self::FilesAndRows, Self::Rows];
}

/// Looks at the directory as it would be after the cut.
type Look = Box<dyn Fn(&Path, &str) + Send + Sync>;

/// Before every step, makes a copy of the store as each [`Loss`] would leave it, and has it looked at.
pub(crate) struct PowerCuts {
    store: PathBuf,
    /// A directory on the same file system, for copies and for what must come back.
    attic: PathBuf,
    look: Look,
    state: Mutex<State>,
}

impl fmt::Debug for PowerCuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PowerCuts").field("store", &self.store).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    steps: u64,
    undo: Vec<Undo>,
    kept: u64,
    /// A synced commit was begun; the database is to be saved before the next step.
    save_database: bool,
}

/// Paths are relative to the store.
#[derive(Clone, Debug)]
enum Undo {
    /// The file or directory was not there.
    Appeared(PathBuf),
    /// The name was moved; what lay at the new one before is in the attic.
    Moved { from: PathBuf, to: PathBuf, replaced: Option<PathBuf> },
    /// The move is on the disk, the removal of the old name is not.
    Left { from: PathBuf, to: PathBuf },
    /// The file was removed and is in the attic.
    Vanished { path: PathBuf, attic: PathBuf },
    /// The file had these bytes.
    Changed { inode: u64, bytes: Vec<u8> },
}

impl PowerCuts {
    pub(crate) fn new(store: &Path, attic: &Path, look: Look) -> Self {
        let state = State { save_database: true, ..State::default() };
        Self { store: store.to_owned(), attic: attic.to_owned(), look, state: Mutex::new(state) }
    }

    pub(crate) fn steps(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).steps
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.store).unwrap_or(path).to_owned()
    }
}

impl Faults for PowerCuts {
    fn before(&self, step: Step<'_>) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.save_database) {
            copy_database(&self.store, &self.attic);
        }
        state.steps += 1;
        for loss in Loss::ALL {
            let image = self.attic.join("image");
            self.make_image(&state, loss, &image);
            (self.look)(&image, &format!("{loss:?} lost before step {}, {step:?}", state.steps));
            fs::remove_dir_all(&image).expect("the image is removed");
        }
        self.note(&mut state, step);
        Ok(())
    }
}

impl PowerCuts {
    fn note(&self, state: &mut State, step: Step<'_>) {
        match step {
            Step::Create(path) | Step::MakeDirectory(path) => {
                if fs::symlink_metadata(path).is_err() {
                    state.undo.push(Undo::Appeared(self.relative(path)));
                }
            }
            Step::Write { path, .. } | Step::Truncate(path) => {
                let inode = fs::metadata(path).expect("it is open").ino();
                state.undo.push(Undo::Changed { inode, bytes: fs::read(path).expect("it is small") });
            }
            Step::Sync(path) => {
                let synced = fs::metadata(path).expect("it is open").ino();
                state.undo.retain(|undo| !matches!(undo, Undo::Changed { inode, .. } if *inode == synced));
            }
            Step::SyncDirectory(directory) => {
                let directory = self.relative(directory);
                let is_in = |path: &Path| path.parent() == Some(&directory);
                let undo = std::mem::take(&mut state.undo).into_iter().filter_map(|undo| match undo {
                    Undo::Appeared(path) if is_in(&path) => None,
                    Undo::Vanished { path, .. } if is_in(&path) => None,
                    Undo::Left { from, .. } if is_in(&from) => None,
                    Undo::Moved { from, to, .. } if is_in(&to) => Some(Undo::Left { from, to }),
                    undo => Some(undo),
                });
                state.undo = undo.collect();
            }
            Step::Rename { from, to } => {
                let replaced = to.is_file().then(|| self.keep(state, to));
                state.undo.push(Undo::Moved { from: self.relative(from), to: self.relative(to), replaced });
            }
            Step::Remove(path) => {
                if path.is_file() {
                    let attic = self.keep(state, path);
                    state.undo.push(Undo::Vanished { path: self.relative(path), attic });
                }
            }
            Step::Commit { synced } => state.save_database = synced,
            step => panic!("unknown step {step:?}"),
        }
    }

    fn keep(&self, state: &mut State, path: &Path) -> PathBuf {
        state.kept += 1;
        let attic = self.attic.join(state.kept.to_string());
        fs::hard_link(path, &attic).expect("the attic is on the same file system");
        attic
    }

    fn make_image(&self, state: &State, loss: Loss, image: &Path) {
        let mut paths = HashMap::new();
        copy_tree(&self.store, image, &mut paths);
        if matches!(loss, Loss::Files | Loss::FilesAndRows) {
            // Bytes belong to files, not to names, so they go first, whatever the names are then.
            for undo in state.undo.iter().rev() {
                if let Undo::Changed { inode, bytes } = undo
                    && let Some(path) = paths.get(inode)
                {
                    fs::write(path, bytes).expect("the image can be written");
                }
            }
            for undo in state.undo.iter().rev() {
                // What a lost change was made upon may be lost itself.
                let _ = undo_name(undo, image);
            }
        }
        if matches!(loss, Loss::Rows | Loss::FilesAndRows) {
            copy_database(&self.attic, image);
        }
    }
}

fn undo_name(undo: &Undo, image: &Path) -> io::Result<()> {
    match undo {
        Undo::Appeared(path) => {
            let path = image.join(path);
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
        }
        Undo::Moved { from, to, replaced } => {
            fs::rename(image.join(to), image.join(from))?;
            replaced.as_ref().map_or(Ok(()), |attic| fs::copy(attic, image.join(to)).map(drop))
        }
        Undo::Left { from, to } => fs::hard_link(image.join(to), image.join(from)),
        Undo::Vanished { path, attic } => fs::copy(attic, image.join(path)).map(drop),
        Undo::Changed { .. } => Ok(()),
    }
}

/// Copies a tree and notes where each of its files is now, by its old inode.
fn copy_tree(from: &Path, to: &Path, paths: &mut HashMap<u64, PathBuf>) {
    fs::create_dir(to).expect("the image is new");
    let Ok(entries) = fs::read_dir(from) else { return };
    for entry in entries {
        let entry = entry.expect("the store can be read");
        let copy = to.join(entry.file_name());
        if entry.file_type().expect("the store can be read").is_dir() {
            copy_tree(&entry.path(), &copy, paths);
        } else if !["cache.db-shm", "reserve"].iter().any(|name| entry.file_name() == *name) {
            fs::copy(entry.path(), &copy).expect("the store can be read");
            let mut permissions = fs::metadata(&copy).expect("it was just made").permissions();
            #[allow(clippy::permissions_set_readonly_false, reason = "only a test's own copy")]
            permissions.set_readonly(false);
            fs::set_permissions(&copy, permissions).expect("it is ours");
            paths.insert(entry.metadata().expect("the store can be read").ino(), copy);
        }
    }
}

/// Copies the database with its log, between two transactions.
fn copy_database(from: &Path, to: &Path) {
    for name in ["cache.db", "cache.db-wal", "cache.db-shm"] {
        let _ = fs::remove_file(to.join(name));
        if name != "cache.db-shm" && from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).expect("the database is copied");
        }
    }
}
