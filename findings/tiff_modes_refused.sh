#!/usr/bin/env bash
# Of eleven kinds of TIFF that Pillow writes, the Rust crate image refuses five; the crate that it uses reads four of these.
#
# Software: image 0.25.10 with its feature tiff, tiff 0.11.3 (the crate under it), Pillow 13.0.0 (Python 3.11).
# Input: one 256x256 picture in eleven modes, each written by Pillow's `save` with its defaults, without compression. Pillow
# reads every file back as it was.
# Behaviour: `image::load_from_memory` returns an error for LA (grey with alpha), P (palette), YCbCr, I (32-bit integers) and
# F (32-bit floats). tiff reads four of these five to the very values that Pillow stored and refuses P alone, although
# palettes belong to baseline TIFF. What is not refused is read as Pillow reads it. Output seen:
#   1: image same, tiff same
#   L: image same, tiff same
#   LA: image refused, tiff same
#   P: image refused, tiff refused
#   RGB: image same, tiff same
#   RGBA: image same, tiff same
#   CMYK: image same, tiff same
#   YCbCr: image refused, tiff same
#   I: image refused, tiff same
#   F: image refused, tiff same
#   I;16: image same, tiff same
#   refused by image: 5 of 11, by tiff: 1 of 11
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
cd "$work"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "probe"
version = "0.1.0"
edition = "2024"
[dependencies]
image = { version = "=0.25.10", default-features = false, features = ["tiff"] }
tiff = "=0.11.3"
[profile.dev]
debug = false
TOML
cat >src/main.rs <<'RS'
use std::io::Cursor;

use image::DynamicImage;
use tiff::decoder::{Decoder, DecodingResult};

fn verdict<E>(read: Result<Vec<u8>, E>, pillow: String) -> &'static str {
    match read {
        Err(_) => "refused",
        Ok(bytes) if bytes == std::fs::read(pillow).unwrap() => "same",
        Ok(_) => "other values",
    }
}

fn main() {
    for mode in std::fs::read_to_string("modes").unwrap().lines() {
        let file = std::fs::read(format!("{mode}.tif")).unwrap();
        let image = image::load_from_memory(&file).map(|picture| match picture {
            DynamicImage::ImageLuma16(p) => p.iter().flat_map(|v| v.to_le_bytes()).collect(),
            other => other.into_bytes(),
        });
        let tiff = Decoder::new(Cursor::new(&file)).and_then(|mut d| d.read_image()).map(|values| match values {
            DecodingResult::U8(v) => v,
            DecodingResult::U16(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
            DecodingResult::I32(v) => v.iter().flat_map(|v| v.to_ne_bytes()).collect(),
            DecodingResult::F32(v) => v.iter().flat_map(|v| v.to_ne_bytes()).collect(),
            other => panic!("{other:?}"),
        });
        let (image, tiff) = (verdict(image, format!("{mode}.shown")), verdict(tiff, format!("{mode}.stored")));
        println!("{mode}: image {image}, tiff {tiff}");
    }
}
RS
"$work/venv/bin/python" - <<'PY'
from PIL import Image

down = Image.linear_gradient("L")
rgb = Image.merge("RGB", (down, down.transpose(Image.Transpose.ROTATE_90), Image.radial_gradient("L")))
grey = rgb.convert("L")
pictures = {mode: rgb.convert(mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F")}
pictures["LA"].putalpha(down)
pictures["RGBA"].putalpha(down)
pictures["I;16"] = grey.convert("I").point(lambda level: level * 257 + 0).convert("I;16")
for mode, picture in pictures.items():
    picture.save(f"{mode}.tif")
    back = Image.open(f"{mode}.tif")
    assert (back.mode, back.tobytes()) == (mode, picture.tobytes())
    # `image` gives black and white as bytes and converts CMYK to RGB by itself.
    shown = back.convert({"1": "L", "P": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}.get(mode, mode))
    with open(f"{mode}.shown", "wb") as file:
        file.write(shown.tobytes())
    with open(f"{mode}.stored", "wb") as file:
        file.write(back.tobytes())
with open("modes", "w") as file:
    file.write("\n".join(pictures) + "\n")
PY
cargo run --quiet >out
cat out
files=$(wc -l <out)
echo "refused by image: $(grep -c 'image refused' out) of $files, by tiff: $(grep -c 'tiff refused' out) of $files"
diff out - <<'SEEN'
1: image same, tiff same
L: image same, tiff same
LA: image refused, tiff same
P: image refused, tiff refused
RGB: image same, tiff same
RGBA: image same, tiff same
CMYK: image same, tiff same
YCbCr: image refused, tiff same
I: image refused, tiff same
F: image refused, tiff same
I;16: image same, tiff same
SEEN
