//! Tests of the systemd unit: systemd accepts it, and it holds nothing that would hide the mount.

use std::path::Path;
use std::process::Command;

fn unit() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/tfhub-fs.service");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn systemd_accepts_the_unit() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("tfhub-fs.service");
    // It checks that the program exists.
    let program = std::env::current_exe().unwrap();
    std::fs::write(
        &copy,
        unit().replace("/usr/bin/tfhub-fs", &program.display().to_string()),
    )
    .unwrap();
    let output = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&copy)
        .output()
        .expect("systemd-analyze runs; scripts/setup installs it");
    let said = String::from_utf8_lossy(&output.stderr);
    let about_us: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("tfhub-fs.service"))
        .collect();
    assert!(output.status.success() && about_us.is_empty(), "{said}");
}

#[test]
fn nothing_in_the_unit_hides_the_mount() {
    // Each of these gives the service a mount namespace of its own (systemd.exec(5)), or breaks fusermount3.
    const FATAL: [&str; 21] = [
        "ProtectSystem",
        "ProtectHome",
        "ProtectProc",
        "ProtectKernelTunables",
        "ProtectKernelModules",
        "ProtectKernelLogs",
        "ProtectControlGroups",
        "ProtectHostname",
        "PrivateTmp",
        "PrivateDevices",
        "PrivateMounts",
        "PrivateUsers",
        "ReadWritePaths",
        "ReadOnlyPaths",
        "InaccessiblePaths",
        "BindPaths",
        "TemporaryFileSystem",
        "RootDirectory",
        "DynamicUser",
        "MountFlags",
        "NoNewPrivileges",
    ];
    for line in unit().lines() {
        let key = line.split('=').next().unwrap_or_default();
        assert!(!FATAL.contains(&key), "{line}");
    }
}

#[test]
fn systemd_waits_longer_than_the_grace() {
    let unit = unit();
    let stop = unit
        .lines()
        .find_map(|line| line.strip_prefix("TimeoutStopSec="))
        .unwrap();
    let default_grace = 10;
    assert!(stop.parse::<u32>().unwrap() > default_grace + 5);
}
