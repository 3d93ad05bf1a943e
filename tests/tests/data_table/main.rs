//! Inputs as people have them, each with what `zoo inspect` has to say of it: its inventory, or why it is refused.
//! Whatever is read is compared with what the pictures show: none may come with exit code 0 and a wrong label.

mod archives;
mod files;
mod folders;
mod formats;
mod listings;
mod parquet;
mod row;
mod series;

use std::path::Path;
use std::process::Command;

use end_to_end::peer;
use row::Row;

/// Carries out all rows, or those whose names hold `ZOO_ROW`, then tells of all that failed.
fn carry_out(rows: &[Row], peers: Option<&Path>) {
    let only = std::env::var("ZOO_ROW").unwrap_or_default();
    let chosen = rows.iter().filter(|row| row.name.contains(&only));
    let failures: Vec<String> = chosen.flat_map(|row| row.failures(peers)).collect();
    let (failed, all) = (failures.len(), rows.len());
    assert!(
        failures.is_empty(),
        "{failed} failures in {all} rows:\n{}",
        failures.join("\n")
    );
}

#[test]
fn folders() {
    carry_out(&folders::rows(), None);
}

#[test]
fn files() {
    carry_out(&files::rows(), None);
}

#[test]
fn archives() {
    carry_out(&archives::rows(), None);
}

#[test]
fn formats() {
    carry_out(&formats::rows(), None);
}

#[test]
fn listings() {
    carry_out(&listings::rows(), None);
}

#[test]
fn series() {
    carry_out(&series::rows(), None);
}

#[test]
fn written_by_libraries() {
    let Some(python) = peer::python("datasets, pandas, polars, PIL, pyarrow, skimage, torchvision")
    else {
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let output = Command::new(python)
        .arg(peer::script("write_images.py"))
        .arg(root.path())
        .env("HF_HOME", root.path().join("cache"))
        .output()
        .unwrap();
    peer::printed(&output);
    carry_out(&library_rows(), Some(root.path()));
}

fn library_rows() -> Vec<Row> {
    let all = [
        archives::by_libraries(),
        files::by_libraries(),
        formats::by_libraries(),
        listings::by_libraries(),
        parquet::by_libraries(),
    ];
    all.into_iter().flatten().collect()
}

#[test]
fn the_table_is_large() {
    let here = [
        folders::rows(),
        files::rows(),
        archives::rows(),
        formats::rows(),
        listings::rows(),
        series::rows(),
        library_rows(),
    ];
    let mut names: Vec<&str> = here.iter().flatten().map(|row| row.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "two rows have one name");
    assert!(count >= 120, "{count}");
}
