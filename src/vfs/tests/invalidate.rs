//! How the kernel is asked to forget, with a kernel of this test's own.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::*;

/// A kernel that forgets what it is asked to, by number or only by name.
struct Forgetful {
    tree: Tree,
    prunes: bool,
    by_name: Arc<Mutex<Vec<String>>>,
}

impl Kernel for Forgetful {
    fn prune(&self, nodes: &[u64]) -> io::Result<()> {
        if !self.prunes {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        for node in nodes {
            self.tree.forget(*node, u64::MAX);
        }
        Ok(())
    }

    fn forget_name(&self, stale: &Stale) -> io::Result<()> {
        self.tree.forget(stale.node, u64::MAX);
        self.by_name.lock().push(stale.name.clone());
        Ok(())
    }

    fn drop_pages(&self, _node: u64) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn old_kernels_forget_names_one_by_one() {
    for prunes in [true, false] {
        let options = Options {
            memory: 200_000,
            ..Options::default()
        };
        let hub = Hub::with([], Duration::from_secs(20), options).await;
        let tree = hub.tree.clone();
        let by_name = Arc::default();
        let kernel = Forgetful {
            tree: tree.clone(),
            prunes,
            by_name: Arc::clone(&by_name),
        };
        tree.start_invalidating(kernel).unwrap();
        for number in 0..10_000 {
            let entry = tree.lookup(ROOT, &format!("n{number}")).get().await;
            assert!(entry.is_ok());
        }
        let since = Instant::now();
        while tree.shared.nodes.bytes() > 100_000 {
            assert!(
                since.elapsed() < Duration::from_secs(20),
                "prunes: {prunes}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(by_name.lock().is_empty(), prunes);
    }
}
