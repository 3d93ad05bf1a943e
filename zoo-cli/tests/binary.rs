//! Makes cargo build the binary for every test run of the workspace; the end-to-end tests then find it.

use std::process::Command;

#[test]
fn the_binary_says_its_version() {
    let says = |flag| {
        let output = Command::new(env!("CARGO_BIN_EXE_zoo"))
            .arg(flag)
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let expected = format!("zoo {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(says("-V"), expected);
    assert!(says("--version").starts_with(&expected));
}
