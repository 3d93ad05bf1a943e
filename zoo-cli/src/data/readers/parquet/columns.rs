//! Which columns of a parquet file hold its images, its labels and its parts.

use ::parquet::{
    basic::{ConvertedType, LogicalType, Type},
    schema::types::{ColumnDescriptor, SchemaDescriptor},
};
use serde_json::Value;

use crate::data::{inventory::shown, splits};

/// Names of a column of images, in lower case.
const IMAGES: [&str; 2] = ["image", "img"];

/// Names of a column of classes, those of one line being equally plausible and an earlier line being preferred.
const LABELS: [&[&str]; 3] = [
    &["label", "labels", "class", "target"],
    &["fine_label", "fine_labels"],
    &[
        "coarse_label",
        "coarse_labels",
        "category",
        "class_id",
        "class_label",
        "class_name",
        "label_id",
        "label_name",
        "label_text",
        "y",
    ],
];

/// Where the images are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageColumn {
    pub(super) name: String,
    /// The leaf column of encoded images.
    pub(super) bytes: Option<usize>,
    /// The leaf column of the paths of image files, for rows without bytes.
    pub(super) path: Option<usize>,
}

/// How the values of a column of labels are to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LabelKind {
    Integer {
        signed: bool,
    },
    /// Whole numbers that were written as floats, as pandas does where one is missing.
    Float,
    Boolean,
    Text,
}

/// Where the labels are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LabelColumn {
    /// As it is named in messages.
    pub(super) name: String,
    pub(super) leaf: usize,
    pub(super) kind: LabelKind,
    /// The names of the classes by number, as the library `datasets` records them.
    pub(super) names: Option<Vec<String>>,
}

/// The columns of one file that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    /// None where the file holds no images.
    pub(super) image: Option<ImageColumn>,
    pub(super) label: Option<LabelColumn>,
    /// The name, for messages, and the leaf column of the parts of the rows.
    pub(super) split: Option<(String, usize)>,
    /// All columns, for errors.
    pub(super) all: String,
    /// Whether a column holds numbers and none holds bytes, as in a series.
    pub(super) is_series: bool,
    pub(super) notes: Vec<String>,
}

/// A top-level column: its leaves by their names below it.
struct Top<'a> {
    name: &'a str,
    leaves: Vec<(usize, String)>,
}

impl Top<'_> {
    fn is_named(&self, names: &[&str]) -> bool {
        names.contains(&self.name.to_lowercase().as_str())
    }

    /// The leaf that is the whole column.
    fn primitive(&self) -> Option<usize> {
        match self.leaves.as_slice() {
            [(leaf, below)] if below.is_empty() => Some(*leaf),
            _ => None,
        }
    }

    fn leaf(&self, name: &str) -> Option<usize> {
        let found = self.leaves.iter().find(|(_, below)| below == name);
        found.map(|(leaf, _)| *leaf)
    }
}

fn is_text(column: &ColumnDescriptor) -> bool {
    matches!(
        column.logical_type_ref(),
        Some(LogicalType::String | LogicalType::Enum | LogicalType::Json)
    ) || matches!(
        column.converted_type(),
        ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON
    )
}

fn is_single_bytes(column: &ColumnDescriptor) -> bool {
    column.physical_type() == Type::BYTE_ARRAY && column.max_rep_level() == 0
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", shown(name)))
        .collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// A JSON value of the metadata that `datasets` writes about a column.
fn feature<'a>(features: Option<&'a Value>, column: &str) -> Option<&'a Value> {
    features?.get(column)
}

fn has_type(features: Option<&Value>, column: &str, wanted: &str) -> bool {
    feature(features, column)
        .and_then(|feature| feature.get("_type"))
        .is_some_and(|kind| kind == wanted)
}

fn class_names(features: Option<&Value>, column: &str) -> Option<Vec<String>> {
    let names = feature(features, column)?.get("names")?.as_array()?;
    names
        .iter()
        .map(|name| name.as_str().map(str::to_owned))
        .collect()
}

impl Columns {
    /// The name of the column of parts.
    pub(super) fn split_name(&self) -> &str {
        self.split.as_ref().map_or("", |(name, _)| name)
    }

