//! One page of a listing, as a pure function of what the bucket holds.

use std::ops::ControlFlow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::objects::Unit;

/// As Cloud Storage has it.
pub const MAX_RESULTS: usize = 1000;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// What every name begins with.
    pub prefix: String,
    /// Names are cut after its first occurrence beyond the prefix; never empty.
    pub delimiter: Option<String>,
    /// The first name.
    pub start: Option<String>,
    /// The first name beyond the last.
    pub end: Option<String>,
    /// Where the page before ended.
    pub after: Option<Mark>,
    /// Objects and prefixes together; at most [`MAX_RESULTS`] are given.
    pub max: Option<usize>,
}

/// The last entry of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// An object's name.
    Object(String),
    /// A prefix; nothing that begins with it comes again.
    Prefix(String),
}

impl Mark {
    /// As text that a client hands back.
    pub fn token(&self) -> String {
        let text = match self {
            Mark::Object(name) => format!("o{name}"),
            Mark::Prefix(name) => format!("p{name}"),
        };
        URL_SAFE_NO_PAD.encode(text)
    }

    /// What [`Mark::token`] made; nothing of any other text.
    pub fn of(token: &str) -> Option<Mark> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        match (text.get(..1)?, text.get(1..)?) {
            ("o", name) => Some(Mark::Object(name.to_owned())),
            ("p", name) => Some(Mark::Prefix(name.to_owned())),
            _ => None,
        }
    }

    /// The name itself.
    pub fn name(&self) -> &str {
        match self {
            Mark::Object(name) | Mark::Prefix(name) => name,
        }
    }

    fn is_before(&self, name: &str) -> bool {
        match self {
            Mark::Object(mark) => name > mark.as_str(),
            Mark::Prefix(mark) => name > mark.as_str() && !name.starts_with(mark.as_str()),
        }
    }

    /// True if no name that begins with `unit` comes after it.
    fn is_beyond(&self, unit: &str) -> bool {
        match self {
            Mark::Prefix(mark) if unit.starts_with(mark.as_str()) => true,
            Mark::Object(mark) | Mark::Prefix(mark) => {
                unit < mark.as_str() && !mark.starts_with(unit)
            }
        }
    }
}

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Objects, in the order of names.
    pub objects: Vec<T>,
    /// Prefixes, in order.
    pub prefixes: Vec<String>,
    /// Where it ended, if more follows.
    pub next: Option<Mark>,
}

/// Whether the names of a unit can be told without looking into it.
enum Glance {
    /// None of them is asked for.
    Skip,
    /// All of them fall into this prefix.
    Prefix(String),
    /// Only its names can tell.
    Look,
}

impl Query {
    fn wants(&self, name: &str) -> bool {
        name.starts_with(&self.prefix)
            && self.start.as_deref().is_none_or(|start| name >= start)
            && self.end.as_deref().is_none_or(|end| name < end)
            && self.after.as_ref().is_none_or(|mark| mark.is_before(name))
    }

    /// The prefix into which a name falls.
    fn common<'a>(&self, name: &'a str) -> Option<&'a str> {
        let delimiter = self.delimiter.as_deref()?;
        let at = name.get(self.prefix.len()..)?.find(delimiter)?;
        name.get(..self.prefix.len() + at + delimiter.len())
    }

    fn glance(&self, unit: &str) -> Glance {
        let all_below = |mark: &str| unit < mark && !mark.starts_with(unit);
        let meets = unit.starts_with(&self.prefix) || self.prefix.starts_with(unit);
        let passed = self.start.as_deref().is_some_and(all_below)
            || self.end.as_deref().is_some_and(|end| unit >= end)
            || self.after.as_ref().is_some_and(|mark| mark.is_beyond(unit));
        if !meets || passed {
            return Glance::Skip;
        }
        let whole = unit.starts_with(&self.prefix)
            && self.start.as_deref().is_none_or(|start| unit >= start)
            && self.end.as_deref().is_none_or(all_below);
        match self.common(unit).filter(|_| whole) {
            Some(prefix) => Glance::Prefix(prefix.to_owned()),
            None => Glance::Look,
        }
    }
}

struct Making<'a, T> {
    query: &'a Query,
    page: Page<T>,
    last: Option<Mark>,
    room: usize,
}

impl<T> Making<'_, T> {
    fn add_prefix(&mut self, prefix: &str) -> ControlFlow<()> {
        if self.page.prefixes.last().is_some_and(|last| last == prefix) {
            return ControlFlow::Continue(());
        }
        self.take_room()?;
        self.last = Some(Mark::Prefix(prefix.to_owned()));
        self.page.prefixes.push(prefix.to_owned());
        ControlFlow::Continue(())
    }

    fn add(&mut self, name: &str, object: T) -> ControlFlow<()> {
        if !self.query.wants(name) {
            return ControlFlow::Continue(());
        }
        if let Some(prefix) = self.query.common(name) {
            return self.add_prefix(prefix);
        }
        self.take_room()?;
        self.last = Some(Mark::Object(name.to_owned()));
        self.page.objects.push(object);
        ControlFlow::Continue(())
    }

    /// Only an entry too many proves that more follows.
    fn take_room(&mut self) -> ControlFlow<()> {
        if self.room == 0 {
            self.page.next = self.last.take();
            return ControlFlow::Break(());
        }
        self.room -= 1;
        ControlFlow::Continue(())
    }
}

