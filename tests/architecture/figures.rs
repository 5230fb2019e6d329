//! What is measured of the house, and the limit of each figure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{FnArg, ReturnType, Type, Visibility};

use super::graph::{Graph, components, floors};
use super::house::{FileId, House, ModuleId, Target};

/// A figure, with what it counts: the worst first, or all of it.
pub struct Figure {
    pub name: &'static str,
    pub value: usize,
    pub what: Vec<String>,
}

pub fn measure(house: &House) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut add = |name, value, what| figures.push(Figure { name, value, what });
    let sum =
        |of: fn(&super::house::SourceFile) -> usize| house.files.iter().map(of).sum::<usize>();
    add("lines", sum(|file| file.lines), lines_by_room(house));
    add("code lines", sum(|file| file.code_lines), Vec::new());
    let (longest, what) = most(
        house
            .files
            .iter()
            .map(|file| (file.lines, show(&file.path))),
    );
    add("longest file", longest, what);

    let seen = Seen::in_all(house);
    let cache = seen.types.get("Cache").and_then(|file| house.room(*file));
    let (inside, outside): (Vec<_>, Vec<_>) = seen
        .open_fields
        .iter()
        .partition(|(file, _)| house.room(*file) == cache);
    add("open fields in cache", inside.len(), texts(&inside));
    add("open fields elsewhere", outside.len(), texts(&outside));
    let beside = texts(&seen.public_beside_private.iter().collect::<Vec<_>>());
    add("public fields beside private ones", beside.len(), beside);

    for (name, of) in [("methods of Cache", "Cache"), ("methods of Model", "Model")] {
        let methods = seen
            .impls
            .iter()
            .filter(|known| known.name == of && Some(known.owner) == seen.types.get(of).copied());
        let methods: Vec<_> = methods.flat_map(|known| known.methods.clone()).collect();
        add(name, methods.len(), methods);
    }

    let mut imports: Graph<FileId> = (0..house.files.len())
        .map(|id| (id, BTreeSet::new()))
        .collect();
    for (from, to) in house.imports.keys() {
        imports.entry(*from).or_default().insert(*to);
    }
    let circles: Vec<_> = components(&imports)
        .into_iter()
        .filter(|circle| circle.len() > 3)
        .collect();
    let what = circles
        .iter()
        .map(|circle| circle_text(house, circle))
        .collect();
    add("import circles of more than 3 files", circles.len(), what);
    let folders = folders(house);
    let between: Vec<_> = folders
        .iter()
        .flat_map(|folder| folder.circles(house))
        .collect();
    add("circles between folders", between.len(), between);
    let scattered = scattered(house, &seen.impls);
    add(
        "types with impls in two folders or four files",
        scattered.len(),
        scattered,
    );
    let (most_floors, what) = most(
        folders
            .iter()
            .map(|folder| (floors(&folder.graph), show(&folder.path))),
    );
    add("floors inside the largest room", most_floors, what);
    let (fullest, what) = most(
        folders
            .iter()
            .map(|folder| (folder.files, show(&folder.path))),
    );
    add("files in the fullest folder", fullest, what);
    let outside = seen
        .unsafes
        .iter()
        .filter(|(file, _)| house.room(*file) != Some("os"))
        .count();
    add(
        "unsafe expressions",
        seen.unsafes.len(),
        texts(&seen.unsafes.iter().collect::<Vec<_>>()),
    );
    add("unsafe expressions outside of os", outside, Vec::new());
    add(
        "predicates that act or do not return bool",
        seen.acting.len(),
        seen.acting,
    );
    figures
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

fn texts(list: &[&(FileId, String)]) -> Vec<String> {
    list.iter().map(|(_, text)| text.clone()).collect()
}

/// The greatest value, and the five greatest with their names.
fn most(of: impl Iterator<Item = (usize, String)>) -> (usize, Vec<String>) {
    let mut all: Vec<_> = of.collect();
    all.sort_by(|a, b| b.cmp(a));
    let what = all
        .iter()
        .take(5)
        .map(|(value, name)| format!("{value} {name}"))
        .collect();
    (all.first().map_or(0, |(value, _)| *value), what)
}

