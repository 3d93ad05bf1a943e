//! Whether every sentence of advice has a row: those that stand in the sources of the readers are looked for among the
//! sentences that the tables of these tests expect.

use std::fs;
use std::path::{Path, PathBuf};

/// Words with which advice begins, after a semicolon or as a sentence of its own.
const ADVICE: &[&str] = &[
    "add",
    "bring",
    "call",
    "check",
    "choose",
    "convert",
    "copy",
    "correct",
    "count",
    "cut",
    "develop",
    "did",
    "export",
    "fetch",
    "fill",
    "for",
    "give",
    "if",
    "keep",
    "leave",
    "list",
    "make",
    "mend",
    "move",
    "name",
    "number",
    "or",
    "pack",
    "put",
    "remove",
    "rename",
    "render",
    "repair",
    "replace",
    "restore",
    "round",
    "run",
    "save",
    "say",
    "scale",
    "set",
    "sort",
    "split",
    "start",
    "store",
    "swap",
    "take",
    "train",
    "transpose",
    "turn",
    "unpack",
    "where",
    "write",
];

/// Words that follow a semicolon where nothing is advised.
const NO_ADVICE: &[&str] = &[
    "csv", "it", "left", "not", "numpy", "t", "the", "they", "to",
];

/// Sentences that no row can lead to, by a part of each, and why.
const WITHOUT_ROW: &[(&str, &str)] = &[
    ("MiB of parquet files lie in an archive", "2 GiB of files"),
    (
        "images; fetch the file again",
        "50,000 images of STL-10 take 1.4 GB",
    ),
    ("files; split it", "20 million files"),
    ("files lie here; split it", "20 million files"),
    (
        "take them from the loader",
        "only for callers of the library",
    ),
    ("it is longer than", "a pickle of 1 GiB"),
    (
        "bytes of text are read; give fewer rows or columns",
        "a text of 1 GiB",
    ),
    ("rows; write it as several files", "100 million rows"),
    (
        "its images take",
        "more memory than any machine that tests has",
    ),
    ("it changed while it was read", "a race"),
    ("reading it failed unexpectedly", "a fault of the program"),
    (
        "the thread that makes the batches ended early",
        "a fault of the program",
    ),
    (
        "a batch of 0 images",
        "of the library: a recipe refuses it first",
    ),
    (
        "it has no classes; give labelled images",
        "no reader gives images without classes",
    ),
    (
        "{error}; repair the file",
        "a text that was decoded has no damaged record",
    ),
    ("means and", "of the library: a model brings both"),
    (
        "there is no image",
        "of the library: indices come from the program",
    ),
    (
        "it has no home on the Hub",
        "every default of a model has one",
    ),
    (
        "it needs what is not built in",
        "the writer here has no such encoding either",
    ),
    (
        "is compressed with LZO",
        "the writer here has no LZO either",
    ),
    (
        "its images are not bytes",
        "a column of another kind is refused before",
    ),
    (
        "its columns differ in length",
        "no writer makes such a file",
    ),
    (
        "it is damaged; fetch the file again",
        "what the library of parquet panics at changes from version to version",
    ),
    (
        "is of a kind that holds no classes",
        "a column of another kind is refused before",
    ),
];

/// The texts in quotes of a Rust source, without its unit tests, escapes resolved.
fn texts(source: &str) -> Vec<String> {
    let source = source
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or("");
    let mut texts = Vec::new();
    let mut left = source.chars().peekable();
    let mut before = ' ';
    while let Some(c) = left.next() {
        match c {
            '/' if left.peek() == Some(&'/') => {
                left.by_ref().find(|c| *c == '\n');
            }
            // A quote as a character is none of a text; a lifetime has no second one.
            '\'' => {
                if left.peek() == Some(&'\\') {
                    left.nth(1);
                    left.by_ref().find(|c| *c == '\'');
                } else if left.clone().nth(1) == Some('\'') {
                    left.nth(1);
                }
            }
            '"' if before == '#' || before == 'r' => {
                let mut text = String::new();
                while let Some(c) = left.next() {
                    let ends = before == 'r' || left.peek() == Some(&'#');
                    if c == '"' && ends {
                        break;
                    }
                    text.push(c);
                }
                texts.push(text);
            }
            '"' => texts.push(text(&mut left)),
            _ => {}
        }
        before = c;
    }
    texts
}

/// The rest of a text up to its closing quote.
fn text(left: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut text = String::new();
    while let Some(c) = left.next() {
        match c {
            '"' => break,
            '\\' => match left.next() {
                Some('\n') => while left.next_if(|c| c.is_whitespace()).is_some() {},
                Some('n') => text.push('\n'),
                Some(c) => text.push(c),
                None => break,
            },
            _ => text.push(c),
        }
    }
    text
}

