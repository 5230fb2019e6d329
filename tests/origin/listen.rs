//! The three hosts at their ports: connections in, replies out, and the end of it all.

use std::io::BufReader;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use super::log::Seen;
use super::script::{Hop, Strike};
use super::wire::{Reply, Request};
use super::{Origin, State, hosts, send};

/// Sockets for the three hosts; port 0 is any that is free.
pub fn bind(ports: [u16; 3]) -> ([TcpListener; 3], [SocketAddr; 3]) {
    let listeners = ports.map(|port| {
        TcpListener::bind(("127.0.0.1", port))
            .unwrap_or_else(|error| panic!("port {port} of 127.0.0.1: {error}"))
    });
    let addresses = [0, 1, 2].map(|at: usize| listeners[at].local_addr().unwrap());
    (listeners, addresses)
}

/// A thread for each host.
pub fn start(listeners: [TcpListener; 3], state: &Arc<State>) -> Vec<JoinHandle<()>> {
    let hosts = listeners.into_iter().zip([Hop::Hub, Hop::Kaggle, Hop::Gcs]);
    let started = hosts.map(|(listener, hop)| {
        let state = Arc::clone(state);
        thread::spawn(move || accept(&listener, hop, &state))
    });
    started.collect()
}

fn accept(listener: &TcpListener, hop: Hop, state: &Arc<State>) {
    for stream in listener.incoming() {
        if state.dead.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let _ = stream.set_nodelay(true);
        state.open.lock().unwrap().extend(stream.try_clone());
        let state = Arc::clone(state);
        thread::spawn(move || {
            // A client may go at any time; that is no fault of the origin.
            let _ = converse(stream, hop, &state);
        });
    }
}

/// Answers the requests of one connection, one after the other.
fn converse(stream: TcpStream, hop: Hop, state: &Arc<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = Request::read(&mut reader)? {
        state.link.delay();
        let strike = match state.rule.lock().unwrap().as_ref() {
            Some(rule) => rule(&request.method, &request.target),
            None => Strike::None,
        };
        let (reply, object) = match strike {
            Strike::None => hosts::answer(state, hop, &request),
            Strike::Status(status) => (Reply::new(status, ""), None),
            Strike::Hang => (Reply::new(503, ""), None),
            // Whoever asked does not know whether it was done.
            Strike::LostAnswer => {
                hosts::answer(state, hop, &request);
                (Reply::new(503, ""), None)
            }
        };
        let seen = Arc::new(Seen {
            hop,
            method: request.method.clone(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            model: object.as_ref().map(|object| object.name.clone()),
            status: reply.status,
            object: reply.object,
            first: reply.first,
            length: reply.body.len(),
            sent: AtomicU64::new(0),
        });
        state.seen.lock().unwrap().push(Arc::clone(&seen));
        let script = object.as_ref().map(|object| &object.script);
        let outgoing = send::Outgoing {
            request: &request,
            reply,
            seen: &seen,
            hop,
            dead: &state.dead,
            link: &state.link,
        };
        if strike == Strike::Hang {
            outgoing.hang(&stream);
            return stream.shutdown(Shutdown::Both);
        }
        let last = request.header("connection") == Some("close");
        if !outgoing.send(&stream, script)? || last {
            return stream.shutdown(Shutdown::Both);
        }
    }
    Ok(())
}

impl Origin {
    /// Connections are refused from now on, and those that are open end.
    pub fn die(&self) {
        self.0.dead.store(true, Ordering::SeqCst);
        for port in self.0.ports {
            let _ = TcpStream::connect(port);
        }
        for host in self.1.lock().unwrap().drain(..) {
            let _ = host.join();
        }
        for stream in self.0.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.die();
    }
}
