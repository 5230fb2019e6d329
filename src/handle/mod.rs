//! Names: a handle is text checked once, and turns back into a URL or a mount path.
