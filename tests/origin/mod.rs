//! A scripted origin on loopback: tfhub.dev, Kaggle and Google Cloud Storage as three hosts, with faults on demand.
//!
//! Written from the protocol: a model in compressed form is asked of the hub, which redirects (302) to Kaggle with
//! `tf-hub-format=compressed&tfhub-redirect=true`, which redirects to a signed URL, which accepts exactly the bytes that
//! were signed and no `x-goog-*` header, cookie or Authorization. In uncompressed form the hub answers 303 with the
//! name of a folder in a bucket. Unknown models lead to a page for people, with 200. Kaggle also speaks its Models
//! API ([`kaggle`]), and the third host has buckets ([`bucket`]) beside the signed URLs ([`signed`]).
//! What a host answers and what goes wrong on the way out ([`send`]) are apart, so any handler can have faults. All
//! that is served is an [`Object`]: bytes, and a script of [`Fault`]s.

#![allow(dead_code, unused_imports)] // Tests, benchmarks and the program each use a part of it.

mod body;
mod bucket;
mod digests;
mod hosts;
mod kaggle;
mod link;
mod listen;
mod log;
mod object;
pub mod program;
mod script;
mod send;
mod signed;
mod tls;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;

use body::Body;
pub use bucket::{Bucket, TOKEN};
pub use kaggle::Version;
use link::Link;
pub use link::Shape;
pub use log::Seen;
pub use object::Object;
use script::Rule;
pub use script::{ALWAYS, Fault, Gate, Hop, Strike, Wording};
pub use tls::Tls;
use wire::{Reply, Request};

/// A reply, and the object whose faults it may have.
type Found = (Reply, Option<Arc<Object>>);

/// How the hub answers for a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// As tfhub.dev does since the move: to Kaggle, and from there to a signed URL.
    Kaggle,
    /// As a plain host does: the archive itself.
    Direct,
}

/// In which form a model is published, and so which query it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    SavedModel,
    /// One `.tflite` file, not an archive.
    TfLite,
    TfJs,
}

impl Form {
    fn is_asked(self, request: &Request) -> bool {
        let (name, value) = match self {
            Form::SavedModel => ("tf-hub-format", "compressed"),
            Form::TfLite => ("lite-format", "tflite"),
            Form::TfJs => ("tfjs-format", "compressed"),
        };
        request.asked(name).as_deref() == Some(value)
    }
}

/// What the hub has under one name.
#[derive(Debug)]
struct Published {
    object: Arc<Object>,
    id: u64,
    route: Route,
    form: Form,
}

impl Published {
    /// The path of its page on Kaggle.
    fn page(&self) -> String {
        let framework = match self.form {
            Form::SavedModel => "tensorFlow2",
            Form::TfLite => "tfLite",
            Form::TfJs => "tfJs",
        };
        kaggle::page_name(&self.object.name, framework)
    }
}

/// What the hub says of a model it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// 302 to Kaggle's page of all models, which is 200 and HTML.
    Catalogue,
    NotFound,
}

/// What the hub says when a model is asked for in uncompressed form.
#[derive(Debug, Clone)]
pub enum Uncompressed {
    /// 303 with this body.
    Folder(String),
    /// 303 that leads elsewhere.
    Location(String),
    /// A page with this status.
    Status(u16),
}

