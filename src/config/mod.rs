//! Checked settings: what was typed becomes a type that cannot be wrong, and remembers where it came from.
//!
//! Every parser here is a pure function of the text (and, where the environment has a say, of the
//! environment it is given), so the command line, the environment and a configuration file share one
//! meaning and one message. Nothing here touches the disk or the network.

mod base;
mod error;
mod mirror;

pub use base::BaseUrl;
pub use error::Error;
pub use mirror::Mirror;
