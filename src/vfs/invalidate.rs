//! Taking back what the kernel was told.
//!
//! Two threads of their own talk to the kernel, never a callback, and with no lock held: the kernel may wait for a lock that it
//! lets go only when a request is answered.
//!
//! - *prune* keeps the table of nodes within its bound: the kernel drops what nobody uses. It takes no lock of a directory.
//! - *invalidate* has names forgotten: those of a model that may have changed, at once by its root; and those that could not be
//!   pruned. It waits for lookups in the same directory.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::nodes::number;
use super::{Shared, Tree};

/// A name that the kernel must ask for again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// The number of the directory it is in.
    pub parent: u64,
    /// The name.
    pub name: String,
    /// The number of its node.
    pub node: u64,
}

/// What the kernel can be told.
pub trait Kernel: Send + Sync + 'static {
    /// Drops those of these nodes that nobody uses.
    ///
    /// # Errors
    ///
    /// `InvalidInput` from a kernel that has no such request (before Linux 6.18).
    fn prune(&self, nodes: &[u64]) -> io::Result<()>;

    /// Forgets a name, with all that it knows below it.
    ///
    /// # Errors
    ///
    /// What the kernel says; not that it did not know the name.
    fn forget_name(&self, stale: &Stale) -> io::Result<()>;

    /// Drops the pages of a node.
    ///
    /// # Errors
    ///
    /// As for [`Kernel::forget_name`].
    fn drop_pages(&self, node: u64) -> io::Result<()>;
}

/// How many nodes one request names, and how many names and models wait to be invalidated.
const BATCH: usize = 8192;
const QUEUE: usize = 1024;

/// How long FORGETs take to arrive, at least and at most.
const SOON: Duration = Duration::from_millis(1);
const LATE: Duration = Duration::from_secs(1);

/// The queues of both threads; empty in a tree without a mount.
#[derive(Default)]
pub(super) struct Invalidator(OnceLock<Queues>);

struct Queues {
    prune: SyncSender<()>,
    invalidate: SyncSender<Vec<Stale>>,
}

impl Tree {
    /// Starts the threads that tell the kernel what to forget. They end with the process.
    ///
    /// # Errors
    ///
    /// A thread cannot be started.
    pub fn start_invalidating(&self, kernel: impl Kernel) -> io::Result<()> {
        let kernel = Arc::new(kernel);
        let (prune, pruned) = sync_channel(1);
        let (invalidate, invalidated) = sync_channel(QUEUE);
        let (shared, of_prune) = (self.shared.clone(), kernel.clone());
        let stubborn = invalidate.clone();
        thread("prune", move || {
            run_prune(&shared, &*of_prune, &pruned, &stubborn)
        })?;
        thread("invalidate", move || run_invalidate(&*kernel, &invalidated))?;
        // A second mount of the same tree would be a second session; there is none.
        let _ = self.shared.invalidator.0.set(Queues { prune, invalidate });
        Ok(())
    }

    /// Has the kernel forget all that it was told of the model at `root`: names that are there, names that are not, pages.
    pub(super) fn invalidate_model(&self, root: &str) {
        let Some(queues) = self.shared.invalidator.0.get() else {
            return;
        };
        // The root first: with it go the names that are not there, which nobody else knows.
        let mut stale = vec![Stale::of(root)];
        stale.extend(self.shared.nodes.below(root));
        if let Err(error) = queues.invalidate.try_send(stale) {
            tracing::warn!(path = root, %error, "the kernel may remember old names of this model");
        }
    }
}

impl Shared {
    /// The table of nodes is too large.
    pub(super) fn prune(&self) {
        if let Some(queues) = self.invalidator.0.get() {
            // Full: it has been told.
            let _ = queues.prune.try_send(());
        }
    }
}

impl Stale {
    pub(super) fn of(path: &str) -> Stale {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        Stale {
            parent: number(parent),
            name: name.to_owned(),
            node: number(path),
        }
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop)
}

fn run_prune(
    shared: &Shared,
    kernel: &impl Kernel,
    wake: &Receiver<()>,
    stubborn: &SyncSender<Vec<Stale>>,
) {
    let mut can_prune = true;
    while wake.recv().is_ok() {
        let mut pause = SOON;
        let mut before = usize::MAX;
        while let Some(mut unused) = shared.nodes.unused(BATCH) {
            if can_prune && let Err(error) = kernel.prune(&unused.fresh) {
                can_prune = error.kind() != io::ErrorKind::InvalidInput;
                tracing::debug!(%error, "the kernel does not prune nodes");
            }
            if !can_prune {
                unused = shared.nodes.named(unused);
            }
            if let Err(TrySendError::Disconnected(_)) = stubborn.try_send(unused.stubborn) {
                return;
            }
            std::thread::sleep(pause);
            // Everything may be in use; then it is not asked for again and again.
            let now = shared.nodes.bytes();
            pause = match now < before {
                true => SOON,
                false => (2 * pause).min(LATE),
            };
            before = now;
        }
    }
}

fn run_invalidate(kernel: &impl Kernel, queue: &Receiver<Vec<Stale>>) {
    for batch in queue {
        for stale in batch {
            let name = kernel.forget_name(&stale);
            let pages = kernel.drop_pages(stale.node);
            if let Err(error) = name.and(pages) {
                tracing::debug!(name = stale.name, %error, "the kernel did not forget a name");
            }
        }
    }
}