fn lines_by_room(house: &House) -> Vec<String> {
    let mut rooms: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    for (id, file) in house.files.iter().enumerate() {
        let room = rooms.entry(house.room(id).unwrap_or(".")).or_default();
        *room = (room.0 + 1, room.1 + file.lines, room.2 + file.code_lines);
    }
    rooms
        .iter()
        .map(|(room, (files, lines, code))| {
            format!("{room}: {files} files, {lines} lines, {code} of code")
        })
        .collect()
}

fn circle_text(house: &House, circle: &[FileId]) -> String {
    let mut text = format!("{} files:", circle.len());
    for id in circle {
        _ = write!(text, " {}", show(&house.files[*id].path));
    }
    text
}

/// A folder, with what lies directly in it as the nodes of a graph.
struct Folder {
    path: PathBuf,
    files: usize,
    graph: Graph<PathBuf>,
}

impl Folder {
    /// The circles that a folder takes part in.
    fn circles(&self, house: &House) -> Vec<String> {
        let is_folder = |node: &PathBuf| node.extension().is_none();
        let circles = components(&self.graph).into_iter();
        circles
            .filter(|circle| circle.len() > 1 && circle.iter().any(is_folder))
            .map(|circle| {
                let mut text = circle
                    .iter()
                    .map(|node| show(node))
                    .collect::<Vec<_>>()
                    .join(" <-> ");
                for ((from, to), path) in &house.imports {
                    let node_of = |file: &FileId| {
                        circle
                            .iter()
                            .find(|node| house.files[*file].path.starts_with(node))
                    };
                    if let (Some(a), Some(b)) = (node_of(from), node_of(to))
                        && a != b
                    {
                        _ = write!(
                            text,
                            "\n      {} uses {path}",
                            show(&house.files[*from].path)
                        );
                    }
                }
                text
            })
            .collect()
    }
}

/// All folders below `src`. Whatever leads from one file to another leads, in the deepest folder that holds both, from one
/// node to another; the root of all, where rooms are nodes, has the table of arrows instead.
fn folders(house: &House) -> Vec<Folder> {
    let mut folders: BTreeMap<PathBuf, Folder> = BTreeMap::new();
    for file in &house.files {
        let mut node = file.path.as_path();
        let mut is_file = true;
        while let Some(above) = node.parent().filter(|above| *above != Path::new("")) {
            let folder = folders.entry(above.to_owned()).or_insert_with(|| Folder {
                path: above.to_owned(),
                files: 0,
                graph: Graph::new(),
            });
            folder.files += usize::from(is_file);
            folder.graph.entry(node.to_owned()).or_default();
            (node, is_file) = (above, false);
        }
    }
    for (from, to) in house.imports.keys() {
        let (from, to) = (&house.files[*from].path, &house.files[*to].path);
        let shared: PathBuf = from
            .components()
            .zip(to.components())
            .take_while(|(a, b)| a == b)
            .map(|(a, _)| a)
            .collect();
        let node = |path: &Path| {
            shared.join(
                path.strip_prefix(&shared)
                    .unwrap()
                    .components()
                    .next()
                    .unwrap(),
            )
        };
        if let Some(folder) = folders.get_mut(&shared) {
            folder.graph.get_mut(&node(from)).unwrap().insert(node(to));
        }
    }
    folders.into_values().collect()
}

fn scattered(house: &House, impls: &[Impl]) -> Vec<String> {
    let mut files: BTreeMap<(FileId, &str), BTreeSet<&Path>> = BTreeMap::new();
    for known in impls {
        let path = house.files[known.file].path.as_path();
        files
            .entry((known.owner, &known.name))
            .or_default()
            .insert(path);
    }
    files
        .into_iter()
        .filter(|(_, files)| {
            let folders: BTreeSet<_> = files.iter().map(|file| file.parent()).collect();
            folders.len() > 1 || files.len() > 3
        })
        .map(|((_, name), files)| {
            let files: Vec<_> = files.into_iter().map(show).collect();
            format!("{name}: {}", files.join(" "))
        })
        .collect()
}

/// An inherent `impl`.
struct Impl {
    /// Where the type is defined.
    owner: FileId,
    name: String,
    file: FileId,
    methods: Vec<String>,
}

