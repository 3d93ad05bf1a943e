//! What the readers of image data and the search for a model advise: each sentence is taken at its word, ends in a
//! working run, and loses nothing. Of series this is told in `series_advice.rs`.

mod folders;
mod follow;
mod formats;
mod models;
mod parquet;

use follow::{Refused, follow};

fn all_work(cases: &[Refused]) {
    let wrong: Vec<String> = cases.iter().flat_map(follow).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn advice_about_folders_works_and_loses_nothing() {
    all_work(&folders::cases());
}

#[test]
fn advice_about_formats_works_and_loses_nothing() {
    all_work(&formats::cases());
}

#[test]
fn advice_about_parquet_works_and_loses_nothing() {
    all_work(&parquet::cases());
}
