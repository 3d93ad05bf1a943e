//! Data that are refused, and what comes of following the sentence that refuses them.

use std::fs;
use std::path::Path;

use end_to_end::model::{Tree, tree};
use end_to_end::picture::{CAT, DOG, classes, png, put};
use end_to_end::zoo::{TINY, Workspace};
use serde_json::Value;

/// Data that are refused, and each way out that the sentence gives.
pub(crate) struct Refused {
    name: &'static str,
    make: fn(&Path),
    /// Parts of the sentence; ROOT stands for the folder around the data.
    sentence: &'static [&'static str],
    ways: Vec<Way>,
}

/// What is done, which data are given then, and what must be read there.
pub(crate) struct Way {
    step: fn(&Path),
    data: &'static str,
    /// The classes, with the images of all parts.
    classes: &'static str,
}

pub(crate) fn refused(
    name: &'static str,
    make: fn(&Path),
    sentence: &'static [&'static str],
) -> Refused {
    Refused {
        name,
        make,
        sentence,
        ways: Vec::new(),
    }
}

impl Refused {
    /// The data stay where they are and are changed.
    pub(crate) fn then(self, step: fn(&Path), classes: &'static str) -> Self {
        self.give("d", step, classes)
    }

    /// Something else is given.
    pub(crate) fn give(
        mut self,
        data: &'static str,
        step: fn(&Path),
        classes: &'static str,
    ) -> Self {
        self.ways.push(Way {
            step,
            data,
            classes,
        });
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

/// What is wrong with a case, if anything.
pub(crate) fn follow(case: &Refused) -> Vec<String> {
    let mut wrong = Vec::new();
    for (i, way) in case.ways.iter().enumerate() {
        let root = tempfile::tempdir().unwrap();
        let zoo = Workspace::new(root.path());
        (case.make)(root.path());
        let before = tree(root.path());
        let mut say = |what: String| wrong.push(format!("{}, way {}: {what}", case.name, i + 1));
        let train = |data: &str| {
            let mut args = vec!["train", "cifar-classifier.plain", "--data", data];
            args.extend(["--out", "run", "--epochs", "1", "--quiet"]);
            args.extend(TINY);
            zoo.zoo(&args)
        };
        let ran = train("d");
        let last = ran.stderr.lines().last().unwrap_or_default();
        if ran.code != 2 || !last.starts_with("error: ") {
            say(format!("exit code {}: {}", ran.code, ran.stderr));
        }
        for part in case.sentence {
            if !last.contains(part) {
                say(format!("`{part}` is not in: {last}"));
            }
        }
        if tree(root.path()) != before {
            say("the refusal changed files".into());
            continue;
        }
        (way.step)(root.path());
        let changed: Tree = tree(root.path());
        let ran = train(way.data);
        if ran.code != 0 {
            say(format!("after it, exit code {}: {}", ran.code, ran.stderr));
            continue;
        }
        let record = fs::read_to_string(root.path().join("run/training.json")).unwrap();
        let record: Value = serde_json::from_str(&record).unwrap();
        let there = counted(&record["data"]["inventory"]);
        if there != way.classes {
            say(format!("`{there}` in place of `{}`", way.classes));
        }
        fs::remove_dir_all(root.path().join("run")).unwrap();
        if tree(root.path()) != changed {
            say("the run changed its data".into());
        }
    }
    wrong
}
