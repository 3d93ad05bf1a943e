//! The rules of the house: which part of the sources may import which.
//!
//! A room is a file or folder directly under a crate's `src`. What a room imports is read from its `use` lines and from
//! the paths that begin with `crate`, `super` or a crate's name, tests left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The crates of the workspace, and which of them each may depend on.
const CRATES: [(&str, &[&str]); 4] = [
    ("gmnm-core", &[]),
    ("models", &["gmnm-core"]),
    ("weights", &[]),
    ("zoo-cli", &["gmnm-core", "models", "weights"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie in the workspace")
        .to_path_buf()
}

/// One import: from the room and file, to the full path, as in `crate::data::Images`.
#[derive(Debug, Clone)]
struct Import {
    room: String,
    file: PathBuf,
    path: Vec<String>,
}

impl Import {
    /// The room of the same crate that is imported, if it is one.
    fn own_room(&self) -> Option<&str> {
        (self.path.first()? == "crate").then(|| self.path.get(1).map(String::as_str))?
    }
}

/// Every Rust file below `dir`, sorted, without those that hold tests alone.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(dir) = todo.pop() {
        for item in fs::read_dir(&dir).expect("a folder of sources").flatten() {
            let path = item.path();
            let name = item.file_name().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                todo.push(path);
            } else if name.ends_with(".rs") && name != "tests.rs" {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Source without comments, text, and what stands under `#[cfg(test)]`.
fn code(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.split("//").next().unwrap_or_default();
        if line.trim() == "#[cfg(test)]" {
            skip_item(&mut lines);
            continue;
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// Goes past the item that an attribute stands on: to its `;`, or to the brace that closes it.
fn skip_item(lines: &mut std::str::Lines<'_>) {
    let mut depth = 0;
    for line in lines.by_ref() {
        let line = line.split("//").next().unwrap_or_default();
        depth += line.matches('{').count() as i64 - line.matches('}').count() as i64;
        let ends = line.trim_end().ends_with([';', '}', ',']);
        if depth <= 0 && ends {
            break;
        }
    }
}

/// The paths of a `use` tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(tree: &str, prefix: &[String], out: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let mut path = prefix.to_vec();
        let plain = tree.split(" as ").next().unwrap_or_default();
        path.extend(plain.split("::").map(|part| part.trim().to_owned()));
        path.retain(|part| !part.is_empty());
        out.push(path);
        return;
    };
    let mut inner = prefix.to_vec();
    inner.extend(tree[..open].split("::").map(|part| part.trim().to_owned()));
    inner.retain(|part| !part.is_empty());
    let body = tree[open + 1..]
        .strip_suffix('}')
        .unwrap_or(&tree[open + 1..]);
    let (mut depth, mut start) = (0, 0);
    for (i, c) in body.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&body[start..i], &inner, out);
                start = i + 1;
            }
            _ => {}
        }
    }
    if !body[start..].trim().is_empty() {
        expand(&body[start..], &inner, out);
    }
}

/// Every path that `code` names, by `use` or in place.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let begins = rest[..at]
            .chars()
            .next_back()
            .is_none_or(|c| !c.is_alphanumeric() && c != '_');
        rest = &rest[at + 4..];
        if !begins {
            continue;
        }
        if let Some(end) = rest.find(';') {
            expand(&rest[..end], &[], &mut out);
        }
    }
    // In place: `crate::room::thing(…)`.
    let mut rest = code;
    while let Some(at) = rest.find("::") {
        let head = rest[..at]
            .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
            .next();
        let tail = &rest[at + 2..];
        let length = tail
            .find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
            .unwrap_or(tail.len());
        if let Some(head) = head.filter(|head| !head.is_empty()) {
            let mut path = vec![head.to_owned()];
            path.extend(
                tail[..length]
                    .split("::")
                    .filter(|p| !p.is_empty())
                    .map(str::to_owned),
            );
            out.push(path);
        }
        rest = &tail[length.min(tail.len())..];
    }
    out
}

/// Every import of a crate, `self` and `super` resolved.
fn imports(folder: &str) -> Vec<Import> {
    let src = root().join(folder).join("src");
    let mut all = Vec::new();
    for file in sources(&src) {
        let relative = file
            .strip_prefix(&src)
            .expect("below src")
            .with_extension("");
        let mut module: Vec<String> = relative
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        if matches!(
            module.last().map(String::as_str),
            Some("mod" | "lib" | "main")
        ) {
            module.pop();
        }
        let room = module.first().cloned().unwrap_or_default();
        let text = fs::read_to_string(&file).expect("a source is text");
        for mut path in paths(&code(&text)) {
            match path.first().map(String::as_str) {
                Some("self") => {
                    path.splice(..1, ["crate".to_owned()].into_iter().chain(module.clone()));
                }
                Some("super") => {
                    let ups = path.iter().take_while(|part| *part == "super").count();
                    let base = module
                        .get(..module.len().saturating_sub(ups))
                        .unwrap_or_default();
                    path.splice(..ups, ["crate".to_owned()].into_iter().chain(base.to_vec()));
                }
                _ => {}
            }
            all.push(Import {
                room: room.clone(),
                file: file.clone(),
                path,
            });
        }
    }
    all
}