/// What a walk through all files has met.
#[derive(Default)]
struct Seen {
    /// The file of `Cache` and of `Model`.
    types: BTreeMap<String, FileId>,
    impls: Vec<Impl>,
    open_fields: Vec<(FileId, String)>,
    public_beside_private: Vec<(FileId, String)>,
    unsafes: Vec<(FileId, String)>,
    acting: Vec<String>,
}

impl Seen {
    fn in_all(house: &House) -> Self {
        let mut seen = Self::default();
        for (name, rooms) in [
            ("Cache", ["cache", "store"]),
            ("Model", ["models", "models"]),
        ] {
            for (id, file) in house.files.iter().enumerate() {
                let is_room = house.room(id).is_some_and(|room| rooms.contains(&room));
                let defines = |item: &syn::Item| matches!(item, syn::Item::Struct(item) if item.ident == name);
                if is_room && file.ast.items.iter().any(defines) {
                    seen.types.insert(name.to_owned(), id);
                }
            }
        }
        for (id, file) in house.files.iter().enumerate() {
            let module = house
                .modules
                .iter()
                .position(|module| module.file == id)
                .unwrap();
            let mut reader = Reader {
                house,
                file: id,
                module,
                seen: &mut seen,
            };
            reader.visit_file(&file.ast);
        }
        seen
    }
}

struct Reader<'a> {
    house: &'a House,
    file: FileId,
    module: ModuleId,
    seen: &'a mut Seen,
}

impl Reader<'_> {
    fn place(&self, span: proc_macro2::Span, what: &str) -> String {
        format!(
            "{}:{} {what}",
            show(&self.house.files[self.file].path),
            span.start().line
        )
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let (None, Type::Path(of)) = (&item.trait_, &*item.self_ty) {
            let path: Vec<_> = of
                .path
                .segments
                .iter()
                .map(|part| part.ident.to_string())
                .collect();
            let mut targets = self.house.resolve(self.module, &path).into_iter();
            let found = targets.find_map(|target| match target {
                Target::Item(module, name) => Some((self.house.modules[module].file, name)),
                Target::Module(_) => None,
            });
            let (owner, name) = found.unwrap_or_else(|| (self.file, path.join("::")));
            let methods = item.items.iter().filter_map(|item| match item {
                syn::ImplItem::Fn(method) => Some(match method.vis {
                    Visibility::Inherited => method.sig.ident.to_string(),
                    _ => format!("pub {}", method.sig.ident),
                }),
                _ => None,
            });
            self.seen.impls.push(Impl {
                owner,
                name,
                file: self.file,
                methods: methods.collect(),
            });
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        let has_private = item
            .fields
            .iter()
            .any(|field| matches!(field.vis, Visibility::Inherited));
        for field in &item.fields {
            let name = field
                .ident
                .as_ref()
                .map_or_else(|| "0".to_owned(), ToString::to_string);
            let span = field.ident.as_ref().unwrap_or(&item.ident).span();
            let text = self.place(span, &format!("{}.{name}", item.ident));
            match field.vis {
                Visibility::Restricted(_) => self.seen.open_fields.push((self.file, text)),
                Visibility::Public(_) if has_private => {
                    self.seen.public_beside_private.push((self.file, text))
                }
                _ => {}
            }
        }
        visit::visit_item_struct(self, item);
    }

    fn visit_expr_unsafe(&mut self, expr: &'ast syn::ExprUnsafe) {
        let text = self.place(expr.unsafe_token.span, "unsafe");
        self.seen.unsafes.push((self.file, text));
        visit::visit_expr_unsafe(self, expr);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        let name = signature.ident.to_string();
        if name.starts_with("is_") || name.starts_with("has_") {
            let is_bool = matches!(&signature.output, ReturnType::Type(_, of)
                if matches!(&**of, Type::Path(path) if path.path.is_ident("bool")));
            let changes = matches!(signature.inputs.first(), Some(FnArg::Receiver(own)) if own.mutability.is_some() && own.reference.is_some());
            if !is_bool || changes {
                let text = self.place(signature.ident.span(), &name);
                self.seen.acting.push(text);
            }
        }
        visit::visit_signature(self, signature);
    }
}
