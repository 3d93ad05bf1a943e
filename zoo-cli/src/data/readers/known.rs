//! Formats that are known and not read: each has a sentence of its own with the next step, in place of a wrong reading
//! (pictures for detection have no classes in their folders) or of "none of the known datasets".

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

use super::{Survey, beside, numpy::SAVE};
use crate::data::{DataError, input, sniff::Kind, splits, store::Store, walk};

pub(in crate::data) mod pixel_table;

/// As much of a file of annotations is looked at.
const LOOKED_AT: u64 = 1 << 20;

fn malformed(path: &Path, problem: String) -> DataError {
    DataError::Malformed {
        path: path.into(),
        format: "a dataset to classify",
        problem,
    }
}

/// The name of a file up to its first dot, which the files of one example share.
fn key(file: &Path) -> Option<PathBuf> {
    let name = file.file_name()?.to_str()?;
    Some(file.with_file_name(name.split('.').next()?))
}

/// Refuses pictures whose classes are told by files beside them: those of detection, and WebDataset's.
pub(super) fn annotated<'a>(
    store: &'a Store,
    path: &'a Path,
) -> Result<Option<Survey<'a>>, DataError> {
    let with = |wanted: &str| -> Vec<usize> {
        (0..store.members().len())
            .filter(|&member| beside::has_extension(&store.members()[member], wanted))
            .collect()
    };
    let (json, xml, txt, cls) = (with("json"), with("xml"), with("txt"), with("cls"));
    let lines = with("jsonl");
    if [&json, &xml, &txt, &cls, &lines]
        .iter()
        .all(|found| found.is_empty())
    {
        return Ok(None);
    }
    let pictures: Vec<&PathBuf> = store
        .members()
        .iter()
        .filter(|file| walk::has_image_name(file))
        .collect();
    if pictures.is_empty() {
        return Ok(None);
    }
    let keys: HashSet<PathBuf> = pictures.iter().filter_map(|file| key(file)).collect();
    let describes =
        |member: &usize| key(&store.members()[*member]).is_some_and(|key| keys.contains(&key));
    let shard = |label: usize, does: &str| {
        malformed(
            path,
            format!(
                "it is a shard of a WebDataset (`{}` {does} the image beside it); write its images to folders named by their classes, or to parquet",
                store.members()[label].display()
            ),
        )
    };
    if let Some(&label) = cls.iter().find(|member| describes(member)) {
        return Err(shard(label, "labels"));
    }
    // Class folders stay class folders, whatever boxes are drawn in their images (as those of ImageNet).
    if pictures.iter().any(|file| is_class(file)) {
        return Ok(None);
    }
    let stems = Stems::of(&pictures);
    let found = match coco(store, &json)? {
        Some(member) => Some((member, "COCO")),
        None => match voc(store, &xml, &stems)? {
            Some(member) => Some((member, "Pascal VOC")),
            None => yolo(store, &txt, &stems)?.map(|member| (member, "YOLO")),
        },
    };
    match found {
        None => {
            // An image and its description under one name, all in one archive.
            let pairs =
                |files: &[usize]| files.iter().copied().filter(describes).collect::<Vec<_>>();
            let pairs = [pairs(&json), pairs(&txt)];
            let most = pairs.iter().find(|pairs| 2 * pairs.len() >= pictures.len());
            if let (true, Some(&[first, ..])) = (store.is_archive(), most.map(Vec::as_slice)) {
                return Err(shard(first, "describes"));
            }
            let is_metadata = |member: &&usize| {
                let name = store.members()[**member].file_name().unwrap_or_default();
                name == "metadata.jsonl"
            };
            match lines.iter().find(is_metadata) {
                None => Ok(None),
                Some(&member) => Err(malformed(
                    &store.path(member),
                    "it describes the images beside it, and only tables are read; write it as `metadata.csv` in its place, with \
                     the columns `file_name` and `label`"
                        .into(),
                )),
            }
        }
        Some((member, name)) => Err(malformed(
            path,
            format!(
                "`{}` holds boxes around objects ({name}), so it is a dataset for detection, and whole images are classified here; cut the objects out into folders named by their classes",
                store.members()[member].display()
            ),
        )),
    }
}

