//! Parquet files as pyarrow, polars, pandas and datasets write them.

use serde_json::json;

use crate::row::{Row, written};

const BOTH: &str = "cat 6/0/0, dog 6/0/0";
const SPLIT: &str = "cat 6/0/2, dog 6/0/2";

fn by_number(name: &str) -> Option<usize> {
    name.parse().ok()
}

pub(crate) fn by_libraries() -> Vec<Row> {
    [parts(), codecs(), columns(), odd_rows(), refused()]
        .into_iter()
        .flatten()
        .collect()
}

/// Parts and their classes.
fn parts() -> Vec<Row> {
    vec![
        written("files pets_train and pets_test", "parquet/pets").reads(SPLIT),
        written("train, validation and test", "parquet/three").reads("cat 6/3/2, dog 6/3/2"),
        written("shards in data", "parquet/shards").reads("cat 12/0/2, dog 12/0/2"),
        written("what the Hub converts, in part", "parquet/partial").reads(SPLIT),
        written("train and dev in folders", "parquet/folders").reads("cat 6/2/0, dog 6/2/0"),
        written("one file", "parquet/one.parquet").reads(BOTH),
        written("a test part with fewer names", "parquet/fewer_names")
            .reads("cat 6/0/2, cow 6/0/0, dog 6/0/2"),
        written(
            "a test part with names in another order",
            "parquet/other_order",
        )
        .reads(SPLIT),
        written("a test part with a name of its own", "parquet/more_names").refused(&["owl"]),
        written("shards with names in another order", "parquet/shards_order")
            .reads("cat 12/0/0, dog 12/0/0"),
        written("composed and decomposed names", "parquet/unicode")
            .bars(|name| Some(if name == "dog" { 2 } else { 0 }))
            .reads("caf\u{e9} 6/0/2, dog 6/0/2"),
        written("an incomplete set of shards", "parquet/incomplete").refused(&["00001-of-00002"]),
        written("two configurations", "parquet/configurations").refused(&["large", "small"]),
        written("two data sets side by side", "parquet/two_sets").refused(&["mnist", "pets"]),
        written("parquet beside class folders", "parquet/beside").refused(&["parquet"]),
        written("a card beside the files", "parquet/card")
            .reads(SPLIT)
            .leaves_out(2, &[]),
    ]
}

/// How columns are packed and coded.
fn codecs() -> Vec<Row> {
    vec![
        written("zstd", "parquet/zstd").reads(SPLIT),
        written("gzip", "parquet/gzip").reads(SPLIT),
        written("brotli", "parquet/brotli").reads(SPLIT),
        written("lz4", "parquet/lz4").reads(SPLIT),
        written("snappy", "parquet/snappy").reads(SPLIT),
        written("no codec", "parquet/none").reads(SPLIT),
        written("pages of the second version", "parquet/pages").reads(SPLIT),
        written("many groups of rows", "parquet/groups").reads(SPLIT),
        written("what polars writes", "parquet/polars")
            .bars(by_number)
            .reads("0 6/0/0, 1 6/0/0"),
        written("what pandas writes", "parquet/pandas").reads(BOTH),
        written("what datasets writes", "parquet/datasets").reads(SPLIT),
    ]
}

/// Columns of images and of labels.
fn columns() -> Vec<Row> {
    vec![
        written("labels that are text", "parquet/text").reads(SPLIT),
        written("labels that are long text", "parquet/large_text").reads(SPLIT),
        written("labels from a dictionary", "parquet/dictionary").reads(SPLIT),
        written("labels of a pandas category", "parquet/category").reads(BOTH),
        written("labels of one byte", "parquet/int8").reads(SPLIT),
        written("labels without a sign", "parquet/uint64").reads(SPLIT),
        written("labels without names", "parquet/unnamed")
            .bars(by_number)
            .reads("0 6/0/2, 1 6/0/2"),
        written("images as bytes", "parquet/bytes").reads(SPLIT),
        written("images as long bytes", "parquet/large_bytes").reads(SPLIT),
        written("images as views of bytes", "parquet/views").reads(SPLIT),
        written("the columns of CIFAR-100", "parquet/fine").reads(SPLIT),
        written("paths to files that are there", "parquet/paths").reads(BOTH),
        written("paths beside the file", "parquet/relative").reads(BOTH),
        written("paths to files that are gone", "parquet/gone").refused(&["holds no images"]),
        written("paths that datasets wrote for a folder", "parquet/exported").reads(BOTH),
        written("images that were embedded as advised", "parquet/embedded").reads(BOTH),
        written("TIFF as datasets stores it", "parquet/tiff").reads(BOTH),
        written(
            "float TIFF beyond 1 as datasets stores it",
            "parquet/floats",
        )
        .with(&[&[]])
        .reads("cat 5/0/0, dog 5/0/0")
        .fails(&["row 6", "row 7", "floats"]),
        written("a grey row first", "parquet/grey_first")
            .reads(BOTH)
            .holds("/input", json!([32, 32, 3]))
            .holds("/colour", 11),
        written("a large row first", "parquet/large_first")
            .reads(BOTH)
            .holds("/input", json!([32, 32, 3]))
            .holds("/distinct_sizes", 2),
        written("wide rows", "parquet/wide")
            .reads(BOTH)
            .holds("/input", json!([40, 48, 3])),
    ]
}

/// Rows that cannot be used.
fn odd_rows() -> Vec<Row> {
    vec![
        written("a row without an image", "parquet/null_image")
            .reads("cat 5/0/0, dog 6/0/0")
            .says(&["row 3"])
            .fails(&[]),
        written("a row without bytes", "parquet/null_bytes")
            .reads("cat 5/0/0, dog 6/0/0")
            .says(&["row 3"])
            .fails(&[]),
        written("a row that cannot be decoded", "parquet/broken")
            .reads("cat 5/0/0, dog 6/0/0")
            .says(&["row 3"])
            .fails(&[]),
        written("a row without a label", "parquet/null_label")
            .reads("cat 5/0/0, dog 6/0/0")
            .says(&["row 3"])
            .fails(&[]),
        written("a test part with labels of -1", "parquet/minus_one")
            .reads(BOTH)
            .leaves_out(4, &["label"]),
        written("a test part with null labels", "parquet/null_labels")
            .reads(BOTH)
            .leaves_out(4, &["label"]),
        written("labels as numbers with a point", "parquet/float")
            .bars(by_number)
            .reads("0 6/0/0, 1 6/0/0"),
    ]
}

/// Files that are refused.
fn refused() -> Vec<Row> {
    vec![
        written("a table of numbers", "parquet/numbers").refused(&["numbers"]),
        written("several labels a row", "parquet/lists").refused(&["label"]),
        written("images as lists of numbers", "parquet/arrays").refused(&["image"]),
        written("a label beyond the names", "parquet/beyond").refused(&["label 7"]),
        written("broken numbers for labels", "parquet/fractions").refused(&["label"]),
        written("a file that is cut", "parquet/cut.parquet").refused(&["cut.parquet"]),
        written("a text called parquet", "parquet/text.parquet").refused(&["text.parquet"]),
        written("no rows", "parquet/empty").refused(&["empty"]),
        written("labels that nobody has", "parquet/all_minus_one").refused(&["label"]),
    ]
}
