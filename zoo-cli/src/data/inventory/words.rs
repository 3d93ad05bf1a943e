//! An inventory in words.

use super::{Duplicates, Inventory, LeftOut, PartCounts, SizeCount};

/// How much of each kind is named in a line.
const SHOWN_CLASSES: usize = 8;
const SHOWN_LEFT_OUT: usize = 5;
const SHOWN_NOTES: usize = 3;

/// Classes whose images are counted one by one in a model card.
const COUNTED_CLASSES: usize = 20;

/// A longer name is cut.
const LONGEST_NAME: usize = 60;

/// A longer path is cut.
const LONGEST_PATH: usize = 240;

/// A text on one line: what is no visible character is written as its code.
pub(crate) fn visible(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        // Marks that turn the direction of writing would change what stands beside the text.
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}') {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line
}

fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => visible(&text[..end]) + "…",
        None => visible(text),
    }
}

/// A name on one line, of which much is left out.
pub(crate) fn shown(name: &str) -> String {
    cut(name, LONGEST_NAME)
}

/// A path on one line that something in a file names: it may hold anything.
pub(crate) fn shown_path(path: &str) -> String {
    cut(path, LONGEST_PATH)
}

/// So many of something.
pub(crate) fn count(n: usize, one: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        _ if one.ends_with("ss") => format!("{n} {one}es"),
        _ => format!("{n} {one}s"),
    }
}

/// That so many images have further pages or frames, which are not used.
pub(crate) fn several_frames(images: usize) -> String {
    let have = if images == 1 { "has" } else { "have" };
    format!(
        "{} {have} more than one page or frame, of which the first is used",
        count(images, "image")
    )
}

/// The first `most` of some things, and how many more there are.
fn listed(things: impl ExactSizeIterator<Item = String>, most: usize, joint: &str) -> String {
    let more = things.len().saturating_sub(most);
    let mut text = things.take(most).collect::<Vec<_>>().join(joint);
    if more > 0 {
        text += &format!("{joint}and {more} more");
    }
    text
}

impl Inventory {
    /// What is to be known before the data are used, in at most three lines: classes, parts, input and what is left
    /// out; notes; images that lie there more than once.
    pub fn lines(&self) -> Vec<String> {
        let mut first = format!("{}: {}", self.classes_in_words(), self.parts_in_words());
        if self.parts.validation > 0 && self.parts.train > self.held_out {
            first += " (the validation part is watched, `validation.fraction` does nothing)";
        }
        if let Some(input) = self.input_in_words() {
            first += &format!("; {input}");
        }
        if let Some(left_out) = self.left_out_in_words() {
            first += &format!("; left out: {left_out}");
        }
        let notes = self.remarks();
        let notes = (!notes.is_empty()).then(|| listed(notes.into_iter(), SHOWN_NOTES, "; "));
        let duplicates = self.duplicates.and_then(|found| found.in_words());
        [Some(first), notes, duplicates]
            .into_iter()
            .flatten()
            .collect()
    }

    /// What the data were, for a model card.
    pub fn card(&self) -> String {
        let classes = match self.classes.len() {
            0 => "images".into(),
            few if few <= COUNTED_CLASSES => {
                let each = self.classes.iter();
                let each = each.map(|class| {
                    format!("{} ({})", shown(&class.name), Self::counts(&class.parts))
                });
                format!(
                    "{}: {}",
                    count(few, "class"),
                    each.collect::<Vec<_>>().join(", ")
                )
            }
            many => {
                let totals = || self.classes.iter().map(|class| class.parts.total());
                let (least, most) = (totals().min(), totals().max());
                let spread = match least == most {
                    true => format!("{} images each", most.unwrap_or_default()),
                    false => format!(
                        "{} to {} images each",
                        least.unwrap_or_default(),
                        most.unwrap_or_default()
                    ),
                };
                format!("{many} classes of {spread}")
            }
        };
        let mut text = format!(
            "The data: {} of {classes}. In all {}",
            self.format,
            self.parts_in_words()
        );
        if let Some(input) = self.input_in_words() {
            text += &format!("; {input}");
        }
        text.push('.');
        if let Some(left_out) = self.left_out_in_words() {
            text += &format!(" Left out: {left_out}.");
        }
        for note in self.remarks() {
            text += &format!(" Note: {}.", note.trim_end_matches('.'));
        }
        text
    }

    /// How many classes there are, and their names.
    fn classes_in_words(&self) -> String {
        let names = self.classes.iter().map(|class| shown(&class.name));
        match self.classes.len() {
            0 => "no classes".into(),
            n => format!(
                "{} ({})",
                count(n, "class"),
                listed(names, SHOWN_CLASSES, ", ")
            ),
        }
    }

