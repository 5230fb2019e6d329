//! The names of files in a model.

/// NAME_MAX of Linux: the longest component of a path, in bytes.
pub const MAX_COMPONENT: usize = 255;

/// The longest path that the kernel takes, in bytes: PATH_MAX without its NUL.
pub const MAX_PATH: usize = 4095;

/// Whether `path` can name a file in a model: components joined by single slashes, none of them `.`, `..` or too long.
pub fn is_plain_path(path: &str) -> bool {
    let is_name = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= MAX_COMPONENT;
    path.len() <= MAX_PATH && !path.contains('\0') && path.split('/').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_are_names() {
        let (component, path) = ("c".repeat(255), "a/".repeat(2047) + "a");
        for name in ["a", "a/b", "..a", ".hidden", "a b/c\nd", &component, &path] {
            assert!(is_plain_path(name), "{name:?}");
        }
        let (component, path) = (component + "c", path + "b");
        for name in [
            "", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a/.", "a\0b", &component, &path,
        ] {
            assert!(!is_plain_path(name), "{name:?}");
        }
    }
}
