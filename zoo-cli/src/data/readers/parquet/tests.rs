use std::{fs, sync::Arc};

use ::parquet::{
    basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel},
    data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type},
    file::{
        metadata::KeyValue,
        properties::{WriterProperties, WriterVersion},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use image::{GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use proptest::prelude::*;

use super::*;
use crate::data::{ImageShape, Images, fit};

fn png(image: impl Into<image::DynamicImage>) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Red counts columns, green counts rows.
fn picture(blue: u8) -> Vec<u8> {
    png(RgbImage::from_fn(4, 3, |x, y| {
        Rgb([x as u8, 100 + y as u8, blue])
    }))
}

fn grey() -> Vec<u8> {
    png(GrayImage::from_pixel(4, 3, Luma([50])))
}

/// A column of a file, all rows of it.
#[derive(Clone)]
enum Column {
    /// Bytes and path.
    Image(&'static str, Vec<(Option<Vec<u8>>, Option<String>)>),
    Bytes(&'static str, Vec<Option<Vec<u8>>>),
    Text(&'static str, Vec<Option<&'static str>>),
    Long(&'static str, Vec<Option<i64>>),
    /// With its logical type.
    Int(&'static str, &'static str, Vec<Option<i32>>),
    Bool(&'static str, Vec<Option<bool>>),
    Double(&'static str, Vec<Option<f64>>),
    /// Lists of one number.
    List(&'static str, Vec<i64>),
}

use Column::{Bool, Bytes, Double, Int, List, Long, Text};

impl Column {
    fn schema(&self) -> String {
        match self {
            Self::Image(name, _) => format!(
                "optional group {name} {{ optional binary bytes; optional binary path (STRING); }}"
            ),
            Bytes(name, _) => format!("optional binary {name};"),
            Text(name, _) => format!("optional binary {name} (STRING);"),
            Long(name, _) => format!("optional int64 {name};"),
            Int(name, logical, _) => format!("optional int32 {name} {logical};"),
            Bool(name, _) => format!("optional boolean {name};"),
            Double(name, _) => format!("optional double {name};"),
            List(name, _) => {
                format!(
                    "optional group {name} (LIST) {{ repeated group list {{ optional int64 element; }} }}"
                )
            }
        }
    }

    fn write(
        &self,
        rows: std::ops::Range<usize>,
        group: &mut SerializedRowGroupWriter<'_, &mut Vec<u8>>,
    ) {
        macro_rules! leaf {
            ($kind:ty, $values:expr, $level:expr) => {{
                let values: Vec<_> = $values.collect();
                let levels: Vec<i16> = values
                    .iter()
                    .map(|value| if value.is_some() { $level } else { 0 })
                    .collect();
                let values: Vec<_> = values.into_iter().flatten().collect();
                let mut column = group.next_column().unwrap().unwrap();
                column
                    .typed::<$kind>()
                    .write_batch(&values, Some(&levels), None)
                    .unwrap();
                column.close().unwrap();
            }};
        }
        let bytes = |value: &Option<Vec<u8>>| value.clone().map(ByteArray::from);
        match self {
            Self::Image(_, all) => {
                leaf!(
                    ByteArrayType,
                    all[rows.clone()].iter().map(|row| bytes(&row.0)),
                    2
                );
                leaf!(
                    ByteArrayType,
                    all[rows]
                        .iter()
                        .map(|row| row.1.as_deref().map(ByteArray::from)),
                    2
                );
            }
            Bytes(_, all) => leaf!(ByteArrayType, all[rows].iter().map(bytes), 1),
            Text(_, all) => {
                leaf!(
                    ByteArrayType,
                    all[rows].iter().map(|row| row.map(ByteArray::from)),
                    1
                )
            }
            Long(_, all) => leaf!(Int64Type, all[rows].iter().copied(), 1),
            Int(_, _, all) => leaf!(Int32Type, all[rows].iter().copied(), 1),
            Bool(_, all) => leaf!(BoolType, all[rows].iter().copied(), 1),
            Double(_, all) => leaf!(DoubleType, all[rows].iter().copied(), 1),
            List(_, all) => {
                let mut column = group.next_column().unwrap().unwrap();
                let count = rows.len();
                column
                    .typed::<Int64Type>()
                    .write_batch(&all[rows], Some(&vec![3; count]), Some(&vec![0; count]))
                    .unwrap();
                column.close().unwrap();
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Image(_, rows) => rows.len(),
            Bytes(_, rows) => rows.len(),
            Text(_, rows) => rows.len(),
            Long(_, rows) => rows.len(),
            Int(_, _, rows) => rows.len(),
            Bool(_, rows) => rows.len(),
            Double(_, rows) => rows.len(),
            List(_, rows) => rows.len(),
        }
    }
}

/// A file of these columns, two rows to a row group.
fn written(columns: &[Column], metadata: Option<&str>, properties: WriterProperties) -> Vec<u8> {
    let fields: String = columns.iter().map(Column::schema).collect();
    let schema = Arc::new(parse_message_type(&format!("message schema {{ {fields} }}")).unwrap());
    let properties = properties
        .into_builder()
        .set_key_value_metadata(
            metadata.map(|json| vec![KeyValue::new("huggingface".into(), json.to_owned())]),
        )
        .build();
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties)).unwrap();
    let count = columns[0].len();
    for first in (0..count).step_by(2) {
        let mut group = writer.next_row_group().unwrap();
        for column in columns {
            column.write(first..(first + 2).min(count), &mut group);
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
    bytes
}

fn of(columns: &[Column]) -> Vec<u8> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
    written(columns, None, properties.build())
}

/// Pictures whose blue counts the rows.
fn pictures(count: usize) -> Column {
    let rows = (0..count).map(|i| (Some(picture(i as u8)), None));
    Column::Image("image", rows.collect())
}

fn labels(labels: &[i64]) -> Column {
    Long("label", labels.iter().map(|&label| Some(label)).collect())
}

/// A file in the Hub's layout, with these labels and perhaps the names of the classes.
fn hub(numbers: &[i64], names: &[&str]) -> Vec<u8> {
    let json = format!(
        r#"{{"info": {{"features": {{"image": {{"_type": "Image"}}, "label": {{"names": {names:?}, "_type": "ClassLabel"}}}}}}}}"#
    );
    written(
        &[pictures(numbers.len()), labels(numbers)],
        (!names.is_empty()).then_some(json.as_str()),
        WriterProperties::default(),
    )
}

/// What becomes of these files, at the input of 3 rows, 4 columns and 3 channels.
fn open_files(files: &[(&str, Vec<u8>)]) -> Result<(Inventory, Parts), String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    open_folder(directory.path())
}

fn open_folder(path: &Path) -> Result<(Inventory, Parts), String> {
    let store = Store::open(path).unwrap();
    let found = survey(&store, path).map_err(|error| error.to_string())?;
    let found = found.unwrap();
    let parts = (found.load)(&fit::input(3, 4, 3)).map_err(|error| error.to_string())?;
    Ok((found.inventory, parts))
}

/// The classes of the images of a part by name.
fn named<'p>(part: &Option<Images>, parts: &'p Parts) -> Vec<&'p str> {
    let labels = part.as_ref().map_or(&[][..], |images| &images.labels);
    let names = &parts.label_names;
    labels.iter().map(|&l| names[l as usize].as_str()).collect()
}

/// The classes of the one file of these columns, row by row.
fn classes(columns: &[Column]) -> Result<Vec<String>, String> {
    let (_, parts) = open_files(&[("train.parquet", of(columns))])?;
    Ok(named(&parts.train, &parts)
        .into_iter()
        .map(str::to_owned)
        .collect())
}

fn left_out(inventory: &Inventory) -> Vec<(usize, &str)> {
    let groups = inventory.left_out.iter();
    groups
        .map(|group| (group.count, group.reason.as_str()))
        .collect()
}

#[test]
fn shards_are_read_in_order_with_their_names() {
    let names = ["cat", "dog", "owl"];
    let (inventory, parts) = open_files(&[
        ("train-00001-of-00002.parquet", hub(&[2], &names)),
        ("train-00000-of-00002.parquet", hub(&[0, 1, 0], &names)),
        ("validation-00000-of-00001.parquet", hub(&[0], &names)),
        ("test-00000-of-00001.parquet", hub(&[1, 2], &names)),
        ("README.md", b"words".to_vec()),
    ])
    .unwrap();
    assert_eq!(parts.label_names, names);
    assert_eq!(named(&parts.train, &parts), ["cat", "dog", "cat", "owl"]);
    assert_eq!(named(&parts.validation, &parts), ["cat"]);
    assert_eq!(named(&parts.test, &parts), ["dog", "owl"]);
    let train = parts.train.unwrap();
    assert_eq!(train.shape(), ImageShape::new(3, 4, 3));
    // Row 2, column 3 of each image: red, green, blue.
    for (i, blue) in [0, 1, 2, 0].into_iter().enumerate() {
        assert_eq!(train.image(i)[(2 * 4 + 3) * 3..], [3, 102, blue]);
    }
    let count = |train, validation, test| crate::data::inventory::PartCounts {
        train,
        validation,
        test,
    };
    assert_eq!(inventory.parts, count(4, 1, 2));
    assert_eq!(inventory.classes[0].parts, count(2, 1, 0));
    assert_eq!(inventory.colour, 7);
    assert_eq!(
        (inventory.sizes[0].height, inventory.sizes[0].width),
        (3, 4)
    );
    assert_eq!(
        left_out(&inventory),
        [(1, "`.md` beside the parquet files")]
    );
}

#[test]
fn class_lists_of_parts_are_matched_by_name() {
    let (inventory, parts) = open_files(&[
        (
            "pets_train.parquet",
            hub(&[0, 1, 2], &["cat", "cow", "dog"]),
        ),
        ("pets_test.parquet", hub(&[0, 1, 1], &["cat", "dog"])),
    ])
    .unwrap();
    assert_eq!(parts.label_names, ["cat", "cow", "dog"]);
    assert_eq!(named(&parts.test, &parts), ["cat", "dog", "dog"]);
    assert!(
        inventory.notes[0].contains("matched by name"),
        "{:?}",
        inventory.notes
    );
}

#[test]
fn archives_are_read_in_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d.tar");
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in [
        ("d/test.parquet", hub(&[1], &["cat", "dog"])),
        ("d/train.parquet", hub(&[0, 1, 0], &["cat", "dog"])),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, name, bytes.as_slice())
            .unwrap();
    }
    fs::write(&path, archive.into_inner().unwrap()).unwrap();
    let (_, parts) = open_folder(&path).unwrap();
    assert_eq!(named(&parts.train, &parts), ["cat", "dog", "cat"]);
    assert_eq!(named(&parts.test, &parts), ["dog"]);
}

#[test]
fn codecs_and_pages_of_all_writers_are_read() {
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ];
    for codec in codecs {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let properties = WriterProperties::builder()
                .set_compression(codec)
                .set_writer_version(version)
                .build();
            let bytes = written(&[pictures(3), labels(&[0, 1, 1])], None, properties);
            let (_, parts) = open_files(&[("a.parquet", bytes)])
                .unwrap_or_else(|e| panic!("{codec:?}, {version:?}: {e}"));
            assert_eq!(
                parts.train.unwrap().labels,
                [0, 1, 1],
                "{codec:?}, {version:?}"
            );
        }
    }
}

#[test]
fn labels_of_every_kind_are_read() {
    let three = || pictures(3);
    let cases: [(&str, Column, &[&str]); 12] = [
        ("numbers", labels(&[0, 1, 0]), &["0", "1", "0"]),
        (
            "plural",
            Long("labels", vec![Some(0), Some(1), Some(0)]),
            &["0", "1", "0"],
        ),
        (
            "8 bits",
            Int(
                "class",
                "(INTEGER(8, true))",
                vec![Some(1), Some(0), Some(0)],
            ),
            &["1", "0", "0"],
        ),
        (
            "8 bits without sign",
            Int(
                "target",
                "(INTEGER(8, false))",
                vec![Some(255), Some(3), Some(3)],
            ),
            &["255", "3", "3"],
        ),
        (
            "32 bits without sign",
            Int("Label", "(UINT_32)", vec![Some(2), Some(3), Some(2)]),
            &["2", "3", "2"],
        ),
        (
            "floats of pandas",
            Double("label", vec![Some(1.0), Some(0.0), Some(f64::NAN)]),
            &["1", "0"],
        ),
        (
            "truth",
            Bool("label", vec![Some(true), Some(false), Some(true)]),
            &["true", "false", "true"],
        ),
        (
            "names",
            Text("label", vec![Some("dog"), Some("cat"), Some("dog")]),
            &["dog", "cat", "dog"],
        ),
        (
            "bytes as names",
            Bytes(
                "label",
                vec![
                    Some(b"b".to_vec()),
                    Some(b"a".to_vec()),
                    Some(b"b".to_vec()),
                ],
            ),
            &["b", "a", "b"],
        ),
        (
            "fine",
            Long("fine_label", vec![Some(1), Some(0), Some(0)]),
            &["1", "0", "0"],
        ),
        (
            "coarse",
            Long("coarse_label", vec![Some(1), Some(0), Some(0)]),
            &["1", "0", "0"],
        ),
        (
            "category",
            Text("category", vec![Some("x"), Some("y"), Some("y")]),
            &["x", "y", "y"],
        ),
    ];
    for (case, column, expected) in cases {
        let found = classes(&[three(), column]).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn columns_of_images_are_found() {
    let bytes = || (0..2).map(|i| Some(picture(i))).collect::<Vec<_>>();
    let structs = |name| Column::Image(name, bytes().into_iter().map(|b| (b, None)).collect());
    let cases: [(&str, Vec<Column>); 7] = [
        ("img", vec![structs("img")]),
        ("Image", vec![structs("Image")]),
        ("the only record", vec![structs("photo")]),
        ("bytes", vec![Bytes("image", bytes())]),
        ("the only bytes", vec![Bytes("jpg", bytes())]),
        (
            "beside text",
            vec![
                Text("file", vec![Some("a"), Some("b")]),
                Bytes("png", bytes()),
            ],
        ),
        (
            "the one with the name",
            vec![structs("mask"), structs("image")],
        ),
    ];
    for (case, mut columns) in cases {
        columns.push(labels(&[1, 0]));
        let found = classes(&columns).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(found, ["1", "0"], "{case}");
    }
    let typed = written(
        &[
            structs("a"),
            structs("b"),
            Text("c", vec![Some("x"), Some("y")]),
            Long("d", vec![Some(0), Some(1)]),
        ],
        Some(
            r#"{"info": {"features": {"b": {"_type": "Image"}, "d": {"_type": "ClassLabel", "names": ["no", "yes"]}}}}"#,
        ),
        WriterProperties::default(),
    );
    let (_, parts) = open_files(&[("t.parquet", typed)]).unwrap();
    assert_eq!(named(&parts.train, &parts), ["no", "yes"]);
}

#[test]
fn what_may_be_read_in_two_ways_or_not_at_all_is_refused() {
    let two = || pictures(2);
    let other = |name| Column::Image(name, vec![(Some(picture(0)), None); 2]);
    let words = |name| Text(name, vec![Some("x"), Some("y")]);
    let cases: [(Vec<Column>, &str); 12] = [
        (
            vec![two(), labels(&[0, 1]), words("class")],
            "`label` and `class` may each be the classes",
        ),
        (
            vec![other("img"), other("image"), labels(&[0, 1])],
            "`img` and `image` may each be the images",
        ),
        (
            vec![other("a"), other("b"), labels(&[0, 1])],
            "`a` and `b` may each be the images",
        ),
        (
            vec![labels(&[0, 1]), words("x")],
            "needs a column `image` of encoded images",
        ),
        (
            vec![two(), words("caption")],
            "has no column of classes but `image` and `caption`",
        ),
        (
            vec![two(), List("labels", vec![0, 1])],
            "`labels` holds lists or records",
        ),
        (
            vec![List("image", vec![0, 1]), labels(&[0, 1])],
            "`image` holds no encoded images but other values",
        ),
        (
            vec![two(), Double("label", vec![Some(0.5), Some(1.0)])],
            "row 0 of its column `label` holds 0.5",
        ),
        (
            vec![two(), Int("label", "(DATE)", vec![Some(1), Some(2)])],
            "`label` holds dates",
        ),
        (vec![two(), labels(&[0, -3])], "example 1 the label -3"),
        (
            vec![two(), labels(&[-1, -1])],
            "none of its rows has a label",
        ),
        (
            vec![
                Column::Image("image", vec![(Some(vec![0]), None); 2]),
                labels(&[0, 1]),
            ],
            "no image can be decoded",
        ),
    ];
    for (columns, said) in cases {
        let error = classes(&columns).unwrap_err();
        assert!(error.contains(said), "{said}: {error}");
        assert!(
            error.contains("train.parquet")
                || said.starts_with("none of")
                || said.starts_with("no image"),
            "{error}"
        );
    }
}

#[test]
fn the_finer_of_two_labels_is_taken_and_said() {
    let columns = [
        pictures(2),
        Long("coarse_label", vec![Some(0), Some(0)]),
        Long("fine_label", vec![Some(0), Some(1)]),
    ];
    let (inventory, parts) = open_files(&[("train.parquet", of(&columns))]).unwrap();
    assert_eq!(parts.train.unwrap().labels, [0, 1]);
    assert_eq!(
        inventory.notes,
        ["the classes are those of the column `fine_label`; `coarse_label` is not used"]
    );
}

#[test]
fn colour_is_that_of_any_image() {
    let images = vec![
        (Some(grey()), None),
        (Some(picture(1)), None),
        (Some(png(RgbImage::new(9, 8))), None),
    ];
    let bytes = of(&[Column::Image("image", images), labels(&[0, 1, 1])]);
    let (inventory, parts) = open_files(&[("a.parquet", bytes)]).unwrap();
    assert_eq!((inventory.colour, inventory.distinct_sizes), (2, 2));
    let sizes: Vec<_> = inventory
        .sizes
        .iter()
        .map(|s| (s.height, s.width, s.images))
        .collect();
    assert_eq!(sizes, [(3, 4, 2), (8, 9, 1)]);
    assert_eq!(inventory.multi_frame, 0);
    let train = parts.train.unwrap();
    assert_eq!(train.shape(), ImageShape::new(3, 4, 3));
    assert_eq!(train.image(0)[..3], [50; 3]);
}

#[test]
fn films_are_counted() {
    let film = |frames: usize| {
        let mut bytes = Vec::new();
        let frame = image::Frame::new(image::RgbaImage::new(4, 3));
        image::codecs::gif::GifEncoder::new(&mut bytes)
            .encode_frames(vec![frame; frames])
            .unwrap();
        (Some(bytes), None)
    };
    let images = vec![film(1), film(2), film(3)];
    let bytes = of(&[Column::Image("image", images), labels(&[0, 1, 1])]);
    let (inventory, parts) = open_files(&[("a.parquet", bytes)]).unwrap();
    assert_eq!(inventory.multi_frame, 2);
    assert_eq!(parts.train.unwrap().len(), 3);
}

#[test]
fn rows_that_lack_something_are_named_or_counted() {
    let image = |i: u8| (Some(picture(i)), None);
    let none = || (None, None);
    let images = vec![
        image(0),
        none(),
        image(2),
        none(),
        none(),
        (Some(vec![1, 2]), None),
        image(6),
        image(7),
    ];
    let labels = [
        Some(0),
        Some(1),
        None,
        Some(1),
        Some(0),
        Some(1),
        Some(-1),
        Some(1),
    ];
    let bytes = of(&[
        Column::Image("image", images),
        Long("label", labels.to_vec()),
    ]);
    let (inventory, parts) = open_files(&[("train.parquet", bytes)]).unwrap();
    assert_eq!(parts.train.unwrap().labels, [0, 1]);
    let skipped: Vec<String> = parts
        .skipped
        .iter()
        .map(|file| {
            file.path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(skipped, ["row 1", "row 2", "rows 3 to 4", "row 5"]);
    for (skipped, said) in parts.skipped.iter().zip([
        "has no image",
        "has no label",
        "have no image",
        "cannot decode",
    ]) {
        assert!(
            skipped.reason.contains(said) && skipped.reason.contains("train.parquet"),
            "{skipped:?}"
        );
    }
    assert_eq!(
        left_out(&inventory),
        [(1, "`train.parquet` rows without a label")]
    );
    assert_eq!(inventory.left_out[0].examples, ["row 6"]);

    let lost = of(&[
        Bytes("image", vec![Some(picture(0)), None, None]),
        super::tests::labels(&[0, 1, 1]),
    ]);
    let error = open_files(&[("train.parquet", lost)]).err().unwrap();
    assert!(
        error.contains("none of 2 images of the class `1` in its training part"),
        "{error}"
    );
}

#[test]
fn an_unlabelled_test_part_is_no_test_part() {
    let (inventory, parts) = open_files(&[
        ("train.parquet", hub(&[0, 1], &["cat", "dog"])),
        ("test.parquet", hub(&[-1, -1, -1], &["cat", "dog"])),
    ])
    .unwrap();
    assert!(parts.test.is_none());
    assert_eq!(
        left_out(&inventory),
        [(3, "`test.parquet` rows without a label")]
    );
    assert!(
        inventory.notes[0].contains("all 3 rows of the test part"),
        "{:?}",
        inventory.notes
    );
    let (inventory, parts) = open_files(&[
        ("train.parquet", hub(&[0, 1], &["cat", "dog"])),
        ("test.parquet", of(&[pictures(2)])),
        ("words.parquet", of(&[Text("words", vec![Some("a")])])),
    ])
    .unwrap();
    assert!(parts.test.is_none());
    assert_eq!(
        left_out(&inventory),
        [
            (1, "without a column of images"),
            (1, "without a column of classes")
        ]
    );
}

#[test]
fn a_test_part_whose_labels_are_null_is_unlabelled() {
    let null = of(&[pictures(2), Long("label", vec![None, None])]);
    let (inventory, parts) = open_files(&[
        ("train.parquet", hub(&[0, 1], &["cat", "dog"])),
        ("test.parquet", null),
    ])
    .unwrap();
    assert!(parts.test.is_none() && parts.skipped.is_empty());
    assert_eq!(
        left_out(&inventory),
        [(2, "`test.parquet` rows without a label")]
    );
}

#[test]
fn class_folders_beside_parquet_files_are_asked_about() {
    let error = open_files(&[
        ("train.parquet", hub(&[0, 1], &["cat", "dog"])),
        ("cat/a.png", picture(1)),
        ("dog/b.png", picture(2)),
    ])
    .err()
    .unwrap();
    assert!(
        error.contains("as `train.parquet`, and images that these do not name, in `cat` and `dog`"),
        "{error}"
    );
    let (inventory, _) = open_files(&[
        ("train.parquet", hub(&[0, 1], &["cat", "dog"])),
        ("banner.png", picture(1)),
    ])
    .unwrap();
    assert_eq!(
        left_out(&inventory),
        [(1, "`.png` beside the parquet files")]
    );
}

#[test]
fn paths_are_followed_where_they_lead_somewhere() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("images")).unwrap();
    fs::write(at("images/a.png"), picture(1)).unwrap();
    fs::write(at("b.png"), picture(2)).unwrap();
    let path = |path: String| (None, Some(path));
    let mut rows = vec![
        path("images/a.png".into()),
        path(at("b.png").display().to_string()),
        (Some(picture(3)), Some("gone.png".into())),
        path("gone.png".into()),
    ];
    let write = |rows: &[(Option<Vec<u8>>, Option<String>)]| {
        let labels = (0..rows.len()).map(|i| Some(i as i64 % 2)).collect();
        let columns = [Column::Image("image", rows.to_vec()), Long("label", labels)];
        fs::write(at("data.parquet"), of(&columns)).unwrap();
    };
    write(&rows);
    let (inventory, parts) = open_folder(directory.path()).unwrap();
    let train = parts.train.unwrap();
    let blue: Vec<u8> = (0..train.len()).map(|i| train.image(i)[2]).collect();
    assert_eq!(blue, [1, 2, 3]);
    assert!(left_out(&inventory).is_empty(), "{:?}", inventory.left_out);
    assert!(
        parts.skipped[0].reason.contains("only the path `gone.png`"),
        "{:?}",
        parts.skipped
    );

    rows = vec![
        path("/home/else/a.png".into()),
        path("/home/else/b.png".into()),
    ];
    write(&rows);
    let error = open_folder(directory.path()).err().unwrap();
    assert!(
        error.contains("holds no images, only the paths of 2, as `/home/else/a.png`")
            && error.contains("embed_table_storage"),
        "{error}"
    );
    // A column of paths.
    let columns = [
        Text("image", vec![Some("b.png"), Some("images/a.png")]),
        super::tests::labels(&[0, 1]),
    ];
    fs::write(at("data.parquet"), of(&columns)).unwrap();
    let (_, parts) = open_folder(directory.path()).unwrap();
    assert_eq!(parts.train.unwrap().len(), 2);
}

/// What a path holds may be anything.
#[test]
fn long_and_hidden_text_in_a_path_is_cut() {
    let path = |path: String| (None, Some(path));
    let nonsense = format!("{}\u{1b}[31m", "QUJD/".repeat(1000));
    for rows in [
        vec![path(nonsense.clone()), path(nonsense.clone())],
        vec![
            (Some(picture(1)), None),
            path(nonsense.clone()),
            (Some(picture(2)), None),
            (Some(picture(3)), None),
        ],
    ] {
        let labels = (0..rows.len()).map(|i| Some(i as i64 % 2)).collect();
        let columns = [Column::Image("image", rows), Long("label", labels)];
        let said = match open_files(&[("data.parquet", of(&columns))]) {
            Ok((_, parts)) => parts.skipped[0].reason.clone(),
            Err(error) => error,
        };
        assert!(
            said.contains("`QUJD/QUJD/") && said.contains("…`"),
            "{said}"
        );
        assert!(said.len() < 1000 && !said.contains('\u{1b}'), "{said}");
    }
}

#[test]
fn a_column_may_say_the_parts() {
    let split = |values: [&'static str; 3]| Text("split", values.map(Some).to_vec());
    let file = |values| of(&[pictures(3), labels(&[0, 1, 1]), split(values)]);
    let (inventory, parts) =
        open_files(&[("all.parquet", file(["train", "train", "test"]))]).unwrap();
    assert_eq!(named(&parts.train, &parts), ["0", "1"]);
    assert_eq!(named(&parts.test, &parts), ["1"]);
    assert!(
        inventory.notes[0].contains("`split` of `all.parquet` says the part"),
        "{:?}",
        inventory.notes
    );

    let (inventory, parts) =
        open_files(&[("all.parquet", file(["fold 1", "fold 2", "fold 2"]))]).unwrap();
    assert_eq!(parts.train.unwrap().len(), 3);
    assert!(
        inventory.notes[0].contains("not used, because it holds `fold 1`"),
        "{:?}",
        inventory.notes
    );
    for column in ["split", "subset"] {
        let values = ["train", "unknown", "Test"].map(Some).to_vec();
        let mixed = of(&[pictures(3), labels(&[0, 1, 1]), Text(column, values)]);
        let error = open_files(&[("all.parquet", mixed)]).err().unwrap();
        let said = format!("its column `{column}` has the value `unknown` in row 1");
        assert!(error.contains(&said), "{error}");
    }

    let error = open_files(&[("train.parquet", file(["train", "train", "test"]))])
        .err()
        .unwrap();
    assert!(error.contains("its name says the training part"), "{error}");
}

#[test]
fn columns_that_may_say_parts_are_noted() {
    for (column, name) in [
        (Long("split", vec![Some(0), Some(1)]), "split"),
        (Bool("is_valid", vec![Some(true), Some(false)]), "is_valid"),
        (Text("dataset", vec![Some("a"), Some("b")]), "dataset"),
    ] {
        let bytes = of(&[pictures(2), labels(&[0, 1]), column]);
        let (inventory, _) = open_files(&[("a.parquet", bytes)]).unwrap();
        let note = format!("the column `{name}` is not used as a split");
        assert!(
            inventory.notes.iter().any(|found| found.starts_with(&note)),
            "{:?}",
            inventory.notes
        );
    }
}

#[test]
fn several_classes_in_a_row_are_asked_about() {
    let several = vec![Some("cat"), Some("dog"), Some("cat|dog")];
    let error = open_files(&[("a.parquet", of(&[pictures(3), Text("label", several)]))])
        .err()
        .unwrap();
    assert!(
        error.contains("holds several in a row, such as `cat|dog`"),
        "{error}"
    );
}

#[test]
fn a_codec_that_is_not_built_in_is_not_called_damage() {
    let mut bytes = of(&[pictures(2), labels(&[0, 1])]);
    // The footer names the codec of each column chunk: snappy (1) becomes LZO (3). The field before it lists the path of
    // the column, the field after it counts values.
    let footer = bytes.len()
        - 8
        - u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
    let mut changed = 0;
    for name in [&b"bytes"[..], b"path", b"label"] {
        for at in footer..bytes.len() - name.len() - 4 {
            // A compact field of the next number and type i32, zigzag.
            if bytes[at..].starts_with(name) && bytes[at + name.len()..].starts_with(&[0x15, 2]) {
                bytes[at + name.len() + 1] = 6;
                changed += 1;
            }
        }
    }
    assert_eq!(changed, 3);
    let error = open_files(&[("train.parquet", bytes)]).err().unwrap();
    assert!(
        error.contains("compressed with LZO, which is not built in"),
        "{error}"
    );
}

#[test]
fn what_is_no_parquet_is_named() {
    let failure = |bytes: &[u8]| {
        open_files(&[("train.parquet", bytes.to_vec())])
            .err()
            .unwrap()
    };
    assert!(failure(b"PAR1 not really PAR1").contains("train.parquet"));
    assert!(failure(b"").contains("is empty"));
    assert!(failure(&of(&[pictures(0), labels(&[])])).contains("is empty"));
    let whole = of(&[pictures(2), labels(&[0, 1])]);
    assert!(failure(&whole[..whole.len() - 1]).contains("fetch the file again"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damaged_files_never_panic(at in 0usize..4000, byte: u8, cut in 0usize..4000) {
        let mut bytes = of(&[pictures(3), labels(&[0, 1, 1])]);
        let length = bytes.len();
        bytes[at % length] = byte;
        let _ = open_files(&[("train.parquet", bytes.clone())]);
        bytes.truncate(cut % length);
        let _ = open_files(&[("train.parquet", bytes)]);
    }
}
