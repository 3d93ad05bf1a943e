//! The classes of the sets in IDX files.

use std::{collections::BTreeMap, io::Read, path::Path};

use super::malformed;
use crate::data::{DataError, ImageShape, classes, input, parts::Parts};

/// Kuzushiji-MNIST: the readings of its ten signs.
const KMNIST: [&str; 10] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"];

/// The names that the words of a set or a folder say; an empty list where they say digits.
fn said(name: &str) -> Option<&'static [&'static str]> {
    let name = name.to_lowercase();
    if name.contains("fashion") || name.contains("fmnist") {
        Some(&classes::FASHION)
    } else if name.contains("kmnist") || name.contains("kuzushiji") {
        Some(&KMNIST)
    } else {
        name.contains("mnist").then_some(&[])
    }
}

/// All of these sets are of grey images of this height and width.
const SIDE: usize = 28;

fn are_of_size(parts: &Parts) -> bool {
    let mut all = [&parts.train, &parts.validation, &parts.test]
        .into_iter()
        .flatten();
    all.all(|images| images.shape() == ImageShape::new(SIDE, SIDE, 1))
}

/// The classes of a set of this name, where its images can be those; an empty list where they are digits.
pub(in crate::data::readers) fn of_set(
    set: &str,
    parts: &Parts,
) -> Option<&'static [&'static str]> {
    said(set).filter(|_| are_of_size(parts))
}

/// The classes that the nearest folder says which names a known set.
pub(super) fn of_folder(file: &Path, parts: &Parts) -> Option<&'static [&'static str]> {
    let mut names = file.ancestors();
    names.find_map(|path| of_set(&path.file_name()?.to_string_lossy(), parts))
}

/// EMNIST's table of classes: labels, not always from 0, and what each means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mapping(BTreeMap<u32, String>);

impl Mapping {
    /// Reads `emnist-letters-mapping.txt`: a line for each label with the label and the code points of its characters,
    /// of which the first is the name.
    pub(super) fn parse(path: &Path, content: &mut dyn Read) -> Result<Self, DataError> {
        let bytes = input::read_up_to(content, 1 << 16)
            .map_err(|reason| input::read_failed(path, reason))?;
        let mut names = BTreeMap::new();
        for (at, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
            let mut numbers = line.split_whitespace().map(str::parse::<u32>);
            let (label, name) = match (numbers.next(), numbers.next()) {
                (None, _) => continue,
                (Some(Ok(label)), Some(Ok(code))) if char::from_u32(code).is_some() => (
                    label,
                    char::from_u32(code).map(String::from).unwrap_or_default(),
                ),
                _ => {
                    return Err(malformed(
                        path,
                        format!(
                            "line {} is none of a label and a code point; correct it or remove the file",
                            at + 1
                        ),
                    ));
                }
            };
            let taken = names.values().any(|before| *before == name);
            if taken || names.insert(label, name).is_some() {
                return Err(malformed(
                    path,
                    format!(
                        "line {} names a label or a character a second time; correct it or remove the file",
                        at + 1
                    ),
                ));
            }
        }
        if names.len() < 2 {
            return Err(malformed(
                path,
                "it names fewer than two classes; correct it or remove it".into(),
            ));
        }
        Ok(Self(names))
    }

    /// The table of a split of EMNIST, by the words of its name.
    pub(super) fn of_emnist(set: &str) -> Option<Self> {
        let mut words = set.split('-');
        if !words.clone().any(|word| word == "emnist") {
            return None;
        }
        let split = words.find(|word| *word != "emnist")?;
        let (first, characters) = match split {
            "digits" | "mnist" => (0, "0123456789".to_owned()),
            "letters" => (1, ('A'..='Z').collect()),
            "balanced" | "bymerge" => (
                0,
                ('0'..='9')
                    .chain('A'..='Z')
                    .chain("abdefghnqrt".chars())
                    .collect(),
            ),
            "byclass" => (0, ('0'..='9').chain('A'..='Z').chain('a'..='z').collect()),
            _ => return None,
        };
        let names = characters.chars().map(String::from);
        Some(Self((first..).zip(names).collect()))
    }

