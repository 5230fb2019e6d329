//! A reply on its way out, and the faults of the wire: cuts, stalls, gates, slow links, wrong lengths.

use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Seen;
use super::body::Body;
use super::link::Link;
use super::script::{Fault, Gate, Hop, Script};
use super::wire::{Reply, Request};

const PIECE: usize = 256 * 1024;

/// One reply that is being sent.
pub struct Outgoing<'a> {
    pub request: &'a Request,
    pub reply: Reply,
    pub seen: &'a Seen,
    pub hop: Hop,
    pub dead: &'a AtomicBool,
    pub link: &'a Link,
}

/// What happens when the body reaches a byte.
enum Stop {
    Cut,
    Stall,
    Gate(Gate),
}

impl Outgoing<'_> {
    /// Sends it all, or as much as the script allows; false if the connection must end.
    pub fn send(&self, mut to: &TcpStream, script: Option<&Script>) -> io::Result<bool> {
        if script.is_some_and(|script| {
            script.has(|fault| matches!(fault, Fault::Silence { hop } if *hop == self.hop))
        }) {
            self.hold(to, None);
            return Ok(false);
        }
        let script = script.filter(|_| self.reply.object && matches!(self.reply.status, 200 | 206));
        let wrong = script.and_then(|script| {
            script.find(|fault| match fault {
                Fault::Length { add } => Some(*add),
                Fault::Total { add } if self.reply.status == 200 => Some(*add),
                _ => None,
            })
        });
        let length = self
            .reply
            .body
            .len()
            .saturating_add_signed(wrong.unwrap_or(0));
        let mut head = self.reply.head(length);
        if self.request.method == "HEAD" {
            to.write_all(&head)?;
            return Ok(true);
        }
        // What is short goes out in one packet.
        if let (None, Body::Memory(bytes)) = (script, &self.reply.body) {
            head.extend_from_slice(bytes);
            self.link.lane().carry(bytes.len());
            to.write_all(&head)?;
            self.count(bytes.len());
            return Ok(self.reply.measured);
        }
        to.write_all(&head)?;
        Ok(self.body(to, script)? && wrong.is_none() && self.reply.measured)
    }

    /// Answers nothing until the client goes.
    pub fn hang(&self, to: &TcpStream) {
        self.hold(to, None);
    }

    fn count(&self, bytes: usize) {
        self.seen.sent.fetch_add(bytes as u64, Ordering::SeqCst);
    }

    fn body(&self, to: &TcpStream, script: Option<&Script>) -> io::Result<bool> {
        let (body, len) = (self.reply.body.open()?, self.reply.body.len());
        let mut stops = script.map_or(Vec::new(), |script| self.stops(script));
        let rate = script.and_then(|script| {
            script.find(|fault| match fault {
                Fault::Rate { bytes_per_second } => Some(*bytes_per_second),
                _ => None,
            })
        });
        let mut lane = self.link.lane();
        let most = PIECE.min(rate.map_or(PIECE, |rate| (rate as usize / 20).max(1)));
        let most = most.min(lane.step) as u64;
        let (started, mut at, mut buffer) = (Instant::now(), 0, Vec::new());
        loop {
            if let Some((_, stop)) = stops.pop_if(|(stop_at, _)| *stop_at <= at) {
                let passed = match stop {
                    Stop::Cut => false,
                    Stop::Stall => self.hold(to, None),
                    Stop::Gate(gate) => self.hold(to, Some(&gate)),
                };
                if !passed {
                    return Ok(false);
                }
                continue;
            }
            if at == len {
                return Ok(true);
            }
            let limit = stops.last().map_or(len, |(stop_at, _)| len.min(*stop_at));
            let piece = most.min(limit - at);
            lane.carry(piece as usize);
            body.send(at, piece as usize, &mut buffer, to)?;
            at += piece;
            self.count(piece as usize);
            if let Some(rate) = rate {
                let due = Duration::from_secs_f64(at as f64 / rate as f64);
                thread::sleep(due.saturating_sub(started.elapsed()));
            }
        }
    }

    /// The stops within this body, the next one last.
    fn stops(&self, script: &Script) -> Vec<(u64, Stop)> {
        let (first, end) = (self.reply.first, self.reply.first + self.reply.body.len());
        let inside = |at: u64| (first..end).contains(&at);
        let here = |at: u64| at - first;
        let mut stops = Vec::new();
        let cut = script.strike(|fault| match fault {
            Fault::Cut { at, times } if inside(*at) => Some((times, *at)),
            _ => None,
        });
        stops.extend(cut.map(|at| (here(at), Stop::Cut)));
        script.find(|fault| {
            match fault {
                Fault::Stall { at } if inside(*at) => stops.push((here(*at), Stop::Stall)),
                Fault::Gated { at, gate } if inside(*at) => {
                    stops.push((here(*at), Stop::Gate(gate.clone())))
                }
                _ => {}
            }
            None::<()>
        });
        stops.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        stops
    }

    /// Sends nothing until the gate opens (true), the client goes or the origin dies (false).
    fn hold(&self, to: &TcpStream, gate: Option<&Gate>) -> bool {
        let step = Duration::from_millis(20);
        let _ = to.set_read_timeout(Some(Duration::from_millis(1)));
        loop {
            match gate {
                Some(gate) if gate.wait(step) => break,
                Some(_) => {}
                None => thread::sleep(step),
            }
            let gone = match to.peek(&mut [0]) {
                Ok(read) => read == 0,
                Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            };
            if gone || self.dead.load(Ordering::SeqCst) {
                return false;
            }
        }
        let _ = to.set_read_timeout(None);
        true
    }
}