/// What stands between the places of a text that are filled in.
fn fixed(text: &str) -> Vec<String> {
    let text = text.replace("{{", "\u{1}").replace("}}", "\u{2}");
    let mut parts = Vec::new();
    for (i, part) in text.split('{').enumerate() {
        let part = match part.split_once('}') {
            Some((_, rest)) if i > 0 => rest,
            _ => part,
        };
        parts.push(part.replace('\u{1}', "{").replace('\u{2}', "}"));
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Whether a text advises something.
///
/// # Errors
/// A word that is known neither to begin advice nor not to.
fn advises(text: &str) -> Result<bool, String> {
    if text.split_whitespace().count() < 3 {
        return Ok(false);
    }
    let first = |part: &str| -> String {
        let filled = fixed(part).concat();
        let words = filled.trim_start();
        words.chars().take_while(|c| c.is_alphabetic()).collect()
    };
    let word = first(text);
    let begins = !word.is_empty() && text.starts_with(&word) && ADVICE.contains(&word.as_str());
    let mut found = begins || text.starts_with(", or ");
    for part in text.split("; ").skip(1) {
        let word = first(part);
        match word.as_str() {
            word if NO_ADVICE.contains(&word) => {}
            // A step that is filled in.
            word if word.is_empty() || ADVICE.contains(&word) => found = true,
            word => {
                return Err(format!(
                    "`{word}` is not known as advice or none, in: {text}"
                ));
            }
        }
    }
    Ok(found)
}

/// Whether a row expects a sentence of this form.
fn is_expected(form: &str, rows: &[String]) -> bool {
    let parts = fixed(form);
    rows.iter().any(|row| {
        let mut left = row.as_str();
        parts.iter().all(|part| match left.split_once(part.trim()) {
            Some((_, rest)) => {
                left = rest;
                true
            }
            None => false,
        })
    })
}

/// The sources below a folder, without files of unit tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for item in fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        let name = path.file_stem().unwrap_or_default();
        if name == "tests" {
            continue;
        }
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn every_sentence_of_advice_is_followed() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tables = sources(&here.join("tests/advice"));
    tables.retain(|path| !path.ends_with("complete.rs"));
    tables.push(here.join("tests/series_advice.rs"));
    let read = |path: &PathBuf| texts(&fs::read_to_string(path).unwrap());
    let expected: Vec<String> = tables.iter().flat_map(read).collect();
    // A row parts a sentence where a word of the system stands in it.
    let rows: Vec<String> = (0..expected.len())
        .map(|at| expected[at..expected.len().min(at + 3)].join(" … "))
        .collect();
    let mut wrong = Vec::new();
    let mut excepted = vec![false; WITHOUT_ROW.len()];
    for path in sources(&here.join("../zoo-cli/src/data")) {
        for text in read(&path) {
            match advises(&text) {
                Ok(false) => continue,
                Ok(true) if is_expected(&text, &rows) => continue,
                Ok(true) => {}
                Err(problem) => {
                    wrong.push(problem);
                    continue;
                }
            }
            match WITHOUT_ROW.iter().position(|(part, _)| text.contains(part)) {
                Some(at) => excepted[at] = true,
                None => wrong.push(format!("{}: no row expects: {text}", path.display())),
            }
        }
    }
    for ((part, _), _) in WITHOUT_ROW
        .iter()
        .zip(&excepted)
        .filter(|(_, used)| !**used)
    {
        wrong.push(format!("no sentence without a row has: {part}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn advice_is_told_from_other_texts() {
    let source = r##"let a = "it is cut; \"fetch\" it
        again"; // "not this; give that"
        let b = ['"', '\'', 'x']; let c: &'static str = r#"a "raw" text"#;
        #[error("`{path}` is {what}; {step}")]
        #[cfg(test)]
mod tests { "never; give" }"##;
    let source = source.replace("it\n        again", "it \\\n        again");
    assert_eq!(
        texts(&source),
        [
            "it is cut; \"fetch\" it again",
            "a \"raw\" text",
            "`{path}` is {what}; {step}"
        ]
    );
    for (text, expected) in [
        ("it is cut; fetch it again", true),
        ("unpack it and give the folder", true),
        ("`{path}` is {what}; {step}", true),
        (", or take the rows as evenly spaced", true),
        ("they are matched; the list is followed", false),
        ("give it", false),
    ] {
        assert_eq!(advises(text), Ok(expected), "{text}");
    }
    assert!(advises("it is cut; juggle with it").is_err());
    let rows = ["`d.zip` is cut after 7 bytes; fetch it again".to_owned()];
    assert!(is_expected(
        "cut after {count} bytes; fetch it again",
        &rows
    ));
    assert!(!is_expected(
        "cut after {count} words; fetch it again",
        &rows
    ));
}
