//! The format against stock restic: what it writes is read byte for byte, what is written here passes its check.
//!
//! Needs `restic` of version 0.14 or newer; without it the tests say so and pass.

#![allow(clippy::unwrap_used, missing_docs)]

use snapkeep_vault::format::pack::{open_blob, open_header, sealed_header_len};
use snapkeep_vault::format::{
    Compressor, ConfigFile, Decompressor, ExtendedAttribute, IndexFile, IndexPack, KeyFile,
    LockFile, MasterKey, Mode, PackBuilder,
};
use snapkeep_vault::storage::{FileKind, ObjectStorage, PutMode, Storage};
use snapkeep_vault::{
    BlobId, BlobKind, IndexId, KdfParams, KeyId, LockId, Node, NodeKind, PackId, Password,
    RepositoryId, SnapshotFile, SnapshotId, Time, Tree,
};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

const PASSWORD: &str = "correct horse";

fn restic_is_there() -> bool {
    let found = Command::new("restic").arg("version").output().is_ok();
    if !found {
        eprintln!("restic is not installed: nothing is compared");
    }
    found
}

fn restic(repository: &Path, arguments: &[&OsStr]) -> String {
    let output = Command::new("restic")
        .env("RESTIC_PASSWORD", PASSWORD)
        .arg("--no-cache")
        .arg("--repo")
        .arg(repository)
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{errors}");
    text
}

fn arguments<'a>(arguments: &[&'a str]) -> Vec<&'a OsStr> {
    arguments.iter().copied().map(OsStr::new).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap()
}

fn open_master_key(storage: &dyn Storage) -> MasterKey {
    let keys = storage.list(FileKind::Key).unwrap();
    let file = storage.get(FileKind::Key, &keys[0].name).unwrap();
    assert_eq!(KeyId::of(&file).to_string(), keys[0].name);
    let key = KeyFile::parse(&file).unwrap();
    assert!(key.open(&Password::from("wrong")).is_err());
    key.open(&Password::from(PASSWORD)).unwrap()
}

/// Names and nodes that try the canonical encoding.
fn make_difficult_files(folder: &Path) {
    for name in [
        &b"plain"[..],
        b"quote\"backslash\\",
        b"<html>&amp;",
        b"new\nline\ttab\x07bell\x7f",
        b"not\xffutf\xfe8",
        "gr\u{fc}\u{df}e \u{1f600}".as_bytes(),
        "\u{a0}\u{200b}\u{2028}\u{2029}\u{feff}\u{fffd}\u{e0001}\u{378}".as_bytes(),
        "e\u{301}".as_bytes(),
    ] {
        std::fs::write(folder.join(OsStr::from_bytes(name)), name).unwrap();
    }
    std::fs::create_dir_all(folder.join("dir/empty")).unwrap();
    std::fs::write(folder.join("dir/zero"), "").unwrap();
    let large: Vec<u8> = (0..3_000_000_u32)
        .flat_map(|n| (n / 3).to_le_bytes())
        .collect();
    std::fs::write(folder.join("dir/large"), large).unwrap();
    std::os::unix::fs::symlink("plain", folder.join("link")).unwrap();
    std::os::unix::fs::symlink("a<b>\u{2028}", folder.join("odd link")).unwrap();
    std::fs::hard_link(folder.join("plain"), folder.join("second name")).unwrap();
    let _ = Command::new("mkfifo").arg(folder.join("fifo")).status();
    let _ = Command::new("chmod")
        .arg("6755")
        .arg(folder.join("dir/zero"))
        .status();
    let _ = Command::new("chmod")
        .arg("1777")
        .arg(folder.join("dir/empty"))
        .status();
}

#[test]
fn a_repository_of_restic_is_read_and_its_trees_are_encoded_alike() {
    if !restic_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (repository, source) = (folder.path().join("repo"), folder.path().join("source"));
    std::fs::create_dir(&source).unwrap();
    make_difficult_files(&source);
    restic(
        &repository,
        &arguments(&["init", "--repository-version", "2"]),
    );
    let backup = ["backup", "--tag", "t", "--exclude", "*.o"];
    let backup = [&arguments(&backup)[..], &[source.as_os_str()]].concat();
    restic(&repository, &backup);

    let runtime = runtime();
    let storage = ObjectStorage::local(&repository, runtime.handle().clone()).unwrap();
    let key = open_master_key(&storage);
    ConfigFile::open(&key, &storage.get(FileKind::Config, "").unwrap()).unwrap();

    let snapshots = storage.list(FileKind::Snapshot).unwrap();
    let file = storage.get(FileKind::Snapshot, &snapshots[0].name).unwrap();
    assert_eq!(SnapshotId::of(&file).to_string(), snapshots[0].name);
    let snapshot = SnapshotFile::open(&key, &file).unwrap();
    assert_eq!(snapshot.tags, ["t"]);
    assert_eq!(snapshot.excludes, ["*.o"]);

    let mut decompressor = Decompressor::new().unwrap();
    let (mut trees, mut data_blobs) = (0, 0);
    for entry in storage.list(FileKind::Index).unwrap() {
        let file = storage.get(FileKind::Index, &entry.name).unwrap();
        assert_eq!(IndexId::of(&file).to_string(), entry.name);
        for pack in IndexFile::open(&key, &file).unwrap().packs {
            let name = pack.id.to_string();
            let size = storage.size(FileKind::Data, &name).unwrap();
            let bytes = storage.get(FileKind::Data, &name).unwrap();
            assert_eq!(PackId::of(&bytes), pack.id);
            let (rest, trailer) = bytes.split_last_chunk::<4>().unwrap();
            let header_len = sealed_header_len(*trailer, size).unwrap() as usize;
            let header = &rest[rest.len() - header_len..];
            let mut blobs = pack.blobs;
            blobs.sort_by_key(|blob| blob.offset);
            assert_eq!(open_header(&key, header, size).unwrap(), blobs);

            for blob in blobs {
                let mut sealed = bytes[blob.offset as usize..blob.end() as usize].to_vec();
                let mut scratch = Vec::new();
                let plain =
                    open_blob(&key, &blob, &mut sealed, &mut decompressor, &mut scratch).unwrap();
                assert_eq!(plain.len(), blob.plain_length() as usize);
                if blob.kind == BlobKind::Data {
                    data_blobs += 1;
                    continue;
                }
                trees += 1;
                let encoded = Tree::parse(plain).unwrap().to_json();
                assert_eq!(
                    String::from_utf8_lossy(&encoded),
                    String::from_utf8_lossy(plain)
                );
            }
        }
    }
    assert!(
        trees >= 3 && data_blobs >= 8,
        "{trees} trees, {data_blobs} blobs"
    );
}

