//! Tables of pixels, as MNIST is handed out on Kaggle: a row for each image, a column for each pixel and one for the
//! label. They are known by their header, and not read.

use std::path::Path;

use crate::data::readers::numpy::SAVE;

/// A table has at least so many columns of pixels.
const LEAST: usize = 16;

/// Names of the column of labels, in lower case.
const LABELS: [&str; 4] = ["label", "class", "y", "target"];

/// What a text that begins with the header of such a table is, and what to do with it; nothing for other texts. `file`
/// is where it lies, where others can open it there.
pub(in crate::data) fn refusal(text: &[u8], file: Option<&Path>) -> Option<String> {
    let line = text.split(|&byte| byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let line = line.trim_start_matches('\u{feff}').trim().to_lowercase();
    let names: Vec<&str> = line
        .split(',')
        .map(|name| name.trim_matches(['"', ' ']))
        .collect();
    let pixels = names.iter().filter(|name| is_pixel(name)).count();
    if pixels < LEAST || names.len() - pixels > 2 {
        return None;
    }
    let what = "it is a table of pixels, an image a row";
    let Some(label) = names.iter().position(|name| LABELS.contains(name)) else {
        return Some(format!(
            "{what} without a column of labels; give the table that has them"
        ));
    };
    let side = pixels.isqrt();
    let columns = match label {
        _ if side * side != pixels || names.len() != pixels + 1 => None,
        0 => Some(("1:", "0")),
        last if last == pixels => Some((":-1", "-1")),
        _ => None,
    };
    let path = file.and_then(Path::to_str);
    let path = path.filter(|path| !path.contains(['\'', '"', '\\']));
    let name = file
        .and_then(Path::file_stem)
        .unwrap_or_default()
        .to_string_lossy();
    let name = name.trim_end_matches(".csv");
    Some(match (path, columns) {
        (Some(path), Some((pixels, label))) => format!(
            "{what}; turn it into arrays with `python3 -c 'import numpy; t = numpy.loadtxt(\"{path}\", delimiter=\",\", \
             skiprows=1, dtype=\"uint8\"); numpy.savez(\"{name}.npz\", x_train=t[:, {pixels}].reshape(-1, {side}, {side}), \
             y_train=t[:, {label}])'` and give `{name}.npz`"
        ),
        _ => format!("{what}; save its arrays with {SAVE} and give that file"),
    })
}

/// Whether a column is called as that of a pixel: `pixel0`, `pixel_0`, `px0`, `1x1`.
fn is_pixel(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let numbered = name
        .strip_prefix("pixel")
        .or_else(|| name.strip_prefix("px"));
    let of_place = || name.split_once('x');
    numbered.is_some_and(|rest| is_number(rest.trim_start_matches(['_', ' '])))
        || of_place().is_some_and(|(row, column)| is_number(row) && is_number(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: impl Iterator<Item = String>) -> String {
        names.collect::<Vec<_>>().join(",") + "\n5,0\n"
    }

    #[test]
    fn tables_of_pixels_are_known_by_their_header() {
        let kaggle =
            header(std::iter::once("label".into()).chain((0..784).map(|i| format!("pixel{i}"))));
        let said = refusal(kaggle.as_bytes(), Some(Path::new("a/train.csv"))).unwrap();
        assert!(said.contains("loadtxt(\"a/train.csv\""), "{said}");
        assert!(
            said.contains(
                "numpy.savez(\"train.npz\", x_train=t[:, 1:].reshape(-1, 28, 28), y_train=t[:, 0])"
            ),
            "{said}"
        );
        let last = header(
            (0..16)
                .map(|i| format!("{}x{}", i / 4, i % 4))
                .chain(["Class".into()]),
        );
        let said = refusal(last.as_bytes(), Some(Path::new("x.csv.gz"))).unwrap();
        assert!(
            said.contains("x_train=t[:, :-1].reshape(-1, 4, 4), y_train=t[:, -1])"),
            "{said}"
        );
        assert!(said.ends_with("give `x.npz`"), "{said}");
    }

    #[test]
    fn other_tables_are_no_tables_of_pixels() {
        let pixels = || (0..20).map(|i| format!("px_{i}"));
        for (text, said) in [
            (header(pixels()), Some("without a column of labels")),
            (
                header(pixels().chain(["label".into()])),
                Some("numpy.savez"),
            ),
            (header(pixels().take(9).chain(["label".into()])), None),
            ("date,a,b\n2024-01-01,1,2\n".into(), None),
            (header((0..50).map(|i| i.to_string())), None),
            (String::new(), None),
        ] {
            let found = refusal(text.as_bytes(), None);
            match said {
                None => assert_eq!(found, None, "{text}"),
                Some(said) => assert!(found.unwrap().contains(said), "{text}"),
            }
        }
    }
}
