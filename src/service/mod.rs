//! Life in the background: readiness, signals, stale mounts, unmount order.