/// The page that `query` asks for. `look` gives what is in a unit, by name and
/// in the order of names; it is only called for units whose own names do not
/// tell enough.
pub fn page<T>(
    units: &[Unit<'_>],
    query: &Query,
    mut look: impl FnMut(&Unit<'_>) -> Vec<(String, T)>,
) -> Page<T> {
    let mut making = Making {
        query,
        page: Page {
            objects: Vec::new(),
            prefixes: Vec::new(),
            next: None,
        },
        last: None,
        room: query.max.unwrap_or(MAX_RESULTS).clamp(1, MAX_RESULTS),
    };
    let mut add_unit = |unit: &Unit<'_>| match query.glance(unit.name()) {
        Glance::Skip => ControlFlow::Continue(()),
        Glance::Prefix(prefix) => making.add_prefix(&prefix),
        Glance::Look => look(unit)
            .into_iter()
            .try_for_each(|(name, object)| making.add(&name, object)),
    };
    let _ = units.iter().try_for_each(&mut add_unit);
    making.page
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    /// The standard's words, without regard to cost.
    fn plain(names: &BTreeSet<String>, query: &Query) -> (Vec<String>, Vec<String>) {
        let (mut objects, mut prefixes) = (Vec::new(), BTreeSet::new());
        for name in names {
            let from = query.start.as_ref().is_none_or(|start| name >= start);
            let to = query.end.as_ref().is_none_or(|end| name < end);
            let Some(rest) = name.strip_prefix(&query.prefix).filter(|_| from && to) else {
                continue;
            };
            match query
                .delimiter
                .as_ref()
                .and_then(|d| rest.split_once(d.as_str()))
            {
                Some((dir, _)) => {
                    let delimiter = query.delimiter.as_deref().unwrap();
                    prefixes.insert(format!("{}{dir}{delimiter}", query.prefix));
                }
                None => objects.push(name.clone()),
            }
        }
        (objects, prefixes.into_iter().collect())
    }

    /// Page after page.
    fn paged(
        models: &BTreeMap<String, BTreeSet<String>>,
        query: &Query,
    ) -> (Vec<String>, Vec<String>) {
        let units: Vec<_> = models
            .keys()
            .map(|unit| Unit::Tree(unit.clone(), Path::new("")))
            .collect();
        let (mut objects, mut prefixes) = (Vec::new(), Vec::new());
        let mut query = query.clone();
        loop {
            let page = page(&units, &query, |unit| {
                let files = models[unit.name()].iter();
                files
                    .map(|file| format!("{}{file}", unit.name()))
                    .map(|name| (name.clone(), name))
                    .collect()
            });
            let entries = page.objects.len() + page.prefixes.len();
            assert!(entries <= query.max.unwrap());
            objects.extend(page.objects);
            prefixes.extend(page.prefixes);
            match page.next {
                Some(mark) => {
                    assert_eq!(entries, query.max.unwrap(), "no page is short but the last");
                    assert_eq!(Mark::of(&mark.token()).as_ref(), Some(&mark));
                    query.after = Some(mark);
                }
                None => return (objects, prefixes),
            }
        }
    }

    fn part() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["a", "ab", "b", "-", "a-", "é"]).prop_map(str::to_owned)
    }

    fn path(parts: std::ops::Range<usize>) -> impl Strategy<Value = String> {
        prop::collection::vec(part(), parts).prop_map(|parts| parts.join("/"))
    }

    proptest! {
        #[test]
        fn pages_together_are_the_listing(
            models in prop::collection::btree_map(
                path(1..3).prop_map(|model| format!("{model}/1/")),
                prop::collection::btree_set(path(1..4), 1..8),
                0..6,
            ),
            prefix in prop_oneof![Just(String::new()), path(1..4), path(1..4).prop_map(|p| p + "/"), path(1..3).prop_map(|p| p + "/1/")],
            delimiter in prop_oneof![Just(None), Just(Some("/".to_owned())), Just(Some("b".to_owned()))],
            start in prop::option::of(path(1..5)),
            end in prop::option::of(path(1..5)),
            max in 1usize..5,
        ) {
            let mut names = BTreeSet::new();
            for (unit, files) in &models {
                names.extend(files.iter().map(|file| format!("{unit}{file}")));
            }
            let query = Query { prefix, delimiter, start, end, after: None, max: Some(max) };
            prop_assert_eq!(paged(&models, &query), plain(&names, &query));
        }
    }

    #[test]
    fn units_that_tell_enough_are_not_looked_into() {
        let units: Vec<_> = ["g/a/1/", "g/b/1/", "h/c/2/"]
            .map(|name| Unit::Tree(name.to_owned(), Path::new("")))
            .into();
        let list = |prefix: &str| {
            let query = Query {
                prefix: prefix.to_owned(),
                delimiter: Some("/".to_owned()),
                ..Query::default()
            };
            let mut looked = Vec::new();
            let page = page(&units, &query, |unit| {
                looked.push(unit.name().to_owned());
                vec![(format!("{}file", unit.name()), ())]
            });
            (page.prefixes, page.objects.len(), looked)
        };
        let none = Vec::<String>::new();
        assert_eq!(list(""), (vec!["g/".into(), "h/".into()], 0, none.clone()));
        assert_eq!(list("g/"), (vec!["g/a/".into(), "g/b/".into()], 0, none));
        assert_eq!(list("g/b/1/"), (vec![], 1, vec!["g/b/1/".to_owned()]));
    }

    #[test]
    fn a_foreign_token_is_none() {
        for token in ["", "x", "!!", "bw==", &URL_SAFE_NO_PAD.encode("xname")] {
            assert_eq!(Mark::of(token), None, "{token}");
        }
    }
}
