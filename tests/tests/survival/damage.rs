//! Bytes on disk that are not what was written.

use std::fs;

use crate::given::{assert_same, checkpoints, copy, train, workspace};

const STEPS: &[&str] = &[
    "--epochs",
    "4",
    "--set",
    "checkpoint.every_steps=1",
    "--set",
    "validation.fraction=0.2",
    "--set",
    "ema.decay=0.5",
];

#[test]
fn a_flipped_byte_of_a_checkpoint_is_found_and_the_advice_leads_to_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    zoo.zoo(&train("whole", STEPS)).expect(0);
    zoo.kill_once_saved(&train("broken", STEPS), "broken", 4);
    let mut steps = checkpoints(&zoo.path("broken"));
    // One more is there where the kill came before the oldest was removed.
    while steps.len() > 2 {
        let oldest = steps.remove(0);
        fs::remove_dir_all(zoo.path(&format!("broken/checkpoints/{oldest}"))).unwrap();
    }
    let [before, newest] = &steps[..] else {
        panic!("{steps:?}")
    };
    let names: Vec<String> = fs::read_dir(zoo.path(&format!("broken/checkpoints/{newest}")))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 5, "{names:?}");
    for (i, name) in names.iter().enumerate() {
        let run = format!("flipped-{i}");
        copy(&zoo, "broken", &run);
        let place = format!("{run}/checkpoints/{newest}");
        let path = zoo.path(&place).join(name);
        let sound = fs::read(&path).unwrap();
        for at in [0, sound.len() / 2, sound.len() - 1] {
            let mut bytes = sound.clone();
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            let on = format!("goes on from `{before}`");
            let ran = zoo.zoo(&["train", "--resume", &run]);
            ran.refused(&[&format!("`{place}`"), "remove that directory", &on]);
        }
        fs::remove_dir_all(zoo.path(&place)).unwrap();
        // The one before is damaged, too.
        if i == 0 {
            let place = format!("{run}/checkpoints/{before}");
            let path = zoo.path(&place).join(name);
            fs::write(path, "").unwrap();
            let ran = zoo.zoo(&["train", "--resume", &run]);
            ran.refused(&[&format!("`{place}`"), "the run starts anew"]);
            fs::remove_dir_all(zoo.path(&place)).unwrap();
        }
        zoo.zoo(&["train", "--resume", &run]).expect(0);
        assert_same(&zoo.path("whole"), &zoo.path(&run));
    }
}

/// Versions before this one kept no hashes of checkpoints.
#[test]
fn a_checkpoint_without_hashes_is_gone_on_from() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    zoo.zoo(&train("whole", STEPS)).expect(0);
    zoo.kill_once_saved(&train("broken", STEPS), "broken", 2);
    for step in checkpoints(&zoo.path("broken")) {
        let sums = format!("broken/checkpoints/{step}/SHA256SUMS");
        fs::remove_file(zoo.path(&sums)).unwrap();
    }
    let ran = zoo.zoo(&["train", "--resume", "broken"]).expect(0);
    assert!(!ran.stderr.contains("epoch 1/4"), "{}", ran.stderr);
    assert_same(&zoo.path("whole"), &zoo.path("broken"));
}

/// A record that is another one, but still a record, would make another network of the same state.
#[test]
fn a_state_is_not_gone_on_from_under_another_record() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    zoo.zoo(&train("whole", STEPS)).expect(0);
    zoo.kill_once_saved(&train("run", STEPS), "run", 4);
    let path = zoo.path("run/training.json");
    let record = fs::read_to_string(&path).unwrap();
    let other = record.replacen("\"learning_rate\": 0.02", "\"learning_rate\": 0.03", 1);
    assert!(other != record);
    fs::write(&path, other).unwrap();
    let resume = ["train", "--resume", "run"];
    zoo.zoo(&resume)
        .refused(&["`training.json`", "restore it", "--out"]);
    fs::write(&path, record).unwrap();
    zoo.zoo(&resume).expect(0);
    assert_same(&zoo.path("whole"), &zoo.path("run"));
}

#[test]
fn a_damaged_record_is_named_with_a_way_out() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    zoo.zoo(&train("run", &["--epochs", "1"])).expect(0);
    let record = zoo.path("run/training.json");
    let mut bytes = fs::read(&record).unwrap();
    bytes[0] ^= 1;
    fs::write(&record, bytes).unwrap();
    zoo.zoo(&["train", "--resume", "run"]).refused(&[
        "`run`",
        "`training.json`",
        "another directory",
        "--out",
    ]);
    zoo.zoo(&train("run", &["--epochs", "1"]))
        .refused(&["--out"]);
}
