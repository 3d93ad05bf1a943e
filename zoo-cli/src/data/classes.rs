//! The names of classes: how they are matched, and those of the well-known datasets, by label.

use std::collections::{BTreeMap, BTreeSet};

use unicode_normalization::UnicodeNormalization;

use super::{inventory::shown, splits::Split};

/// CIFAR-10.
pub(crate) const CIFAR10: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// CIFAR-100, the fine labels.
pub(crate) const CIFAR100: [&str; 100] = [
    "apple",
    "aquarium_fish",
    "baby",
    "bear",
    "beaver",
    "bed",
    "bee",
    "beetle",
    "bicycle",
    "bottle",
    "bowl",
    "boy",
    "bridge",
    "bus",
    "butterfly",
    "camel",
    "can",
    "castle",
    "caterpillar",
    "cattle",
    "chair",
    "chimpanzee",
    "clock",
    "cloud",
    "cockroach",
    "couch",
    "crab",
    "crocodile",
    "cup",
    "dinosaur",
    "dolphin",
    "elephant",
    "flatfish",
    "forest",
    "fox",
    "girl",
    "hamster",
    "house",
    "kangaroo",
    "keyboard",
    "lamp",
    "lawn_mower",
    "leopard",
    "lion",
    "lizard",
    "lobster",
    "man",
    "maple_tree",
    "motorcycle",
    "mountain",
    "mouse",
    "mushroom",
    "oak_tree",
    "orange",
    "orchid",
    "otter",
    "palm_tree",
    "pear",
    "pickup_truck",
    "pine_tree",
    "plain",
    "plate",
    "poppy",
    "porcupine",
    "possum",
    "rabbit",
    "raccoon",
    "ray",
    "road",
    "rocket",
    "rose",
    "sea",
    "seal",
    "shark",
    "shrew",
    "skunk",
    "skyscraper",
    "snail",
    "snake",
    "spider",
    "squirrel",
    "streetcar",
    "sunflower",
    "sweet_pepper",
    "table",
    "tank",
    "telephone",
    "television",
    "tiger",
    "tractor",
    "train",
    "trout",
    "tulip",
    "turtle",
    "wardrobe",
    "whale",
    "willow_tree",
    "wolf",
    "woman",
    "worm",
];

/// Fashion-MNIST.
pub(crate) const FASHION: [&str; 10] = [
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
];

/// These names as strings.
pub(crate) fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// `0`, `1`, … for classes without names.
pub(crate) fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|label| label.to_string()).collect()
}

/// A class by its name: the composed and the decomposed form of a character are one.
pub(crate) fn normal(name: &str) -> String {
    if name.is_ascii() {
        return name.to_owned();
    }
    name.nfc().collect()
}

/// The position of the class `name` among `names`.
pub(crate) fn position(names: &[String], name: &str) -> Option<usize> {
    names.iter().position(|known| known == name).or_else(|| {
        let name = normal(name);
        names.iter().position(|known| normal(known) == name)
    })
}

/// All classes of these (part, class) pairs by name, sorted. What only a later part has, training cannot learn.
///
/// # Errors
/// What is wrong and what to do: a class that the training part lacks, or a single class.
pub(crate) fn of_parts<'n>(
    named: impl Iterator<Item = (Split, &'n str)>,
) -> Result<BTreeSet<&'n str>, String> {
    let mut parts: BTreeMap<Split, BTreeSet<&str>> = BTreeMap::new();
    for (split, class) in named {
        parts.entry(split).or_default().insert(class);
    }
    let all: BTreeSet<&str> = parts.values().flatten().copied().collect();
    if let Some(train) = parts.get(&Split::Train) {
        let lacking = parts.iter().find_map(|(split, classes)| {
            let class = classes.difference(train).next()?;
            Some((*split, *class))
        });
        if let Some((split, class)) = lacking {
            let similar = train
                .iter()
                .find(|known| known.to_lowercase() == class.to_lowercase());
            return Err(match similar {
                Some(similar) => format!(
                    "its {} part has the class `{}`, which its training part calls `{}`; give both one name",
                    split.name(),
                    shown(class),
                    shown(similar)
                ),
                None => format!(
                    "its {} part has the class `{}` that its training part lacks; add training images of it, or move \
                     it out of the data set",
                    split.name(),
                    shown(class)
                ),
            });
        }
    }
    match all.first() {
        Some(class) if all.len() == 1 => Err(format!(
            "it has the one class `{}`; add images of another class",
            shown(class)
        )),
        _ => Ok(all),
    }
}

