//! The guarded download against a server that tells lies: each fault is refused or repaired, the
//! error is one sentence, and the cache is left clean.
#![cfg(feature = "hub")]

use std::fs;

use end_to_end::hub_fixture::{Fixture, TOKEN, walk};
use end_to_end::hub_server::{COMMIT, Fault, HubServer};
use zoo::hub::HubError;

#[test]
fn a_web_page_is_never_cached() {
    let sentence = "the server answered 403 for `me/tiny/model.safetensors`";
    let error = Fixture::new().assert_refused(Fault::Forbidden, sentence);
    assert!(!error.is_unreachable());
    Fixture::new().assert_refused(Fault::WebPage, "a web page of 70 bytes came instead");
}

#[test]
fn an_endless_503_ends_after_bounded_tries() {
    let fixture = Fixture::new();
    let error =
        fixture.assert_refused(Fault::Unavailable, "503 Service Unavailable, after 3 tries");
    assert!(error.is_unreachable());
    let asked = fixture.server.take_seen();
    let file = "/model.safetensors";
    let tries = asked
        .iter()
        .filter(|seen| seen.line.ends_with(file))
        .count();
    assert_eq!(tries, 3 + 1, "three in vain and the one that worked");
}

#[test]
fn half_a_body_is_refused() {
    Fixture::new().assert_refused(
        Fault::HalfBody,
        "the server announces 150000 bytes where its file list says 300000",
    );
}

#[test]
fn one_flipped_byte_is_repaired_once_and_refused_twice() {
    let fixture = Fixture::new();
    fixture.server.set_fault(Fault::FlippedByte(1));
    fixture.assert_whole(&fixture.get(&["*"]).unwrap());
    Fixture::new().assert_refused(
        Fault::FlippedByte(100),
        "arrived damaged twice (its hash begins with",
    );
}

#[test]
fn a_cut_connection_goes_on_where_it_stopped() {
    let fixture = Fixture::new();
    fixture.server.set_fault(Fault::CutAfter(110_000));
    fixture.assert_whole(&fixture.get(&[]).unwrap());
    let seen = fixture.server.take_seen();
    let mut starts = Vec::new();
    for seen in seen
        .iter()
        .filter(|seen| seen.line.ends_with("/model.safetensors"))
    {
        let range = seen.header("range").unwrap_or("bytes=0-");
        let start = range.trim_start_matches("bytes=").trim_end_matches('-');
        starts.push(start.parse::<usize>().unwrap());
    }
    assert_eq!(starts, [0, 110_000, 220_000]);
}

#[test]
fn a_download_that_was_given_up_is_taken_up_by_the_next_one() {
    let fixture = Fixture::new();
    fixture.server.set_fault(Fault::CutAfter(50_000));
    let error = fixture.get(&["model.safetensors"]).unwrap_err();
    assert!(
        error.is_unreachable() && error.to_string().contains("broke off"),
        "{error}"
    );
    let partial = fixture.blob(2).with_extension("incomplete");
    let had = fs::metadata(&partial).unwrap().len();
    assert_eq!(had, 150_000);
    fixture.assert_clean(std::slice::from_ref(&partial));

    fixture.server.set_fault(Fault::None);
    fixture.server.take_seen();
    fixture.assert_whole(&fixture.get(&[]).unwrap());
    assert!(!partial.exists());
    let seen = fixture.server.take_seen();
    let resumed = seen
        .iter()
        .find(|seen| seen.line.ends_with("/model.safetensors"));
    let range = format!("bytes={had}-");
    assert_eq!(resumed.unwrap().header("range"), Some(range.as_str()));
}

#[test]
fn a_partial_file_that_is_damaged_does_not_stay() {
    let fixture = Fixture::new();
    let partial = fixture.blob(2).with_extension("incomplete");
    fs::create_dir_all(partial.parent().unwrap()).unwrap();
    fs::write(&partial, vec![7; 1000]).unwrap();
    fixture.assert_whole(&fixture.get(&[]).unwrap());

    // And a server that continues at the wrong place is not believed.
    fs::remove_file(fixture.blob(2)).unwrap();
    fs::write(&partial, &fixture.files[2].bytes[..1000]).unwrap();
    fixture.server.set_fault(Fault::WrongPart);
    fixture.assert_whole(&fixture.get(&[]).unwrap());
}

#[test]
fn hostile_paths_write_nothing_anywhere() {
    for path in [
        "../../x",
        "/etc/x",
        "data/../../../x",
        "..\\..\\x",
        "C\\x",
        "a\0b",
        "x\u{1b}[2J",
        "",
        ".",
        "a//b",
    ] {
        let fixture = Fixture::new();
        fixture.server.set_fault(Fault::TreePath(path.to_owned()));
        let error = fixture.get(&[]).unwrap_err();
        assert!(
            matches!(error, HubError::UnsafePath { .. }),
            "{path:?}: {error}"
        );
        assert!(
            !error.to_string().contains(['\0', '\u{1b}', '\n']),
            "{error}"
        );
        assert!(walk(fixture.home.path()).is_empty(), "{path:?}");
    }
    // A file that is also a directory, and a path that comes twice.
    for path in ["config.json/x", "config.json"] {
        let fixture = Fixture::new();
        fixture.server.set_fault(Fault::TreePath(path.to_owned()));
        let error = fixture.get(&[]).unwrap_err();
        assert!(
            matches!(error, HubError::Protocol { .. }),
            "{path}: {error}"
        );
        assert!(walk(fixture.home.path()).is_empty());
    }
}

