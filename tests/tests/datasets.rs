//! The well-known datasets from a Hub on loopback: what comes is checked, cached and usable offline, and the
//! embedded sample stands in only where nothing was asked for and nothing can be reached.
#![cfg(feature = "hub")]

use std::{
    io::Cursor,
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use end_to_end::hub_server::{Fault, HubServer, RepoFile};
use end_to_end::zoo::Workspace;
use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use parquet::{
    data_type::{ByteArray, ByteArrayType, Int64Type},
    file::writer::SerializedFileWriter,
    schema::parser::parse_message_type,
};
use tempfile::TempDir;
use zoo::{
    data::{DataError, ImageDataset, OpenOptions, open_images},
    hub::{Overrides, Retry, Settings},
};

/// Grey 28×28 PNGs, of label i the brightness 10 · i, in the layout of `ylecun/mnist`.
fn shard(labels: &[i64]) -> Vec<u8> {
    let schema = "message schema {
        optional group image { optional binary bytes; optional binary path (STRING); }
        optional int64 label;
    }";
    let mut bytes = Vec::new();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let images: Vec<ByteArray> = labels
        .iter()
        .map(|&label| {
            let image = GrayImage::from_pixel(28, 28, Luma([10 * label as u8]));
            let mut png = Cursor::new(Vec::new());
            DynamicImage::from(image)
                .write_to(&mut png, ImageFormat::Png)
                .unwrap();
            ByteArray::from(png.into_inner())
        })
        .collect();
    for (values, level) in [(images.as_slice(), 2), (&[], 1)] {
        let mut column = group.next_column().unwrap().unwrap();
        let levels = vec![level; labels.len()];
        column
            .typed::<ByteArrayType>()
            .write_batch(values, Some(&levels), None)
            .unwrap();
        column.close().unwrap();
    }
    let mut column = group.next_column().unwrap().unwrap();
    let levels = vec![1; labels.len()];
    column
        .typed::<Int64Type>()
        .write_batch(labels, Some(&levels), None)
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

fn files() -> Vec<RepoFile> {
    vec![
        RepoFile::small("README.md", "MNIST"),
        RepoFile::large("mnist/test-00000-of-00001.parquet", shard(&[3, 0])),
        RepoFile::large("mnist/train-00000-of-00002.parquet", shard(&[0, 1, 2])),
        RepoFile::large("mnist/train-00001-of-00002.parquet", shard(&[3, 9])),
    ]
}

fn settings(endpoint: String, home: &TempDir) -> Settings {
    let overrides = Overrides {
        endpoint: Some(endpoint),
        cache: Some(home.path().join("hub")),
        ..Overrides::default()
    };
    let mut settings = Settings::resolve_from(&overrides, &|_| None).unwrap();
    settings.retry = Retry {
        attempts: 2,
        pause: Duration::from_millis(1),
    };
    settings
}

fn open(spec: Option<&str>, settings: &Settings) -> Result<ImageDataset, DataError> {
    let options = OpenOptions {
        remote: Some(settings),
        ..OpenOptions::default()
    };
    open_images(spec, "mnist", &options)
}

#[test]
fn a_named_dataset_is_fetched_once_and_then_lies_in_the_cache() {
    let home = TempDir::new().unwrap();
    let server = HubServer::start(files()).unwrap();
    let online = settings(server.endpoint(), &home);
    let data = open(Some("mnist"), &online).unwrap();
    assert_eq!(data.source.name, "mnist");
    assert_eq!(data.train.labels, [0, 1, 2, 3, 9]);
    assert_eq!(data.test.labels, [3, 0]);
    assert_eq!((data.train.height, data.train.channels), (28, 1));
    assert!(data.train.image(4).iter().all(|&value| value == 90));
    assert_eq!(data.label_names.len(), 10);
    assert!(data.source.notice.is_none() && !data.source.is_sample);

    drop(server);
    let offline = Settings {
        offline: true,
        ..online
    };
    assert_eq!(open(Some("mnist"), &offline).unwrap(), data);
    assert_eq!(open(None, &offline).unwrap(), data);
}

#[test]
fn the_sample_stands_in_loudly_when_nothing_was_asked_for() {
    let home = TempDir::new().unwrap();
    // A port where nobody listens.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let unreachable = settings(format!("http://127.0.0.1:{port}"), &home);
    let data = open(None, &unreachable).unwrap();
    assert!(data.source.is_sample);
    let notice = data.source.notice.unwrap();
    assert!(
        notice.contains("stands in for `mnist`, because `127.0.0.1"),
        "{notice}"
    );

    let error = open(Some("mnist"), &unreachable).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot fetch the dataset `mnist`: "),
        "{error}"
    );
    assert!(
        error.ends_with("or give its files with --data PATH"),
        "{error}"
    );
}

