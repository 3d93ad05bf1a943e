//! What the program says of itself: its version, completions and manual pages.

use std::fs;
use std::path::Path;
use std::process::Command;

use end_to_end::zoo::Workspace;

const SUBCOMMANDS: [&str; 14] = [
    "list",
    "inspect",
    "train",
    "eval",
    "infer",
    "forecast",
    "generate",
    "compare",
    "download",
    "upload",
    "verify",
    "bench",
    "completions",
    "man",
];

#[test]
fn the_version_names_the_commit_the_features_and_the_kernels() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let long = zoo.zoo(&["--version"]).expect(0).stdout;
    let first = format!("zoo {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(long.lines().next(), Some(first.as_str()));
    let field = |name: &str| long.lines().find_map(|line| line.strip_prefix(name));
    assert_eq!(
        field("features ").unwrap().contains("hub"),
        cfg!(feature = "hub")
    );
    let kernels = ["portable", "avx2", "avx512", "avx512-bf16", "amx"];
    assert!(kernels.contains(&field("kernels ").unwrap()), "{long}");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if sources.join(".git").exists() {
        let git = Command::new("git")
            .args(["rev-parse", "HEAD"])
            .current_dir(sources)
            .output();
        let commit = String::from_utf8(git.unwrap().stdout).unwrap();
        assert_eq!(field("commit "), Some(&commit[..12]));
    } else {
        assert_eq!(field("commit "), None);
    }
    assert_eq!(zoo.zoo(&["-V"]).expect(0).stdout.trim_end(), first);
}

#[test]
fn every_shell_gets_completions_of_every_command() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = zoo.zoo(&["completions", shell]).expect(0).stdout;
        for name in SUBCOMMANDS {
            assert!(script.contains(name), "{shell}: {name}");
        }
        assert!(
            script.contains("learning") || script.contains("top-k"),
            "{shell}"
        );
    }
    let refusal = zoo.zoo(&["completions", "tcsh"]).expect(2).stderr;
    assert!(
        refusal.contains("tcsh") && refusal.contains("bash"),
        "{refusal}"
    );
}

/// A script that the shell can read, and that offers what it should.
#[test]
fn bash_completes_a_command() {
    if Command::new("bash").arg("--version").output().is_err() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let script = zoo.zoo(&["completions", "bash"]).expect(0).stdout;
    let asked = format!(
        "{script}\nCOMP_WORDS=(zoo tr) COMP_CWORD=1\n_zoo zoo tr zoo\necho \"${{COMPREPLY[@]}}\""
    );
    let said = Command::new("bash")
        .args(["--norc", "-c", &asked])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(said.stdout).unwrap().trim(), "train");
}

#[test]
fn every_command_has_a_page_of_the_manual() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    zoo.zoo(&["man", "--out", "share/man1"]).expect(0);
    let page = |name: &str| fs::read_to_string(zoo.path(&format!("share/man1/{name}.1"))).unwrap();
    assert!(page("zoo").contains("SUBCOMMANDS"));
    for name in SUBCOMMANDS {
        assert!(
            page(&format!("zoo-{name}")).contains(".SH OPTIONS"),
            "{name}"
        );
    }
    assert!(page("zoo-infer").contains("top\\-k"));
    fs::write(zoo.path("share/man1/zoo.1"), "mine").unwrap();
    zoo.zoo(&["man", "--out", "share/man1"])
        .refused(&["share/man1", "--overwrite"]);
    assert_eq!(page("zoo"), "mine");
    zoo.zoo(&["man", "--out", "share/man1", "--overwrite"])
        .expect(0);
    assert!(page("zoo").contains("SUBCOMMANDS"));
}
