//! Parquet files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use end_to_end::picture::{CAT, COW, DOG, classes, png};

use crate::follow::{BOTH, Refused, SPLIT, nothing, refused, rename};

/// Writes `count` rows of each of these classes, their names in the metadata as the Hub's library has them.
fn put_parquet(file: &Path, bars: &[(&str, usize)], count: usize) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let names: Vec<&str> = bars.iter().map(|(name, _)| *name).collect();
    let label = serde_json::json!({"names": names, "_type": "ClassLabel"});
    let features = serde_json::json!({"info": {"features": {"label": label}}});
    let pair = KeyValue::new("huggingface".to_string(), features.to_string());
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![pair]));
    let schema = "message schema { required binary image; required int64 label; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let sink = fs::File::create(file).unwrap();
    let mut writer = SerializedFileWriter::new(sink, schema, Arc::new(properties.build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let rows = || (0..count).flat_map(|i| (0..bars.len()).map(move |class| (i, class)));
    let images: Vec<ByteArray> = rows()
        .map(|(i, class)| png(bars[class].1, i).into())
        .collect();
    let labels: Vec<i64> = rows().map(|(_, class)| class as i64).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<ByteArrayType>()
        .write_batch(&images, None, None)
        .unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<Int64Type>()
        .write_batch(&labels, None, None)
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

const PETS: [(&str, usize); 2] = [("cat", CAT), ("dog", DOG)];

pub(crate) fn cases() -> Vec<Refused> {
    vec![
        refused(
            "a shard that is not there",
            |root| put_parquet(&root.join("d/train-00000-of-00002.parquet"), &PETS, 6),
            &[
                "`train-00001-of-00002.parquet` is not there, only 1 of 2; fetch the others",
                "rename what is there without `-of-`, as `train-0.parquet`",
            ],
        )
        .then(
            |root| put_parquet(&root.join("d/train-00001-of-00002.parquet"), &PETS, 2),
            SPLIT,
        )
        .then(
            |root| rename(root, "d/train-00000-of-00002.parquet", "d/train-0.parquet"),
            BOTH,
        ),
        refused(
            "two configurations",
            |root| {
                for (name, count) in [("large", 6), ("small", 2)] {
                    let file = format!("d/{name}/train-00000-of-00001.parquet");
                    put_parquet(&root.join(file), &PETS, count);
                }
            },
            &[
                "it holds several datasets, with `large",
                "give one of them, as d/large",
            ],
        )
        .give("d/large", nothing, BOTH)
        .give("d/small", nothing, "cat 2, dog 2"),
        refused(
            "parquet beside class folders",
            |root| {
                put_parquet(&root.join("d/train.parquet"), &PETS, 6);
                classes(&root.join("d"), &["cow", "owl"], 6);
            },
            &["move the ones or the others into a folder of their own and give that"],
        )
        .give(
            "d/table",
            |root| rename(root, "d/train.parquet", "d/table/train.parquet"),
            BOTH,
        )
        .give(
            "d/images",
            |root| {
                rename(root, "d/cow", "d/images/cow");
                rename(root, "d/owl", "d/images/owl");
            },
            "cow 6, owl 6",
        ),
        refused(
            "a class that no training row has",
            |root| {
                put_parquet(&root.join("d/train.parquet"), &PETS, 6);
                let more = [("cat", CAT), ("dog", DOG), ("cow", COW)];
                put_parquet(&root.join("d/test.parquet"), &more, 2);
            },
            &["it has the class `cow` that the training part lacks; add training images of it"],
        )
        .then(
            |root| {
                let all = [("cat", CAT), ("dog", DOG), ("cow", COW)];
                put_parquet(&root.join("d/train.parquet"), &all, 6);
            },
            "cat 8, dog 8, cow 8",
        ),
        refused(
            "a file that says no part",
            |root| {
                put_parquet(&root.join("d/pets.parquet"), &PETS, 6);
                put_parquet(&root.join("d/pets_test.parquet"), &PETS, 2);
            },
            &[
                "the file `pets.parquet` says no part",
                "put `train` into its name",
            ],
        )
        .then(
            |root| rename(root, "d/pets.parquet", "d/pets_train.parquet"),
            SPLIT,
        ),
    ]
}
