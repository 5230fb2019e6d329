//! What the bars read: SavedModels as published archives, `saved_model.pb` first and one large file of variables
//! last, made from a seed. The graph and the index are those of the demo's model, which real TensorFlow wrote.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use sha1::{Digest, Sha1};

use crate::Result;
use crate::read;

/// The file that holds nearly all of a model.
pub(crate) const DATA: &str = "variables/variables.data-00000-of-00001";
/// The file that every loader opens first.
pub(crate) const GRAPH: &str = "saved_model.pb";
const INDEX: &str = "variables/variables.index";

const DEMO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/assets/demo/demo/tiny-text-embedding/1.tar.gz"
);
const MIB: u64 = 1 << 20;

/// What the large file looks like to a compressor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weights {
    /// Any byte is as likely as any other; deflate stores it.
    Random,
    /// float32 numbers around zero, as trained weights are: deflate finds a tenth to save, at gzip's own level 6.
    Floats,
}

/// A model in the directory of a hub.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// `<publisher>/<model>/<version>`, below the hub's URL and below a mountpoint.
    pub name: String,
    /// The archive on disk, or the directory of a model that is not packed.
    pub archive: PathBuf,
    /// The archive's size, or that of the large file.
    pub packed: u64,
    /// The size of the large file.
    pub data: u64,
    /// `read::sum` of the large file.
    pub sum: u64,
}

impl Model {
    /// The model's file below a mountpoint.
    pub(crate) fn file(&self, mountpoint: &Path, file: &str) -> PathBuf {
        mountpoint.join(&self.name).join(file)
    }
}

/// Packs a model whose large file has `mib` MiB into `<hub>/bench/<model>/1.tar.gz`.
pub(crate) fn pack(hub: &Path, model: &str, weights: Weights, mib: u64) -> Result<Model> {
    let name = format!("bench/{model}/1");
    let archive = hub.join(format!("{name}.tar.gz"));
    fs::create_dir_all(archive.parent().ok_or("an archive has a directory")?)?;
    let level = match weights {
        Weights::Random => Compression::none(),
        Weights::Floats => Compression::new(6),
    };
    let file = BufWriter::with_capacity(1 << 20, File::create(&archive)?);
    let mut tar = tar::Builder::new(GzEncoder::new(file, level));
    for (path, bytes) in small_files()? {
        if path == INDEX {
            // tensorflow_hub makes no directory that has no entry.
            append_dir(&mut tar, "variables/")?;
        }
        append(&mut tar, &path, bytes.len() as u64, bytes.as_slice())?;
    }
    let data = mib * MIB;
    let mut generated = Generated::new(weights, data);
    append(&mut tar, DATA, data, &mut generated)?;
    let file = tar.into_inner()?.finish()?;
    file.into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()?;
    Ok(Model {
        name,
        packed: fs::metadata(&archive)?.len(),
        archive,
        data,
        sum: generated.sum,
    })
}

/// Lays a model as plain files into `<hub>/bench/<model>/1/`.
pub(crate) fn lay(hub: &Path, model: &str, weights: Weights, mib: u64) -> Result<Model> {
    let name = format!("bench/{model}/1");
    let dir = hub.join(&name);
    fs::create_dir_all(dir.join("variables"))?;
    for (path, bytes) in small_files()? {
        fs::write(dir.join(path), bytes)?;
    }
    let data = mib * MIB;
    let mut generated = Generated::new(weights, data);
    io::copy(&mut generated, &mut File::create(dir.join(DATA))?)?;
    Ok(Model {
        name,
        packed: data,
        archive: dir,
        data,
        sum: generated.sum,
    })
}

/// Writes the large file of a model plainly, to compare with.
pub(crate) fn write_plain(path: &Path, weights: Weights, mib: u64) -> Result<()> {
    io::copy(
        &mut Generated::new(weights, mib * MIB),
        &mut File::create(path)?,
    )?;
    Ok(())
}