    /// Finds the columns in a schema and in the metadata that `datasets` adds (key `huggingface`).
    ///
    /// # Errors
    /// What is wrong with the columns, where two readings are possible or one is of a kind that cannot be read.
    pub(super) fn find(
        schema: &SchemaDescriptor,
        metadata: Option<&Value>,
    ) -> Result<Self, String> {
        let features = metadata.and_then(|value| value.pointer("/info/features"));
        let mut tops: Vec<Top<'_>> = Vec::new();
        for (leaf, column) in schema.columns().iter().enumerate() {
            let Some((name, below)) = column.path().parts().split_first() else {
                continue;
            };
            let below = below.join(".");
            match tops.last_mut() {
                Some(top) if top.name == name => top.leaves.push((leaf, below)),
                _ => tops.push(Top {
                    name,
                    leaves: vec![(leaf, below)],
                }),
            }
        }
        let names: Vec<&str> = tops.iter().map(|top| top.name).collect();
        let mut notes = Vec::new();
        let image = find_image(schema, &tops, features, &mut notes)?;
        let label = match &image {
            Some(image) => find_label(schema, &tops, features, image, &mut notes)?,
            None => None,
        };
        let split = splits::COLUMNS.iter().find_map(|name| {
            let top = tops.iter().find(|top| top.is_named(&[name]))?;
            let leaf = top.primitive()?;
            is_single_bytes(&schema.column(leaf)).then(|| (shown(top.name), leaf))
        });
        let used = [
            image.as_ref().map(|image| shown(&image.name)),
            label.as_ref().map(|label| label.name.clone()),
            split.as_ref().map(|(name, _)| name.clone()),
        ];
        let perhaps = tops.iter().filter(|top| {
            let lower = top.name.to_lowercase();
            let known = splits::COLUMNS.iter().chain(&splits::PERHAPS_COLUMNS);
            !used.contains(&Some(shown(top.name)))
                && (known.into_iter().any(|name| *name == lower)
                    || splits::of_flag(&lower).is_some())
        });
        notes.extend(perhaps.map(|top| {
            format!(
                "the column `{}` is not used as a split: a column `split` of text would say the part of each row",
                shown(top.name)
            )
        }));
        Ok(Self {
            image,
            label,
            split,
            is_series: is_series(schema),
            all: if names.is_empty() {
                "none".into()
            } else {
                list(&names)
            },
            notes,
        })
    }
}

fn is_series(schema: &SchemaDescriptor) -> bool {
    let is_bytes =
        |column: &ColumnDescriptor| column.physical_type() == Type::BYTE_ARRAY && !is_text(column);
    let is_number = |column: &ColumnDescriptor| {
        matches!(
            column.physical_type(),
            Type::INT32 | Type::INT64 | Type::FLOAT | Type::DOUBLE
        )
    };
    let columns = || schema.columns().iter().map(AsRef::as_ref);
    !columns().any(is_bytes) && columns().any(is_number)
}

/// The image column in this top-level column, if it is of that form.
fn as_image(schema: &SchemaDescriptor, top: &Top<'_>) -> Option<ImageColumn> {
    let bytes_in = |leaf: Option<usize>| leaf.filter(|&leaf| is_single_bytes(&schema.column(leaf)));
    let (bytes, path) = match top.primitive() {
        Some(leaf) if is_text(&schema.column(leaf)) => (None, bytes_in(Some(leaf))),
        Some(leaf) => (bytes_in(Some(leaf)), None),
        None => (bytes_in(top.leaf("bytes")), bytes_in(top.leaf("path"))),
    };
    (bytes.is_some() || path.is_some()).then(|| ImageColumn {
        name: top.name.to_owned(),
        bytes,
        path,
    })
}

fn find_image(
    schema: &SchemaDescriptor,
    tops: &[Top<'_>],
    features: Option<&Value>,
    notes: &mut Vec<String>,
) -> Result<Option<ImageColumn>, String> {
    let is_struct = |top: &&Top<'_>| top.leaf("bytes").is_some();
    // Text is a column of paths only under the name of images.
    let is_binary = |top: &&Top<'_>| {
        !LABELS.iter().any(|names| top.is_named(names))
            && top.primitive().is_some_and(|leaf| {
                is_single_bytes(&schema.column(leaf)) && !is_text(&schema.column(leaf))
            })
    };
    let named: Vec<&Top<'_>> = tops.iter().filter(|top| top.is_named(&IMAGES)).collect();
    let typed = tops
        .iter()
        .filter(|top| has_type(features, top.name, "Image"));
    let structs = tops.iter().filter(is_struct);
    let binaries = tops.iter().filter(is_binary);
    let candidates = [
        named,
        typed.collect(),
        structs.collect(),
        binaries.collect(),
    ];
    let Some(candidates) = candidates.into_iter().find(|found| !found.is_empty()) else {
        return Ok(None);
    };
    let [top] = candidates.as_slice() else {
        let names: Vec<&str> = candidates.iter().map(|top| top.name).collect();
        return Err(format!(
            "its columns {} may each be the images; leave one of them, or call that one `image`",
            list(&names)
        ));
    };
    let Some(image) = as_image(schema, top) else {
        return Err(format!(
            "its column `{}` holds no encoded images but other values; store each image as the bytes of a png or jpg \
             file",
            shown(top.name)
        ));
    };
    let others: Vec<&str> = tops
        .iter()
        .filter(|other| other.name != image.name && has_type(features, other.name, "Image"))
        .map(|other| other.name)
        .collect();
    if !others.is_empty() {
        notes.push(format!(
            "the images are those of the column `{}`; {} not used",
            shown(&image.name),
            are(&others)
        ));
    }
    Ok(Some(image))
}

