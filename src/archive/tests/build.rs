//! Archives, byte by byte. Headers are filled with the tar crate's setters where they let us lie, by hand where not.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::Header;

/// A tar archive in the making.
#[derive(Clone, Default)]
pub(super) struct Pack(pub(super) Vec<u8>);

/// A header that may say anything.
pub(super) fn header(typeflag: u8, name: &[u8], size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
    header.as_old_mut().linkflag = [typeflag];
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(1_700_000_000);
    header.set_cksum();
    header
}

/// One pax record: its length counts itself.
pub(super) fn record(key: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    let rest = [b" ", key.as_bytes(), b"=", value.as_ref(), b"\n"].concat();
    let len = (1..9)
        .map(|digits| rest.len() + digits)
        .find(|len| len.to_string().len() + rest.len() == *len);
    [len.unwrap().to_string().as_bytes(), &rest].concat()
}

impl Pack {
    pub(super) fn new() -> Pack {
        Pack::default()
    }

    /// A block that says what `header` says, and a padded body.
    pub(super) fn raw(mut self, header: &Header, body: &[u8]) -> Pack {
        self.0.extend_from_slice(header.as_bytes());
        self.bytes(body)
    }

    /// Bytes, padded to a block.
    pub(super) fn bytes(mut self, body: &[u8]) -> Pack {
        self.0.extend_from_slice(body);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(super) fn typed(self, typeflag: u8, name: &str, body: &[u8]) -> Pack {
        self.raw(&header(typeflag, name.as_bytes(), body.len() as u64), body)
    }

    pub(super) fn file(self, name: &str, body: impl AsRef<[u8]>) -> Pack {
        self.typed(b'0', name, body.as_ref())
    }

    pub(super) fn dir(self, name: &str) -> Pack {
        self.typed(b'5', name, b"")
    }

    pub(super) fn pax(self, records: &[(&str, &str)]) -> Pack {
        self.typed(
            b'x',
            "pax",
            &records
                .iter()
                .flat_map(|(key, value)| record(key, value))
                .collect::<Vec<_>>(),
        )
    }

    /// Two blocks of zeros.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// A small good archive.
pub(super) fn sample() -> Vec<u8> {
    let weights: Vec<u8> = (0..1500u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    Pack::new()
        .dir("./")
        .file("./saved_model.pb", "the graph, the graph, the graph")
        .dir("./variables/")
        .file("./variables/variables.index", "")
        .file("./variables/variables.data-00000-of-00001", weights)
        .dir("./assets/")
        .end()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    gzip_with(bytes, Compression::fast())
}

pub(super) fn gzip_with(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn xz(bytes: &[u8]) -> Vec<u8> {
    xz_with(bytes, lzma_rust2::XzOptions::with_preset(0))
}

pub(super) fn xz_with(bytes: &[u8], options: lzma_rust2::XzOptions) -> Vec<u8> {
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
