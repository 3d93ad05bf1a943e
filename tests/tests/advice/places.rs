//! Where data lie: paths, links, and what else stands in folders.

use std::fs;
use std::path::Path;
use std::process::Command;

use end_to_end::formats::{npy, npz, pixels};
use end_to_end::picture::{CAT, DOG, OWL, class, classes, png, put};

use crate::arrays::two_classes;
use crate::follow::{BOTH, Refused, nothing, partial, refused, rename};

fn pets(root: &Path) {
    classes(&root.join("d"), &["cat", "dog"], 6);
}

pub(crate) fn cases() -> Vec<Refused> {
    let mut cases = [paths(), parts(), sizes()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    #[cfg(unix)]
    cases.extend(links());
    cases
}

fn paths() -> Vec<Refused> {
    vec![
        refused("no such path", pets, &["`d/gone` does not exist; check the path"])
            .of("d/gone")
            .give("d", nothing, BOTH),
        refused(
            "a path below a file",
            pets,
            &["cannot read `d/cat/000.png/x` (", "); check the path and its permissions"],
        )
        .of("d/cat/000.png/x")
        .give("d", nothing, BOTH),
        refused(
            "a text",
            |root| {
                pets(root);
                put(&root.join("text"), "a text");
            },
            &["`text` is none of the known datasets (it holds `text`); give images in class folders"],
        )
        .of("text")
        .give("d", nothing, BOTH),
    ]
}

/// Arrays of one class or of one part.
fn parts() -> Vec<Refused> {
    let one = |part: &str, bars: &[usize]| {
        let bytes: Vec<u8> = bars.iter().flat_map(|&bar| pixels(bar, 1)).collect();
        let labels: Vec<u8> = bars.iter().map(|&bar| u8::from(bar == DOG)).collect();
        npz(&[
            (
                &format!("x_{part}"),
                npy("|u1", &format!("({}, 28, 28)", bars.len()), &bytes),
            ),
            (
                &format!("y_{part}"),
                npy("|u1", &format!("({},)", bars.len()), &labels),
            ),
        ])
    };
    let wrong = |name, bytes: Vec<u8>, sentence| {
        refused(name, move |root| put(&root.join("d.npz"), &bytes), sentence)
            .of("d.npz")
            .then(|root| put(&root.join("d.npz"), two_classes()), "0 6, 1 6")
    };
    vec![
        wrong(
            "arrays of one class",
            one("train", &[CAT; 6]),
            &["it has the one class `0`; add images of another"],
        ),
        wrong(
            "arrays of a validation part alone",
            one("val", &[CAT, DOG, CAT, DOG]),
            &["it has a validation part and no other; add a training part"],
        ),
    ]
}

/// The size that images are brought to.
fn sizes() -> Vec<Refused> {
    vec![
        refused(
            "images without pixels",
            pets,
            &["`--set image_size=0`: `image_size`: a side of images has 1 to 1024 pixels, not 0"],
        )
        .with(&["--set", "image_size=0"])
        .set(&["--set", "image_size=1024"], BOTH)
        .set(&["--set", "image_size=16"], BOTH),
        refused(
            "a size of three sides",
            pets,
            &["an image has one height and one width, as in `[32, 64]`"],
        )
        .with(&["--set", "image_size=[32,32,3]"])
        .set(&["--set", "image_size=[32, 64]"], BOTH),
    ]
}

/// What a folder may hold besides files.
#[cfg(unix)]
fn links() -> Vec<Refused> {
    use std::os::unix::fs::symlink;
    let linked = |target: &'static str| {
        move |root: &Path| {
            pets(root);
            symlink(target, root.join("d/cat/x.png")).unwrap();
        }
    };
    let removed = |root: &Path| fs::remove_file(root.join("d/cat/x.png")).unwrap();
    let deep = format!("d/cat{}", "/a".repeat(66));
    let deep: &'static str = deep.leak();
    vec![
        partial(
            "a link to nothing",
            linked("../../gone.png"),
            &["`d/cat/x.png` is not read: it is a link to `../../gone.png`, which does not exist; restore it or remove the link"],
        )
        .then(|root| put(&root.join("gone.png"), png(CAT, 9)), "cat 7, dog 6")
        .then(removed, BOTH),
        partial(
            "a link to itself",
            linked("x.png"),
            &["it is a link to `x.png`, which cannot be followed (", "); mend or remove the link"],
        )
        .then(removed, BOTH)
        .then(
            move |root| {
                removed(root);
                put(&root.join("x.png"), png(CAT, 9));
                symlink("../../x.png", root.join("d/cat/x.png")).unwrap();
            },
            "cat 7, dog 6",
        ),
        partial(
            "a link back",
            |root| {
                pets(root);
                symlink("..", root.join("d/cat/back")).unwrap();
            },
            &["`d/cat/back` is not read: it is a link back to `", "`, a folder that it lies in; remove it"],
        )
        .then(|root| fs::remove_file(root.join("d/cat/back")).unwrap(), BOTH),
        partial(
            "a pipe",
            |root| {
                pets(root);
                let made = Command::new("mkfifo").arg(root.join("d/cat/x.png")).status();
                assert!(made.unwrap().success());
            },
            &["`d/cat/x.png` is not read: it is a pipe, not a file; move it away"],
        )
        .then(|root| fs::rename(root.join("d/cat/x.png"), root.join("x.png")).unwrap(), BOTH),
        partial(
            "a folder that lies too deep",
            move |root| {
                pets(root);
                class(&root.join(deep), OWL, 1);
            },
            &["it lies more than 64 folders deep; move it up"],
        )
        .then(
            move |root| {
                rename(root, deep, "d/cat/up");
                fs::remove_dir_all(root.join("d/cat/a")).unwrap();
            },
            "cat 7, dog 6",
        ),
    ]
}