/// The rooms that a crate has.
fn rooms(folder: &str) -> BTreeSet<String> {
    let src = root().join(folder).join("src");
    let items = fs::read_dir(src).expect("a crate has sources").flatten();
    items
        .map(|item| {
            item.path()
                .with_extension("")
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name != "lib" && name != "main")
        .collect()
}

/// Which room of a crate imports which other, with a file that does.
fn edges(folder: &str) -> BTreeMap<String, BTreeMap<String, PathBuf>> {
    let rooms = rooms(folder);
    let mut edges: BTreeMap<String, BTreeMap<String, PathBuf>> = BTreeMap::new();
    for import in imports(folder) {
        let Some(to) = import.own_room().filter(|to| rooms.contains(*to)) else {
            continue;
        };
        if !import.room.is_empty() && to != import.room {
            let to = to.to_owned();
            edges
                .entry(import.room)
                .or_default()
                .entry(to)
                .or_insert(import.file);
        }
    }
    edges
}

/// Imports that are there and shall not be: from a room, to a path below another.
fn forbidden(folder: &str, from: &str, to: &[&str], allowed: &[&str]) -> Vec<String> {
    let starts = |path: &[String], other: &str| {
        let other: Vec<&str> = other.split("::").collect();
        path.len() > other.len() && path[1..].iter().zip(&other).all(|(a, b)| a == b)
    };
    imports(folder)
        .into_iter()
        .filter(|import| import.room == from && import.path[0] == "crate")
        .filter(|import| to.iter().any(|to| starts(&import.path, to)))
        .filter(|import| !allowed.iter().any(|to| starts(&import.path, to)))
        .map(|import| {
            format!(
                "{} imports {}",
                import.file.display(),
                import.path.join("::")
            )
        })
        .collect()
}

#[test]
fn crates_import_one_way() {
    for (crate_name, allowed) in CRATES {
        let manifest = fs::read_to_string(root().join(crate_name).join("Cargo.toml"));
        let manifest = manifest.expect("every crate has a manifest");
        let dependencies = manifest
            .split("\n[")
            .filter(|section| section.starts_with("dependencies]"));
        for line in dependencies.flat_map(str::lines) {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            let own = CRATES.iter().any(|(other, _)| *other == name);
            assert!(
                !own || allowed.contains(&name),
                "{crate_name} depends on {name}"
            );
        }
    }
}

#[test]
fn no_two_rooms_import_each_other() {
    for (folder, _) in CRATES {
        let edges = edges(folder);
        // Rooms without imports of others that are left are taken away until none can be.
        let mut left: BTreeSet<&String> = edges.keys().collect();
        loop {
            let ends: Vec<&String> = left
                .iter()
                .filter(|room| edges[**room].keys().all(|to| !left.contains(to)))
                .copied()
                .collect();
            if ends.is_empty() {
                break;
            }
            for end in ends {
                left.remove(end);
            }
        }
        let circle: Vec<String> = left
            .iter()
            .flat_map(|room| {
                let among = edges[*room].iter().filter(|(to, _)| left.contains(to));
                among.map(move |(to, file)| format!("{room} → {to} ({})", file.display()))
            })
            .collect();
        assert!(
            circle.is_empty(),
            "a circle in {folder}:\n{}",
            circle.join("\n")
        );
    }
}

#[test]
fn rooms_keep_to_what_they_may_see() {
    let rules: [(&str, &[&str], &[&str]); 6] = [
        (
            "data",
            &["train", "families", "compare", "package", "hub"],
            &[],
        ),
        ("train", &["hub", "plot", "commands", "report"], &[]),
        ("package", &["hub", "train"], &["train::record"]),
        ("field", &["train", "hub", "plot", "package"], &[]),
        ("plot", &["train", "hub", "data", "package", "report"], &[]),
        ("compare", &["commands", "report"], &[]),
    ];
    for (from, to, allowed) in rules {
        assert!(rooms("zoo-cli").contains(from), "there is no room `{from}`");
        let found = forbidden("zoo-cli", from, to, allowed);
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}

#[test]
fn kernels_know_no_candle_types() {
    for import in imports("gmnm-core") {
        let kernel = import.room == "cpu";
        let candle = import
            .path
            .first()
            .is_some_and(|first| first.starts_with("candle"));
        assert!(
            !(kernel && candle),
            "{} imports {}",
            import.file.display(),
            import.path.join("::")
        );
    }
}

/// The reader of imports sees what it must, or the tests above could not fail.
#[test]
fn imports_are_seen() {
    let code = code(
        "use crate::{a, b::{c, d as e}};\nuse super::x; // crate::hidden::y\n#[cfg(test)]\nmod tests {\n    use crate::no;\n}\nfn f() { crate::z::g(); }\n",
    );
    let paths: BTreeSet<String> = paths(&code).iter().map(|path| path.join("::")).collect();
    for seen in [
        "crate::a",
        "crate::b::c",
        "crate::b::d",
        "super::x",
        "crate::z::g",
    ] {
        assert!(paths.contains(seen), "{seen} is not among {paths:?}");
    }
    assert!(
        !paths
            .iter()
            .any(|path| path.contains("no") || path.contains("hidden")),
        "{paths:?}"
    );
    let edges = edges("zoo-cli");
    assert!(edges["commands"].contains_key("data"), "{edges:?}");
}