#[test]
fn a_hub_that_lies_is_an_error_and_not_the_sample() {
    for fault in [
        Fault::WebPage,
        Fault::FlippedByte(usize::MAX),
        Fault::Forbidden,
    ] {
        let home = TempDir::new().unwrap();
        let server = HubServer::start(files()).unwrap();
        server.set_fault(fault.clone());
        for spec in [None, Some("mnist")] {
            let error = open(spec, &settings(server.endpoint(), &home)).unwrap_err();
            assert!(
                matches!(error, DataError::Fetch { .. }),
                "{fault:?}: {error}"
            );
        }
    }
}

#[test]
fn any_dataset_of_the_hub_is_read_by_its_repository() {
    let home = TempDir::new().unwrap();
    let server = HubServer::start(files()).unwrap();
    let online = settings(server.endpoint(), &home);
    let data = open(Some("someone/digits"), &online).unwrap();
    assert_eq!(data.source.name, "someone/digits");
    assert_eq!((data.train.len(), data.test.len()), (5, 2));
    drop(server);
    let offline = Settings {
        offline: true,
        ..online
    };
    assert_eq!(open(Some("someone/digits"), &offline).unwrap(), data);

    let png = |value: u8| {
        let mut bytes = Cursor::new(Vec::new());
        let image = DynamicImage::from(GrayImage::from_pixel(8, 8, Luma([value])));
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    };
    let mut folder = vec![RepoFile::small("README.md", "pets")];
    for (class, value) in [("cat", 10), ("dog", 200)] {
        for part in ["train", "test"] {
            let path = format!("{part}/{class}/0.png");
            folder.push(RepoFile::large(&path, png(value)));
        }
    }
    let server = HubServer::start(folder).unwrap();
    let online = settings(server.endpoint(), &home);
    let pets = open(Some("someone/pets"), &online).unwrap();
    assert_eq!(pets.label_names, ["cat", "dog"]);
    assert_eq!((pets.train.len(), pets.test.len()), (2, 2));
    assert!(pets.source.skipped.is_empty());
    drop(server);
    let offline = Settings {
        offline: true,
        ..online
    };
    assert_eq!(open(Some("someone/pets"), &offline).unwrap(), pets);
    let error = open(Some("someone/absent"), &offline).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("/someone/absent` does not exist"), "{error}");
    assert!(
        error.ends_with("or give its files with --data PATH"),
        "{error}"
    );
}

#[test]
fn what_is_neither_here_nor_there_is_said_at_once() {
    let root = TempDir::new().unwrap();
    let zoo = Workspace::new(root.path());
    // Nobody listens any more at this port.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let closed = format!("http://{}", closed.unwrap());
    let server = HubServer::start(Vec::new()).unwrap();
    server.set_fault(Fault::Status("404 Not Found"));
    let run = |args: &[&str], endpoint: &str| {
        let mut command = zoo.command(args);
        command
            .env_remove("HF_HUB_OFFLINE")
            .env("HF_ENDPOINT", endpoint);
        zoo.run(command)
    };
    for (endpoint, cause) in [
        (closed, "cannot be reached"),
        (server.endpoint(), "answered 404"),
    ] {
        for args in [
            &["infer", "someone/absent", "x.png"][..],
            &["eval", "someone/absent"],
            &[
                "train",
                "cifar-classifier.plain",
                "--data",
                "someone/absent",
            ],
            &["inspect", "someone/absent"],
        ] {
            let started = Instant::now();
            run(args, &endpoint).refused(&["/someone/absent` does not exist", "Hub", cause]);
            // Five tries would take four and a half seconds.
            assert!(started.elapsed() < Duration::from_secs(4), "{args:?}");
        }
    }
    let asked = server.take_seen().len();
    assert!((1..=8).contains(&asked), "{asked}");
    // Paths by their names are not asked for.
    for args in [
        &["infer", "runs/absent", "x.png"][..],
        &["eval", "models/absent"],
        &["train", "cifar-classifier.plain", "--data", "runs/absent"],
        &["inspect", "someone/photos.zip"],
    ] {
        run(args, &server.endpoint()).refused(&["does not exist"]);
    }
    assert!(server.take_seen().is_empty());
}