/// Whether a picture lies in a folder that can be that of a class.
fn is_class(file: &Path) -> bool {
    let folder = file.parent().and_then(Path::file_name);
    folder.is_some_and(|name| {
        let name = name.to_string_lossy();
        !splits::is_no_class(&name) && !name.eq_ignore_ascii_case("JPEGImages")
    })
}

/// The names of the pictures alone: annotations lie in another folder.
struct Stems(HashSet<String>);

impl Stems {
    fn of(pictures: &[&PathBuf]) -> Self {
        let stems = pictures.iter().filter_map(|file| file.file_stem());
        Self(
            stems
                .map(|stem| stem.to_string_lossy().into_owned())
                .collect(),
        )
    }

    /// The first of these files, where at least half of them are named as a picture.
    fn annotated(&self, store: &Store, files: &[usize]) -> Option<usize> {
        let mut of_pictures = files.iter().copied().filter(|&member| {
            let stem = store.members()[member].file_stem().unwrap_or_default();
            self.0.contains(stem.to_string_lossy().as_ref())
        });
        let first = of_pictures.next()?;
        (2 * (1 + of_pictures.count()) >= files.len()).then_some(first)
    }
}

/// The beginning of a file.
fn start(store: &Store, member: usize) -> Result<Vec<u8>, DataError> {
    let mut start = Vec::new();
    store.visit(&[member], &mut |member, content| {
        start = input::read_up_to(content, LOOKED_AT)
            .map_err(|reason| input::read_failed(&store.path(member), reason))?;
        Ok(())
    })?;
    Ok(start)
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part == word)
}

fn coco(store: &Store, files: &[usize]) -> Result<Option<usize>, DataError> {
    for &member in files {
        let name = store.members()[member].to_string_lossy().to_lowercase();
        let named = ["instances", "annotation", "coco"]
            .iter()
            .any(|word| name.contains(word));
        if named {
            let start = start(store, member)?;
            if contains(&start, b"\"images\"") || contains(&start, b"\"bbox\"") {
                return Ok(Some(member));
            }
        }
    }
    Ok(None)
}

fn voc(store: &Store, files: &[usize], stems: &Stems) -> Result<Option<usize>, DataError> {
    let Some(first) = stems.annotated(store, files) else {
        return Ok(None);
    };
    let start = start(store, first)?;
    let is_voc = contains(&start, b"<annotation") && contains(&start, b"<filename");
    Ok(is_voc.then_some(first))
}

/// A line of YOLO is a class and a box, five numbers, or a class and an outline.
fn yolo(store: &Store, files: &[usize], stems: &Stems) -> Result<Option<usize>, DataError> {
    let Some(first) = stems.annotated(store, files) else {
        return Ok(None);
    };
    let start = start(store, first)?;
    let text = String::from_utf8_lossy(&start);
    let mut lines = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .peekable();
    let is_yolo = lines.peek().is_some()
        && lines.all(|line| {
            let numbers: Vec<Option<f64>> = line
                .split_whitespace()
                .map(|word| word.parse().ok())
                .collect();
            numbers.len() >= 5
                && numbers.iter().all(Option::is_some)
                && numbers[1..]
                    .iter()
                    .flatten()
                    .all(|number| (0.0..=1.0).contains(number))
        });
    Ok(is_yolo.then_some(first))
}

/// Refuses what nobody else recognised by its own name; asked last.
pub(super) fn refused<'a>(
    store: &'a Store,
    path: &'a Path,
) -> Result<Option<Survey<'a>>, DataError> {
    if let Some(error) = lone_archive(store, path)? {
        return Err(error);
    }
    if let Some(error) = tables(store, path)? {
        return Err(error);
    }
    // How many there are of each kind, and the first.
    let mut kinds: BTreeMap<Kind, (usize, usize)> = BTreeMap::new();
    for (member, content) in store.contents()?.iter().enumerate() {
        let kind = by_name(&store.members()[member]).unwrap_or(content.kind);
        kinds.entry(kind).or_insert((0, member)).0 += 1;
    }
    let known = kinds
        .into_iter()
        .filter_map(|(kind, (count, first))| Some((count, first, kind, next_step(store, kind)?)));
    match known.max_by_key(|&(count, first, ..)| (count, usize::MAX - first)) {
        Some((_, first, kind, step)) => Err(malformed(
            &store.path(first),
            format!("it is {}; {step}", kind.name()),
        )),
        None => Ok(None),
    }
}

