//! The binary files of CIFAR-10 and CIFAR-100 (<https://www.cs.toronto.edu/~kriz/cifar.html>), in a folder or
//! an archive.
//!
//! A record of CIFAR-10 is one label byte and 3,072 pixel bytes; of CIFAR-100 a coarse label, a fine label (the
//! one that is used) and the pixels. Pixels are 1,024 red, 1,024 green, 1,024 blue, each 32 rows of 32.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use super::Survey;
use crate::data::{DataError, ImageShape, Images, classes, input, parts::Parts, store::Store};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const PIXELS: usize = 3 * PLANE;

/// No file of either dataset has more records.
const MAX_RECORDS: usize = 50_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Cifar10,
    Cifar100,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Cifar10 => "a CIFAR-10 record file",
            Self::Cifar100 => "a CIFAR-100 record file",
        }
    }

    /// The number of classes of each label byte of a record; the last is the label.
    fn labels(self) -> &'static [usize] {
        match self {
            Self::Cifar10 => &[10],
            Self::Cifar100 => &[20, 100],
        }
    }

    /// The file of class names beside the records, and the names without it.
    fn class_names(self) -> (&'static str, Vec<String>) {
        match self {
            Self::Cifar10 => ("batches.meta.txt", classes::named(&classes::CIFAR10)),
            Self::Cifar100 => ("fine_label_names.txt", classes::named(&classes::CIFAR100)),
        }
    }
}

/// The format of a file of this name, and whether it belongs to the test part.
fn recognise(file: &Path) -> Option<(Format, bool)> {
    let name = file.file_name()?.to_str()?;
    let name = name
        .strip_suffix(".gz")
        .unwrap_or(name)
        .strip_suffix(".bin")?;
    match name {
        "train" => Some((Format::Cifar100, false)),
        "test" => Some((Format::Cifar100, true)),
        "test_batch" => Some((Format::Cifar10, true)),
        _ => name
            .starts_with("data_batch_")
            .then_some((Format::Cifar10, false)),
    }
}

/// Appends the records of one file to `images`, channels last.
fn parse(
    path: &Path,
    reader: &mut dyn Read,
    format: Format,
    images: &mut Images,
) -> Result<(), DataError> {
    let malformed = |problem| DataError::Malformed {
        path: path.into(),
        format: format.name(),
        problem,
    };
    let limits = format.labels();
    let size = limits.len() + PIXELS;
    let mut pixels = [0u8; PIXELS];
    for index in 0.. {
        let record = input::read_up_to(reader, size as u64)
            .map_err(|reason| input::read_failed(path, reason))?;
        if record.is_empty() {
            if index == 0 {
                return Err(DataError::Empty { path: path.into() });
            }
            break;
        }
        if record.len() < size {
            return Err(malformed(format!(
                "after {index} records of {size} bytes come {} more bytes; fetch the file again",
                record.len()
            )));
        }
        if index == MAX_RECORDS {
            return Err(malformed(format!(
                "it holds more than {MAX_RECORDS} records; split it"
            )));
        }
        let (labels, planes) = record.split_at(limits.len());
        for (&label, &classes) in labels.iter().zip(limits) {
            if usize::from(label) >= classes {
                return Err(DataError::Label {
                    path: path.into(),
                    index,
                    label: i64::from(label),
                    classes,
                });
            }
        }
        for (i, pixel) in pixels.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            *pixel = [planes[i], planes[PLANE + i], planes[2 * PLANE + i]];
        }
        images.push(&pixels, u32::from(labels[limits.len() - 1]));
    }
    Ok(())
}

/// What lies in the record files of this store, or nothing where there are none.
pub(super) fn survey<'a>(
    store: &'a Store,
    _path: &'a Path,
) -> Result<Option<Survey<'a>>, DataError> {
    Ok(read(store)?.map(|parts| Survey::of_parts("CIFAR record files", parts)))
}

/// Reads the record files of this store, or nothing where there are none.
///
/// # Errors
/// A file that is empty, ends within a record, holds too many or has a label out of range; files of both datasets.
fn read(store: &Store) -> Result<Option<Parts>, DataError> {
    let files: Vec<(usize, Format, bool)> = store
        .members()
        .iter()
        .enumerate()
        .filter_map(|(member, file)| recognise(file).map(|(format, test)| (member, format, test)))
        .collect();
    let Some(&(first, format, _)) = files.first() else {
        return Ok(None);
    };
    let folder: PathBuf = store.members()[first]
        .parent()
        .unwrap_or(Path::new(""))
        .into();
    if let Some(&(other, ..)) = files.iter().find(|(member, other, _)| {
        *other != format || store.members()[*member].parent() != Some(&folder)
    }) {
        return Err(DataError::Malformed {
            path: store.path(other),
            format: format.name(),
            problem: format!(
                "it stands beside `{}` of another dataset; give one folder of one dataset",
                store.path(first).display()
            ),
        });
    }

    let (names_file, mut label_names) = format.class_names();
    let names_member = store
        .members()
        .iter()
        .position(|file| *file == folder.join(names_file));
    let mut parts = [false, true].map(|test| {
        let count = files.iter().filter(|file| file.2 == test).count();
        (count > 0).then(|| Images::empty(ImageShape::new(SIDE, SIDE, 3)))
    });
    let mut wanted: Vec<usize> = files
        .iter()
        .map(|file| file.0)
        .chain(names_member)
        .collect();
    wanted.sort_unstable();
    // An archive may hold its files in any order; the images keep the order of the files' names.
    let mut blocks: Vec<(usize, Images)> = Vec::new();
    store.visit(&wanted, &mut |member, content| {
        let path = store.path(member);
        if Some(member) == names_member {
            label_names = class_names(&path, content, label_names.len())?;
            return Ok(());
        }
        let mut block = Images::empty(ImageShape::new(SIDE, SIDE, 3));
        parse(&path, content, format, &mut block)?;
        blocks.push((member, block));
        Ok(())
    })?;
    blocks.sort_by_key(|(member, _)| *member);
    for (member, block) in blocks {
        let test = files.iter().any(|file| file.0 == member && file.2);
        if let Some(images) = &mut parts[usize::from(test)] {
            images.append(block);
        }
    }
    let [train, test] = parts;
    Ok(Some(Parts {
        train,
        test,
        label_names,
        ..Parts::default()
    }))
}

