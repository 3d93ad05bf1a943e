//! Data that are refused, and what comes of following the sentence that refuses them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use end_to_end::picture::{CAT, DOG, classes, png, put};
use end_to_end::zoo::{TINY, Workspace};
use serde_json::Value;

/// What is done to the folder around the data.
type Step = Box<dyn Fn(&Path)>;

/// Where a sentence stands.
#[derive(PartialEq, Eq)]
enum Told {
    /// The run is refused with it.
    Error,
    /// It names what is left out, and the run ends with 1.
    Failure,
    /// It is a note on what was read.
    Note,
}

/// Data that are refused, and each way out that the sentence gives.
pub(crate) struct Refused {
    name: &'static str,
    make: Step,
    data: &'static str,
    args: &'static [&'static str],
    /// Parts of the sentence.
    sentence: &'static [&'static str],
    told: Told,
    ways: Vec<Way>,
}

/// What is done, which data are given then, and what must be read there.
struct Way {
    step: Step,
    data: &'static str,
    args: &'static [&'static str],
    /// The classes, with the images of all parts.
    classes: &'static str,
}

/// Data that are refused with all of these parts of a sentence.
pub(crate) fn refused(
    name: &'static str,
    make: impl Fn(&Path) + 'static,
    sentence: &'static [&'static str],
) -> Refused {
    Refused {
        name,
        make: Box::new(make),
        data: "d",
        args: &[],
        sentence,
        told: Told::Error,
        ways: Vec::new(),
    }
}

/// Data of which a part is left out, named by a sentence with these parts.
pub(crate) fn partial(
    name: &'static str,
    make: impl Fn(&Path) + 'static,
    sentence: &'static [&'static str],
) -> Refused {
    Refused {
        told: Told::Failure,
        ..refused(name, make, sentence)
    }
}

/// Data that are read with a note that has these parts.
pub(crate) fn noted(
    name: &'static str,
    make: impl Fn(&Path) + 'static,
    sentence: &'static [&'static str],
) -> Refused {
    Refused {
        told: Told::Note,
        ..refused(name, make, sentence)
    }
}

/// Data of which one file is replaced: once by `wrong`, made from what it should be, then again by the right one.
pub(crate) fn replaced(
    name: &'static str,
    file: &'static str,
    make: impl Fn(&Path) + 'static,
    wrong: impl Fn(Vec<u8>) -> Vec<u8> + 'static,
    sentence: &'static [&'static str],
    classes: &'static str,
) -> Refused {
    let spoiled = move |root: &Path| {
        make(root);
        rename(root, file, "right");
        let right = fs::read(root.join("right")).unwrap();
        put(&root.join(file), wrong(right));
    };
    refused(name, spoiled, sentence).then(move |root| rename(root, "right", file), classes)
}

impl Refused {
    /// Something else than `d` is given.
    pub(crate) fn of(mut self, data: &'static str) -> Self {
        self.data = data;
        for way in &mut self.ways {
            way.data = data;
        }
        self
    }

    /// With these arguments of `zoo train`.
    pub(crate) fn with(mut self, args: &'static [&'static str]) -> Self {
        self.args = args;
        self
    }

    /// The data stay where they are and are changed.
    pub(crate) fn then(self, step: impl Fn(&Path) + 'static, classes: &'static str) -> Self {
        let data = self.data;
        self.give(data, step, classes)
    }

    /// Something else is given.
    pub(crate) fn give(
        mut self,
        data: &'static str,
        step: impl Fn(&Path) + 'static,
        classes: &'static str,
    ) -> Self {
        self.ways.push(Way {
            step: Box::new(step),
            data,
            args: self.args,
            classes,
        });
        self
    }

    /// The same is given with these arguments of `zoo train`.
    pub(crate) fn set(mut self, args: &'static [&'static str], classes: &'static str) -> Self {
        let data = self.data;
        self = self.give(data, nothing, classes);
        if let Some(way) = self.ways.last_mut() {
            way.args = args;
        }
        self
    }
}

pub(crate) fn nothing(_: &Path) {}

pub(crate) fn rename(root: &Path, from: &str, to: &str) {
    let to = root.join(to);
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::rename(root.join(from), to).unwrap();
}

