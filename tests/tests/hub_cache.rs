//! The cache of downloads: laid out as Python's, shared by patterns, offline, and repaired where it is damaged.
#![cfg(feature = "hub")]

use std::fs;
use std::path::Path;

use end_to_end::hub_fixture::{Fixture, Notes, TOKEN, walk};
use end_to_end::hub_server::{COMMIT, HubServer, RepoFile};
use zoo::hub::{HubError, RepoId, RepoKind, Request, Silent, download};

#[test]
fn an_honest_server_fills_the_cache_as_python_does() {
    let fixture = Fixture::new();
    let snapshot = fixture.get(&[]).unwrap();
    fixture.assert_whole(&snapshot);
    assert_eq!(snapshot.dir, fixture.repo().join("snapshots").join(COMMIT));
    let reference = fs::read_to_string(fixture.repo().join("refs/main")).unwrap();
    assert_eq!(reference, COMMIT);
    let depths = ["../..", "../../..", "../.."];
    for ((path, file), depth) in snapshot.files.iter().zip(&fixture.files).zip(depths) {
        let target = Path::new(depth).join("blobs").join(file.etag());
        assert_eq!(fs::read_link(path).unwrap(), target);
    }
    let bearer = format!("Bearer {TOKEN}");
    for seen in fixture.server.take_seen() {
        assert_eq!(
            seen.header("authorization"),
            Some(bearer.as_str()),
            "{seen:?}"
        );
    }

    // The second time no file travels; offline no request at all.
    fixture.assert_whole(&fixture.get(&[]).unwrap());
    let seen = fixture.server.take_seen();
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter().all(|seen| seen.line.contains("/api/")),
        "{seen:?}"
    );
    fixture.assert_whole(&fixture.get_offline(&[]).unwrap());
    assert!(fixture.server.take_seen().is_empty());
}

#[test]
fn patterns_choose_and_name_what_is_missing() {
    let fixture = Fixture::new();
    let snapshot = fixture.get(&["*.json"]).unwrap();
    assert_eq!(snapshot.files, [snapshot.dir.join("config.json")]);
    let text = fixture.get(&["*.json", "*.bin"]).unwrap_err().to_string();
    assert!(
        text.contains("`*.bin`") && text.contains("model.safetensors"),
        "{text}"
    );
    // The cache knows the whole list, so that it does not pass for complete.
    match fixture.get_offline(&[]).unwrap_err() {
        HubError::Offline { wanted, .. } => assert_eq!(wanted, "me/tiny/data/empty.txt"),
        error => panic!("{error}"),
    }
    fixture.get_offline(&["config.json"]).unwrap();
}

#[test]
fn a_dataset_has_its_own_addresses_and_folder() {
    let fixture = Fixture::with_files(vec![
        RepoFile::large("plain_text/test-00000-of-00001.parquet", "PAR1 test"),
        RepoFile::large("plain_text/train-00000-of-00001.parquet", "PAR1 train"),
    ]);
    let repo: RepoId = "uoft-cs/cifar10".parse().unwrap();
    let request = Request {
        repo: &repo,
        kind: RepoKind::Dataset,
        revision: &"v1".parse().unwrap(),
        patterns: &["*/test-*.parquet"],
    };
    let snapshot = download(&request, &fixture.settings, &Silent).unwrap();
    let folder = fixture.settings.cache.join("datasets--uoft-cs--cifar10");
    assert!(snapshot.dir.starts_with(folder));
    assert_eq!(fs::read(&snapshot.files[0]).unwrap(), b"PAR1 test");
    let seen = fixture.server.take_seen();
    let lines: Vec<_> = seen.iter().map(|seen| seen.line.as_str()).collect();
    let file = "plain_text/test-00000-of-00001.parquet";
    assert_eq!(
        lines,
        [
            "GET /api/datasets/uoft-cs/cifar10/revision/v1".to_owned(),
            format!("GET /api/datasets/uoft-cs/cifar10/tree/{COMMIT}?recursive=true"),
            format!("GET /datasets/uoft-cs/cifar10/resolve/{COMMIT}/{file}"),
        ]
    );
}

#[test]
fn a_byte_flipped_in_the_cache_is_noticed_and_repaired() {
    let fixture = Fixture::new();
    fixture.get(&[]).unwrap();
    for index in [0, 2] {
        let mut bytes = fs::read(fixture.blob(index)).unwrap();
        bytes[5] ^= 1;
        fs::write(fixture.blob(index), bytes).unwrap();
        let error = fixture.get_offline(&[]).unwrap_err();
        assert!(matches!(error, HubError::DamagedCache { .. }), "{error}");
        // Without the list the names of the blobs tell.
        fs::remove_dir_all(fixture.repo().join("trees")).unwrap();
        let error = fixture.get_offline(&[]).unwrap_err();
        assert!(matches!(error, HubError::DamagedCache { .. }), "{error}");

        let notes = Notes::default();
        fixture.assert_whole(&fixture.get_with(&[], &fixture.settings, &notes).unwrap());
        let notes = notes.0.into_inner().unwrap();
        assert!(
            notes.len() == 1 && notes[0].contains("is damaged"),
            "{notes:?}"
        );
        fixture.assert_whole(&fixture.get_offline(&[]).unwrap());
    }
}

#[test]
fn without_a_network_the_cache_serves_and_says_so() {
    let online = Fixture::new();
    online.get(&[]).unwrap();
    // A server at another port takes the place of the one that the settings name.
    let fixture = Fixture {
        server: HubServer::start(Vec::new()).unwrap(),
        settings: online.settings,
        files: online.files,
        home: online.home,
    };
    drop(online.server);
    let notes = Notes::default();
    fixture.assert_whole(&fixture.get_with(&[], &fixture.settings, &notes).unwrap());
    let notes = notes.0.into_inner().unwrap();
    let sentence = "the cached copy of `me/tiny`";
    assert!(notes.len() == 1 && notes[0].contains(sentence), "{notes:?}");

    fs::remove_dir_all(&fixture.settings.cache).unwrap();
    let error = fixture.get(&[]).unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
    let error = fixture.get_offline(&[]).unwrap_err();
    assert!(
        error.is_unreachable() && error.to_string().contains("HF_HUB_OFFLINE"),
        "{error}"
    );
    assert!(walk(fixture.home.path()).is_empty());
}

#[test]
fn two_downloads_at_once_fetch_each_file_once() {
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..4).map(|_| scope.spawn(|| fixture.get(&[]))).collect();
        for task in tasks {
            fixture.assert_whole(&task.join().unwrap().unwrap());
        }
    });
    let seen = fixture.server.take_seen();
    let fetched = seen
        .iter()
        .filter(|seen| seen.line.contains("/resolve/"))
        .count();
    assert_eq!(fetched, fixture.files.len());
}
