//! Where a value came from, and what a choice may look at.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

/// Where a setting's value came from, for `config show` and for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A flag on the command line, like `--cache-dir`.
    Flag(&'static str),
    /// An environment variable, by name.
    Env(&'static str),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(name) | Origin::Env(name) => f.write_str(name),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// What a choice may look at besides its flag. In the program this is the process's own; a test
/// makes one up.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// Looks up an environment variable; `&|name| std::env::var_os(name)`.
    pub vars: &'a dyn Fn(&str) -> Option<OsString>,
    /// The effective user id; 0 is root.
    pub uid: u32,
    /// The absolute directory that relative paths start from.
    pub cwd: &'a Path,
}

impl Env<'_> {
    /// The variable's value, unless it is unset or empty.
    pub fn var(&self, name: &str) -> Option<OsString> {
        (self.vars)(name).filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Env<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env")
            .field("uid", &self.uid)
            .field("cwd", &self.cwd)
            .finish_non_exhaustive()
    }
}