/// Moves all that lies in a folder.
pub(crate) fn rename_all(root: &Path, from: &str, to: &str, name: impl Fn(&str) -> String) {
    for item in fs::read_dir(root.join(from)).unwrap() {
        let file = item.unwrap().file_name().into_string().unwrap();
        rename(
            root,
            &format!("{from}/{file}"),
            &format!("{to}/{}", name(&file)),
        );
    }
}

pub(crate) fn same(name: &str) -> String {
    name.into()
}

/// Six cats and six dogs in one folder, called by their number.
pub(crate) fn numbered(folder: &Path) {
    for i in 0..12 {
        put(
            &folder.join(format!("{i:02}.png")),
            png(if i < 6 { CAT } else { DOG }, i),
        );
    }
}

pub(crate) fn parts(folder: &Path) {
    classes(&folder.join("train"), &["cat", "dog"], 6);
    classes(&folder.join("test"), &["cat", "dog"], 2);
}

pub(crate) const BOTH: &str = "cat 6, dog 6";
pub(crate) const SPLIT: &str = "cat 8, dog 8";

/// The classes of an inventory with the images of all parts.
pub(crate) fn counted(inventory: &Value) -> String {
    let one = |class: &Value| {
        let count = |part: &str| class[part].as_u64().unwrap_or_default();
        let all = count("train") + count("validation") + count("test");
        format!("{} {all}", class["name"].as_str().unwrap_or_default())
    };
    let classes = inventory["classes"].as_array().into_iter().flatten();
    classes.map(one).collect::<Vec<_>>().join(", ")
}

/// Every file below a folder, and every link with where it leads.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for item in fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            found.extend(tree(&path));
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            found.insert(path, target.into_os_string().into_encoded_bytes());
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

/// What is wrong with a case, if anything.
pub(crate) fn follow(case: &Refused) -> Vec<String> {
    let mut wrong = Vec::new();
    if case.ways.is_empty() {
        wrong.push(format!("{}: it has no way out", case.name));
    }
    for (i, way) in case.ways.iter().enumerate() {
        let root = tempfile::tempdir().unwrap();
        if let Err(what) = follow_way(case, way, root.path()) {
            wrong.push(format!("{}, way {}: {what}", case.name, i + 1));
        }
    }
    wrong
}

fn follow_way(case: &Refused, way: &Way, root: &Path) -> Result<(), String> {
    let zoo = Workspace::new(root);
    (case.make)(root);
    let before = tree(root);
    let train = |data: &str, more: &[&str]| {
        let mut args = vec!["train", "cifar-classifier.plain", "--data", data];
        args.extend(["--out", "run", "--epochs", "1", "--quiet"]);
        args.extend(TINY);
        args.extend(more);
        zoo.zoo(&args)
    };
    let ran = train(case.data, case.args);
    let record = || -> Value {
        let text = fs::read_to_string(root.join("run/training.json")).unwrap();
        fs::remove_dir_all(root.join("run")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let (code, said) = match case.told {
        Told::Error => (2, ran.stderr.lines().last().unwrap_or_default().to_owned()),
        Told::Failure => (1, ran.stderr.clone()),
        Told::Note => (0, String::new()),
    };
    if ran.code != code || case.told == Told::Error && !said.starts_with("error: ") {
        return Err(format!("exit code {}: {}", ran.code, ran.stderr));
    }
    let said = match case.told {
        Told::Error => said,
        Told::Failure => {
            record();
            said
        }
        Told::Note => record()["data"]["inventory"]["notes"].to_string(),
    };
    for part in case.sentence {
        if !said.contains(part) {
            return Err(format!("`{part}` is not in: {said}"));
        }
    }
    if tree(root) != before {
        return Err("the run changed files".into());
    }
    (way.step)(root);
    let changed = tree(root);
    let ran = train(way.data, way.args);
    if ran.code != 0 {
        return Err(format!("after it, exit code {}: {}", ran.code, ran.stderr));
    }
    let there = counted(&record()["data"]["inventory"]);
    if there != way.classes {
        return Err(format!("`{there}` in place of `{}`", way.classes));
    }
    match tree(root) == changed {
        true => Ok(()),
        false => Err("the run changed its data".into()),
    }
}
