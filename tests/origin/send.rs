//! A reply on its way out, and the faults of the wire: cuts, stalls, gates, slow links, wrong lengths.

use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Seen;
use super::script::{Fault, Gate, Hop, Script};
use super::wire::{Reply, Request};

const PIECE: usize = 64 * 1024;

/// One reply that is being sent.
pub struct Outgoing<'a> {
    pub request: &'a Request,
    pub reply: Reply,
    pub seen: &'a Seen,
    pub hop: Hop,
    pub dead: &'a AtomicBool,
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
                _ => None,
            })
        });
        let length = (self.reply.body.len() as u64).saturating_add_signed(wrong.unwrap_or(0));
        self.reply.write_head(&mut to.try_clone()?, length)?;
        if self.request.method == "HEAD" {
            return Ok(true);
        }
        match script {
            Some(script) => Ok(self.body(to, script)? && wrong.is_none() && self.reply.measured),
            None => {
                to.write_all(&self.reply.body)?;
                self.count(self.reply.body.len());
                Ok(self.reply.measured)
            }
        }
    }

    fn count(&self, bytes: usize) {
        self.seen.sent.fetch_add(bytes as u64, Ordering::SeqCst);
    }

    fn body(&self, mut to: &TcpStream, script: &Script) -> io::Result<bool> {
        let body = &self.reply.body;
        let mut stops = self.stops(script);
        let rate = script.find(|fault| match fault {
            Fault::Rate { bytes_per_second } => Some(*bytes_per_second),
            _ => None,
        });
        let (started, mut at) = (Instant::now(), 0);
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
            if at == body.len() {
                return Ok(true);
            }
            let limit = stops
                .last()
                .map_or(body.len(), |(stop_at, _)| body.len().min(*stop_at));
            let piece = &body[at..limit
                .min(at + PIECE.min(rate.map_or(PIECE, |rate| (rate as usize / 20).max(1))))];
            to.write_all(piece)?;
            at += piece.len();
            self.count(piece.len());
            if let Some(rate) = rate {
                let due = Duration::from_secs_f64(at as f64 / rate as f64);
                thread::sleep(due.saturating_sub(started.elapsed()));
            }
        }
    }

    /// The stops within this body, the next one last.
    fn stops(&self, script: &Script) -> Vec<(usize, Stop)> {
        let (first, end) = (
            self.reply.first,
            self.reply.first + self.reply.body.len() as u64,
        );
        let inside = |at: u64| (first..end).contains(&at);
        let here = |at: u64| (at - first) as usize;
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