struct State {
    link: Link,
    rule: Mutex<Option<Rule>>,
    ports: [SocketAddr; 3],
    published: Mutex<BTreeMap<String, Arc<Published>>>,
    uncompressed: Mutex<BTreeMap<String, Uncompressed>>,
    /// Names without a version, and where the hub sends them: a path on itself or a whole URL.
    newest: Mutex<BTreeMap<String, String>>,
    unknown: Mutex<Unknown>,
    versions: Mutex<kaggle::Catalogue>,
    /// The Authorization without which Kaggle's API answers nothing.
    credential: Mutex<Option<String>>,
    buckets: Mutex<BTreeMap<String, Arc<Bucket>>>,
    /// Every signed target handed out.
    signed: Mutex<HashMap<String, signed::Signed>>,
    secrets: Mutex<Vec<String>>,
    seen: Mutex<Vec<Arc<Seen>>>,
    serial: AtomicU64,
    dead: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

/// The three hosts; they die when this is dropped.
pub struct Origin(Arc<State>, Mutex<Vec<JoinHandle<()>>>);

/// The bucket in which tfhub.dev keeps uncompressed copies.
pub const FOLDERS: &str = "kaggle-tfhub-models-uncompressed";

impl Origin {
    pub fn start() -> Origin {
        Origin::at([0; 3])
    }

    /// At ports of one's choice: the hub's, Kaggle's, the bucket's.
    pub fn at(ports: [u16; 3]) -> Origin {
        Origin::over(Shape::default(), ports)
    }