/// What to do with tables: those of pixels, and those of an archive, where a series may be meant.
fn tables(store: &Store, path: &Path) -> Result<Option<DataError>, DataError> {
    let is_table =
        |file: &Path| beside::has_extension(file, "csv") || beside::has_extension(file, "tsv");
    let tables = (0..store.members().len()).filter(|&member| {
        let file = &store.members()[member];
        is_table(file) || beside::has_extension(file, "gz") && is_table(&file.with_extension(""))
    });
    let tables: Vec<usize> = tables.collect();
    for &table in &tables {
        let file = store.path(table);
        let place = (!store.is_archive()).then_some(file.as_path());
        if let Some(problem) = pixel_table::refusal(&start(store, table)?, place) {
            return Ok(Some(malformed(&file, problem)));
        }
    }
    Ok(tables.first().filter(|_| store.is_archive()).map(|&table| {
        let problem = format!(
            "it holds no images but tables, as `{}`; for a series unpack it and give that file",
            store.members()[table].display()
        );
        malformed(path, problem)
    }))
}

/// What to do with an archive that is all that lies in a folder: it is given itself, where that can be read.
fn lone_archive(store: &Store, path: &Path) -> Result<Option<DataError>, DataError> {
    if store.is_archive() || store.members().len() != 1 || store.path(0) == path {
        return Ok(None);
    }
    // A file of PyTorch is a zip archive too.
    if by_name(&store.members()[0]).is_some() {
        return Ok(None);
    }
    let archive = store.path(0);
    let found = match Store::open(&archive) {
        Ok(inner) if !inner.is_archive() => return Ok(None),
        Ok(inner) => super::survey(&inner, &archive).map(|survey| survey.is_some()),
        Err(error) => Err(error),
    };
    let kind = store.contents()?[0].kind;
    Ok(match found {
        Ok(true) => Some(malformed(
            &archive,
            format!(
                "it is an archive, and its folder was given; give this file, `{}`",
                archive.display()
            ),
        )),
        Ok(false) => Some(malformed(
            &archive,
            "it is an archive that holds none of the data sets that are read; put images into folders named by their \
             classes"
                .into(),
        )),
        // Files that are no archives have sentences of their own.
        Err(_) if kind.next_step().is_some() => None,
        Err(error) => Some(error),
    })
}

/// The kinds that are not told by the first bytes of every file: Arrow's streams, and archives that are PyTorch's.
fn by_name(file: &Path) -> Option<Kind> {
    let name = file.file_name()?.to_str()?.to_lowercase();
    if name.contains(".tfrecord") {
        return Some(Kind::TfRecord);
    }
    let (_, extension) = name.rsplit_once('.')?;
    match extension {
        "pt" | "pth" | "ckpt" => Some(Kind::Torch),
        "arrow" | "feather" => Some(Kind::Arrow),
        _ => None,
    }
}

/// What to do with a kind of file that holds examples and is not read where it lies.
fn next_step(store: &Store, kind: Kind) -> Option<String> {
    let step = match kind {
        Kind::Pickle | Kind::Torch | Kind::Hdf5 | Kind::Mat => {
            return Some(format!("save its arrays with {SAVE} and give that file"));
        }
        Kind::Npy => {
            "name the arrays x_train.npy, y_train.npy, x_test.npy and y_test.npy and give their folder"
        }
        Kind::Arrow => {
            "write it to parquet; where save_to_disk of datasets made it, a Dataset by datasets.load_from_disk(folder).to_parquet(\"train.parquet\"), and each part of a DatasetDict by datasets.load_from_disk(folder)[\"train\"].to_parquet(\"train.parquet\")"
        }
        Kind::TfRecord | Kind::Lmdb | Kind::Sqlite => {
            "write its images to folders named by their classes, or to parquet"
        }
        Kind::SevenZip | Kind::Rar => "unpack it and give its folder",
        Kind::Zip | Kind::Npz | Kind::Tar | Kind::Gzip | Kind::Xz | Kind::Bzip2 | Kind::Zstd
            if store.is_archive() =>
        {
            "unpack the archive around it and give this file"
        }
        Kind::Zip | Kind::Npz | Kind::Tar => "unpack it and give its folder",
        other => other.next_step()?,
    };
    Some(step.to_owned())
}

#[cfg(test)]
mod tests;
