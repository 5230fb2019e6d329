//! libc behind safe functions: the only room with `unsafe`.
