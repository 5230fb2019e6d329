//! The program's modules, read from its text: what lies in which file, and who names what of whom. Unit tests are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};
use syn::{Item, UseTree, Visibility};

pub type FileId = usize;
pub type ModuleId = usize;

/// The modules below `src/lib.rs`, and the files they lie in.
pub struct House {
    pub files: Vec<SourceFile>,
    pub modules: Vec<Module>,
    /// Who names an item of whom, with one of the paths that do it.
    pub imports: BTreeMap<(FileId, FileId), String>,
    /// Which room names which, with the file that does it.
    pub arrows: BTreeMap<(String, String), PathBuf>,
}

pub struct SourceFile {
    /// Below `src`.
    pub path: PathBuf,
    pub lines: usize,
    pub code_lines: usize,
    pub ast: syn::File,
}

pub struct Module {
    pub file: FileId,
    parent: Option<ModuleId>,
    names: BTreeMap<String, Vec<Name>>,
    globs: Vec<Vec<String>>,
    /// Items, imports left out, as tokens.
    code: Vec<TokenStream>,
    imports: Vec<Import>,
}

struct Import {
    path: Vec<String>,
    /// `pub use`: offers a name, and uses it only where the code says so.
    offered: bool,
}

#[derive(Clone, PartialEq)]
enum Name {
    Item,
    Module(ModuleId),
    Import(Vec<String>),
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Module(ModuleId),
    Item(ModuleId, String),
}

impl House {
    /// Reads `root/src`.
    pub fn read(root: &Path) -> Self {
        let mut house = Self {
            files: Vec::new(),
            modules: Vec::new(),
            imports: BTreeMap::new(),
            arrows: BTreeMap::new(),
        };
        let src = root.join("src");
        house.add_file(&src, "lib.rs".into(), None);
        house.add_file(&src, "main.rs".into(), None);
        house.connect();
        house
    }

    /// The first folder of a file; `None` for the files that lie directly in `src`.
    pub fn room(&self, file: FileId) -> Option<&str> {
        let mut parts = self.files[file].path.components();
        let first = parts.next()?.as_os_str().to_str()?;
        parts.next().map(|_| first)
    }

    fn add_file(&mut self, src: &Path, path: PathBuf, parent: Option<ModuleId>) -> ModuleId {
        let text = fs::read_to_string(src.join(&path)).unwrap();
        let mut left_out = BTreeSet::new();
        let tokens = without_tests(text.parse().unwrap(), &mut left_out);
        let mut code = BTreeSet::new();
        mark_lines(&tokens, &mut code);
        let ast: syn::File =
            syn::parse2(tokens).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = self.files.len();
        self.files.push(SourceFile {
            lines: text.lines().count() - left_out.len(),
            code_lines: code.len(),
            path: path.clone(),
            ast: ast.clone(),
        });
        let is_root_of_folder = ["lib.rs", "main.rs", "mod.rs"]
            .iter()
            .any(|name| path.ends_with(name));
        let folder = if is_root_of_folder {
            path.parent().unwrap().into()
        } else {
            path.with_extension("")
        };
        self.add_module(src, file, &folder, parent, &ast.items)
    }

    fn add_module(
        &mut self,
        src: &Path,
        file: FileId,
        folder: &Path,
        parent: Option<ModuleId>,
        items: &[Item],
    ) -> ModuleId {
        let id = self.modules.len();
        self.modules.push(Module {
            file,
            parent,
            names: BTreeMap::new(),
            globs: Vec::new(),
            code: Vec::new(),
            imports: Vec::new(),
        });
        for item in items {
            match item {
                Item::Mod(module) => {
                    let name = module.ident.to_string();
                    let below = folder.join(&name);
                    let child = match &module.content {
                        Some((_, items)) => self.add_module(src, file, &below, Some(id), items),
                        None if src.join(&below).join("mod.rs").exists() => {
                            self.add_file(src, below.join("mod.rs"), Some(id))
                        }
                        None => self.add_file(src, below.with_extension("rs"), Some(id)),
                    };
                    self.name(id, name, Name::Module(child));
                }
                Item::Use(item) => {
                    let offered = !matches!(item.vis, Visibility::Inherited);
                    self.add_use(id, &mut Vec::new(), &item.tree, offered);
                }
                item => {
                    if let Some(name) = name_of(item) {
                        self.name(id, name, Name::Item);
                    }
                    let tokens = quote_item(item);
                    self.modules[id].code.push(tokens);
                }
            }
        }
        id
    }