    /// Renumbers labels by their place in the table.
    pub(super) fn apply(&self, path: &Path, labels: &mut [u32]) -> Result<(), DataError> {
        let places: BTreeMap<u32, u32> = self.0.keys().copied().zip(0..).collect();
        for (index, label) in labels.iter_mut().enumerate() {
            *label = *places.get(label).ok_or_else(|| {
                malformed(
                    path,
                    format!(
                        "example {index} has the label {label}, which the table of classes lacks; take all files from one source"
                    ),
                )
            })?;
        }
        Ok(())
    }

    pub(super) fn names(self) -> Vec<String> {
        self.0.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Images;

    fn parse(text: &str) -> Result<Mapping, String> {
        Mapping::parse(Path::new("m.txt"), &mut text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn tables_name_and_renumber() {
        let mut lines = String::new();
        for i in 0..26 {
            lines += &format!("{} {} {}\n", i + 1, 65 + i, 97 + i);
        }
        let letters = parse(&lines).unwrap();
        assert_eq!(letters, Mapping::of_emnist("emnist-letters").unwrap());
        let mut labels = [1, 26, 3];
        letters.apply(Path::new("l"), &mut labels).unwrap();
        assert_eq!(labels, [0, 25, 2]);
        assert!(letters.apply(Path::new("l"), &mut [0]).is_err());
        assert_eq!(letters.names()[2], "C");
        for (set, count, last) in [
            ("emnist-digits", 10, "9"),
            ("emnist-mnist", 10, "9"),
            ("emnist-balanced", 47, "t"),
            ("emnist-bymerge", 47, "t"),
            ("emnist-byclass", 62, "z"),
        ] {
            let names = Mapping::of_emnist(set).unwrap().names();
            assert_eq!((names.len(), names[count - 1].as_str()), (count, last));
        }
        assert_eq!(Mapping::of_emnist("emnist"), None);
        assert_eq!(Mapping::of_emnist("qmnist"), None);
    }

    #[test]
    fn broken_tables_name_the_line() {
        for (text, said) in [
            ("0 48\n1\n", "line 2"),
            ("0 48\nx 49\n", "line 2"),
            ("0 48\n1 48\n", "line 2 names"),
            ("0 48\n0 49\n", "line 2 names"),
            ("0 55296\n", "line 1"),
            ("0 48\n\n", "fewer than two"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn the_nearest_name_of_a_set_decides() {
        for (path, first) in [
            (
                "/d/FashionMNIST/raw/train-images-idx3-ubyte",
                Some("t-shirt"),
            ),
            ("/d/fashion/a.gz", Some("t-shirt")),
            ("/fashion/KMNIST/raw/a", Some("o")),
            ("/fashion/MNIST/raw/a", Some("")),
            ("/fashion/qmnist-train-images-idx3-ubyte", Some("")),
            ("/data/a", None),
        ] {
            let names = of_folder(Path::new(path), &Parts::default());
            assert_eq!(
                names.map(|names| names.first().copied().unwrap_or("")),
                first,
                "{path}"
            );
        }
    }

    #[test]
    fn images_of_another_size_are_of_another_set() {
        for (height, width, channels, known) in
            [(28, 28, 1, true), (32, 32, 1, false), (28, 28, 3, false)]
        {
            let parts = Parts {
                train: Some(Images::empty(ImageShape::new(height, width, channels))),
                ..Parts::default()
            };
            let file = Path::new("/fashion/train-images-idx3-ubyte");
            assert_eq!(of_folder(file, &parts).is_some(), known);
            assert_eq!(of_set("kmnist", &parts).is_some(), known);
        }
    }
}