fn are(names: &[&str]) -> String {
    format!(
        "{} {}",
        list(names),
        if names.len() == 1 { "is" } else { "are" }
    )
}

fn find_label(
    schema: &SchemaDescriptor,
    tops: &[Top<'_>],
    features: Option<&Value>,
    image: &ImageColumn,
    notes: &mut Vec<String>,
) -> Result<Option<LabelColumn>, String> {
    let others: Vec<&Top<'_>> = tops.iter().filter(|top| top.name != image.name).collect();
    let typed: Vec<&&Top<'_>> = others
        .iter()
        .filter(|top| has_type(features, top.name, "ClassLabel"))
        .collect();
    let known: Vec<&&Top<'_>> = others
        .iter()
        .filter(|top| LABELS.iter().any(|names| top.is_named(names)))
        .collect();
    // What the writer called classes is preferred to what has the name of classes.
    let pool = if typed.is_empty() { &known } else { &typed };
    let candidates: Vec<&Top<'_>> = LABELS
        .iter()
        .map(|names| {
            let named = pool.iter().filter(|top| top.is_named(names));
            named.map(|top| **top).collect::<Vec<_>>()
        })
        .find(|named| !named.is_empty())
        .unwrap_or_else(|| pool.iter().map(|top| **top).collect());
    let top = match candidates.as_slice() {
        [] => return Ok(None),
        [top] => *top,
        several => {
            let names: Vec<&str> = several.iter().map(|top| top.name).collect();
            return Err(format!(
                "its columns {} may each be the classes; leave one of them, or give the others names that are not those \
                 of classes, as `meta_1`",
                list(&names)
            ));
        }
    };
    let unused: Vec<&str> = known
        .iter()
        .chain(&typed)
        .map(|other| other.name)
        .filter(|name| *name != top.name)
        .fold(Vec::new(), |mut unused, name| {
            if !unused.contains(&name) {
                unused.push(name);
            }
            unused
        });
    if !unused.is_empty() {
        notes.push(format!(
            "the classes are those of the column `{}`; {} not used",
            shown(top.name),
            are(&unused)
        ));
    }
    let Some(leaf) = top.primitive() else {
        return Err(format!(
            "its column `{}` holds lists or records; store one class a row, as a number or a name",
            shown(top.name)
        ));
    };
    let column = schema.column(leaf);
    let unsigned = matches!(column.logical_type_ref(), Some(LogicalType::Integer(int)) if !int.is_signed)
        || matches!(
            column.converted_type(),
            ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
                | ConvertedType::UINT_64
        );
    let is_number = match column.logical_type_ref() {
        None => matches!(
            column.converted_type(),
            ConvertedType::NONE
                | ConvertedType::INT_8
                | ConvertedType::INT_16
                | ConvertedType::INT_32
                | ConvertedType::INT_64
        ),
        Some(logical) => matches!(logical, LogicalType::Integer(_)),
    };
    let kind = match column.physical_type() {
        Type::INT32 | Type::INT64 if is_number || unsigned => {
            LabelKind::Integer { signed: !unsigned }
        }
        Type::FLOAT | Type::DOUBLE => LabelKind::Float,
        Type::BOOLEAN => LabelKind::Boolean,
        // Some writers do not say that their bytes are text.
        Type::BYTE_ARRAY => LabelKind::Text,
        _ => {
            return Err(format!(
                "its column `{}` holds dates, decimals or other values; store each class as a number or a name",
                shown(top.name)
            ));
        }
    };
    Ok(Some(LabelColumn {
        name: shown(top.name),
        leaf,
        kind,
        names: class_names(features, top.name),
    }))
}
