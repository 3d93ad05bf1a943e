//! Makes the embedded sample, `sample/train.png` and `sample/test.png`, from the four IDX files of
//! Fashion-MNIST (Debian's package `dataset-fashion-mnist` puts them in `/usr/share/datasets/fashion-mnist`):
//!
//! ```text
//! cargo run --release -p zoo-cli --example make_sample -- /usr/share/datasets/fashion-mnist
//! ```
//!
//! Each sheet is a grey PNG of 28×28 tiles; the rows of tiles are divided evenly among the ten classes, in
//! the order of the labels, so that a tile's label is its position. The images of a class are drawn without
//! replacement by a fixed seed: the same source gives the same bytes.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use gmnm_core::rng::Philox;
use image::{
    ExtendedColorType, ImageEncoder,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};
use zoo::data::Images;
use zoo::data::readers::idx;

const CLASSES: usize = 10;
const SIDE: usize = 28;

/// Draws `rows · columns` tiles of each class and writes the sheet.
fn write_sheet(images: &Images, rows: usize, columns: usize, path: &Path) -> Result<()> {
    let mut chosen = Vec::with_capacity(CLASSES * rows * columns);
    for class in 0..CLASSES {
        let mut members: Vec<usize> = (0..images.len())
            .filter(|&i| images.labels[i] as usize == class)
            .collect();
        ensure!(
            members.len() >= rows * columns,
            "class {class} has {} images",
            members.len()
        );
        Philox::named(0, &format!("sample of class {class}")).shuffle(&mut members);
        chosen.extend_from_slice(&members[..rows * columns]);
    }

    let (width, height) = (columns * SIDE, CLASSES * rows * SIDE);
    let mut sheet = Vec::with_capacity(width * height);
    for row_of_tiles in chosen.chunks_exact(columns) {
        for y in 0..SIDE {
            for &tile in row_of_tiles {
                sheet.extend_from_slice(&images.image(tile)[y * SIDE..(y + 1) * SIDE]);
            }
        }
    }
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Level(9), FilterType::Adaptive)
        .write_image(&sheet, width as u32, height as u32, ExtendedColorType::L8)?;
    fs::write(path, &png).with_context(|| format!("cannot write `{}`", path.display()))
}

fn main() -> Result<()> {
    let source = PathBuf::from(
        env::args_os()
            .nth(1)
            .context("give the folder of the IDX files")?,
    );
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample");
    for (part, sheet, rows, columns) in
        [("train", "train.png", 10, 60), ("t10k", "test.png", 5, 40)]
    {
        let file = |kind: &str| source.join(format!("{part}-{kind}-ubyte.gz"));
        let images = idx::read_pair(&file("images-idx3"), &file("labels-idx1"))?;
        ensure!(
            (images.height, images.width) == (SIDE, SIDE),
            "images are not 28×28"
        );
        write_sheet(&images, rows, columns, &target.join(sheet))?;
    }
    Ok(())
}
