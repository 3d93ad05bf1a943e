//! A row of the table: an input, and what `zoo inspect` has to say of it.

use std::path::Path;

use end_to_end::zoo::{Ran, Workspace};
use serde_json::Value;
use zoo::data::{ImageDataset, Images, OpenOptions, open_images};

use end_to_end::picture::{NAMES, bar_of};

/// An input and what is expected of it.
pub(crate) struct Row {
    /// What the input is, in words.
    pub(crate) name: &'static str,
    make: Make,
    data: &'static str,
    /// The arguments of each run.
    args: &'static [&'static [&'static str]],
    code: i32,
    /// `class train/validation/test, …`; none where classes are not compared.
    classes: Option<&'static str>,
    /// The files left out, and words of their reasons.
    left_out: (u64, &'static [&'static str]),
    /// What else the inventory holds, by JSON pointer.
    holds: Vec<(&'static str, Value)>,
    /// Words that are said: in the refusal, or anywhere in what is printed.
    said: Vec<&'static str>,
    /// The bar of each class, where its name does not tell.
    bars: Option<fn(&str) -> Option<usize>>,
}

enum Make {
    /// By the test, in a fresh folder.
    Here(Box<dyn Fn(&Path)>),
    /// By the writers in Python, below their folder.
    Peers,
}

/// An input that the test makes in a folder; it is the folder `d` there.
pub(crate) fn row(name: &'static str, make: impl Fn(&Path) + 'static) -> Row {
    Row::new(name, Make::Here(Box::new(make)), "d")
}

/// An input that the peers wrote to this path below their folder.
pub(crate) fn written(name: &'static str, path: &'static str) -> Row {
    Row::new(name, Make::Peers, path)
}

impl Row {
    fn new(name: &'static str, make: Make, data: &'static str) -> Self {
        Self {
            name,
            make,
            data,
            args: &[&["--quick"], &[]],
            code: 0,
            classes: None,
            left_out: (0, &[]),
            holds: Vec::new(),
            said: Vec::new(),
            bars: None,
        }
    }

    /// The path that is given, in place of `d`.
    pub(crate) fn at(self, data: &'static str) -> Self {
        Self { data, ..self }
    }

    /// The arguments of each run, in place of one with `--quick` and one without.
    pub(crate) fn with(self, args: &'static [&'static [&'static str]]) -> Self {
        Self { args, ..self }
    }

    /// Expects these classes, each with its images for training, validation and test.
    pub(crate) fn reads(self, classes: &'static str) -> Self {
        Self {
            classes: Some(classes),
            ..self
        }
    }

    /// Expects so many files to be left out, for reasons with these words.
    pub(crate) fn leaves_out(self, count: u64, words: &'static [&'static str]) -> Self {
        Self {
            left_out: (count, words),
            ..self
        }
    }

    /// Expects this at a place of the inventory; null stands for nothing, too.
    pub(crate) fn holds(mut self, pointer: &'static str, value: impl Into<Value>) -> Self {
        self.holds.retain(|(known, _)| *known != pointer);
        self.holds.push((pointer, value.into()));
        self
    }

