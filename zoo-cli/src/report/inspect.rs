//! What lies in data, for people.

use super::{Table, thousands};
use crate::data::inventory::{Inventory, LeftOut, PartCounts, shown};
use crate::data::series::{SeriesInventory, SeriesLeftOut};

/// Names, gaps and columns that are listed.
const LISTED: usize = 20;

/// A dataset of images: its facts, its classes, and what is left out.
pub fn images_found(inventory: &Inventory) -> String {
    let mut facts = Facts::default();
    facts.add("format", &inventory.format);
    facts.add("images", &inventory.parts_in_words());
    if let Some(input) = inventory.input_in_words() {
        facts.add("read as", &input);
    }
    let sizes: Vec<String> = inventory
        .sizes
        .iter()
        .map(|size| {
            format!(
                "{}×{} ({})",
                size.width,
                size.height,
                thousands(size.images)
            )
        })
        .collect();
    facts.list("sizes", &sizes, inventory.distinct_sizes);
    if let Some(found) = &inventory.duplicates {
        let [height, width, _] = found.compared;
        let said = found.in_words().unwrap_or_else(|| "none".into());
        facts.add(
            "duplicates",
            &format!("{said} (compared at {width}×{height})"),
        );
    }
    let mut parts = vec![facts.0.to_string()];

    let mut classes = Table::new(["class", "training", "validation", "test"]);
    let row = |name: String, parts: &PartCounts| {
        let counts = [parts.train, parts.validation, parts.test].map(thousands);
        [name].into_iter().chain(counts).collect::<Vec<_>>()
    };
    for class in &inventory.classes {
        classes.row(row(shown(&class.name), &class.parts));
    }
    if inventory.classes.len() > 1 {
        classes.row(row("(all)".into(), &inventory.parts));
    }
    parts.push(classes.to_string());
    if !inventory.left_out.is_empty() {
        let mut left_out = Table::new(["left out", "the first of them"]);
        for group in &inventory.left_out {
            left_out.row([group.in_words(), examples(group)]);
        }
        parts.push(left_out.to_string());
    }
    let notes = inventory.remarks();
    if !notes.is_empty() {
        let notes = notes.iter().map(|note| format!("note: {note}"));
        parts.push(notes.collect::<Vec<_>>().join("\n"));
    }
    parts.join("\n\n")
}

fn examples(group: &LeftOut) -> String {
    let names: Vec<String> = group.examples.iter().map(|name| shown(name)).collect();
    let more = if group.count > names.len() {
        ", …"
    } else {
        ""
    };
    format!("{}{more}", names.join(", "))
}

/// A series: its facts, its columns, and what is left out. `problem` is why it cannot be used as it is.
pub fn series_found(inventory: &SeriesInventory, problem: Option<&str>) -> String {
    let mut facts = Facts::default();
    facts.add("format", "a CSV series");
    facts.add("series", &inventory.content());
    facts.add("parts", &inventory.parts_in_words());
    if !inventory.date_columns.is_empty() {
        facts.add("dates in", &inventory.date_columns.join(", "));
    }
    if let Some(changes) = inventory.changes() {
        facts.add("read as", &changes);
    }
    if let Some(keys) = &inventory.keys {
        facts.add("key", &keys.columns.join(", "));
        facts.list("keys", &keys.names, keys.count);
    }
    let gaps: Vec<String> = inventory
        .gaps
        .first
        .iter()
        .map(|gap| format!("{} ({})", gap.from, gap.rows))
        .collect();
    if !gaps.is_empty() {
        facts.list("gaps", &gaps, inventory.gaps.count);
    }
    let mut parts = vec![facts.0.to_string()];

    let mut columns = Table::new(["column", "missing", "note"]);
    for column in &inventory.columns {
        let note = match (column.constant, column.stand_in) {
            (true, _) => "constant in the training part".into(),
            (false, Some((value, times))) => format!("{value} comes {times} times"),
            (false, None) => String::new(),
        };
        columns.row([shown(&column.name), thousands(column.missing), note]);
    }
    parts.push(columns.to_string());
    if !inventory.left_out.is_empty() {
        let mut left_out = Table::new(["left out", "why"]);
        for SeriesLeftOut { what, why } in &inventory.left_out {
            left_out.row([shown_line(what), shown_line(why)]);
        }
        parts.push(left_out.to_string());
    }
    if let Some(problem) = problem {
        parts.push(format!("before training: {}", shown_line(problem)));
    }
    parts.join("\n\n")
}

/// Facts, one a row.
struct Facts(Table);

impl Default for Facts {
    fn default() -> Self {
        Self(Table::new(["what", "found"]))
    }
}

impl Facts {
    fn add(&mut self, what: &str, found: &str) {
        self.0.row([what.to_string(), shown_line(found)]);
    }

    /// The first of `total` things.
    fn list(&mut self, what: &str, things: &[String], total: usize) {
        let listed = things.len().min(LISTED);
        let mut text: Vec<String> = things[..listed].iter().map(|name| shown(name)).collect();
        if total > listed {
            text.push(format!("and {} more", total - listed));
        }
        if !text.is_empty() {
            self.add(what, &text.join(", "));
        }
    }
}

/// A text on one line.
fn shown_line(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::inventory::{ClassInventory, Duplicates, SizeCount};

    #[test]
    fn images_are_told_class_by_class() {
        let class = |name: &str, train| ClassInventory {
            name: name.into(),
            parts: PartCounts {
                train,
                validation: 0,
                test: 3,
            },
        };
        let mut inventory = Inventory {
            format: "an image folder".into(),
            classes: vec![class("cat\n", 1027), class("dog", 5)],
            parts: PartCounts {
                train: 1032,
                validation: 0,
                test: 6,
            },
            sizes: vec![SizeCount {
                height: 480,
                width: 640,
                images: 1038,
            }],
            distinct_sizes: 1,
            colour: 1038,
            duplicates: Some(Duplicates {
                compared: [32, 32, 3],
                ..Duplicates::default()
            }),
            notes: vec!["one thing".into()],
            ..Inventory::default()
        };
        inventory.leave_out("in hidden folders", ".a/b.png".into());
        let expected = "\
what        found
format      an image folder
images      1032 training, 6 test
read as     colour, 640×480
sizes       640×480 (1,038)
duplicates  none (compared at 32×32)

class  training  validation  test
cat\\n     1,027           0     3
dog           5           0     3
(all)     1,032           0     6

left out                  the first of them
1 file in hidden folders  .a/b.png

note: one thing";
        assert_eq!(images_found(&inventory), expected);
    }
}
