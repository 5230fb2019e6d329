//! `tfhub-fs serve`.

use std::io::Write;

use crate::cli::args::Serve;
use crate::cli::failure::Failure;
use crate::daemon::runtime::Runtime;
use crate::daemon::signals::StopSignals;
use crate::server::{Options, Server};

/// Serves a directory of models until Ctrl-C or SIGTERM; prints the hub's URL when it answers.
pub(in crate::cli) fn run(command: &Serve) -> Result<(), Failure> {
    let mut options = Options::new(&command.dir);
    options.bucket.clone_from(&command.bucket);
    options.listen = command.listen.parse().map_err(|_| {
        Failure::Usage(format!(
            "`{}` is no address to listen on; type HOST:PORT with a numeric host, like 127.0.0.1:8080 or 0.0.0.0:80",
            command.listen
        ))
    })?;
    let runtime = Runtime::new().map_err(Failure::failed)?;
    runtime.block_on(async {
        let mut stop = StopSignals::new(false).map_err(Failure::failed)?;
        let server = Server::bind(options).await.map_err(Failure::failed)?;
        // Scripts read this line to learn the port.
        let _ = writeln!(std::io::stdout(), "{}", server.url());
        tracing::info!(dir = %command.dir.display(), url = server.url(), "serving; Ctrl-C ends it");
        server
            .run(async move {
                stop.next().await;
            })
            .await
            .map_err(Failure::failed)
    })
}
