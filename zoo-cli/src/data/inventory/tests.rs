use super::*;

fn class(name: &str, train: usize, test: usize) -> ClassInventory {
    let parts = PartCounts {
        train,
        validation: 0,
        test,
    };
    ClassInventory {
        name: name.into(),
        parts,
    }
}

fn of(classes: Vec<ClassInventory>) -> Inventory {
    let sum = |part: fn(&PartCounts) -> usize| classes.iter().map(|c| part(&c.parts)).sum();
    let parts = PartCounts {
        train: sum(|p| p.train),
        validation: 0,
        test: sum(|p| p.test),
    };
    Inventory {
        format: "an image folder".into(),
        parts,
        sizes: vec![SizeCount {
            height: 480,
            width: 640,
            images: parts.total(),
        }],
        distinct_sizes: 1,
        colour: parts.total(),
        input: Some([32, 32, 3]),
        classes,
        ..Inventory::default()
    }
}

fn three() -> Inventory {
    of(vec![
        class("cat", 27, 3),
        class("dog", 27, 3),
        class("owl", 27, 3),
    ])
}

#[test]
fn one_line_says_what_lies_there_and_what_becomes_of_it() {
    let mut inventory = three();
    for i in 0..27 {
        inventory.leave_out("`.tif` that cannot be decoded", format!("dog/{i}.tif"));
    }
    inventory.leave_out("in hidden folders", ".a/b.png".into());
    inventory.leave_out("in hidden folders", ".a/c.png".into());
    assert_eq!(
        inventory.lines(),
        [
            "3 classes (cat, dog, owl): 81 training, 9 test; colour, 32×32 by resizing from 640×480; left out: 27 \
             `.tif` that cannot be decoded, 2 files in hidden folders"
        ]
    );
    assert_eq!(
        inventory.left_out[0].examples,
        ["dog/0.tif", "dog/1.tif", "dog/2.tif"]
    );
}

#[test]
fn held_out_images_are_counted_where_they_are_used() {
    let mut inventory = three();
    inventory.parts = PartCounts {
        train: 90,
        validation: 0,
        test: 0,
    };
    inventory.held_out = 9;
    assert_eq!(
        inventory.parts_in_words(),
        "81 training, 9 test (held out: there is no test part)"
    );
    inventory.held_out = 90;
    assert_eq!(
        inventory.parts_in_words(),
        "90 test (all images: there is no test part)"
    );
    inventory.held_out = 0;
    inventory.parts = PartCounts {
        train: 0,
        validation: 0,
        test: 4,
    };
    assert_eq!(
        inventory.parts_in_words(),
        "4 test (there is no training part)"
    );
}

#[test]
fn a_validation_part_takes_the_place_of_held_out_images() {
    let mut inventory = three();
    inventory.parts.validation = 6;
    let line = inventory.lines().remove(0);
    assert!(
        line.contains("81 training, 6 validation, 9 test (the validation part is watched"),
        "{line}"
    );
    inventory.held_out = 81;
    assert!(!inventory.lines()[0].contains("watched"));
}

#[test]
fn input_says_what_becomes_of_size_and_colour() {
    for (input, colour, sizes, expected) in [
        (Some([480, 640, 3]), 90, 1, "colour, 640×480"),
        (Some([480, 640, 3]), 80, 1, "colour (10 grey), 640×480"),
        (Some([480, 640, 3]), 0, 1, "colour from grey, 640×480"),
        (Some([480, 640, 1]), 3, 1, "grey from colour, 640×480"),
        (Some([500, 700, 1]), 0, 1, "grey, 700×500 from 640×480"),
        (
            Some([32, 48, 1]),
            0,
            3,
            "grey, 48×32 by resizing from 640×480 and 2 other sizes",
        ),
        (None, 90, 2, "colour, 640×480 and 1 other size"),
        (None, 0, 1, "grey, 640×480"),
    ] {
        let inventory = Inventory {
            input,
            colour,
            distinct_sizes: sizes,
            ..three()
        };
        assert_eq!(inventory.input_in_words().unwrap(), expected);
    }
    let unknown = Inventory {
        sizes: Vec::new(),
        ..three()
    };
    assert_eq!(unknown.input_in_words(), None);
}

#[test]
fn long_lists_are_cut_and_names_stay_on_their_line() {
    let many = (0..100).map(|i| class(&format!("c{i}"), 5, 1)).collect();
    let mut inventory = of(many);
    inventory.notes = (0..5).map(|i| format!("note\n{i}")).collect();
    let lines = inventory.lines();
    assert!(
        lines[0].starts_with("100 classes (c0, c1, c2, c3, c4, c5, c6, c7, and 92 more): 500 "),
        "{lines:?}"
    );
    assert_eq!(lines[1], "note 0; note 1; note 2; and 2 more");
    assert!(inventory.card().contains("100 classes of 6 images each"));

    assert_eq!(shown("a\nb\u{1b}[31m\u{202e}"), "a\\nb\\u{1b}[31m\\u{202e}");
    assert_eq!(shown("élan e\u{301} 猫"), "élan e\u{301} 猫");
    assert_eq!(shown(&"x".repeat(99)).chars().count(), 61);
}

#[test]
fn a_card_counts_each_class() {
    let mut inventory = three();
    inventory.leave_out("in hidden folders", ".a/b.png".into());
    inventory.notes.push("one thing".into());
    assert_eq!(
        inventory.card(),
        "The data: an image folder of 3 classes: cat (27 training, 3 test), dog (27 training, 3 test), owl (27 \
         training, 3 test). In all 81 training, 9 test; colour, 32×32 by resizing from 640×480. Left out: 1 file in \
         hidden folders. Note: one thing."
    );
}

#[test]
fn duplicates_are_told_where_there_are_any() {
    let mut inventory = three();
    inventory.duplicates = Some(Duplicates::default());
    assert_eq!(inventory.lines().len(), 1);
    inventory.duplicates = Some(Duplicates {
        within_parts: 1,
        between_parts: 2,
        ..Duplicates::default()
    });
    assert_eq!(
        inventory.lines()[1],
        "1 equal an earlier image of their part, 2 of the test images equal one of training or validation"
    );
}

#[test]
fn failed_files_are_grouped_by_their_extension() {
    let mut inventory = Inventory::default();
    let failed = ["d/a/1.png", "d/a/2.png", "d/b"].map(|path| SkippedFile {
        path: path.into(),
        reason: String::new(),
    });
    inventory.leave_out_failed(Path::new("d"), &failed);
    assert_eq!(
        inventory
            .left_out
            .iter()
            .map(LeftOut::in_words)
            .collect::<Vec<_>>(),
        ["2 `.png` that cannot be read", "1 file that cannot be read"]
    );
    assert_eq!(inventory.left_out[0].examples, ["a/1.png", "a/2.png"]);
}

#[test]
fn the_json_of_before_and_of_now_is_read() {
    let inventory = three();
    let text = serde_json::to_value(&inventory).unwrap();
    assert_eq!(
        text["classes"][0],
        serde_json::json!({"name": "cat", "train": 27, "validation": 0, "test": 3})
    );
    assert_eq!(
        serde_json::from_value::<Inventory>(text).unwrap(),
        inventory
    );
}
