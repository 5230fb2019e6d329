//! A scripted origin on loopback: tfhub.dev, Kaggle and Google Cloud Storage as three hosts, with faults on demand.
//!
//! Written from the protocol: a model in compressed form is asked of the hub, which redirects (302) to Kaggle with
//! `tf-hub-format=compressed&tfhub-redirect=true`, which redirects to a signed URL, which accepts exactly the bytes that
//! were signed and no `x-goog-*` header, cookie or Authorization. Unknown models lead to a page for people, with 200.
//! What a host answers ([`hosts`]) and what goes wrong on the way out ([`send`]) are apart, so any handler can have faults.

mod hosts;
mod object;
mod script;
mod send;
mod signed;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::io::BufReader;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use script::Script;
pub use script::{ALWAYS, Fault, Gate, Hop};
pub use tls::Tls;
use wire::Request;

/// One request that was seen, and what became of it.
#[derive(Debug)]
pub struct Seen {
    pub hop: Hop,
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    /// The model it was about, as the hub names it.
    pub model: Option<String>,
    pub status: u16,
    sent: AtomicU64,
}

impl Seen {
    /// Bytes of the body that have left so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// True for the one-byte range with which headers are asked for.
    pub fn is_probe(&self) -> bool {
        self.header("range") == Some("bytes=0-0") || self.method == "HEAD"
    }
}

/// How the hub answers for a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// As tfhub.dev does since the move: to Kaggle, and from there to a signed URL.
    Kaggle,
    /// As a plain host does: the archive itself.
    Direct,
}

/// One archive and the way to it.
#[derive(Debug)]
pub struct Model {
    name: String,
    id: u64,
    route: Route,
    body: Bytes,
    script: Script,
}

impl Model {
    /// Replaces all faults.
    pub fn faults(&self, faults: Vec<Fault>) -> &Model {
        self.script.set(faults);
        self
    }

    /// The archive as it was published.
    pub fn archive(&self) -> Bytes {
        self.body.clone()
    }
}

/// What the hub says of a model it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// 302 to Kaggle's page of all models, which is 200 and HTML.
    Catalogue,
    NotFound,
}

struct State {
    ports: [SocketAddr; 3],
    models: Mutex<BTreeMap<String, Arc<Model>>>,
    /// Names without a version, and where the hub sends them: a path on itself or a whole URL.
    newest: Mutex<BTreeMap<String, String>>,
    unknown: Mutex<Unknown>,
    /// Every signed target handed out, and whether it has expired.
    signed: Mutex<HashMap<String, bool>>,
    secrets: Mutex<Vec<String>>,
    seen: Mutex<Vec<Arc<Seen>>>,
    serial: AtomicU64,
    dead: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

/// The three hosts; they die when this is dropped.
pub struct Origin(Arc<State>, Mutex<Vec<JoinHandle<()>>>);

impl Origin {
    pub fn start() -> Origin {
        let listeners: Vec<TcpListener> = (0..3)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let port = |at: usize| listeners[at].local_addr().unwrap();
        let state = Arc::new(State {
            ports: [port(0), port(1), port(2)],
            models: Mutex::default(),
            newest: Mutex::default(),
            unknown: Mutex::new(Unknown::Catalogue),
            signed: Mutex::default(),
            secrets: Mutex::default(),
            seen: Mutex::default(),
            serial: AtomicU64::new(1),
            dead: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let hosts = listeners.into_iter().zip([Hop::Hub, Hop::Kaggle, Hop::Gcs]);
        let listening = hosts.map(|(listener, hop)| {
            let state = Arc::clone(&state);
            thread::spawn(move || accept(&listener, hop, &state))
        });
        let listening = listening.collect();
        Origin(state, Mutex::new(listening))
    }

    /// `http://127.0.0.1:port` of one of the hosts.
    pub fn url(&self, hop: Hop) -> String {
        self.0.url(hop)
    }

    /// `127.0.0.1:port` of the hub.
    pub fn authority(&self) -> String {
        self.0.ports[0].to_string()
    }

    /// Publishes an archive as tfhub.dev does: `google/x/1`, on Kaggle `models/google/x/tensorFlow2/x/1`.
    pub fn publish(&self, name: &str, archive: impl Into<Bytes>) -> Arc<Model> {
        self.add(name, archive.into(), Route::Kaggle)
    }

    /// Publishes an archive as a plain host does.
    pub fn host(&self, name: &str, archive: impl Into<Bytes>) -> Arc<Model> {
        self.add(name, archive.into(), Route::Direct)
    }

    fn add(&self, name: &str, body: Bytes, route: Route) -> Arc<Model> {
        let id = self.0.serial.fetch_add(1, Ordering::SeqCst);
        let model = Model {
            name: name.to_owned(),
            id,
            route,
            body,
            script: Script::default(),
        };
        let model = Arc::new(model);
        self.0
            .models
            .lock()
            .unwrap()
            .insert(name.to_owned(), Arc::clone(&model));
        model
    }

    /// Sends `name`, which has no version, to a path of the hub (`google/x/3`) or to a whole URL.
    pub fn newest(&self, name: &str, target: &str) {
        self.0
            .newest
            .lock()
            .unwrap()
            .insert(name.to_owned(), target.to_owned());
    }

    /// What is said of unknown models from now on.
    pub fn unknown(&self, answer: Unknown) {
        *self.0.unknown.lock().unwrap() = answer;
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Arc<Seen>> {
        self.0.seen.lock().unwrap().clone()
    }

    /// The requests about one model.
    pub fn about(&self, model: &str) -> Vec<Arc<Seen>> {
        self.seen()
            .into_iter()
            .filter(|seen| seen.model.as_deref() == Some(model))
            .collect()
    }

    /// How many requests about one model the hub, Kaggle and the bucket have seen.
    pub fn hops(&self, model: &str) -> [usize; 3] {
        let about = self.about(model);
        [Hop::Hub, Hop::Kaggle, Hop::Gcs]
            .map(|hop| about.iter().filter(|seen| seen.hop == hop).count())
    }

    /// The requests that were answered with more of the archive than its first byte.
    pub fn downloads(&self, model: &str) -> Vec<Arc<Seen>> {
        let object = |seen: &Arc<Seen>| matches!(seen.status, 200 | 206) && !seen.is_probe();
        self.about(model).into_iter().filter(object).collect()
    }

    /// Bytes of bodies that have left for one model.
    pub fn sent(&self, model: &str) -> u64 {
        self.downloads(model).iter().map(|seen| seen.sent()).sum()
    }

    /// Every signature handed out; none may appear in a log.
    pub fn secrets(&self) -> Vec<String> {
        self.0.secrets.lock().unwrap().clone()
    }

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

impl State {
    fn url(&self, hop: Hop) -> String {
        format!("http://{}", self.ports[hop as usize])
    }
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
        let (reply, model) = hosts::answer(state, hop, &request);
        let seen = Arc::new(Seen {
            hop,
            method: request.method.clone(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            model: model.as_ref().map(|model| model.name.clone()),
            status: reply.status,
            sent: AtomicU64::new(0),
        });
        state.seen.lock().unwrap().push(Arc::clone(&seen));
        let script = model.as_ref().map(|model| &model.script);
        let outgoing = send::Outgoing {
            request: &request,
            reply,
            seen: &seen,
            hop,
            dead: &state.dead,
        };
        if !outgoing.send(&stream, script)? {
            return stream.shutdown(Shutdown::Both);
        }
    }
    Ok(())
}
