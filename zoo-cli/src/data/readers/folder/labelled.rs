//! Image files with a class and a part each: their inventory, and their pixels.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Mutex,
};

use models::preprocessor::Preprocessor;

use crate::data::{
    DataError, ImageShape, Images, SkippedFile, classes, decode,
    inventory::{ClassInventory, Inventory, SizeCount, count, shown},
    parts::Parts,
    readers::Survey,
    splits::Split,
    store::{Content, Store},
};

/// How many sizes an inventory names.
const SIZES: usize = 10;

/// Whether a file is an image by its content, or should be one by its name.
pub(in crate::data::readers) fn is_image(content: &Content) -> bool {
    content.header.is_some()
}

/// The files of a dataset: those of the store that was given, or of one that was opened for it.
pub(in crate::data::readers) enum Files<'a> {
    Given(&'a Store),
    Opened(Box<Store>),
}

impl Files<'_> {
    pub(in crate::data::readers) fn store(&self) -> &Store {
        match self {
            Self::Given(store) => store,
            Self::Opened(store) => store,
        }
    }
}

/// One image file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::data::readers) struct Example {
    pub(in crate::data::readers) member: usize,
    pub(in crate::data::readers) split: Split,
    /// Its class by name.
    pub(in crate::data::readers) class: String,
}

/// What a reader found out about the files of a store.
pub(in crate::data::readers) struct Labelled<'a> {
    /// The format with its article.
    pub(in crate::data::readers) format: &'static str,
    pub(in crate::data::readers) files: Files<'a>,
    pub(in crate::data::readers) examples: Vec<Example>,
    /// The classes are numbers and stand in the order of these.
    pub(in crate::data::readers) by_number: bool,
    /// Members that are not read, and why.
    pub(in crate::data::readers) left_out: Vec<(String, usize)>,
    pub(in crate::data::readers) notes: Vec<String>,
    /// What is named and is not there.
    pub(in crate::data::readers) failed: Vec<SkippedFile>,
}

impl<'a> Labelled<'a> {
    /// The survey of these files; `path` is where the dataset lies.
    ///
    /// # Errors
    /// When the classes of the parts do not fit together, and when nothing of a class can be read.
    pub(in crate::data::readers) fn survey(
        mut self,
        path: &'a Path,
    ) -> Result<Survey<'a>, DataError> {
        let format = self.format;
        let malformed = move |problem| DataError::Malformed {
            path: path.into(),
            format,
            problem,
        };
        self.examples.sort_by_key(|example| example.member);
        let named = self
            .examples
            .iter()
            .map(|example| (example.split, example.class.as_str()));
        let mut names: Vec<String> = classes::of_parts(named)
            .map_err(malformed)?
            .into_iter()
            .map(str::to_owned)
            .collect();
        if self.by_number {
            names.sort_by_key(|name| name.parse::<i64>().unwrap_or_default());
        }
        let labels: BTreeMap<&str, u32> = names
            .iter()
            .zip(0u32..)
            .map(|(name, label)| (name.as_str(), label))
            .collect();
        let rows: Vec<Row> = self
            .examples
            .iter()
            .map(|example| Row {
                member: example.member,
                split: example.split,
                label: labels.get(example.class.as_str()).copied().unwrap_or(0),
            })
            .collect();
        self.notes.extend(classes::note_on_case(&names));
        let mut failed: Vec<SkippedFile> = self.files.store().failed().to_vec();
        failed.append(&mut self.failed);
        let contents = self.files.store().contents()?;
        let inventory = self.inventory(contents, &rows, &names).map_err(malformed)?;
        let store = self.files.store();
        let unreadable = rows
            .iter()
            .filter_map(|row| match &contents[row.member].header {
                Some(Err(reason)) => Some(SkippedFile {
                    path: store.path(row.member),
                    reason: reason.clone(),
                }),
                _ => None,
            });
        let known = failed.iter().cloned().chain(unreadable).collect();
        let files = self.files;
        Ok(Survey {
            inventory,
            failed: known,
            load: Box::new(move |to| {
                load(files.store(), rows, names, failed, to).map_err(|error| match error {
                    Failure::Class(problem) => malformed(problem),
                    Failure::Data(error) => error,
                })
            }),
        })
    }

    /// What lies there, by the headers of the files.
    fn inventory(
        &self,
        contents: &[Content],
        rows: &[Row],
        names: &[String],
    ) -> Result<Inventory, String> {
        let store = self.files.store();
        let mut inventory = Inventory {
            format: self.format.into(),
            classes: names
                .iter()
                .map(|name| ClassInventory {
                    name: name.clone(),
                    ..ClassInventory::default()
                })
                .collect(),
            notes: self.notes.clone(),
            ..Inventory::default()
        };
        let mut sizes: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let mut unread = Unread::default();
        for row in rows {
            let content = &contents[row.member];
            match &content.header {
                Some(Ok(header)) => {
                    *sizes.entry((header.height, header.width)).or_default() += 1;
                    inventory.colour += usize::from(header.channels > 1);
                    inventory.multi_frame += usize::from(header.multi_frame);
                }
                Some(Err(reason)) => {
                    unread.add(row, || reason.clone());
                    continue;
                }
                None => {}
            }
            unread.read(row);
            inventory.parts.add(row.split, 1);
            if let Some(class) = inventory.classes.get_mut(row.label as usize) {
                class.parts.add(row.split, 1);
            }
        }
        unread.check(names)?;
        inventory.distinct_sizes = sizes.len();
        inventory.sizes = sizes
            .into_iter()
            .map(|((height, width), images)| SizeCount {
                height,
                width,
                images,
            })
            .collect();
        inventory
            .sizes
            .sort_by_key(|size| std::cmp::Reverse(size.images));
        inventory.sizes.truncate(SIZES);

        for (reason, member) in &self.left_out {
            let file = store.members()[*member].display().to_string();
            inventory.leave_out(reason.as_str(), file);
        }
        for (reason, file) in store.left_out() {
            inventory.leave_out(reason.as_str(), file.display().to_string());
        }
        Ok(inventory)
    }
}

