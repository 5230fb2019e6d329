//! Answers that come as over a slower network: late, and no faster than its rate.
//!
//! HTTP/1 sends one answer at a time on a connection, so the rate of a body is
//! the rate of its connection. The link that all share is one [`Pace`].

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::simulation::{Pace, Simulation};

/// The network between a server and all of its clients.
pub struct Link {
    simulation: Simulation,
    epoch: Instant,
    total: Option<Mutex<Pace>>,
}

impl Link {
    /// Idle from now on.
    pub fn new(simulation: Simulation) -> Link {
        let total = simulation
            .total
            .map(|rate| Mutex::new(Pace::new(rate, Duration::ZERO)));
        Link {
            simulation,
            epoch: Instant::now(),
            total,
        }
    }

    /// False if everything passes as it is.
    pub fn is_slower(&self) -> bool {
        self.simulation != Simulation::default()
    }
}

/// A layer for [`axum::middleware::from_fn_with_state`].
pub async fn shape(State(link): State<Arc<Link>>, request: Request, next: Next) -> Response {
    tokio::time::sleep(link.simulation.latency).await;
    let mut response = next.run(request).await;
    if link.simulation.rate.is_none() && link.total.is_none() {
        return response;
    }
    // A stream does not know its length: without this every page would go out chunked.
    if let Some(len) = response.body().size_hint().exact() {
        response
            .headers_mut()
            .entry(CONTENT_LENGTH)
            .or_insert_with(|| len.into());
    }
    response.map(|body| paced(link, body))
}

struct Paced {
    link: Arc<Link>,
    own: Option<Pace>,
    step: usize,
    source: BodyDataStream,
    rest: Bytes,
}

fn paced(link: Arc<Link>, body: Body) -> Body {
    let own = link
        .simulation
        .rate
        .map(|rate| Pace::new(rate, link.epoch.elapsed()));
    let steps = [
        own.as_ref().map(Pace::step),
        link.total.as_ref().map(|total| total.lock().step()),
    ];
    let step = steps.into_iter().flatten().min().unwrap_or(usize::MAX);
    let paced = Paced {
        link,
        own,
        step,
        source: body.into_data_stream(),
        rest: Bytes::new(),
    };
    Body::from_stream(stream::try_unfold(paced, |mut paced| async move {
        while paced.rest.is_empty() {
            match paced.source.next().await {
                Some(chunk) => paced.rest = chunk?,
                None => return Ok(None),
            }
        }
        let step = paced.rest.split_to(paced.step.min(paced.rest.len()));
        paced.wait_for(step.len() as u64).await;
        Ok::<_, axum::Error>(Some((step, paced)))
    }))
}

impl Paced {
    /// Returns when `bytes` have crossed the connection and the shared link.
    async fn wait_for(&mut self, bytes: u64) {
        let now = self.link.epoch.elapsed();
        let own = self.own.as_mut().map(|pace| pace.take(now, bytes));
        let total = self
            .link
            .total
            .as_ref()
            .map(|pace| pace.lock().take(now, bytes));
        if let Some(due) = own.max(total) {
            tokio::time::sleep_until(self.link.epoch + due).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::{Tree, ask, get, noise, serve};

    /// Bounds are wide above: the machine may be busy. Below they are what the arithmetic promises.
    async fn timed(addr: std::net::SocketAddr, target: &str) -> (Duration, usize) {
        let start = std::time::Instant::now();
        let reply = get(addr, target).await;
        (start.elapsed(), reply.body.len())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_connection_has_the_rate_and_all_share_the_link() {
        let tree = Tree::new(&[]);
        tree.put("g/m/1.tar", noise(200_000));
        let target = "/g/m/1?tf-hub-format=compressed";
        let addr = serve(&tree, "rate=1MB/s".parse().unwrap()).await;
        let (one, two) = tokio::join!(timed(addr, target), timed(addr, target));
        for (time, len) in [one, two] {
            assert_eq!(len, 200_000);
            assert!((185..1_500).contains(&time.as_millis()), "{time:?}");
        }
        let addr = serve(&tree, "total=1MB/s".parse().unwrap()).await;
        let (one, two) = tokio::join!(timed(addr, target), timed(addr, target));
        assert!(
            one.0.max(two.0) >= Duration::from_millis(385),
            "{one:?} {two:?}"
        );
    }

    #[tokio::test]
    async fn the_first_byte_waits_and_the_length_stays() {
        let tree = Tree::new(&[("g/m/1/saved_model.pb", "x")]);
        let addr = serve(&tree, "latency=60ms,rate=100MB/s".parse().unwrap()).await;
        let (time, _) = timed(addr, "/nothing/here/1").await;
        assert!(time >= Duration::from_millis(60), "{time:?}");
        let page = get(addr, "/g/m/1").await;
        assert_eq!(page.header("content-length"), page.body.len().to_string());
        let head = ask(addr, "HEAD", "/g/m/1", &[]).await;
        assert_eq!(
            (head.header("content-length"), head.body.len()),
            (page.header("content-length"), 0)
        );
    }
}
