//! What the images of a parquet file are, by their headers.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use super::{
    File, Found, Row,
    labels::Label,
    malformed,
    shard::{Picture, Shard, unequal},
};
use crate::data::{
    DataError, SkippedFile,
    decode::{self, Header, header},
    inventory::{ClassInventory, Inventory, SizeCount, shown, shown_path},
    splits::Split,
};

/// How many sizes are listed.
const SIZES: usize = 10;

/// What the images of all files are.
#[derive(Default)]
pub(super) struct Counts {
    sizes: BTreeMap<(usize, usize), usize>,
    colour: usize,
    multi_frame: usize,
    read: BTreeMap<(Split, u32), usize>,
    /// Of each class of each part how many cannot be read, and why the first.
    failed: BTreeMap<(Split, u32), (usize, String)>,
}

impl Counts {
    fn add(&mut self, split: Split, class: u32, header: Header) {
        *self.sizes.entry((header.height, header.width)).or_default() += 1;
        self.colour += usize::from(header.channels > 1);
        self.multi_frame += usize::from(header.multi_frame);
        *self.read.entry((split, class)).or_default() += 1;
    }

    /// # Errors
    /// A class of which no image can be read.
    pub(super) fn check(&self, path: &Path, names: &[String]) -> Result<(), DataError> {
        let lost = self
            .failed
            .iter()
            .find(|(key, _)| !self.read.contains_key(key));
        let (Some(((split, class), (count, reason))), false) = (lost, self.read.is_empty()) else {
            return Ok(());
        };
        Err(malformed(
            path,
            format!(
                "none of {count} images of the class `{}` in its {} part can be read: {reason}; or take the rows of this \
                 class out",
                shown(names.get(*class as usize).map_or("", String::as_str)),
                split.name()
            ),
        ))
    }

    /// Writes the counts into the inventory.
    pub(super) fn fill(&self, names: &[String], inventory: &mut Inventory) {
        inventory.classes = names
            .iter()
            .map(|name| ClassInventory {
                name: name.clone(),
                ..ClassInventory::default()
            })
            .collect();
        for (&(split, class), &count) in &self.read {
            inventory.parts.add(split, count);
            if let Some(class) = inventory.classes.get_mut(class as usize) {
                class.parts.add(split, count);
            }
        }
        inventory.colour = self.colour;
        inventory.multi_frame = self.multi_frame;
        inventory.distinct_sizes = self.sizes.len();
        inventory.sizes = self
            .sizes
            .iter()
            .map(|(&(height, width), &images)| SizeCount {
                height,
                width,
                images,
            })
            .collect();
        inventory.sizes.sort_by_key(|size| Reverse(size.images));
        inventory.sizes.truncate(SIZES);
    }
}

/// The one path of a file, however it is named; as it is where that cannot be told.
pub(super) fn whole(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.into())
}

/// Where the image of a row lies.
pub(super) enum Place {
    Bytes(::parquet::data_type::ByteArray),
    File(PathBuf),
}

impl Place {
    /// The image of a row of the file `path`: its bytes, or the file that it names, beside `path` or at its absolute
    /// path; the path as it is named where nothing stands there.
    pub(super) fn of(path: &Path, picture: Picture) -> Option<Result<Self, String>> {
        match picture {
            Picture::Missing => None,
            Picture::Bytes(bytes) => Some(Ok(Self::Bytes(bytes))),
            Picture::Path(named) => {
                // An absolute path stays what it is.
                let at = path.parent().unwrap_or(Path::new("")).join(&named);
                Some(if at.is_file() {
                    Ok(Self::File(at))
                } else {
                    Err(named)
                })
            }
        }
    }

    /// Hands the content to `work`.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&[u8]) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        match self {
            Self::Bytes(bytes) => work(bytes.data()),
            Self::File(file) => work(&decode::read_file(file)?),
        }
    }
}

/// Rows that are not read, each run of them for one reason.
struct Skips<'a> {
    path: &'a Path,
    open: Option<(usize, usize, &'static str)>,
    skipped: Vec<SkippedFile>,
}

