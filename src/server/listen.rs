//! The router on a socket.

use std::future::{Future, IntoFuture};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use super::archives::{Archives, DEFAULT_SPOOL_LIMIT};
use super::bucket;
use super::hosting::router;
use super::{Bucket, DEFAULT_BUCKET, Error, ModelIndex, spool};

/// How long a transfer may go on after the server was told to end.
const GRACE: Duration = Duration::from_secs(2);

/// What to serve, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory of models.
    pub dir: PathBuf,
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// What the bucket of the uncompressed form is called.
    pub bucket: String,
    /// Where directories are packed to; `TMPDIR` or `/var/tmp` if not given.
    pub spool: Option<PathBuf>,
    /// How many bytes of packed archives are kept for later requests.
    pub spool_limit: u64,
}

impl Options {
    /// Serves `dir` on a free port of the loopback interface.
    pub fn new(dir: impl Into<PathBuf>) -> Options {
        Options {
            dir: dir.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            bucket: DEFAULT_BUCKET.to_owned(),
            spool: None,
            spool_limit: DEFAULT_SPOOL_LIMIT,
        }
    }
}

/// A bound server. Clients that connect before [`Server::run`] wait.
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    router: Router,
    bucket: String,
}

impl Server {
    /// Scans the directory and binds the address.
    ///
    /// # Errors
    /// [`Error::Dir`], [`Error::Listen`], [`Error::BucketName`] and [`Error::Shadowed`].
    pub async fn bind(options: Options) -> Result<Server, Error> {
        let Options {
            dir,
            listen,
            bucket,
            spool,
            spool_limit,
        } = options;
        // First the address: a wrong one is told before a large directory has been read.
        let refused = |source| Error::Listen {
            addr: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let addr = listener.local_addr().map_err(refused)?;
        let scanned = tokio::task::spawn_blocking(move || ModelIndex::open(&dir)).await;
        let index = scanned.map_err(|e| Error::Lost {
            name: "the served directory".into(),
            why: e.to_string(),
        })??;
        let index = Arc::new(index);
        let bucket = Bucket::new(&bucket, index)?;
        let bucket_name = bucket.name().to_owned();
        let archives = Archives::new(spool.unwrap_or_else(spool::default_dir), spool_limit);
        Ok(Server {
            listener,
            addr,
            router: router(bucket, archives),
            bucket: bucket_name,
        })
    }

    /// Where it listens, with the real port.
    #[cfg(test)]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A URL that reaches it from this host, without a trailing slash: a
    /// `--hub-url`, the first part of its handles, and the endpoint of its bucket.
    pub fn url(&self) -> String {
        let host = match self.addr.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(host, self.addr.port()))
    }

    /// The `gs://` folder that the 303 for the uncompressed form of `handle` names.
    pub fn folder(&self, handle: &str) -> String {
        bucket::folder(&self.bucket, handle)
    }

    /// Serves until `shutdown` is ready; transfers under way then get 2 s to end.
    ///
    /// # Errors
    /// [`Error::Serve`] if the listener fails.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let (told, hear) = tokio::sync::oneshot::channel::<()>();
        let listener = self.listener.tap_io(|stream| {
            // Headers must not wait for the body; if it fails they merely come later.
            let _ = stream.set_nodelay(true);
        });
        let stop = async move {
            shutdown.await;
            drop(told);
        };
        let serving = axum::serve(listener, self.router)
            .with_graceful_shutdown(stop)
            .into_future();
        let deadline = async move {
            // Never sent on: resolves when `stop` drops its end.
            let _ = hear.await;
            tokio::time::sleep(GRACE).await;
        };
        let addr = self.addr;
        tokio::select! {
            ended = serving => ended.map_err(|source| Error::Serve { addr, source }),
            () = deadline => {
                tracing::info!("transfers still under way after {} s are cut", GRACE.as_secs());
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Tree, get};
    use super::*;

    #[tokio::test]
    async fn a_server_says_where_it_is_and_ends_when_told() {
        let tree = Tree::new(&[("g/m/1/saved_model.pb", "x")]);
        let server = Server::bind(Options::new(tree.path())).await.unwrap();
        let addr = server.addr();
        assert_eq!(server.url(), format!("http://127.0.0.1:{}", addr.port()));
        let server_folder = server.folder("g/m/1");
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async { drop(stopped.await) }));
        assert_eq!(server_folder, "gs://tfhub-models/g/m/1");
        assert_eq!(get(addr, "/g/m/1").await.status, 200);
        drop(stop);
        running.await.unwrap().unwrap();
        assert!(tokio::net::TcpStream::connect(addr).await.is_err());
    }

    #[tokio::test]
    async fn a_taken_port_and_a_missing_directory_are_named() {
        let tree = Tree::new(&[]);
        let first = Server::bind(Options::new(tree.path())).await.unwrap();
        let taken = Options {
            listen: first.addr(),
            ..Options::new(tree.path())
        };
        assert!(matches!(
            Server::bind(taken).await,
            Err(Error::Listen { .. })
        ));
        assert!(matches!(
            Server::bind(Options::new("/nonexistent")).await,
            Err(Error::Dir { .. })
        ));
    }

    #[tokio::test]
    async fn a_bucket_that_would_hide_a_model_is_refused() {
        let tree = Tree::new(&[("models/m/1/saved_model.pb", "x")]);
        let called = async |bucket: &str| {
            let bucket = bucket.to_owned();
            Server::bind(Options {
                bucket,
                ..Options::new(tree.path())
            })
            .await
            .err()
        };
        assert!(matches!(
            called("models").await,
            Some(Error::Shadowed { .. })
        ));
        assert!(called("other-models").await.is_none());
        for name in ["", "ab", "Models", "-models", "a/b", "models."] {
            assert!(
                matches!(called(name).await, Some(Error::BucketName { .. })),
                "{name}"
            );
        }
    }
}
