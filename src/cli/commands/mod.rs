//! The subcommands, one file each.

pub(super) mod cache;
pub(super) mod demo;
pub(super) mod mount;
pub(super) mod prefetch;
pub(super) mod resolve;
pub(super) mod serve;
pub(super) mod unmount;
