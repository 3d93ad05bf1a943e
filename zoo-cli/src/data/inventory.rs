//! What lies in an image dataset, and what becomes of each part of it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{SkippedFile, parts::Parts, sketch::Sketch, splits::Split};

mod words;

pub(crate) use words::{count, several_frames, shown, shown_path, visible};

/// How many files of a kind are named.
const EXAMPLES: usize = 3;

/// What an image dataset holds and how it is read. Its JSON is documented in `docs/output.md`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// The format with its article, as in `an image folder`.
    pub format: String,
    /// Each class, in the order of its label.
    pub classes: Vec<ClassInventory>,
    /// The images of each part as they lie there, before any is held out.
    pub parts: PartCounts,
    /// Images of the training part that are tested on, where there is no test part.
    #[serde(default)]
    pub held_out: usize,
    /// Sizes as they lie there, the most frequent first, at most ten.
    pub sizes: Vec<SizeCount>,
    /// How many sizes there are.
    pub distinct_sizes: usize,
    /// Images with colour; the others are grey.
    pub colour: usize,
    /// Images with more than one page or frame, of which the first is used.
    #[serde(default)]
    pub multi_frame: usize,
    /// `[height, width, channels]` to which images are brought; none before that is decided.
    pub input: Option<[usize; 3]>,
    /// What is not read, and why.
    pub left_out: Vec<LeftOut>,
    /// Images that lie there more than once; none where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicates: Option<Duplicates>,
    /// What else is to be known, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Some hashes of the training images, once they were read to train on or to test on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sketch: Option<Sketch>,
}

/// One class.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClassInventory {
    /// Its name.
    pub name: String,
    /// Its images in each part.
    #[serde(flatten)]
    pub parts: PartCounts,
}

/// Images in each part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PartCounts {
    /// Learned from.
    pub train: usize,
    /// Watched during training.
    pub validation: usize,
    /// Reported on.
    pub test: usize,
}

impl PartCounts {
    /// All images.
    pub fn total(&self) -> usize {
        self.train + self.validation + self.test
    }

    pub(crate) fn add(&mut self, split: Split, count: usize) {
        match split {
            Split::Train => self.train += count,
            Split::Validation => self.validation += count,
            Split::Test => self.test += count,
        }
    }
}

/// Images of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeCount {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// How many there are.
    pub images: usize,
}

/// Files that are not read for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What they are and why they are left out, as in ``in hidden folders``; it follows a count of files.
    pub reason: String,
    /// How many there are.
    pub count: usize,
    /// The first of them.
    pub examples: Vec<String>,
}

/// Images that lie there more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Duplicates {
    /// `[height, width, channels]` at which images were compared.
    pub compared: [usize; 3],
    /// Images of a part that equal an earlier one of the same part.
    pub within_parts: usize,
    /// Test images that equal a training or validation image.
    pub between_parts: usize,
    /// Further test images that nearly equal a training or validation image.
    pub near: usize,
}

impl Inventory {
    /// Of a dataset whose images are already in memory.
    pub(crate) fn of_parts(format: &'static str, parts: &Parts) -> Self {
        let mut inventory = Self {
            format: format.into(),
            ..Self::default()
        };
        let all = [&parts.train, &parts.validation, &parts.test];
        for images in all.into_iter().flatten() {
            inventory.count_size(images.height, images.width, images.len());
            if images.channels > 1 {
                inventory.colour += images.len();
            }
        }
        inventory.count_classes(parts);
        inventory.distinct_sizes = inventory.sizes.len();
        inventory
    }

    /// Counts the images of each part and class that were read.
    pub(crate) fn count_classes(&mut self, parts: &Parts) {
        let class = |name: &String| ClassInventory {
            name: name.clone(),
            ..ClassInventory::default()
        };
        self.classes = parts.label_names.iter().map(class).collect();
        self.parts = PartCounts::default();
        let all = [
            (Split::Train, &parts.train),
            (Split::Validation, &parts.validation),
            (Split::Test, &parts.test),
        ];
        for (split, images) in all {
            let labels = images.as_ref().map_or(&[][..], |images| &images.labels);
            self.parts.add(split, labels.len());
            for &label in labels {
                if let Some(class) = self.classes.get_mut(label as usize) {
                    class.parts.add(split, 1);
                }
            }
        }
    }

    /// Counts the files below `root` that failed among those that are not read, by their extensions.
    pub(crate) fn leave_out_failed(&mut self, root: &Path, failed: &[SkippedFile]) {
        for SkippedFile { path, .. } in failed {
            let reason = match path.extension() {
                Some(extension) => {
                    format!(
                        "`.{}` that cannot be read",
                        shown(&extension.to_string_lossy())
                    )
                }
                None => "that cannot be read".into(),
            };
            let file = path.strip_prefix(root).unwrap_or(path);
            self.leave_out(reason, file.display().to_string());
        }
    }

    fn count_size(&mut self, height: usize, width: usize, images: usize) {
        let same = |size: &&mut SizeCount| (size.height, size.width) == (height, width);
        match self.sizes.iter_mut().find(same) {
            Some(size) => size.images += images,
            None => self.sizes.push(SizeCount {
                height,
                width,
                images,
            }),
        }
    }

    /// Notes a file that is not read.
    pub(crate) fn leave_out(&mut self, reason: impl Into<String>, file: String) {
        let reason = reason.into();
        let group = match self
            .left_out
            .iter_mut()
            .find(|group| group.reason == reason)
        {
            Some(group) => group,
            None => {
                self.left_out.push(LeftOut {
                    reason,
                    count: 0,
                    examples: Vec::new(),
                });
                let last = self.left_out.len() - 1;
                &mut self.left_out[last]
            }
        };
        group.count += 1;
        if group.examples.len() < EXAMPLES {
            group.examples.push(file);
        }
    }
}

#[cfg(test)]
mod tests;
