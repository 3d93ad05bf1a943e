use super::*;

/// An image whose byte at row `y`, column `x` of a plane is told by its place, stored by columns.
fn image(seed: usize) -> Vec<u8> {
    let mut bytes = vec![0; PIXELS];
    for channel in 0..3 {
        for y in 0..SIDE {
            for x in 0..SIDE {
                bytes[channel * PLANE + x * SIDE + y] = level(seed, channel, y, x);
            }
        }
    }
    bytes
}

fn level(seed: usize, channel: usize, y: usize, x: usize) -> u8 {
    ((seed * 50 + channel * 80 + 2 * y + 3 * x) % 256) as u8
}

fn open<'a>(files: &[(&str, Vec<u8>)]) -> Result<Option<Survey<'a>>, String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let store = Store::open(directory.path()).unwrap();
    let read = read(&store, directory.path()).map_err(|error| error.to_string())?;
    let Some((parts, _)) = read else {
        return Ok(None);
    };
    let inventory = survey(&store, directory.path()).unwrap().unwrap().inventory;
    Ok(Some(Survey {
        inventory,
        failed: Vec::new(),
        load: Box::new(|_| Ok(parts)),
    }))
}

#[test]
fn columns_become_rows_and_labels_start_at_nought() {
    let survey = open(&[
        ("s/train_X.bin", [image(0), image(1)].concat()),
        ("s/train_y.bin", vec![10, 1]),
        ("s/test_X.bin", image(2)),
        ("s/test_y.bin", vec![7]),
        ("s/unlabeled_X.bin", image(3).repeat(3)),
        ("s/fold_indices.txt", b"1 2".to_vec()),
    ])
    .unwrap()
    .unwrap();
    let left: Vec<_> = survey
        .inventory
        .left_out
        .iter()
        .map(|group| (group.reason.as_str(), group.count))
        .collect();
    assert_eq!(
        left,
        [
            ("that are not needed to read STL-10", 1),
            ("of images without labels", 1)
        ]
    );
    assert!(survey.inventory.notes[0].contains("the 3 images of `s/unlabeled_X.bin`"));
    let parts = (survey.load)(&crate::data::fit::input(96, 96, 3)).unwrap();
    let train = parts.train.unwrap();
    assert_eq!(train.labels, [9, 0]);
    assert_eq!(parts.test.unwrap().labels, [6]);
    assert_eq!(parts.label_names[6], "horse");
    for (y, x) in [(0, 0), (5, 80), (95, 1), (95, 95)] {
        for channel in 0..3 {
            assert_eq!(
                train.image(1)[(y * SIDE + x) * 3 + channel],
                level(1, channel, y, x)
            );
        }
    }
}

#[test]
fn names_beside_the_images_are_taken() {
    let names: String = (0..10).map(|i| format!("name {i}\n")).collect();
    let survey = open(&[
        ("test_X.bin", image(2)),
        ("test_y.bin", vec![1]),
        ("class_names.txt", names.into()),
    ])
    .unwrap()
    .unwrap();
    assert_eq!(survey.inventory.classes[9].name, "name 9");
}

#[test]
fn broken_files_are_named_with_the_next_step() {
    assert!(open(&[("x.bin", vec![1])]).unwrap().is_none());
    for (files, said) in [
        (vec![("train_X.bin", image(0))], "`train_y.bin` is missing"),
        (vec![("test_y.bin", vec![1])], "`test_X.bin` is missing"),
        (
            vec![("train_X.bin", image(0)), ("train_y.bin", vec![1, 2])],
            "2 labels for the 1 images",
        ),
        (
            vec![("train_X.bin", image(0)), ("train_y.bin", vec![0])],
            "has the label 0, and labels are 1 to 10",
        ),
        (
            vec![("train_X.bin", image(0)), ("train_y.bin", vec![11])],
            "has the label 11",
        ),
        (
            vec![
                ("train_X.bin", [image(0), vec![1]].concat()),
                ("train_y.bin", vec![1]),
            ],
            "after 1 images of 27648 bytes come 1 more",
        ),
        (
            vec![
                ("train_X.bin", image(0)),
                ("train_y.bin", vec![1]),
                ("class_names.txt", b"a\n".to_vec()),
            ],
            "1 names for 10 classes",
        ),
        (
            vec![("a/train_X.bin", image(0)), ("b/train_y.bin", vec![1])],
            "2 data sets, in `a`, `b`",
        ),
    ] {
        let error = open(&files).err().unwrap();
        assert!(error.contains(said), "{said}: {error}");
    }
}
