//! Faulty mounters.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use rustix::mount::{UnmountFlags, mount_bind, unmount};

use crate::conformance::faulty::{Fault, Faulty};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{Access, Mount, MountKind, MountedTree, Mounter};

/// A tree whose path leads elsewhere, or whose mount can be seen.
#[derive(Debug)]
struct FaultyTree {
    inner: Arc<dyn MountedTree>,
    elsewhere: Option<PathBuf>,
    attached: Option<PathBuf>,
}

#[deny(clippy::missing_trait_methods)]
impl MountedTree for FaultyTree {
    fn directory(&self) -> BorrowedFd<'_> {
        self.inner.directory()
    }

    fn path(&self) -> PathBuf {
        self.elsewhere.clone().unwrap_or_else(|| self.inner.path())
    }
}

impl Drop for FaultyTree {
    fn drop(&mut self) {
        if let Some(attached) = &self.attached {
            // Only a fault attaches; what it leaves where this fails is its business.
            let _ = unmount(attached, UnmountFlags::DETACH);
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: Mounter + ?Sized> Mounter for Faulty<T> {
    async fn mount(&self, mounts: &[Mount], access: Access) -> Result<Arc<dyn MountedTree>> {
        let mut mounts = mounts.to_vec();
        let mut access = access;
        let source = mounts.first().map(|mount| mount.source.clone());
        match self.fault {
            Fault::MountsNothing => mounts.clear(),
            Fault::MountsReadOnly => access = Access::ReadOnly,
            Fault::MountsReadWrite => {
                access = Access::ReadWrite;
                for option in mounts.iter_mut().flat_map(|mount| &mut mount.options).filter(|option| *option == "ro") {
                    *option = "rw".to_owned();
                }
            }
            Fault::MountsWhatIsMissing if source.as_ref().is_some_and(|source| !source.exists()) => mounts.clear(),
            Fault::MountsUnknownKinds => mounts.retain(|mount| !matches!(mount.kind, MountKind::Other(_))),
            Fault::MountsTopLayer => {
                // The first directory that a layered mount names is bound in the place of all.
                for mount in mounts.iter_mut().filter(|mount| mount.kind == MountKind::Overlay) {
                    let of = |name| mount.options.iter().find_map(|option| option.strip_prefix(name));
                    let lower = of("lowerdir=").and_then(|lower| lower.split(':').next());
                    let Some(top) = of("upperdir=").or(lower) else { continue };
                    *mount = Mount { kind: MountKind::Bind, source: top.into(), options: vec!["rw".to_owned()] };
                }
            }
            Fault::NothingMountsEmpty if mounts.is_empty() => {
                let error = Error::new(ErrorKind::Invalid, "mount", "no mounts");
                return Err(error);
            }
            _ => {}
        }
        let inner = self.inner.mount(&mounts, access).await?;
        Ok(match (self.fault, source) {
            (Fault::PathLeadsElsewhere, _) => {
                Arc::new(FaultyTree { inner, elsewhere: Some(PathBuf::from("/proc/self/ns")), attached: None })
            }
            (Fault::MountsAreSeen, Some(source)) => {
                let failed = |error: rustix::io::Errno| Error::io("mount", source.display(), error.into());
                mount_bind(&source, &source).map_err(failed)?;
                Arc::new(FaultyTree { inner, elsewhere: None, attached: Some(source) })
            }
            (Fault::TreesDieEarly, _) => {
                let elsewhere = self.again.swap(true, std::sync::atomic::Ordering::SeqCst);
                Arc::new(FaultyTree {
                    inner,
                    elsewhere: elsewhere.then(|| PathBuf::from("/proc/self/fd/a tree that is gone")),
                    attached: None,
                })
            }
            _ => inner,
        })
    }
}