/// A name that holds several, as `cat;dog`, and what stands between or around them. A comma, a space and the like count
/// where each of what they separate is a name of its own.
pub(crate) fn several_in_one<'n>(names: &BTreeSet<&'n str>) -> Option<(&'n str, char)> {
    let holds = |name: &str, between: char| {
        let parts = name
            .split(between)
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let parts: Vec<&str> = parts.collect();
        match between {
            '[' => name.starts_with('[') && name.ends_with(']'),
            ';' | '|' => parts.len() > 1,
            _ => parts.len() > 1 && parts.iter().all(|part| names.contains(part)),
        }
    };
    let all = ['[', ';', '|', ',', '/', '+', '&', ' '];
    let mut found = names
        .iter()
        .flat_map(|name| all.map(|between| (*name, between)));
    found.find(|(name, between)| holds(name, *between))
}

/// A sentence on two classes whose names differ in case only.
pub(crate) fn note_on_case(names: &[String]) -> Option<String> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    names.iter().find_map(|name| {
        let other = seen.insert(name.to_lowercase(), name)?;
        Some(format!(
            "the classes `{}` and `{}` differ in upper and lower case only; they are two classes",
            shown(other),
            shown(name)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hold_several_are_known() {
        for (names, expected) in [
            (&["cat;dog", "cow"][..], Some(("cat;dog", ';'))),
            (&["cat|dog"], Some(("cat|dog", '|'))),
            (&["['cat', 'dog']"], Some(("['cat', 'dog']", '['))),
            (&["cat", "cat, dog", "dog"], Some(("cat, dog", ','))),
            (&["scab", "rust scab", "rust"], Some(("rust scab", ' '))),
            (&["cat, tabby", "dog, hound"], None),
            (&["hot dog", "dog"], None),
            (&["cat;", ";", "|", "a", "+", " "], None),
            (&["1", "2"], None),
        ] {
            assert_eq!(
                several_in_one(&names.iter().copied().collect()),
                expected,
                "{names:?}"
            );
        }
    }

    #[test]
    fn composed_and_decomposed_names_are_one() {
        assert_eq!(normal("cafe\u{301}"), "caf\u{e9}");
        let names = ["a", "cafe\u{301}"].map(String::from);
        assert_eq!(position(&names, "caf\u{e9}"), Some(1));
        assert_eq!(position(&names, "cafe"), None);
    }

    #[test]
    fn parts_are_matched_by_name() {
        use Split::{Test, Train, Validation};
        let of = |pairs: &[(Split, &'static str)]| {
            of_parts(pairs.iter().copied()).map(|all| all.into_iter().collect::<Vec<_>>())
        };
        let train = [(Train, "dog"), (Train, "cat")];
        assert_eq!(of(&train).unwrap(), ["cat", "dog"]);
        assert_eq!(
            of(&[&train[..], &[(Test, "dog")]].concat()).unwrap(),
            ["cat", "dog"]
        );
        assert_eq!(of(&[(Test, "x"), (Validation, "y")]).unwrap(), ["x", "y"]);
        for (more, said) in [
            ((Test, "owl"), "its test part has the class `owl` that"),
            (
                (Validation, "owl"),
                "its validation part has the class `owl` that",
            ),
            ((Test, "Cat"), "`Cat`, which its training part calls `cat`"),
        ] {
            let error = of(&[&train[..], &[more]].concat()).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        assert!(
            of(&[(Train, "cat")])
                .unwrap_err()
                .contains("the one class `cat`")
        );
    }

    #[test]
    fn names_that_differ_in_case_are_noted() {
        let of = |names: &[&str]| note_on_case(&named(names));
        assert!(of(&["Cat", "cat"]).unwrap().contains("`Cat` and `cat`"));
        assert_eq!(of(&["cat", "dog"]), None);
    }
}