/// Lays `count` small models into `cache` as tensorflow_hub does, each under the sha1 of its handle.
pub(crate) fn fill_cache(cache: &Path, hub_url: &str, count: usize) -> Result<()> {
    let mut files = small_files()?;
    files.push((DATA.to_owned(), vec![7; 10_051]));
    for number in 0..count {
        let handle = format!("{hub_url}/{}", small_model(number));
        let dir = cache.join(key(&handle));
        fs::create_dir_all(dir.join("variables"))?;
        for (path, bytes) in &files {
            fs::write(dir.join(path), bytes)?;
        }
        let descriptor = format!(
            "Module: {handle}\nDownload Time: 2026-01-01 00:00:00.000001\nDownloader Hostname: bench (PID:1)"
        );
        fs::write(dir.with_extension("descriptor.txt"), descriptor)?;
    }
    Ok(())
}

/// The name of one of the small models of `fill_cache`.
pub(crate) fn small_model(number: usize) -> String {
    format!("bench/small-{number}/1")
}

/// tensorflow_hub's directory name for a handle.
pub(crate) fn key(handle: &str) -> String {
    let digest = Sha1::digest(handle.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Inflates an archive on this thread, from the page cache to nowhere; gives the inflated size.
pub(crate) fn inflate(archive: &Path) -> Result<u64> {
    let packed = BufReader::with_capacity(256 * 1024, File::open(archive)?);
    let mut inflating = MultiGzDecoder::new(packed);
    let mut buffer = vec![0; 256 * 1024];
    let mut total = 0;
    loop {
        match inflating.read(&mut buffer)? {
            0 => return Ok(total),
            n => total += n as u64,
        }
    }
}

/// The demo model's graph and index of variables.
fn small_files() -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut demo = tar::Archive::new(MultiGzDecoder::new(File::open(DEMO)?));
    for entry in demo.entries()? {
        let mut entry = entry?;
        let path = entry
            .path()?
            .to_string_lossy()
            .trim_start_matches("./")
            .to_owned();
        if path == GRAPH || path == INDEX {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            files.push((path, bytes));
        }
    }
    if files.len() == 2 {
        Ok(files)
    } else {
        Err(format!("{DEMO} has no {GRAPH} or no {INDEX}").into())
    }
}

fn append(
    tar: &mut tar::Builder<impl Write>,
    path: &str,
    size: u64,
    bytes: impl Read,
) -> Result<()> {
    let mut header = header(0o644);
    header.set_size(size);
    tar.append_data(&mut header, path, bytes)?;
    Ok(())
}

fn append_dir(tar: &mut tar::Builder<impl Write>, path: &str) -> Result<()> {
    let mut header = header(0o755);
    header.set_entry_type(tar::EntryType::Directory);
    tar.append_data(&mut header, path, io::empty())?;
    Ok(())
}

fn header(mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    header.set_mode(mode);
    header.set_mtime(1_700_000_000);
    header
}

/// Bytes from a seed, always the same.
struct Generated {
    weights: Weights,
    left: u64,
    state: u64,
    piece: Vec<u8>,
    used: usize,
    sum: u64,
}

impl Generated {
    fn new(weights: Weights, len: u64) -> Generated {
        Generated {
            weights,
            left: len,
            state: 0x9E37_79B9_7F4A_7C15,
            piece: Vec::new(),
            used: 0,
            sum: 0,
        }
    }

    /// xorshift64*: no cryptography, only bytes without a pattern that deflate could find.
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn refill(&mut self) {
        let mut piece = std::mem::take(&mut self.piece);
        piece.clear();
        while piece.len() < 1 << 20 {
            let word = self.next();
            match self.weights {
                Weights::Random => piece.extend_from_slice(&word.to_le_bytes()),
                Weights::Floats => piece.extend_from_slice(&weight(word).to_le_bytes()),
            }
        }
        self.sum = read::sum(&piece, self.sum);
        self.piece = piece;
        self.used = 0;
    }
}

/// The sum of two uniform numbers, scaled as an initialiser scales: most weights are small, every mantissa is full.
fn weight(word: u64) -> f32 {
    let high = (word >> 32) as f32;
    let low = (word & 0xFFFF_FFFF) as f32;
    ((high + low) / 4_294_967_296.0 - 1.0) * 0.05
}

impl Read for Generated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left > 0 && self.used == self.piece.len() {
            self.refill();
        }
        let ready = &self.piece[self.used..];
        let n = ready.len().min(buffer.len());
        let n = usize::try_from(self.left).map_or(n, |left| n.min(left));
        buffer[..n].copy_from_slice(&ready[..n]);
        self.used += n;
        self.left -= n as u64;
        Ok(n)
    }
}
