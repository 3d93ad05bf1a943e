use std::{fs, sync::Arc};

use ::parquet::{
    basic::Compression,
    data_type::{ByteArrayType, Int64Type},
    file::{metadata::KeyValue, properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use image::{GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use proptest::prelude::*;

use super::*;

fn png(image: impl Into<image::DynamicImage>) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// One pixel per channel of these is tested: red counts columns, green counts rows.
fn picture(blue: u8) -> Vec<u8> {
    png(RgbImage::from_fn(4, 3, |x, y| {
        Rgb([x as u8, 100 + y as u8, blue])
    }))
}

/// A file in the Hub's layout, two rows to a row group. A row without image or label has `None`.
fn file(schema: &str, rows: &[(Option<Vec<u8>>, Option<i64>)], metadata: Option<&str>) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_key_value_metadata(
            metadata.map(|json| vec![KeyValue::new("huggingface".into(), json.to_owned())]),
        )
        .build();
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties)).unwrap();
    for rows in rows.chunks(2) {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<ByteArray> = rows
            .iter()
            .filter_map(|row| row.0.clone().map(ByteArray::from))
            .collect();
        let levels: Vec<i16> = rows
            .iter()
            .map(|row| if row.0.is_some() { 2 } else { 0 })
            .collect();
        column
            .typed::<ByteArrayType>()
            .write_batch(&values, Some(&levels), None)
            .unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<ByteArrayType>()
            .write_batch(&[], Some(&vec![1; rows.len()]), None)
            .unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<i64> = rows.iter().filter_map(|row| row.1).collect();
        let levels: Vec<i16> = rows.iter().map(|row| i16::from(row.1.is_some())).collect();
        column
            .typed::<Int64Type>()
            .write_batch(&values, Some(&levels), None)
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    bytes
}

fn schema(image: &str, label: &str) -> String {
    format!(
        "message schema {{ optional group {image} {{ optional binary bytes; optional binary path (STRING); }} \
         optional int64 {label}; }}"
    )
}

fn row(blue: u8, label: i64) -> (Option<Vec<u8>>, Option<i64>) {
    (Some(picture(blue)), Some(label))
}

fn read_files(files: &[(&str, Vec<u8>)], to: Option<&Preprocessor>) -> Result<Parts, String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    let store = Store::open(directory.path()).unwrap();
    match read(&store, directory.path(), to) {
        Ok(parts) => Ok(parts.unwrap()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn shards_are_read_in_order_with_their_names() {
    let names = r#"{"info": {"features": {"label": {"names": ["cat", "dog", "owl"], "_type": "ClassLabel"}}}}"#;
    let layout = schema("img", "label");
    let parts = read_files(
        &[
            (
                "train-00001-of-00002.parquet",
                file(&layout, &[row(4, 2)], Some(names)),
            ),
            (
                "train-00000-of-00002.parquet",
                file(&layout, &[row(1, 0), row(2, 1), row(3, 0)], Some(names)),
            ),
            (
                "test-00000-of-00001.parquet",
                file(&layout, &[row(9, 1)], Some(names)),
            ),
        ],
        None,
    )
    .unwrap();
    let train = parts.train.unwrap();
    assert_eq!(train.shape(), ImageShape::new(3, 4, 3));
    assert_eq!(train.labels, [0, 1, 0, 2]);
    // Row 2, column 3 of each image: red, green, blue.
    for (i, blue) in [1, 2, 3, 4].into_iter().enumerate() {
        assert_eq!(train.image(i)[(2 * 4 + 3) * 3..], [3, 102, blue]);
    }
    assert_eq!(parts.test.unwrap().labels, [1]);
    assert_eq!(parts.label_names, ["cat", "dog", "owl"]);
}

#[test]
fn other_names_of_the_columns_are_known() {
    for (image, label) in [
        ("image", "label"),
        ("img", "fine_label"),
        ("image", "coarse_label"),
    ] {
        let bytes = file(&schema(image, label), &[row(1, 0), row(1, 4)], None);
        let parts = read_files(&[("train.parquet", bytes)], None).unwrap();
        assert_eq!(parts.label_names, ["0", "1", "2", "3", "4"]);
    }
}

#[test]
fn images_take_the_size_of_the_first_or_the_one_asked_for() {
    let grey = png(GrayImage::from_pixel(4, 3, Luma([50])));
    let rows = [
        row(1, 0),
        (Some(grey), Some(1)),
        (Some(png(RgbImage::new(9, 9))), Some(1)),
    ];
    let bytes = file(&schema("img", "label"), &rows, None);
    let train = read_files(&[("a.parquet", bytes.clone())], None)
        .unwrap()
        .train
        .unwrap();
    assert_eq!((train.len(), train.shape()), (3, ImageShape::new(3, 4, 3)));
    assert_eq!(train.image(1)[..3], [50; 3]);
    let to = fit::default_input();
    let train = read_files(&[("a.parquet", bytes)], Some(&to))
        .unwrap()
        .train
        .unwrap();
    assert_eq!(
        (train.len(), train.shape()),
        (3, ImageShape::new(32, 32, 3))
    );
}

#[test]
fn a_broken_image_is_named_and_left_out() {
    let rows = [row(1, 0), (Some(vec![1, 2, 3]), Some(1)), row(3, 1)];
    let parts = read_files(
        &[("train.parquet", file(&schema("img", "label"), &rows, None))],
        None,
    )
    .unwrap();
    assert_eq!(parts.train.unwrap().labels, [0, 1]);
    assert!(parts.skipped[0].path.ends_with("train.parquet/row 1"));
}

#[test]
fn broken_files_are_named_with_the_next_step() {
    let failure = |bytes: Vec<u8>| read_files(&[("train.parquet", bytes)], None).err().unwrap();
    let layout = schema("img", "label");
    let good = file(&layout, &[row(1, 0), row(2, 1)], None);
    assert!(failure(vec![]).contains("train.parquet` is empty"));
    assert!(failure(b"PAR1, or not".to_vec()).contains("fetch the file again"));
    assert!(failure(good[..good.len() - 30].to_vec()).contains("fetch the file again"));
    let error = failure(file(&schema("picture", "label"), &[row(1, 0)], None));
    assert!(
        error.contains("but has picture.bytes, picture.path, label"),
        "{error}"
    );
    assert!(failure(file(&schema("img", "target"), &[row(1, 0)], None)).contains("`fine_label`"));
    assert!(
        failure(file(&layout, &[row(1, 0), (None, Some(1))], None))
            .contains("no image or no label")
    );
    assert!(
        failure(file(&layout, &[(Some(picture(1)), None)], None)).contains("no image or no label")
    );
    assert!(
        failure(file(&layout, &[row(1, 0), row(1, -1)], None)).contains("example 1 the label -1")
    );
    let names = r#"{"info": {"features": {"label": {"names": ["cat", "dog"]}}}}"#;
    let error = failure(file(&layout, &[row(1, 0), row(1, 2)], Some(names)));
    assert!(
        error.contains("label 2, but there are 2 classes"),
        "{error}"
    );
    assert!(failure(file(&layout, &[], None)).contains("is empty"));
    assert!(
        failure(file(&layout, &[(Some(vec![0]), Some(0))], None))
            .contains("no image can be decoded")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damaged_files_never_panic(at in 0usize..4000, byte: u8, cut in 0usize..4000) {
        let mut bytes = file(&schema("img", "label"), &[row(1, 0), row(2, 1), row(3, 1)], None);
        let length = bytes.len();
        bytes[at % length] = byte;
        let _ = read_files(&[("train.parquet", bytes.clone())], None);
        bytes.truncate(cut % length);
        let _ = read_files(&[("train.parquet", bytes)], None);
    }
}