/// The names in a `batches.meta.txt`: one a line, empty lines don't count.
fn class_names(
    path: &Path,
    content: &mut dyn Read,
    count: usize,
) -> Result<Vec<String>, DataError> {
    let bytes =
        input::read_up_to(content, 1 << 16).map_err(|reason| input::read_failed(path, reason))?;
    let names: Vec<String> = String::from_utf8_lossy(&bytes)
        .lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    if names.len() == count {
        return Ok(names);
    }
    Err(DataError::Malformed {
        path: path.into(),
        format: "a list of class names",
        problem: format!(
            "it holds {} names for {count} classes; correct it or remove it",
            names.len()
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn record(labels: &[u8], seed: usize) -> Vec<u8> {
        let mut bytes = labels.to_vec();
        bytes.extend((0..PIXELS).map(|i| ((i * 7 + i / 1000 + seed * 31) % 251) as u8));
        bytes
    }

    fn folder(files: &[(&str, Vec<u8>)]) -> (Store, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("cifar")).unwrap();
        for (name, bytes) in files {
            fs::write(directory.path().join("cifar").join(name), bytes).unwrap();
        }
        (Store::open(directory.path()).unwrap(), directory)
    }

    fn failure(files: &[(&str, Vec<u8>)]) -> String {
        let (store, _directory) = folder(files);
        read(&store).err().unwrap().to_string()
    }

    #[test]
    fn planes_become_channels() {
        let raw = record(&[3], 0);
        let files = [
            ("data_batch_2.bin", record(&[1], 1)),
            ("data_batch_1.bin", [raw.clone(), record(&[9], 2)].concat()),
            ("test_batch.bin", record(&[0], 3)),
        ];
        let (store, _directory) = folder(&files);
        let parts = read(&store).unwrap().unwrap();
        let train = parts.train.unwrap();
        assert_eq!(train.labels, [3, 9, 1]);
        assert_eq!(parts.label_names[3], "cat");
        assert_eq!(parts.test.unwrap().labels, [0]);
        for (y, x) in [(0, 0), (5, 17), (31, 31)] {
            for channel in 0..3 {
                let expected = raw[1 + channel * 1024 + y * 32 + x];
                assert_eq!(train.image(0)[(y * 32 + x) * 3 + channel], expected);
            }
        }
    }

    #[test]
    fn cifar_100_uses_the_fine_label_and_the_names_beside_it() {
        let names: String = (0..100).map(|i| format!("class {i}\n")).collect();
        let (store, _directory) = folder(&[
            ("train.bin", record(&[19, 99], 0)),
            ("fine_label_names.txt", names.into()),
        ]);
        let parts = read(&store).unwrap().unwrap();
        assert_eq!(parts.train.unwrap().labels, [99]);
        assert_eq!(parts.label_names[99], "class 99");
        assert!(parts.test.is_none());
    }

    #[test]
    fn broken_files_are_named_with_the_next_step() {
        let two = [record(&[1], 0), record(&[2], 1)].concat();
        let error = failure(&[("data_batch_1.bin", two[..two.len() - 1].to_vec())]);
        assert!(
            error.contains("after 1 records of 3073 bytes come 3072 more"),
            "{error}"
        );
        let error = failure(&[("test_batch.bin", [two, vec![0]].concat())]);
        assert!(
            error.contains("test_batch.bin") && error.contains("1 more bytes"),
            "{error}"
        );
        let error = failure(&[("data_batch_1.bin", record(&[10], 0))]);
        assert!(
            error.contains("example 0 the label 10, but there are 10 classes (0 to 9)"),
            "{error}"
        );
        let error = failure(&[("train.bin", record(&[20, 0], 0))]);
        assert!(error.contains("label 20"), "{error}");
        assert!(failure(&[("test.bin", vec![])]).contains("is empty"));
        assert!(
            failure(&[("test.bin", vec![1]), ("test_batch.bin", vec![1])])
                .contains("another dataset")
        );
        let error = failure(&[
            ("train.bin", record(&[1, 1], 0)),
            ("fine_label_names.txt", b"one\n".to_vec()),
        ]);
        assert!(error.contains("1 names for 100 classes"), "{error}");
    }

    #[test]
    fn a_file_beyond_the_largest_is_refused() {
        let mut endless = std::io::repeat(0);
        let mut images = Images::empty(ImageShape::new(SIDE, SIDE, 3));
        let error = parse(
            Path::new("data_batch_1.bin"),
            &mut endless,
            Format::Cifar10,
            &mut images,
        )
        .unwrap_err();
        assert!(
            error.to_string().contains("more than 50000 records"),
            "{error}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, records in 0usize..3, hundred: bool) {
            let format = if hundred { Format::Cifar100 } else { Format::Cifar10 };
            let mut file = record(&vec![1; format.labels().len()], 0).repeat(records);
            file.extend(&bytes);
            let mut images = Images::empty(ImageShape::new(SIDE, SIDE, 3));
            let result = parse(Path::new("x"), &mut file.as_slice(), format, &mut images);
            prop_assert_eq!(result.is_ok(), bytes.is_empty() && records > 0);
            prop_assert_eq!(images.len(), records);
        }
    }
}
