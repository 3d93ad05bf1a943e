//! Parquet files, column by column.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ::parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::parser::parse_message_type;
use end_to_end::picture::{NAMES, png};

/// A column: its type as a schema writes it, and its values, `None` for null.
pub(crate) enum Cells {
    Bytes(Vec<Option<Vec<u8>>>),
    Text(Vec<Option<String>>),
    Whole(Vec<Option<i64>>),
    Unsigned(Vec<u64>),
    Fraction(Vec<f64>),
    Days(Vec<i32>),
    /// A list of whole numbers a row.
    Lists(Vec<[i64; 2]>),
}

type Group<'a> = SerializedRowGroupWriter<'a, fs::File>;

fn write<T: DataType>(group: &mut Group<'_>, values: &[T::T], levels: Option<&[i16]>) {
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<T>()
        .write_batch(values, levels, None)
        .unwrap();
    column.close().unwrap();
}

/// Which values are there, and their levels.
fn there<V, T>(values: &[Option<V>], convert: impl Fn(&V) -> T) -> (Vec<T>, Vec<i16>) {
    let levels = values.iter().map(|value| i16::from(value.is_some()));
    let found = values.iter().flatten().map(convert);
    (found.collect(), levels.collect())
}

impl Cells {
    pub(crate) fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Text(texts.into_iter().map(|text| Some(text.into())).collect())
    }

    pub(crate) fn numbers(numbers: impl IntoIterator<Item = i64>) -> Self {
        Self::Whole(numbers.into_iter().map(Some).collect())
    }

    fn schema(&self, name: &str) -> String {
        match self {
            Self::Bytes(_) => format!("optional binary {name};"),
            Self::Text(_) => format!("optional binary {name} (STRING);"),
            Self::Whole(_) => format!("optional int64 {name};"),
            Self::Unsigned(_) => format!("required int64 {name} (INTEGER(64,false));"),
            Self::Fraction(_) => format!("required double {name};"),
            Self::Days(_) => format!("required int32 {name} (DATE);"),
            Self::Lists(_) => {
                format!(
                    "required group {name} (LIST) {{ repeated group list {{ required int64 element; }} }}"
                )
            }
        }
    }

    fn put(&self, group: &mut Group<'_>) {
        let bytes = |value: &Vec<u8>| ByteArray::from(value.clone());
        match self {
            Self::Bytes(values) => {
                let (values, levels) = there(values, bytes);
                write::<ByteArrayType>(group, &values, Some(&levels));
            }
            Self::Text(values) => {
                let (values, levels) = there(values, |text| ByteArray::from(text.as_str()));
                write::<ByteArrayType>(group, &values, Some(&levels));
            }
            Self::Whole(values) => {
                let (values, levels) = there(values, |value| *value);
                write::<Int64Type>(group, &values, Some(&levels));
            }
            Self::Unsigned(values) => {
                let values: Vec<i64> = values.iter().map(|value| value.cast_signed()).collect();
                write::<Int64Type>(group, &values, None);
            }
            Self::Fraction(values) => write::<DoubleType>(group, values, None),
            Self::Days(values) => write::<Int32Type>(group, values, None),
            Self::Lists(values) => {
                let mut column = group.next_column().unwrap().unwrap();
                let (there, again) = ([1, 1].repeat(values.len()), [0, 1].repeat(values.len()));
                let values = values.concat();
                let writer = column.typed::<Int64Type>();
                writer
                    .write_batch(&values, Some(&there), Some(&again))
                    .unwrap();
                column.close().unwrap();
            }
        }
    }
}

/// Writes columns, with the names of the classes of `label` in the metadata as the Hub's library has them.
pub(crate) fn put_columns(file: &Path, names: &[&str], columns: &[(&str, Cells)]) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let label = serde_json::json!({"names": names, "_type": "ClassLabel"});
    let features = serde_json::json!({"info": {"features": {"label": label}}});
    let pair = KeyValue::new("huggingface".to_string(), features.to_string());
    let metadata = (!names.is_empty()).then(|| vec![pair]);
    let properties = WriterProperties::builder().set_key_value_metadata(metadata);
    let fields: Vec<String> = columns
        .iter()
        .map(|(name, cells)| cells.schema(name))
        .collect();
    let schema = format!("message schema {{ {} }}", fields.join(" "));
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let sink = fs::File::create(file).unwrap();
    let mut writer = SerializedFileWriter::new(sink, schema, Arc::new(properties.build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for (_, cells) in columns {
        cells.put(&mut group);
    }
    group.close().unwrap();
    writer.close().unwrap();
}

/// Pictures of these classes in turn, `count` of each.
pub(crate) fn pictures(classes: &[&str], count: usize) -> Cells {
    let bar = |name: &str| NAMES.iter().position(|known| *known == name).unwrap();
    let rows = (0..count).flat_map(|i| classes.iter().map(move |class| png(bar(class), i)));
    Cells::Bytes(rows.map(Some).collect())
}

/// The numbers of so many classes in turn, `count` times.
pub(crate) fn turns(classes: i64, count: usize) -> Cells {
    Cells::numbers((0..count).flat_map(|_| 0..classes))
}

/// Writes `count` pictures of each of these classes, their names in the metadata.
pub(crate) fn put_parquet(file: &Path, classes: &[&str], count: usize) {
    let columns = [
        ("image", pictures(classes, count)),
        ("label", turns(classes.len() as i64, count)),
    ];
    put_columns(file, classes, &columns);
}
