//! The scripted origin as a program: see `program.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "mod.rs"]
mod origin;

fn main() {
    origin::program::run(std::env::args().skip(1));
}
