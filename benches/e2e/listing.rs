//! Bar 11: a large directory of a bucket lists as fast as its origin pages.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::Result;
use crate::figures::{Row, median, ms, ratio, two_places};
use crate::program::{self, Hub, Mount};
use crate::room::Room;

const OBJECTS: usize = 10_000;
const ROUNDS: usize = 5;
const LIMIT: f64 = 1.2;

pub(crate) fn run(room: &Room) -> Result<Vec<Row>> {
    let name = "bench/many/1";
    let models = room.path().join("many");
    let dir = models.join(name);
    fs::create_dir_all(dir.join("assets"))?;
    fs::write(dir.join("saved_model.pb"), "a graph")?;
    for number in 0..OBJECTS {
        File::create(dir.join(format!("assets/part-{number:05}")))?;
    }
    let hub = Hub::serve(&models, Some("latency=30ms"))?;
    let folder = format!("{}/assets", program::remote(&hub, name)?);
    // The first listing of the hub looks at all files.
    paging(&hub, &folder)?;
    let (mut ours, mut origin) = (Vec::new(), Vec::new());
    for _ in 0..room.rounds(ROUNDS) {
        origin.push(paging(&hub, &folder)?);
        let place = room.fresh()?;
        let flags = ["--gcs-endpoint", hub.url.as_str()];
        let mount = Mount::of(&hub.url, place.path(), &place.path().join("cache"), &flags)?;
        let path = mount.path.join(folder.replacen("://", ":/", 1));
        fs::metadata(&path)?;
        let begin = Instant::now();
        let count = fs::read_dir(&path)?.count();
        ours.push(begin.elapsed().as_secs_f64());
        if count != OBJECTS {
            return Err(format!("{count} names were listed, not {OBJECTS}").into());
        }
    }
    let how = format!(
        "30 ms per request; mount {}, the pages alone {}; medians of {}",
        ms(median(&ours)),
        ms(median(&origin)),
        ours.len()
    );
    let what = format!("a listing of {OBJECTS} objects, by the origin's own paging");
    Ok(vec![
        Row::at_most(what, ratio(&ours, &origin), LIMIT, two_places).how(how),
    ])
}

/// Seconds of fetching every page of the folder's listing, one after the other on one connection.
fn paging(hub: &Hub, folder: &str) -> Result<f64> {
    let (bucket, prefix) = folder
        .trim_start_matches("gs://")
        .split_once('/')
        .ok_or("a folder lies in a bucket")?;
    let begin = Instant::now();
    let mut connection = TcpStream::connect(hub.authority())?;
    let mut token = String::new();
    let mut count = 0;
    loop {
        let page = get(
            &mut connection,
            hub.authority(),
            &format!(
                "/storage/v1/b/{bucket}/o?delimiter=%2F&maxResults=1000&prefix={}%2F&pageToken={token}",
                prefix.replace('/', "%2F")
            ),
        )?;
        let page: serde_json::Value = serde_json::from_slice(&page)?;
        count += page["items"].as_array().map_or(0, Vec::len);
        match page["nextPageToken"].as_str() {
            Some(next) => {
                token = next
                    .replace('/', "%2F")
                    .replace('=', "%3D")
                    .replace('+', "%2B")
            }
            None => break,
        }
    }
    match count {
        OBJECTS => Ok(begin.elapsed().as_secs_f64()),
        other => Err(format!("the origin lists {other} objects").into()),
    }
}

/// The body of one answer with a `Content-Length`.
fn get(connection: &mut TcpStream, authority: &str, target: &str) -> Result<Vec<u8>> {
    write!(
        connection,
        "GET {target} HTTP/1.1\r\nHost: {authority}\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    let mut piece = vec![0; 1 << 18];
    let mut whole = None;
    loop {
        let count = connection.read(&mut piece)?;
        if count == 0 {
            return Err("the origin hung up".into());
        }
        answer.extend_from_slice(&piece[..count]);
        if whole.is_none() {
            whole = head(&answer)?;
        }
        match whole {
            Some((start, end)) if answer.len() >= end => return Ok(answer.split_off(start)),
            _ => {}
        }
    }
}

/// Where the body begins and ends, once the head is there.
fn head(answer: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .ok_or("an answer without a length")?;
    let start = end + 4;
    Ok(Some((start, start + length.trim().parse::<usize>()?)))
}