/// The members besides `images` that hold something else, and why they are not read.
pub(in crate::data::readers) fn others(
    members: &[PathBuf],
    others: impl Iterator<Item = usize>,
) -> Vec<(String, usize)> {
    others
        .map(|member| {
            let extension = members[member].extension().map(OsStr::to_string_lossy);
            let reason = match extension {
                Some(extension) => format!("`.{}` that are no images", shown(&extension)),
                None => "that are no images".into(),
            };
            (reason, member)
        })
        .collect()
}

/// One file to decode.
struct Row {
    member: usize,
    split: Split,
    label: u32,
}

/// The images of each class of each part that could not be read, and how many could.
#[derive(Default)]
struct Unread {
    read: BTreeSet<(Split, u32)>,
    failed: BTreeMap<(Split, u32), (usize, String)>,
}

impl Unread {
    fn add(&mut self, row: &Row, reason: impl FnOnce() -> String) {
        let entry = self.failed.entry((row.split, row.label));
        entry.or_insert_with(|| (0, reason())).0 += 1;
    }

    fn read(&mut self, row: &Row) {
        self.read.insert((row.split, row.label));
    }

    /// # Errors
    /// The first class of which nothing was read, and why.
    fn check(&self, names: &[String]) -> Result<(), String> {
        let lost = self.failed.iter().find(|(key, _)| !self.read.contains(key));
        let Some(((split, label), (files, reason))) = lost else {
            return Ok(());
        };
        let class = names.get(*label as usize).map_or("", String::as_str);
        Err(format!(
            "none of the {} of the class `{}` in its {} part can be read: {reason}; or move the class out of the data set",
            count(*files, "image"),
            shown(class),
            split.name(),
        ))
    }
}

enum Failure {
    /// Nothing of a class can be read.
    Class(String),
    Data(DataError),
}

/// Decodes all files into their parts.
fn load(
    store: &Store,
    rows: Vec<Row>,
    names: Vec<String>,
    failed: Vec<SkippedFile>,
    to: &Preprocessor,
) -> Result<Parts, Failure> {
    let mut parts = Parts {
        skipped: failed,
        ..Parts::default()
    };
    let mut unread = Unread::default();
    for split in [Split::Train, Split::Validation, Split::Test] {
        let chosen: Vec<&Row> = rows.iter().filter(|row| row.split == split).collect();
        if chosen.is_empty() {
            continue;
        }
        let (images, failures) = decode_all(store, &chosen, to).map_err(Failure::Data)?;
        let mut failures = failures.into_iter().peekable();
        for (slot, row) in chosen.iter().enumerate() {
            match failures.next_if(|(failed, _)| *failed == slot) {
                Some((_, file)) => {
                    unread.add(row, || file.reason.clone());
                    parts.skipped.push(file);
                }
                None => unread.read(row),
            }
        }
        *match split {
            Split::Train => &mut parts.train,
            Split::Validation => &mut parts.validation,
            Split::Test => &mut parts.test,
        } = Some(images);
    }
    unread.check(&names).map_err(Failure::Class)?;
    parts.label_names = names;
    Ok(parts)
}

/// Decodes these images in parallel. What cannot be decoded is left out and listed by its position.
fn decode_all(
    store: &Store,
    rows: &[&Row],
    to: &Preprocessor,
) -> Result<(Images, Vec<(usize, SkippedFile)>), DataError> {
    let shape = ImageShape::new(to.height, to.width, to.channels);
    let mut pixels = vec![0u8; rows.len() * shape.len()];
    let failures = Mutex::new(Vec::new());
    {
        let slots: Vec<Mutex<&mut [u8]>> = pixels
            .chunks_exact_mut(shape.len())
            .map(Mutex::new)
            .collect();
        let wanted: Vec<usize> = rows.iter().map(|row| row.member).collect();
        store.visit_images(&wanted, &|member, bytes| {
            let path = store.path(member);
            let decoded = bytes.and_then(|bytes| decode::preprocess_bytes(&path, &bytes, to));
            // Each member is wanted once, and `wanted` is ascending.
            let Ok(slot) = wanted.binary_search(&member) else {
                return;
            };
            match decoded {
                Ok(decoded) => {
                    if let Ok(mut output) = slots[slot].lock() {
                        output.copy_from_slice(&decoded);
                    }
                }
                Err(error) => {
                    if let Ok(mut failures) = failures.lock() {
                        let reason = error.to_string();
                        failures.push((slot, SkippedFile { path, reason }));
                    }
                }
            }
        })?;
    }
    let mut failures = failures.into_inner().unwrap_or_default();
    failures.sort_by_key(|(slot, _)| *slot);
    let mut images = Images {
        pixels,
        labels: rows.iter().map(|row| row.label).collect(),
        ..Images::empty(shape)
    };
    if !failures.is_empty() {
        let broken: BTreeSet<usize> = failures.iter().map(|(slot, _)| *slot).collect();
        let whole: Vec<usize> = (0..rows.len())
            .filter(|slot| !broken.contains(slot))
            .collect();
        images.keep(&whole);
    }
    Ok((images, failures))
}