#[cfg(unix)]
#[test]
fn a_planted_link_does_not_lead_out_of_the_cache() {
    let fixture = Fixture::new();
    let outside = fixture.home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let snapshot = fixture.repo().join("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    std::os::unix::fs::symlink(&outside, snapshot.join("data")).unwrap();
    let error = fixture.get(&[]).unwrap_err();
    assert!(
        error.to_string().contains("leads out of its snapshot"),
        "{error}"
    );
    assert!(walk(&outside).is_empty());
}

#[test]
fn the_token_stays_with_its_host() {
    let fixture = Fixture::new();
    let other = HubServer::start(fixture.files.clone()).unwrap();
    fixture.server.set_fault(Fault::Redirect(other.endpoint()));
    fixture.assert_whole(&fixture.get(&[]).unwrap());
    let there = other.take_seen();
    assert_eq!(there.len(), fixture.files.len());
    for seen in there {
        assert!(!format!("{seen:?}").contains(TOKEN), "{seen:?}");
        assert_eq!(seen.header("authorization"), None);
    }
    let here = fixture.server.take_seen();
    assert!(
        here.iter()
            .all(|seen| seen.header("authorization").is_some())
    );
}

#[test]
fn redirects_that_lead_nowhere_are_refused() {
    // The host that broke is named, the signature in its address is not.
    let fixture = Fixture::new();
    let other = HubServer::start(fixture.files.clone()).unwrap();
    other.set_fault(Fault::Unavailable);
    let error = fixture.assert_refused(Fault::Redirect(other.endpoint()), "503");
    let host = other.endpoint();
    let host = host.trim_start_matches("http://");
    assert!(error.to_string().contains(host), "{error}");

    let fixture = Fixture::new();
    let circle = Fault::Redirect(fixture.server.endpoint());
    fixture.assert_refused(circle, "goes round in circles");
    let local = Fault::Redirect("file://".to_owned());
    Fixture::new().assert_refused(local, "a redirect to nowhere");
}

#[test]
fn a_file_list_may_not_continue_elsewhere() {
    let fixture = Fixture::new();
    let other = HubServer::start(Vec::new()).unwrap();
    let path = format!("/api/models/me/tiny/tree/{COMMIT}?recursive=true");
    let next = Fault::NextPage(format!("{}{path}", other.endpoint()));
    fixture.assert_refused(next, "continues on another host");
    assert!(other.take_seen().is_empty());
    Fixture::new().assert_refused(Fault::NextPage(path), "a file list that has no end");
}

#[test]
fn etags_must_be_the_hashes_of_the_file_list() {
    let upper = format!("\"{}\"", "A".repeat(64));
    for etag in ["\"../../../x\"", "\"\"", "\"abc\"", "W/\"0123\"", &upper] {
        let fault = Fault::Etag(etag.to_owned());
        Fixture::new().assert_refused(fault, "is not 40 or 64 hexadecimal digits");
    }
    let other = Fault::Etag(format!("\"{}\"", "0".repeat(64)));
    Fixture::new().assert_refused(other, "is not the hash in its file list");
}

#[test]
fn more_bytes_than_promised_are_refused() {
    Fixture::new().assert_refused(
        Fault::TooMuch,
        "more than the 300000 bytes of its file list came",
    );
}

#[test]
fn a_server_that_refuses_everything_is_quoted_once() {
    for (status, part) in [
        ("401 Unauthorized", "answered 401 for `me/tiny@main`"),
        ("403 Forbidden", "the token has no right to it"),
        ("404 Not Found", "check the name and the revision"),
        (
            "429 Too Many Requests",
            "429 Too Many Requests, after 3 tries",
        ),
        (
            "503 Service Unavailable",
            "503 Service Unavailable, after 3 tries",
        ),
    ] {
        Fixture::new().assert_refused(Fault::Status(status), part);
    }
}

#[test]
fn a_hub_that_moves_as_a_whole_does_not_get_the_token() {
    let fixture = Fixture::new();
    let other = HubServer::start(fixture.files.clone()).unwrap();
    fixture.server.set_fault(Fault::Elsewhere(other.endpoint()));
    fixture.assert_whole(&fixture.get(&[]).unwrap());
    let there = other.take_seen();
    assert_eq!(there.len(), 2 + fixture.files.len());
    assert!(
        there
            .iter()
            .all(|seen| seen.header("authorization").is_none())
    );
}
