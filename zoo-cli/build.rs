//! Tells `src/main.rs` where git notes which commit is checked out. The binary alone reads it there, so that a commit
//! rebuilds nothing else.

use std::env;
use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let sources = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let log = match sources.parent().and_then(log_of_head) {
        Some(log) => log,
        None => {
            let none = Path::new(&env::var_os("OUT_DIR").unwrap_or_default()).join("no-commit");
            std::fs::write(&none, "")?;
            none
        }
    };
    println!("cargo::rustc-env=ZOO_LOG_OF_HEAD={}", log.display());
    Ok(())
}

/// Git's log of what was checked out in `root`, if that is a checkout.
fn log_of_head(root: &Path) -> Option<PathBuf> {
    let git = root.join(".git");
    // In a worktree it is a file that names the directory. What is watched changes when the checkout goes away, but not
    // with every commit.
    let (dir, watched) = match std::fs::read_to_string(&git) {
        Ok(text) => (root.join(text.strip_prefix("gitdir:")?.trim()), git),
        Err(_) => (git.clone(), git.join("config")),
    };
    let log = dir.join("logs").join("HEAD");
    let named = log.to_str().is_some_and(|name| !name.contains('\n'));
    if !(named && log.is_file() && watched.is_file()) {
        return None;
    }
    println!("cargo::rerun-if-changed={}", watched.display());
    Some(log)
}
