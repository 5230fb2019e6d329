//! The `tfhub-fs` program; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    tfhub_fs::run()
}
