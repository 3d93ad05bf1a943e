//! The IDX format of MNIST and Fashion-MNIST (<http://yann.lecun.com/exdb/mnist/>), plain or gzipped.
//!
//! A file is: two zero bytes, the element type (8 = unsigned byte), the number of dimensions, each dimension
//! as a big-endian `u32`, the elements. Images have three dimensions (count, rows, columns), labels one.

use std::{collections::BTreeMap, io::Read, path::Path};

use super::Survey;
use crate::data::{DataError, ImageShape, Images, classes, input, parts::Parts, store::Store};

/// The most elements that are read from one file.
const MAX_ELEMENTS: u64 = 8 << 30;

const FORMAT: &str = "an IDX file";

/// The dimensions and the elements of one file of unsigned bytes.
#[derive(Debug, PartialEq, Eq)]
struct Array {
    dimensions: Vec<usize>,
    elements: Vec<u8>,
}

fn malformed(path: &Path, problem: String) -> DataError {
    DataError::Malformed {
        path: path.into(),
        format: FORMAT,
        problem,
    }
}

fn parse(path: &Path, reader: &mut dyn Read) -> Result<Array, DataError> {
    let mut read =
        |count: u64| input::read_up_to(reader, count).map_err(|e| input::read_failed(path, e));
    let too_short = || {
        malformed(
            path,
            "it ends within the header; fetch the file again".into(),
        )
    };

    let magic: [u8; 4] = read(4)?.try_into().map_err(|_| too_short())?;
    let [0, 0, element, rank @ 1..=3] = magic else {
        return Err(malformed(
            path,
            format!(
                "it starts with {magic:02x?} in place of 00 00 08 and 01 (labels) or 03 (images); give the original file"
            ),
        ));
    };
    if element != 8 {
        return Err(malformed(
            path,
            format!(
                "its elements are of type {element:#04x}, only unsigned bytes (0x08) are read; convert it"
            ),
        ));
    }
    let dimensions = read(4 * u64::from(rank))?
        .chunks(4)
        .map(|bytes| Ok(u32::from_be_bytes(bytes.try_into().map_err(|_| too_short())?) as usize))
        .collect::<Result<Vec<_>, DataError>>()?;
    if dimensions.len() < usize::from(rank) {
        return Err(too_short());
    }

    let expected = dimensions
        .iter()
        .try_fold(1u64, |product, &n| product.checked_mul(n as u64))
        .filter(|&bytes| bytes <= MAX_ELEMENTS)
        .ok_or_else(|| DataError::TooLarge {
            path: path.into(),
            problem: format!("its header claims {dimensions:?} bytes, the limit is {MAX_ELEMENTS}; split the file"),
        })?;
    let elements = read(expected + 1)?;
    let problem = match elements.len() as u64 {
        found if found < expected => {
            format!(
                "its header promises {expected} elements but {found} are there; fetch the file again"
            )
        }
        found if found > expected => {
            format!(
                "more follows the {expected} elements that its header promises; fetch the file again"
            )
        }
        _ => {
            return Ok(Array {
                dimensions,
                elements,
            });
        }
    };
    Err(malformed(path, problem))
}

/// The images of one file with the labels of the other.
fn join(images: &Path, pixels: Array, labels: &Path, classes: Array) -> Result<Images, DataError> {
    let &[count, height, width] = pixels.dimensions.as_slice() else {
        return Err(malformed(
            images,
            "it holds labels, not images; swap the two files".into(),
        ));
    };
    if count == 0 || height == 0 || width == 0 {
        return Err(DataError::Empty {
            path: images.into(),
        });
    }
    if classes.dimensions.len() != 1 {
        return Err(malformed(
            labels,
            "it holds images, not labels; swap the two files".into(),
        ));
    }
    if classes.elements.len() != count {
        return Err(malformed(
            labels,
            format!(
                "it holds {} labels for the {count} images of `{}`; take both files from one source",
                classes.elements.len(),
                images.display()
            ),
        ));
    }
    Ok(Images {
        pixels: pixels.elements,
        labels: classes.elements.into_iter().map(u32::from).collect(),
        ..Images::empty(ImageShape::new(height, width, 1))
    })
}

