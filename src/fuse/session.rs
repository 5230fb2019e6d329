//! One mounted session: from options to threads that serve the kernel.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use fuser::{Session, SessionACL};

use super::fs::FuseFs;
use super::notify::KernelOfSession;
use super::reply::Owner;
use super::statfs::Space;
use super::waiters::Waiters;
use crate::os;
use crate::os::disk::FsType;
use crate::vfs::Tree;

/// Readahead of cached reads, in KiB; the kernel's default of 128 holds a cached first read at a quarter of its speed.
const READ_AHEAD_KIB: u32 = 4096;

/// How a mount is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where: an existing directory, absolute, symlinks resolved.
    pub mountpoint: PathBuf,
    /// Whether users other than the mount's owner may read it.
    pub allow_other: bool,
    /// The owner that files show.
    pub uid: u32,
    /// The group that files show.
    pub gid: u32,
    /// Whether the kernel may read sealed files by itself.
    pub passthrough: bool,
    /// The cache directory whose disk `statfs` tells of; `None` without one.
    pub space_of: Option<PathBuf>,
    /// The directories that files are passed through from.
    pub backing: Vec<PathBuf>,
}

/// Why a session could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The mount itself.
    #[error(transparent)]
    Mount(#[from] os::mount::Error),
    /// The handshake with the kernel, or a thread.
    #[error("cannot start serving the mount: {0}")]
    Serve(#[from] io::Error),
}

/// A mounted filesystem. Its threads end when the kernel has dropped the mount and every open file of it; dropped while
/// still mounted it is detached.
pub struct Serving {
    tree: Tree,
    mounted: Arc<os::mount::Mounted>,
    threads: JoinHandle<io::Result<()>>,
}

/// Mounts `tree` and starts serving the kernel; waits run on `runtime`.
///
/// # Errors
///
/// What the kernel or fusermount3 said, with what to do about it.
pub fn mount(
    tree: Tree,
    options: &Options,
    runtime: &tokio::runtime::Handle,
) -> Result<Serving, Error> {
    let owner = Owner {
        uid: options.uid,
        gid: options.gid,
        stack_depth: stack_depth(&options.backing),
    };
    let space = Space::watch(options.space_of.clone(), runtime);
    let waiters = Waiters::new(runtime.clone());
    let skin = FuseFs::new(tree.clone(), waiters, options.passthrough, owner, space);
    let (device, mounted) = os::mount::mount(&os::mount::MountOptions {
        mountpoint: options.mountpoint.clone(),
        allow_other: options.allow_other,
    })?;
    let acl = if options.allow_other {
        SessionACL::All
    } else {
        SessionACL::Owner
    };
    let mut config = fuser::Config::default();
    config.acl = acl;
    config.n_threads = Some(threads());
    let copy = File::from(device.try_clone()?);
    let session = Session::from_fd(skin, device, acl, config)?;
    tree.start_invalidating(KernelOfSession::new(session.notifier(), copy))?;
    let mounted = Arc::new(mounted);
    let served = Arc::downgrade(&mounted);
    let threads = std::thread::Builder::new()
        .name("fuse".to_owned())
        .spawn(move || {
            let ended = session.run();
            if let (Ok(()), Some(mounted)) = (&ended, served.upgrade()) {
                mounted.mark_gone();
            }
            ended
        })?;
    if let Err(error) = mounted.set_read_ahead(READ_AHEAD_KIB) {
        tracing::debug!(%error, "readahead stays at the kernel's default");
    }
    Ok(Serving {
        tree,
        mounted,
        threads,
    })
}

impl Serving {
    /// The mount itself.
    pub fn mounted(&self) -> &Arc<os::mount::Mounted> {
        &self.mounted
    }

    /// How many files are open.
    pub fn open_files(&self) -> usize {
        self.tree.open_files()
    }

    /// Whether the kernel has dropped the mount and every open file of it.
    pub fn has_ended(&self) -> bool {
        self.threads.is_finished()
    }
}

/// Callbacks never wait, so a few threads are enough for any number of readers.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 4))
}

/// How deep the mount stacks: backing files on overlayfs are stacked themselves.
fn stack_depth(backing: &[PathBuf]) -> u32 {
    let is_stacked = |dir: &PathBuf| matches!(os::disk::fs_type(dir), Ok(FsType::Overlay));
    match backing.iter().any(is_stacked) {
        true => 2,
        false => 1,
    }
}
