//! Whether the measuring can be trusted: each tool of the bench against something whose answer is known.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::figures::{Pairs, Row, median, table};
use crate::material::{self, DATA, Weights};
use crate::net::{self, Relay};
use crate::room::Room;
use crate::{Result, clean, read};

type Check = fn(&Room) -> Result<bool>;

pub(crate) fn run() -> Result<()> {
    let room = Room::new(true)?;
    let checks: [(&str, Check); 7] = [
        ("medians", medians),
        ("pairs", pairs),
        ("rows", rows),
        ("reading", reading),
        ("material", packing),
        ("the relay counts", relay_counts),
        ("the front redirects", front_redirects),
    ];
    for (name, check) in checks {
        if !check(&room)? {
            return Err(format!("self-test: {name}: not so").into());
        }
        eprintln!("self-test: {name}: ok");
    }
    clean::everything();
    if room.path().exists() {
        return Err("self-test: the temporary directory is still there".into());
    }
    Ok(())
}

fn medians(_: &Room) -> Result<bool> {
    let even = median(&[4.0, 1.0, 3.0, 2.0]);
    let odd = median(&[9.0, 1.0, 5.0]);
    Ok((even - 2.5).abs() < 1e-9 && (odd - 5.0).abs() < 1e-9 && median(&[]).is_nan())
}

/// The slower way under test gives a share below 1, and both are measured equally often.
fn pairs(_: &Room) -> Result<bool> {
    let pairs = Pairs::measure(4, || Ok(2.0), || Ok(1.0))?;
    Ok((pairs.speed() - 0.5).abs() < 1e-9 && pairs.tested.len() == 4 && pairs.plain.len() == 4)
}

/// A figure that was not measured reaches nothing.
fn rows(_: &Room) -> Result<bool> {
    let show = |figure: f64| figure.to_string();
    let reached =
        !Row::at_most("a", 1.0, 1.0, show).missed() && !Row::at_least("b", 1.0, 1.0, show).missed();
    let missed = [
        Row::at_most("c", 1.1, 1.0, show),
        Row::at_least("d", 0.9, 1.0, show),
        Row::at_most("e", f64::NAN, 1.0, show),
        Row::at_least("f", f64::NAN, 1.0, show),
    ];
    Ok(reached && missed.iter().all(Row::missed) && table(&missed).matches("**no**").count() == 4)
}

fn reading(room: &Room) -> Result<bool> {
    let path = room.path().join("plain");
    let bytes: Vec<u8> = (0..3 * read::PIECE + 5).map(|n| (n % 251) as u8).collect();
    fs::write(&path, &bytes)?;
    let sum = read::sum(&bytes, 0);
    read::first_byte(&path)?;
    read::last_byte(&path)?;
    let whole = read::through(&path)? == bytes.len() as u64;
    Ok(whole && read::through_and_sum(&path)? == sum && read::mapped(&path)? == sum)
}

/// What is packed is what the tar holds, compresses as announced, and has tensorflow_hub's key.
fn packing(room: &Room) -> Result<bool> {
    let model = material::pack(&room.hub(), "self-test", Weights::Floats, 8)?;
    let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(fs::File::open(
        &model.archive,
    )?));
    let mut names = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        if name == DATA {
            entry.unpack(room.path().join("unpacked"))?;
        }
        names.push(name);
    }
    material::write_plain(&room.path().join("again"), Weights::Floats, 8)?;
    let same = read::through_and_sum(&room.path().join("unpacked"))? == model.sum
        && read::through_and_sum(&room.path().join("again"))? == model.sum;
    let share = model.packed as f64 / model.data as f64;
    eprintln!("self-test: float32 weights pack to {share:.3}");
    let key = material::key("https://tfhub.dev/google/yamnet/1");
    Ok(same
        && names.first().is_some_and(|name| name == material::GRAPH)
        && names.last().is_some_and(|name| name == DATA)
        && (0.85..0.95).contains(&share)
        && material::inflate(&model.archive)? > model.data
        && key == "9616fd04ec2360621642ef9455b84f4b668e219e")
}

fn relay_counts(_: &Room) -> Result<bool> {
    let target = net::front("http://127.0.0.1:9", Duration::ZERO)?;
    let relay = Relay::to(target.trim_start_matches("http://"))?;
    let answer = get(&relay.url, "/a")?;
    Ok(!answer.is_empty() && relay.returned() == answer.len() as u64)
}

fn front_redirects(_: &Room) -> Result<bool> {
    let url = net::front("http://127.0.0.1:9", Duration::ZERO)?;
    let first = get(&url, "/a/b/1?x=y")?;
    let second = get(&url, "/second/a/b/1?x=y")?;
    Ok(
        first.contains(&format!("Location: {url}/second/a/b/1?x=y\r\n"))
            && second.contains("Location: http://127.0.0.1:9/a/b/1?x=y\r\n"),
    )
}

fn get(url: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://"))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
