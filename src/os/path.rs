//! Paths as text: made absolute and, where that is safe, resolved, without ever entering a tfhub-fs mount.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::mountinfo::{FSTYPE, Table};

/// The kernel's own bound on symlinks met in one lookup (`MAXSYMLINKS` in `include/linux/namei.h`).
const MAX_LINKS: usize = 40;

/// `path` joined to the working directory, with `.`, `..` and doubled slashes folded away. Touches no file.
///
/// `..` is folded as text, so a symlink before it is not followed: use [`resolve`] for a path that the kernel will see.
///
/// # Errors
///
/// Only if `path` is relative and the working directory has been removed.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    if path.is_absolute() {
        Ok(normalise(path))
    } else {
        Ok(normalise(&std::env::current_dir()?.join(path)))
    }
}

fn normalise(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}

/// `path` as the kernel would resolve it, but never asking a tfhub-fs mount: symlinks are followed up to the first
/// component that lies in (or is) such a mount, or that does not exist; what follows is folded as text.
///
/// This is the form in which mountpoints stand in `table`, so it is the one to compare and to mount on.
///
/// # Errors
///
/// The working directory has been removed, or there are more than 40 symlinks (ELOOP).
pub fn resolve(path: &Path, table: &Table) -> io::Result<PathBuf> {
    let start = if path.is_absolute() {
        path.to_path_buf()
    } else {
        std::env::current_dir()?.join(path)
    };
    let mut left: VecDeque<OsString> = names(&start);
    let mut out = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        if name == ".." {
            out.pop();
            continue;
        }
        out.push(&name);
        if table.inside(&out, FSTYPE) {
            out.extend(left);
            return Ok(normalise(&out));
        }
        let Ok(target) = std::fs::read_link(&out) else {
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            return Err(io::Error::from_raw_os_error(libc::ELOOP));
        }
        out.pop();
        if target.is_absolute() {
            out = PathBuf::from("/");
        }
        for part in names(&target).into_iter().rev() {
            left.push_front(part);
        }
    }
    Ok(out)
}

/// The components that change where a walk stands: names and `..`.
fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn dots_and_slashes_fold_as_text() {
        for (from, to) in [
            ("/", "/"),
            ("/a//b/./c/", "/a/b/c"),
            ("/a/../../b", "/b"),
            ("/does/not/exist/..", "/does/not"),
        ] {
            assert_eq!(absolute(Path::new(from)).unwrap(), Path::new(to), "{from}");
        }
        let here = std::env::current_dir().unwrap();
        assert_eq!(absolute(Path::new("./x/..")).unwrap(), here);
    }

    #[test]
    fn links_are_followed_and_missing_names_kept() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("real/deep")).unwrap();
        symlink("real/deep", base.join("link")).unwrap();
        symlink(base.join("link"), base.join("twice")).unwrap();
        let table = Table::default();
        let got = |p: &str| resolve(&base.join(p), &table).unwrap();
        assert_eq!(got("twice/new/name"), base.join("real/deep/new/name"));
        // `..` after a link goes to the parent of what the link names, as the kernel has it.
        assert_eq!(got("link/../x"), base.join("real/x"));
    }

    #[test]
    fn a_loop_of_links_ends() {
        let dir = tempfile::tempdir().unwrap();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        let error = resolve(&dir.path().join("a"), &Table::default()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
    }

    #[test]
    fn nothing_inside_a_mount_of_ours_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        symlink("/etc", base.join("link")).unwrap();
        let row = format!(
            "7 1 0:9 / {} ro - fuse.tfhub-fs tfhub-fs ro\n",
            base.display()
        );
        let table = Table::parse(row.as_bytes());
        assert_eq!(
            resolve(&base.join("link/../x"), &table).unwrap(),
            base.join("x")
        );
    }
}