    fn add_use(&mut self, id: ModuleId, path: &mut Vec<String>, tree: &UseTree, offered: bool) {
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.add_use(id, path, &step.tree, offered);
                path.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_use(id, path, tree, offered);
                }
            }
            UseTree::Glob(_) => self.modules[id].globs.push(path.clone()),
            UseTree::Name(name) => {
                self.add_import(id, path, &name.ident.to_string(), None, offered)
            }
            UseTree::Rename(name) => {
                let known_as = name.rename.to_string();
                self.add_import(id, path, &name.ident.to_string(), Some(known_as), offered);
            }
        }
    }

    fn add_import(
        &mut self,
        id: ModuleId,
        path: &[String],
        last: &str,
        known_as: Option<String>,
        offered: bool,
    ) {
        let mut whole = path.to_vec();
        if last != "self" {
            whole.push(last.to_owned());
        }
        let known_as = known_as.unwrap_or_else(|| whole.last().unwrap().clone());
        if known_as != "_" && whole.len() > 1 {
            self.name(id, known_as, Name::Import(whole.clone()));
        }
        self.modules[id].imports.push(Import {
            path: whole,
            offered,
        });
    }

    fn name(&mut self, id: ModuleId, name: String, what: Name) {
        self.modules[id].names.entry(name).or_default().push(what);
    }

    /// Everything that a path may mean where it stands in a module; nothing for what other crates own.
    pub fn resolve(&self, from: ModuleId, path: &[String]) -> BTreeSet<Target> {
        self.resolve_within(from, path, 0)
    }

    fn resolve_within(&self, from: ModuleId, path: &[String], depth: usize) -> BTreeSet<Target> {
        let mut found = BTreeSet::new();
        let Some((first, mut rest)) = path.split_first().filter(|_| depth < 16) else {
            return found;
        };
        match first.as_str() {
            "crate" => _ = found.insert(Target::Module(0)),
            "self" => _ = found.insert(Target::Module(from)),
            "super" => found.extend(self.modules[from].parent.map(Target::Module)),
            name => found = self.look_up(from, name, depth),
        }
        while let Some((step, after)) = rest.split_first() {
            found = found
                .into_iter()
                .flat_map(|target| match target {
                    Target::Module(id) if step == "super" => self.modules[id]
                        .parent
                        .map(Target::Module)
                        .into_iter()
                        .collect(),
                    Target::Module(id) => self.look_up(id, step, depth),
                    item => BTreeSet::from([item]),
                })
                .collect();
            rest = after;
        }
        found
    }

    fn look_up(&self, module: ModuleId, name: &str, depth: usize) -> BTreeSet<Target> {
        let mut found = BTreeSet::new();
        for known in self.modules[module].names.get(name).into_iter().flatten() {
            match known {
                Name::Item => _ = found.insert(Target::Item(module, name.to_owned())),
                Name::Module(id) => _ = found.insert(Target::Module(*id)),
                Name::Import(path) if path.len() == 1 && path[0] == name => {}
                Name::Import(path) => found.extend(self.resolve_within(module, path, depth + 1)),
            }
        }
        if found.is_empty() {
            for glob in &self.modules[module].globs {
                for target in self.resolve_within(module, glob, depth + 1) {
                    if let Target::Module(id) = target
                        && id != module
                        && depth < 16
                    {
                        found.extend(self.look_up(id, name, depth + 1));
                    }
                }
            }
        }
        found
    }

    fn connect(&mut self) {
        for id in 0..self.modules.len() {
            let module = &self.modules[id];
            let mut used: Vec<(Vec<String>, bool)> = module
                .imports
                .iter()
                .map(|import| (import.path.clone(), import.offered))
                .collect();
            used.extend(module.globs.iter().map(|path| (path.clone(), true)));
            let mut paths = Vec::new();
            for code in &module.code {
                paths_in(code.clone(), &[], &mut paths);
            }
            used.extend(paths.into_iter().map(|path| (path, false)));
            let from = module.file;
            for (path, offered) in used {
                self.add_arrow(id, &path);
                if offered {
                    continue;
                }
                for target in self.resolve(id, &path) {
                    if let Target::Item(owner, _) = target {
                        let to = self.modules[owner].file;
                        if to != from {
                            self.imports
                                .entry((from, to))
                                .or_insert_with(|| path.join("::"));
                        }
                    }
                }
            }
        }
    }

    /// The room that a path names by `crate::room` or `super::super::room`.
    fn add_arrow(&mut self, module: ModuleId, path: &[String]) {
        let mut at = module;
        let mut rest = path;
        loop {
            match rest.first().map(String::as_str) {
                Some("crate") => at = 0,
                Some("super") => match self.modules[at].parent {
                    Some(parent) => at = parent,
                    None => return,
                },
                _ => break,
            }
            rest = &rest[1..];
        }
        let file = self.modules[module].file;
        if let (0, Some(room), Some(from)) = (at, rest.first(), self.room(file))
            && from != room
        {
            self.arrows
                .entry((from.to_owned(), room.clone()))
                .or_insert_with(|| self.files[file].path.clone());
        }
    }
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        _ => return None,
    };
    Some(name.to_string())
}

