//! What the readers of image data and the search for a model advise: each sentence is taken at its word, ends in a
//! working run, and loses nothing. Of series this is told in `series_advice.rs`.

mod archives;
mod arrays;
mod cifar;
mod classes;
mod commands;
mod complete;
mod folders;
mod follow;
#[cfg(feature = "hub")]
mod hub;
mod idx;
mod listings;
mod models;
mod parquet;
mod pickle;
mod places;
mod table;
mod unread;

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
fn advice_about_classes_works_and_loses_nothing() {
    all_work(&classes::cases());
}

#[test]
fn advice_about_idx_works_and_loses_nothing() {
    all_work(&idx::cases());
}

#[test]
fn advice_about_cifar_works_and_loses_nothing() {
    all_work(&cifar::cases());
}

#[test]
fn advice_about_arrays_works_and_loses_nothing() {
    all_work(&arrays::cases());
}

#[test]
fn advice_about_listings_works_and_loses_nothing() {
    all_work(&listings::cases());
}

#[test]
fn advice_about_archives_works_and_loses_nothing() {
    all_work(&archives::cases());
}

#[test]
fn advice_about_what_is_not_read_works_and_loses_nothing() {
    all_work(&unread::cases());
}

#[test]
fn advice_about_parquet_works_and_loses_nothing() {
    all_work(&parquet::cases());
}

#[test]
fn advice_about_places_works_and_loses_nothing() {
    all_work(&places::cases());
}