fn put_named<I: std::fmt::Display>(
    storage: &dyn Storage,
    kind: FileKind,
    id: impl Fn(&[u8]) -> I,
    file: Vec<u8>,
) -> I {
    let id = id(&file);
    storage
        .put(kind, &id.to_string(), file.into(), PutMode::Create)
        .unwrap();
    id
}

#[test]
fn a_repository_written_here_passes_the_check_of_restic_and_is_restored_by_it() {
    if !restic_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("repo");
    let runtime = runtime();
    let storage = ObjectStorage::local(&repository, runtime.handle().clone()).unwrap();
    let mut compressor = Compressor::new(3).unwrap();

    let key = MasterKey::generate();
    let password = Password::from(PASSWORD);
    let key_file = KeyFile::create(&key, &password, KdfParams::machine(), "user", "host").unwrap();
    put_named(
        &storage,
        FileKind::Key,
        KeyId::of,
        key_file.to_json().unwrap(),
    );
    let config = ConfigFile::new(RepositoryId::random()).seal(&key).unwrap();
    storage
        .put(FileKind::Config, "", config.into(), PutMode::Create)
        .unwrap();
    let lock = LockFile {
        time: Time::now(),
        exclusive: false,
        hostname: "elsewhere".into(),
        username: "user".into(),
        pid: 1,
        uid: 0,
        gid: 0,
    };
    let lock = lock.seal(&key, &mut compressor).unwrap();
    let lock = put_named(&storage, FileKind::Lock, LockId::of, lock);

    let text = b"some text ".repeat(1000);
    let noise: Vec<u8> = (0..5000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let mut data = PackBuilder::new(BlobKind::Data, 0);
    let text_id = BlobId::of(&text);
    let noise_id = BlobId::of(&noise);
    data.add(&key, text_id, &text, Some(&mut compressor))
        .unwrap();
    data.add(&key, noise_id, &noise, None).unwrap();
    let data = data.finish(&key);

    let time = Time::from_unix(1_700_000_000, 120_000_000);
    let content = vec![text_id, noise_id, text_id];
    let size = (2 * text.len() + noise.len()) as u64;
    let mut file = Node::file(*b"file \"\xff\n<&>", time, content, size);
    file.extended_attributes = vec![ExtendedAttribute {
        name: "user.a".into(),
        value: b"b".to_vec(),
    }];
    let empty = Node::file(*b"empty", time, Vec::new(), 0);
    let mut link = Node::new(*b"link", NodeKind::Symlink);
    link.link_target = b"empty".to_vec();
    link.mode = Mode::from_unix(0o120_777);
    let inner = Tree::new(vec![file, empty, link]).unwrap().to_json();
    let root = Node::dir(*b"dir", time, BlobId::of(&inner));
    let root = Tree::new(vec![root]).unwrap().to_json();
    let mut trees = PackBuilder::new(BlobKind::Tree, 0);
    for tree in [&inner, &root] {
        let id = BlobId::of(tree);
        trees.add(&key, id, tree, Some(&mut compressor)).unwrap();
    }
    let trees = trees.finish(&key);

    let mut index = IndexFile::default();
    for pack in [data, trees] {
        put_named(&storage, FileKind::Data, PackId::of, pack.bytes.to_vec());
        index.packs.push(IndexPack {
            id: pack.id,
            blobs: pack.entries,
        });
    }
    let index = index.seal(&key, &mut compressor).unwrap();
    put_named(&storage, FileKind::Index, IndexId::of, index);
    let mut snapshot = SnapshotFile::new(BlobId::of(&root));
    snapshot.paths = vec!["/".into()];
    snapshot.hostname = "snapkeep".into();
    let snapshot = snapshot.seal(&key, &mut compressor).unwrap();
    put_named(&storage, FileKind::Snapshot, SnapshotId::of, snapshot);

    let locks = restic(&repository, &arguments(&["list", "locks", "--no-lock"]));
    assert!(locks.contains(&lock.to_string()), "{locks}");
    storage.delete(FileKind::Lock, &lock.to_string()).unwrap();
    let checked = restic(&repository, &arguments(&["check", "--read-data"]));
    assert!(checked.contains("no errors were found"), "{checked}");

    let target = folder.path().join("target");
    let restore = [
        &arguments(&["restore", "latest", "--target"])[..],
        &[target.as_os_str()],
    ]
    .concat();
    restic(&repository, &restore);
    let restored = target
        .join("dir")
        .join(OsStr::from_bytes(b"file \"\xff\n<&>"));
    assert_eq!(
        std::fs::read(restored).unwrap(),
        [&text[..], &noise, &text].concat()
    );
    assert_eq!(std::fs::read(target.join("dir/link")).unwrap(), b"");
}
