//! Series as pandas and polars write them, each number compared.

use std::process::Command;

use end_to_end::peer;
use end_to_end::series::{data_of, train};
use end_to_end::zoo::Workspace;
use serde_json::Value;

#[test]
fn what_pandas_and_polars_write_is_read_to_the_bit() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let (Some(python), Some(_)) = (peer::python("pandas"), peer::python("polars")) else {
        return;
    };
    let output = Command::new(python)
        .arg(peer::script("series.py"))
        .arg(root.path())
        .output()
        .unwrap();
    let expected: Value = serde_json::from_str(&peer::printed(&output)).unwrap();
    let files = expected.as_array().unwrap();
    assert!(files.len() >= 35, "{}", files.len());
    for file in files {
        let name = file["file"].as_str().unwrap();
        let args = file["args"].as_array().unwrap();
        let args: Vec<&str> = args.iter().filter_map(Value::as_str).collect();
        let ran = train(&zoo, name, &args);
        assert_eq!(ran.code, 0, "{name}: {}", ran.stderr);
        let data = data_of(&zoo.path("run"));
        let inventory = &data["inventory"];
        for key in ["rows", "step", "last"] {
            assert_eq!(inventory[key], file[key], "{name}: {key}");
        }
        let columns = inventory["columns"].as_array().unwrap();
        let missing: u64 = columns.iter().filter_map(|c| c["missing"].as_u64()).sum();
        assert_eq!(Some(missing), file["missing"].as_u64(), "{name}");
        if !file["fingerprint"].is_null() {
            assert_eq!(
                data["fingerprint"], file["fingerprint"],
                "{name}: {inventory}"
            );
        }
    }
}