impl Skips<'_> {
    /// Notes that `row`, none before an earlier one, has no image or no label.
    fn add(&mut self, row: usize, lacks: &'static str) {
        match &mut self.open {
            Some((_, last, reason)) if *last + 1 == row && *reason == lacks => *last = row,
            _ => {
                self.close();
                self.open = Some((row, row, lacks));
            }
        }
    }

    fn close(&mut self) {
        if let Some((first, last, lacks)) = self.open.take() {
            let rows = if first == last {
                format!("row {first}")
            } else {
                format!("rows {first} to {last}")
            };
            let verb = if first == last { "has" } else { "have" };
            self.skipped.push(SkippedFile {
                path: self.path.join(&rows),
                reason: format!(
                    "{rows} of `{}` {verb} no {lacks} (null); add it or take the row out",
                    self.path.display()
                ),
            });
        }
    }

    fn failed(&mut self, row: usize, reason: String) {
        self.close();
        self.skipped.push(SkippedFile {
            path: self.path.join(format!("row {row}")),
            reason,
        });
    }
}

/// Looks at the headers of the images of a file, and gives what each row is read as.
///
/// # Errors
/// When the file is damaged, or holds no images but the paths of another machine.
pub(super) fn scan(
    file: &File,
    labels: &[Label],
    splits: &[Option<Split>],
    counts: &mut Counts,
    found: &mut Found,
) -> Result<Vec<Row>, DataError> {
    let Some(image) = &file.columns.image else {
        return Ok(Vec::new());
    };
    let path = &file.source.path;
    let shard = Shard::open(&file.source)?;
    let mut rows = Vec::with_capacity(labels.len());
    let mut skips = Skips {
        path,
        open: None,
        skipped: Vec::new(),
    };
    let mut lost: Option<(usize, String)> = None;
    let mut any = false;
    shard.pictures(image, &mut |first, pictures| {
        if first + pictures.len() > labels.len() {
            return Err(unequal(path));
        }
        let places: Vec<_> = pictures
            .into_iter()
            .zip(first..)
            .map(|(picture, row)| {
                let wanted = splits[row].is_some() && labels[row] != Label::Unlabelled;
                wanted.then(|| Place::of(path, picture))
            })
            .collect();
        let headers: Vec<Option<Result<Header, DataError>>> = places
            .par_iter()
            .zip(first..first + places.len())
            .map(|(place, row)| match place {
                Some(Some(Ok(place))) => {
                    Some(place.with(|bytes| header(&path.join(format!("row {row}")), bytes)))
                }
                _ => None,
            })
            .collect();
        for ((place, header), row) in places.into_iter().zip(headers).zip(first..) {
            let mut read = Row {
                class: 0,
                split: None,
            };
            if let (Some(place), Some(split)) = (place, splits[row]) {
                let class = match labels[row] {
                    Label::Class(class) => Some(class),
                    Label::Missing | Label::Unlabelled => None,
                };
                let mut fail = |class: Option<u32>, reason: &dyn Fn() -> String| {
                    if let Some(class) = class {
                        let entry = counts.failed.entry((split, class));
                        entry.or_insert_with(|| (0, reason())).0 += 1;
                    }
                };
                match (place, header, class) {
                    (None, _, class) => {
                        fail(class, &|| format!("row {row} has no image"));
                        skips.add(row, "image");
                    }
                    (Some(_), _, None) => skips.add(row, "label"),
                    (Some(Err(named)), _, class) => {
                        let named = shown_path(&named);
                        let reason = format!(
                            "row {row} of `{}` has no image, only the path `{named}`, where there is none; put the image \
                             there or take the row out",
                            path.display()
                        );
                        fail(class, &|| reason.clone());
                        lost.get_or_insert((0, named)).0 += 1;
                        skips.failed(row, reason);
                    }
                    (Some(Ok(place)), Some(Ok(header)), Some(class)) => {
                        if let Place::File(image) = place {
                            found.images.insert(whole(&image));
                        }
                        any = true;
                        counts.add(split, class, header);
                        read = Row {
                            class,
                            split: Some(split),
                        };
                    }
                    (Some(Ok(_)), header, class) => {
                        any = true;
                        if let Some(Err(error)) = header {
                            fail(class, &|| error.to_string());
                            skips.failed(row, error.to_string());
                        }
                    }
                }
            }
            rows.push(read);
        }
        Ok(())
    })?;
    if rows.len() != labels.len() {
        return Err(unequal(path));
    }
    skips.close();
    match lost {
        Some((count, named)) if !any => Err(malformed(
            path,
            format!(
                "it holds no images, only the paths of {count}, as `{named}`, where there is none; give the folder of \
                 images itself, or write their bytes where they lie: \
                 `ds.with_format(\"arrow\").map(datasets.table.embed_table_storage, batched=True).to_parquet(…)`"
            ),
        )),
        _ => {
            found.skipped.append(&mut skips.skipped);
            Ok(rows)
        }
    }
}