    /// The images of each part, as they are used.
    pub fn parts_in_words(&self) -> String {
        let used = PartCounts {
            train: self.parts.train - self.held_out.min(self.parts.train),
            test: self.parts.test + self.held_out,
            ..self.parts
        };
        let mut text = Self::counts(&used);
        if self.held_out > 0 && used.train > 0 {
            text += " (held out: there is no test part)";
        } else if self.held_out > 0 {
            text += " (all images: there is no test part)";
        } else if used.train == 0 {
            text += " (there is no training part)";
        }
        text
    }

    fn counts(parts: &PartCounts) -> String {
        let named = [
            (parts.train, "training"),
            (parts.validation, "validation"),
            (parts.test, "test"),
        ];
        let there = named.iter().filter(|(n, _)| *n > 0);
        let there: Vec<String> = there.map(|(n, part)| format!("{n} {part}")).collect();
        match there.is_empty() {
            true => "no images".into(),
            false => there.join(", "),
        }
    }

    /// What else is to be known, a line each: images of which a part is used, and the notes.
    pub fn remarks(&self) -> Vec<String> {
        let frames = (self.multi_frame > 0).then(|| several_frames(self.multi_frame));
        let notes = self.notes.iter().map(|note| shown_sentence(note));
        frames.into_iter().chain(notes).collect()
    }

    /// What images are brought to, and from what; none where their sizes are not known.
    pub fn input_in_words(&self) -> Option<String> {
        let size = |height: usize, width: usize| format!("{width}×{height}");
        let first = self.sizes.first()?;
        let found = match self.distinct_sizes {
            0 | 1 => size(first.height, first.width),
            n => format!(
                "{} and {}",
                size(first.height, first.width),
                count(n - 1, "other size")
            ),
        };
        let total = self.sizes_total();
        let mixed = self.distinct_sizes <= self.sizes.len() && (1..total).contains(&self.colour);
        let colour = match (self.input.map(|[_, _, channels]| channels), self.colour) {
            (None | Some(1), 0) => "grey".into(),
            (Some(1), _) => "grey from colour".into(),
            (_, 0) => "colour from grey".into(),
            _ if mixed => format!("colour ({} grey)", total - self.colour),
            _ => "colour".to_string(),
        };
        let Some([height, width, _]) = self.input else {
            return Some(format!("{colour}, {found}"));
        };
        let to = size(height, width);
        let alike = |size: &SizeCount| (size.height, size.width) == (height, width);
        if self.distinct_sizes == 1 && alike(first) {
            return Some(format!("{colour}, {to}"));
        }
        // A little that lacks may be padded, not stretched.
        let lacks_little = |from: usize, to: usize| from <= to && (to - from) * 8 <= to;
        let little =
            |size: &SizeCount| lacks_little(size.height, height) && lacks_little(size.width, width);
        let how = match self.sizes.iter().all(little) {
            true => "from",
            false => "by resizing from",
        };
        Some(format!("{colour}, {to} {how} {found}"))
    }

    fn sizes_total(&self) -> usize {
        self.sizes.iter().map(|size| size.images).sum()
    }

    /// What is not read, and why.
    fn left_out_in_words(&self) -> Option<String> {
        let groups = self.left_out.iter().map(LeftOut::in_words);
        (!self.left_out.is_empty()).then(|| listed(groups, SHOWN_LEFT_OUT, ", "))
    }
}

impl LeftOut {
    /// How many there are, and why.
    pub fn in_words(&self) -> String {
        let reason = shown_sentence(&self.reason);
        // A kind of file that is named needs no `files` before it.
        match reason.starts_with('`') {
            true => format!("{} {reason}", self.count),
            false => format!("{} {reason}", count(self.count, "file")),
        }
    }
}

impl Duplicates {
    /// How many there are; none where there are none.
    pub fn in_words(&self) -> Option<String> {
        let found = [
            (self.within_parts, "equal an earlier image of their part"),
            (
                self.between_parts,
                "of the test images equal one of training or validation",
            ),
            (
                self.near,
                "further test images nearly equal one of training or validation",
            ),
        ];
        let found = found.iter().filter(|(n, _)| *n > 0);
        let found: Vec<String> = found.map(|(n, what)| format!("{n} {what}")).collect();
        (!found.is_empty()).then(|| found.join(", "))
    }
}

/// A sentence of a reader on one line.
fn shown_sentence(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(visible).collect()
}