    /// Expects these words somewhere in what is printed.
    pub(crate) fn says(mut self, words: &[&'static str]) -> Self {
        self.said.extend(words);
        self
    }

    /// Expects exit code 1 and a line that names this.
    pub(crate) fn fails(mut self, words: &[&'static str]) -> Self {
        self.code = 1;
        self.says(words)
    }

    /// Expects a refusal with these words.
    pub(crate) fn refused(mut self, words: &[&'static str]) -> Self {
        self.code = 2;
        self.says(words)
    }

    /// Says at which place the bar of a class lies.
    pub(crate) fn bars(self, bars: fn(&str) -> Option<usize>) -> Self {
        Self {
            bars: Some(bars),
            ..self
        }
    }

    /// Carries the row out and says what is wrong. `peers` is the folder of the peers.
    pub(crate) fn failures(&self, peers: Option<&Path>) -> Vec<String> {
        let root = tempfile::tempdir().expect("there is room");
        let place = match (&self.make, peers) {
            (Make::Here(make), _) => {
                make(root.path());
                root.path()
            }
            (Make::Peers, Some(peers)) => peers,
            (Make::Peers, None) => return Vec::new(),
        };
        let zoo = Workspace::new(place);
        let runs = self.args.iter();
        let mut wrong: Vec<String> = runs.flat_map(|args| self.run(&zoo, args)).collect();
        if wrong.is_empty() && self.code < 2 && self.classes.is_some() {
            let data = zoo.path(self.data);
            match open_images(data.to_str(), "sample", &OpenOptions::default()) {
                Ok(data) => wrong.extend(self.mislabelled(&data)),
                Err(error) => wrong.push(format!("reading it fails: {error}")),
            }
        }
        let wrong = wrong.into_iter();
        wrong.map(|what| format!("{}: {what}", self.name)).collect()
    }

    /// What is wrong with what one run says.
    fn run(&self, zoo: &Workspace, args: &[&str]) -> Option<String> {
        let ran = zoo.zoo(&[&["inspect", self.data, "--format", "json"], args].concat());
        let mut wrong = Vec::new();
        if ran.code != self.code {
            wrong.push(format!("exit code {} in place of {}", ran.code, self.code));
        }
        let said = format!("{}\n{}", ran.stdout, ran.stderr);
        for words in &self.said {
            if !said.contains(words) {
                wrong.push(format!("`{words}` is not said"));
            }
        }
        if self.code == 2 {
            let last = ran.stderr.lines().last().unwrap_or_default();
            if !last.starts_with("error: ") || ran.stderr.contains("panicked") {
                wrong.push("the refusal is no sentence".into());
            }
        } else if ran.code != 2 {
            self.compare(&ran, &mut wrong);
        }
        let printed = || format!("{} {}", ran.stdout.trim(), ran.stderr.trim());
        (!wrong.is_empty()).then(|| format!("{}\n    {args:?}: {}", wrong.join("; "), printed()))
    }

    fn compare(&self, ran: &Ran, wrong: &mut Vec<String>) {
        let Ok(printed) = serde_json::from_str::<Value>(&ran.stdout) else {
            wrong.push("it prints no JSON".into());
            return;
        };
        let inventory = printed.get("inventory").unwrap_or(&printed);
        for (pointer, value) in &self.holds {
            let there = inventory.pointer(pointer).unwrap_or(&Value::Null);
            if there != value {
                wrong.push(format!("{pointer} is {there} in place of {value}"));
            }
        }
        let Some(classes) = self.classes else { return };
        let listed = list(&inventory["classes"]);
        if listed != classes {
            wrong.push(format!("it holds `{listed}` in place of `{classes}`"));
        }
        let mut left_out = inventory["left_out"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        // They are listed among those that failed.
        left_out.retain(|group| !group["reason"].to_string().contains("that cannot be read"));
        let count: u64 = left_out
            .iter()
            .filter_map(|group| group["count"].as_u64())
            .sum();
        if count != self.left_out.0 {
            wrong.push(format!(
                "{count} files are left out in place of {}",
                self.left_out.0
            ));
        }
        for words in self.left_out.1 {
            let reasons = || left_out.iter().filter_map(|group| group["reason"].as_str());
            if !reasons().any(|reason| reason.contains(words)) {
                wrong.push(format!("no reason for leaving out says `{words}`"));
            }
        }
    }

    /// What is wrong with the images that are read: the number of a part, or a label that is not what the image shows.
    fn mislabelled(&self, data: &ImageDataset) -> Option<String> {
        let parts = [
            Some(&data.train),
            data.validation.as_ref(),
            Some(&data.test),
        ];
        let [train, validation, test] = parts.map(|part| part.map_or(0, Images::len));
        let there = &data.inventory.parts;
        // Without a test part one is held out.
        let test_alone = there.test.min(test);
        if (train + test, validation, test_alone)
            != (there.train + there.test, there.validation, there.test)
        {
            return Some(format!(
                "{train}, {validation} and {test} images are read, not {there:?}"
            ));
        }
        let by_name = |name: &str| NAMES.iter().position(|known| *known == name);
        for images in parts.into_iter().flatten() {
            for i in 0..images.len() {
                let name = &data.label_names[images.labels[i] as usize];
                let expected = self.bars.map_or_else(|| by_name(name), |bars| bars(name));
                let there = bar_of(images, i);
                if expected != Some(there) {
                    return Some(format!(
                        "an image of `{name}` has the bar {there}, not {expected:?}"
                    ));
                }
            }
        }
        None
    }
}

/// The classes of an inventory in one line.
fn list(classes: &Value) -> String {
    let one = |class: &Value| {
        let count = |part: &str| class[part].as_u64().unwrap_or_default();
        let name = class["name"].as_str().unwrap_or_default();
        format!(
            "{name} {}/{}/{}",
            count("train"),
            count("validation"),
            count("test")
        )
    };
    let classes: Vec<String> = classes.as_array().into_iter().flatten().map(one).collect();
    classes.join(", ")
}
