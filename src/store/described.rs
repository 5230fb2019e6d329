//! From an entry's name back to its handle, which its descriptor holds.

use super::cache::Cache;
use super::descriptor::Descriptor;
use super::layout::Key;
use super::plain;

impl Cache {
    /// The handle of the entry with this name, if it is there and has a descriptor that belongs to it. Whether it is whole
    /// is not looked at.
    pub fn described(&self, key: &Key) -> Option<String> {
        let layout = &self.locks.as_ref()?.layout;
        let text = plain::read_text(&layout.descriptor(key)).ok()?;
        let handle = Descriptor::parse(&text)?.handle;
        (Key::of(&handle) == *key && layout.model(key).is_dir()).then_some(handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_that_lies_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let url = "https://h/a/1";
        let key = Key::of(url);
        assert_eq!(cache.described(&key), None);
        let place = |ending: &str| dir.path().join(format!("{key}{ending}"));
        let write = |handle: &str| {
            let text = Descriptor::new(handle, "host".to_owned()).to_string();
            std::fs::write(place(".descriptor.txt"), text).unwrap();
        };
        write(url);
        assert_eq!(cache.described(&key), None, "no entry");
        std::fs::create_dir(place("")).unwrap();
        assert_eq!(cache.described(&key).as_deref(), Some(url));
        write("https://h/b/1");
        assert_eq!(cache.described(&key), None, "another's handle");
    }
}
