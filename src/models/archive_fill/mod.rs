//! The compressed form: whoever gets the model's lock fetches one archive and unpacks it into a filling. The others wait until
//! the model is sealed or the lock comes free.
//!
//! ```text
//! source::Archive --chunks--> [channel] --Read--> archive::unpack --files--> cache::Filling --> sealed
//!      async task                                       one thread
//! ```
//!
//! The channel is short, so that memory stays flat whichever side is slower. The fill keeps its model: it goes on when nobody
//! uses the model any more.

mod run;
mod unpack;

pub(super) use run::run;