fn quote_item(item: &Item) -> TokenStream {
    let mut tokens = TokenStream::new();
    quote::ToTokens::to_tokens(item, &mut tokens);
    tokens
}

/// Every `a::b::c` in a piece of code, names of one part too. What follows a dot is no path.
fn paths_in(tokens: TokenStream, prefix: &[String], paths: &mut Vec<Vec<String>>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    let mut after_dot = false;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(word) if !after_dot => {
                let mut path = prefix.to_vec();
                path.push(word.to_string());
                at += 1;
                let mut inner = None;
                while is_path_separator(&tokens[at..]) {
                    match tokens.get(at + 2) {
                        Some(TokenTree::Ident(word)) => path.push(word.to_string()),
                        Some(TokenTree::Group(group)) => inner = Some(group.clone()),
                        _ => break,
                    }
                    at += 3;
                }
                match inner {
                    Some(group) => paths_in(group.stream(), &path, paths),
                    None => paths.push(path),
                }
            }
            token => {
                if let TokenTree::Group(group) = token {
                    paths_in(group.stream(), &[], paths);
                }
                after_dot = matches!(token, TokenTree::Punct(p) if p.as_char() == '.' && p.spacing() == Spacing::Alone);
                at += 1;
                continue;
            }
        }
        after_dot = false;
    }
}

fn is_path_separator(tokens: &[TokenTree]) -> bool {
    let is_colon =
        |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
    is_colon(0) && is_colon(1)
}

/// The tokens without comments and without what is `#[cfg(test)]`, whose lines are noted.
fn without_tests(tokens: TokenStream, left_out: &mut BTreeSet<usize>) -> TokenStream {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if let Some((attribute, len)) = attribute(&tokens[at..]) {
            let text = attribute.stream().to_string();
            if text.starts_with("doc =") {
                at += len;
                continue;
            }
            if text.replace(' ', "") == "cfg(test)" {
                let end = at + len + item_len(&tokens[at + len..]);
                let first = tokens[at].span().start().line;
                let last = tokens[end - 1].span().end().line;
                left_out.extend(first..=last);
                at = end;
                continue;
            }
        }
        kept.push(match &tokens[at] {
            TokenTree::Group(group) => {
                let mut inner =
                    Group::new(group.delimiter(), without_tests(group.stream(), left_out));
                inner.set_span(group.span());
                TokenTree::Group(inner)
            }
            token => token.clone(),
        });
        at += 1;
    }
    kept.into_iter().collect()
}

fn attribute(tokens: &[TokenTree]) -> Option<(&Group, usize)> {
    let is = |at: usize, c: char| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == c);
    let inner = usize::from(is(1, '!'));
    match tokens.get(1 + inner) {
        Some(TokenTree::Group(group)) if is(0, '#') && group.delimiter() == Delimiter::Bracket => {
            Some((group, 2 + inner))
        }
        _ => None,
    }
}

/// How many tokens the item (or field, or statement) takes that follows its first attribute.
fn item_len(tokens: &[TokenTree]) -> usize {
    let mut at = 0;
    while let Some((_, len)) = attribute(&tokens[at..]) {
        at += len;
    }
    let keyword = tokens[at..]
        .iter()
        .find_map(|token| match token {
            TokenTree::Ident(word) if word == "pub" => None,
            TokenTree::Group(_) => None,
            token => Some(token.to_string()),
        })
        .unwrap_or_default();
    let to_semicolon = ["use", "static", "type", "let"].contains(&keyword.as_str());
    let to_brace = ["fn", "async", "impl", "struct", "enum"].contains(&keyword.as_str());
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Punct(p) if p.as_char() == ';' => return at + 1,
            TokenTree::Punct(p) if p.as_char() == ',' && !to_semicolon && !to_brace => {
                return at + 1;
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && !to_semicolon => {
                return at + 1;
            }
            _ => at += 1,
        }
    }
    at
}

/// The lines that hold code.
fn mark_lines(tokens: &TokenStream, lines: &mut BTreeSet<usize>) {
    for token in tokens.clone() {
        match token {
            TokenTree::Group(group) => {
                lines.insert(group.span_open().start().line);
                lines.insert(group.span_close().end().line);
                mark_lines(&group.stream(), lines);
            }
            token => lines.extend(token.span().start().line..=token.span().end().line),
        }
    }
}