    /// Over a link of one's choice.
    pub fn over(shape: Shape, ports: [u16; 3]) -> Origin {
        let (listeners, ports) = listen::bind(ports);
        let state = Arc::new(State {
            link: Link::new(shape),
            rule: Mutex::default(),
            ports,
            published: Mutex::default(),
            uncompressed: Mutex::default(),
            newest: Mutex::default(),
            unknown: Mutex::new(Unknown::Catalogue),
            versions: Mutex::default(),
            credential: Mutex::default(),
            buckets: Mutex::default(),
            signed: Mutex::default(),
            secrets: Mutex::default(),
            seen: Mutex::default(),
            serial: AtomicU64::new(1),
            dead: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let listening = listen::start(listeners, &state);
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
    pub fn publish(&self, name: &str, archive: impl Into<Bytes>) -> Arc<Object> {
        self.publish_as(name, archive, Route::Kaggle, Form::SavedModel)
    }

    /// Publishes an archive as a plain host does.
    pub fn host(&self, name: &str, archive: impl Into<Bytes>) -> Arc<Object> {
        self.publish_as(name, archive, Route::Direct, Form::SavedModel)
    }

    /// Publishes an archive as a plain host does, with faults from the first request on.
    pub fn host_as(
        &self,
        name: &str,
        archive: impl Into<Bytes>,
        faults: Vec<Fault>,
    ) -> Arc<Object> {
        let object = Object::new(name, archive);
        object.faults(faults);
        self.insert(Arc::new(object), Route::Direct, Form::SavedModel)
    }

    /// Publishes an archive that may lie in a file as a plain host does.
    pub fn host_body(&self, name: &str, body: Body) -> Arc<Object> {
        let object = Object::of(name, body, object::GENERATION);
        self.insert(Arc::new(object), Route::Direct, Form::SavedModel)
    }

    /// Publishes a `.tflite` file, or the archive of a SavedModel or of a TF.js model.
    pub fn publish_as(
        &self,
        name: &str,
        body: impl Into<Bytes>,
        route: Route,
        form: Form,
    ) -> Arc<Object> {
        self.insert(Arc::new(Object::new(name, body)), route, form)
    }

    fn insert(&self, object: Arc<Object>, route: Route, form: Form) -> Arc<Object> {
        let published = Published {
            object: Arc::clone(&object),
            id: self.0.serial.fetch_add(1, Ordering::SeqCst),
            route,
            form,
        };
        let mut all = self.0.published.lock().unwrap();
        all.insert(object.name.clone(), Arc::new(published));
        object
    }

    /// Publishes a model in every form that tfhub.dev and Kaggle have: the archive, the folder in a bucket, the files of
    /// `models/google/x/tensorFlow2/x/1`. The folder's objects are below [`Origin::folder`].
    pub fn offer(
        &self,
        name: &str,
        files: &[(String, Vec<u8>)],
        archive: impl Into<Bytes>,
    ) -> Arc<Object> {
        let object = self.publish(name, archive);
        let prefix = format!("tfhub-modules/{name}/uncompressed/");
        self.bucket(FOLDERS).put_all(&prefix, files);
        self.uncompressed(name, Uncompressed::Folder(Origin::folder(name)));
        let page = kaggle::page_name(name, "tensorFlow2");
        self.version(
            page.trim_start_matches("models/"),
            files,
            Arc::clone(&object),
        );
        object
    }

    /// `gs://bucket/folder` of a model that was offered.
    pub fn folder(name: &str) -> String {
        format!("gs://{FOLDERS}/tfhub-modules/{name}/uncompressed")
    }

    /// What the hub says when this model is asked for in uncompressed form.
    pub fn uncompressed(&self, name: &str, answer: Uncompressed) {
        let mut all = self.0.uncompressed.lock().unwrap();
        all.insert(name.to_owned(), answer);
    }

    /// Publishes a model on Kaggle alone, as `owner/model/framework/variation/number`.
    pub fn kaggle(
        &self,
        name: &str,
        files: &[(String, Vec<u8>)],
        archive: impl Into<Bytes>,
    ) -> Arc<Version> {
        let archive = Arc::new(Object::new(format!("{name}.tar.gz"), archive));
        self.version(name, files, archive)
    }

    fn version(
        &self,
        name: &str,
        files: &[(String, Vec<u8>)],
        archive: Arc<Object>,
    ) -> Arc<Version> {
        let parts: Vec<&str> = name.split('/').collect();
        let [owner, model, framework, variation, number] = parts.as_slice() else {
            panic!("{name} is not owner/model/framework/variation/number");
        };
        let file = |(path, bytes): &(String, Vec<u8>)| {
            let object = Object::new(format!("{name}/{path}"), bytes.clone());
            (path.clone(), Arc::new(object))
        };
        let version = Arc::new(Version {
            id: self.0.serial.fetch_add(1, Ordering::SeqCst),
            slugs: [owner, model, framework, variation].map(|slug| (*slug).to_owned()),
            number: number.parse().unwrap(),
            api: Arc::new(Object::new(name, Bytes::new())),
            archive,
            files: files.iter().map(file).collect(),
        });
        self.0.versions.lock().unwrap().insert(Arc::clone(&version));
        version
    }

    /// Kaggle's API answers nothing without this `Authorization` from now on.
    pub fn require(&self, credential: &str) {
        *self.0.credential.lock().unwrap() = Some(credential.to_owned());
    }

    /// A bucket, made at its first mention.
    pub fn bucket(&self, name: &str) -> Arc<Bucket> {
        let mut buckets = self.0.buckets.lock().unwrap();
        let bucket = buckets
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(Bucket::new(name)));
        Arc::clone(bucket)
    }

    /// A bucket that anybody may write: what is below `dir`.
    pub fn bucket_in(&self, name: &str, dir: &Path) -> Arc<Bucket> {
        let bucket = Arc::new(Bucket::at(name, dir));
        let mut buckets = self.0.buckets.lock().unwrap();
        buckets.insert(name.to_owned(), Arc::clone(&bucket));
        bucket
    }

    /// What goes wrong with requests from now on, whatever they are about.
    pub fn rule(&self, rule: impl Fn(&str, &str) -> Strike + Send + Sync + 'static) {
        *self.0.rule.lock().unwrap() = Some(Box::new(rule));
    }

    /// Sends `name`, which has no version, to a path of the hub (`google/x/3`) or to a whole URL.
    pub fn newest(&self, name: &str, target: &str) {
        let mut all = self.0.newest.lock().unwrap();
        all.insert(name.to_owned(), target.to_owned());
    }

    /// What is said of unknown models from now on.
    pub fn unknown(&self, answer: Unknown) {
        *self.0.unknown.lock().unwrap() = answer;
    }
}

impl State {
    fn url(&self, hop: Hop) -> String {
        format!("http://{}", self.ports[hop as usize])
    }
}
