//! Independent programs that tests are held against. Where one is missing its tests are skipped with a note on stderr,
//! or fail with `ZOO_REQUIRE_PEERS=1`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The Python of `ZOO_PYTHON` (or `python3`), if it has `module`.
///
/// # Panics
/// When it has not, and peers are required.
pub fn python(module: &str) -> Option<PathBuf> {
    let python = PathBuf::from(std::env::var_os("ZOO_PYTHON").unwrap_or("python3".into()));
    let import = format!("import {module}");
    let found = Command::new(&python).args(["-c", &import]).output();
    match found.is_ok_and(|output| output.status.success()) {
        true => Some(python),
        false => missing(&format!("a Python with {module} in ZOO_PYTHON")),
    }
}

/// The program `name`: the file that `variable` names, or one on the PATH.
///
/// # Panics
/// When there is none, and peers are required.
pub fn program(variable: &str, name: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        let mut places = std::env::split_paths(&path).map(|dir| dir.join(name));
        places.find(|place| place.is_file())
    };
    let found = named.or_else(on_path).filter(|path| path.is_file());
    found.or_else(|| missing(&format!("`{name}` on the PATH or in {variable}")))
}

/// Says loudly that a comparison is left out.
///
/// # Panics
/// When peers are required.
pub fn missing<T>(what: &str) -> Option<T> {
    let required = std::env::var_os("ZOO_REQUIRE_PEERS").is_some_and(|value| value == "1");
    left_out(what, required)
}

/// Says loudly that a test is left out for want of something.
///
/// # Panics
/// When it is required.
pub fn left_out<T>(what: &str, required: bool) -> Option<T> {
    assert!(!required, "there is no {what}");
    // Past the test harness, which hides what a passing test prints. A closed stderr has no reader.
    let _ = writeln!(std::io::stderr(), "SKIPPED: there is no {what}");
    None
}

/// A script in `tests/peers`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("peers")
        .join(name)
}

/// What a program printed, which must have succeeded.
///
/// # Panics
/// When it has not.
#[track_caller]
pub fn printed(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
    out.into_owned()
}