/// Reads one file of images and the file of their labels.
///
/// # Errors
/// A file that is not IDX, is cut short or too long, or two files that do not belong together.
pub fn read_pair(images: &Path, labels: &Path) -> Result<Images, DataError> {
    let array = |path| parse(path, &mut input::open(path)?);
    join(images, array(images)?, labels, array(labels)?)
}

/// What a file holds, by its name: (`train`, `t10k` or `test`; 3 for images, 1 for labels).
fn recognise(file: &Path) -> Option<(&str, u8)> {
    let name = file.file_name()?.to_str()?;
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let (part, rest) = name.split_once('-')?;
    let kind = match rest {
        "images-idx3-ubyte" | "images.idx3-ubyte" => 3,
        "labels-idx1-ubyte" | "labels.idx1-ubyte" => 1,
        _ => return None,
    };
    ["train", "t10k", "test"]
        .contains(&part)
        .then_some((part, kind))
}

/// What lies in the IDX files of this store, or nothing where there are none.
pub(super) fn survey<'a>(
    store: &'a Store,
    path: &'a Path,
) -> Result<Option<Survey<'a>>, DataError> {
    Ok(read(store, path)?.map(|parts| Survey::of_parts("IDX files", parts)))
}

/// Reads `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the two `t10k-…` (or `test-…`) files, under
/// either spelling (`-idx3-ubyte`, `.idx3-ubyte`), plain or `.gz`; nothing where there are none. Below a path
/// that says `fashion` the classes are those of Fashion-MNIST, otherwise they are numbered.
///
/// # Errors
/// As [`read_pair`], and when one file of a pair is absent.
fn read(store: &Store, path: &Path) -> Result<Option<Parts>, DataError> {
    let files: Vec<(usize, &str, u8)> = store
        .members()
        .iter()
        .enumerate()
        .filter_map(|(member, file)| recognise(file).map(|(part, kind)| (member, part, kind)))
        .collect();
    if files.is_empty() {
        return Ok(None);
    }
    let find = |part: &str, kind: u8| {
        let file = files.iter().find(|file| (file.1, file.2) == (part, kind));
        file.map(|file| file.0)
    };
    let pair = |part: &str| match (find(part, 3), find(part, 1)) {
        (Some(images), Some(labels)) => Ok(Some([images, labels])),
        (None, None) => Ok(None),
        (images, _) => Err(DataError::Malformed {
            path: path.into(),
            format: "a folder of IDX files",
            problem: match images {
                Some(_) => {
                    format!("`{part}-labels-idx1-ubyte` is missing; put it beside the images")
                }
                None => format!("`{part}-images-idx3-ubyte` is missing; put it beside the labels"),
            },
        }),
    };
    let pairs = [pair("train")?, pair("t10k")?.or(pair("test")?)];

    let mut wanted: Vec<usize> = pairs.iter().flatten().flatten().copied().collect();
    wanted.sort_unstable();
    let mut arrays = BTreeMap::new();
    store.visit(&wanted, &mut |member, content| {
        arrays.insert(member, parse(&store.path(member), content)?);
        Ok(())
    })?;
    let mut part = |pair: Option<[usize; 2]>| {
        let Some([images, labels]) = pair else {
            return Ok(None);
        };
        match (arrays.remove(&images), arrays.remove(&labels)) {
            (Some(pixels), Some(classes)) => {
                join(&store.path(images), pixels, &store.path(labels), classes).map(Some)
            }
            _ => Ok(None),
        }
    };
    let [train, test] = pairs;
    let mut parts = Parts::unnamed(path, part(train)?, part(test)?)?;
    let fashion = store
        .path(wanted[0])
        .to_string_lossy()
        .to_lowercase()
        .contains("fashion");
    if fashion && parts.label_names.len() <= classes::FASHION.len() {
        parts.label_names = classes::named(&classes::FASHION);
    }
    Ok(Some(parts))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use proptest::prelude::*;

    use super::*;

    fn file(rank: u8, dimensions: &[u32], elements: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, rank];
        bytes.extend(dimensions.iter().flat_map(|n| n.to_be_bytes()));
        bytes.extend(elements);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn failure(bytes: &[u8]) -> String {
        parse(Path::new("x-idx"), &mut &bytes[..])
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn reads_both_spellings_plain_and_gzipped() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let pixels: Vec<u8> = (0..12).collect();
        fs::write(
            path("train-images.idx3-ubyte"),
            file(3, &[2, 3, 2], &pixels),
        )
        .unwrap();
        fs::write(
            path("train-labels-idx1-ubyte.gz"),
            gzip(&file(1, &[2], &[7, 0])),
        )
        .unwrap();
        fs::write(
            path("t10k-images-idx3-ubyte.gz"),
            gzip(&file(3, &[1, 1, 1], &[9])),
        )
        .unwrap();
        fs::write(path("t10k-labels.idx1-ubyte"), file(1, &[1], &[3])).unwrap();
        let store = Store::open(directory.path()).unwrap();
        let parts = read(&store, directory.path()).unwrap().unwrap();
        let train = parts.train.unwrap();
        assert_eq!(train.shape(), ImageShape::new(3, 2, 1));
        assert_eq!(train.image(1), &pixels[6..]);
        assert_eq!(train.labels, [7, 0]);
        assert_eq!(parts.test.unwrap().pixels, [9]);
        assert_eq!(parts.label_names.len(), 8);
    }

    #[test]
    fn broken_files_are_named_with_the_next_step() {
        assert!(failure(&[]).contains("header"));
        assert!(failure(b"\x89PNG....").contains("89, 50, 4e, 47"));
        assert!(failure(&[0, 0, 0x0d, 1, 0, 0, 0, 0]).contains("0x0d"));
        assert!(failure(&file(3, &[1, 2], &[])).contains("header"));
        assert!(failure(&file(1, &[3], &[1, 2])).contains("promises 3 elements but 2"));
        assert!(failure(&file(1, &[1], &[1, 2])).contains("more follows"));
        assert!(failure(&file(3, &[u32::MAX; 3], &[1])).contains("too large"));
        assert!(failure(&file(3, &[60_000, 28, 28], &[0; 5])).contains("but 5 are there"));

        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let cut = gzip(&file(1, &[3], &[1, 2, 3]));
        fs::write(path("images"), file(3, &[3, 1, 1], &[1, 2, 3])).unwrap();
        fs::write(path("cut"), &cut[..cut.len() - 6]).unwrap();
        fs::write(path("two"), file(1, &[2], &[1, 2])).unwrap();
        fs::write(path("empty"), []).unwrap();
        let pair = |images: &str, labels: &str| {
            read_pair(&path(images), &path(labels))
                .unwrap_err()
                .to_string()
        };
        assert!(pair("images", "cut").contains("gzip"));
        assert!(pair("images", "two").contains("2 labels for the 3 images"));
        assert!(pair("images", "empty").contains("is empty"));
        assert!(pair("images", "absent").contains("does not exist"));
        assert!(pair("two", "images").contains("swap"));
        assert!(pair("images", "images").contains("swap"));
        fs::rename(path("images"), path("train-images-idx3-ubyte")).unwrap();
        let error = read(&Store::open(directory.path()).unwrap(), directory.path())
            .err()
            .unwrap();
        assert!(
            error
                .to_string()
                .contains("`train-labels-idx1-ubyte` is missing")
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(rank in 0u8..5, element in 7u8..10, tail: Vec<u8>) {
            let _ = parse(Path::new("x"), &mut tail.as_slice());
            let mut bytes = vec![0, 0, element, rank];
            bytes.extend(tail);
            let _ = parse(Path::new("x"), &mut bytes.as_slice());
        }

        #[test]
        fn what_is_written_is_read(dimensions in proptest::collection::vec(0u32..6, 1..=3)) {
            let count = dimensions.iter().product::<u32>();
            let elements: Vec<u8> = (0..count).map(|i| i as u8).collect();
            let array = parse(Path::new("x"), &mut file(dimensions.len() as u8, &dimensions, &elements).as_slice()).unwrap();
            prop_assert_eq!(array.elements, elements);
        }
    }
}
