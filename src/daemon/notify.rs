//! Telling systemd how it goes: the sd_notify(3) protocol, one datagram of `KEY=value` lines to `$NOTIFY_SOCKET`.
//!
//! Written by hand, because the `sd-notify` crate (0.5.0) does not know the abstract sockets (`@name`) that the protocol
//! allows, and all of it is these few lines of std.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The mount answers.
pub fn ready() {
    tell("READY=1");
}

/// The end has begun.
pub fn stopping() {
    tell("STOPPING=1");
}

/// Does nothing where no service manager asked for it; a failure only costs it the news.
fn tell(message: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = send(&socket, message) {
        tracing::warn!(
            "cannot tell the service manager `{message}` on {}: {error}",
            socket.display()
        );
    }
}

fn send(socket: &OsStr, message: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?
        .send_to_addr(message.as_bytes(), &address)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 100];
        let len = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    }

    #[test]
    fn both_kinds_of_socket_are_reached() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), "READY=1").unwrap();
        assert_eq!(received(&socket), "READY=1");

        let name = format!("tfhub-fs-test-{}", std::process::id());
        let socket =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(OsStr::new(&format!("@{name}")), "STOPPING=1").unwrap();
        assert_eq!(received(&socket), "STOPPING=1");

        assert!(send(OsStr::new("/no/such/socket"), "READY=1").is_err());
    }
}
