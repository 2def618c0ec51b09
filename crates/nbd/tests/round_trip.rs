//! The client against the server.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{MIB, Memory, Served, pattern};
use proptest::prelude::*;
use snapkeep_nbd::protocol::BASE_ALLOCATION;
use snapkeep_nbd::{
    Client, Export, ListenOn, NamedExport, NbdError, Options, Overlay, Server, ServerOptions,
    ServerTls, Uri,
};

#[test]
fn many_threads_read_over_one_connection() {
    let disk = pattern(9 * MIB + 12_345);
    let served = Served::of(Memory::read_only(disk.clone()));
    let client = served.client();
    assert_eq!(client.size_bytes(), disk.len() as u64);
    assert!(client.is_read_only());
    std::thread::scope(|scope| {
        for thread in 0..8_usize {
            let (client, disk) = (&client, &disk);
            scope.spawn(move || {
                for round in 0..60_usize {
                    let start = (thread * 1_234_567 + round * 7_654_321) % disk.len();
                    let length =
                        [1, 512, 4096, 100_000, 3 * MIB][round % 5].min(disk.len() - start);
                    let mut buffer = vec![0xee; length];
                    client.read_at(start as u64, &mut buffer).unwrap();
                    assert!(
                        buffer == disk[start..start + length],
                        "at {start}, {length} bytes"
                    );
                }
            });
        }
    });
    let mut whole = vec![1; disk.len()];
    client.read_at(0, &mut whole).unwrap();
    assert!(whole == disk);
    client.read_at(disk.len() as u64, &mut []).unwrap();
    assert_eq!(served.server.connections(), 1);
    client.disconnect().unwrap();
    served.wait_until_idle();
}

#[test]
fn the_status_covers_the_range_and_joins_what_is_alike() {
    let disk = pattern(MIB);
    let served = Served::of(Memory::read_only(disk));
    let client = served.client();
    let found = client
        .block_status(BASE_ALLOCATION, 1000..MIB as u64 - 7)
        .unwrap();
    assert_eq!(found.len(), 16);
    assert_eq!(found[0].range, 1000..65536);
    assert!(!found[0].is_zero() && found[1].is_zero());
    assert!(
        found
            .windows(2)
            .all(|pair| pair[0].range.end == pair[1].range.start)
    );
    assert_eq!(found[15].range.end, MIB as u64 - 7);
    let missing = client
        .block_status("qemu:dirty-bitmap:b0", 0..10)
        .unwrap_err();
    assert!(matches!(missing, NbdError::NotOffered { .. }), "{missing}");
}

#[test]
fn a_request_that_is_refused_leaves_the_connection_usable() {
    let served = Served::of(Memory::read_only(pattern(MIB)));
    let client = served.client();
    let mut buffer = [0; 10];
    let beyond = client.read_at(MIB as u64 - 5, &mut buffer).unwrap_err();
    assert!(beyond.to_string().contains("ends at 1048576"), "{beyond}");
    let forbidden = client.write_at(0, b"x").unwrap_err();
    assert!(matches!(forbidden, NbdError::Remote { .. }), "{forbidden}");
    assert!(forbidden.to_string().contains("read-only"), "{forbidden}");
    client.read_at(0, &mut buffer).unwrap();
    assert!(matches!(
        client.trim(0..10),
        Err(NbdError::NotOffered { .. })
    ));
    client.flush().unwrap();
}

#[test]
fn errors_of_a_disk_reach_the_client_with_their_text() {
    struct Broken;
    impl Export for Broken {
        fn size_bytes(&self) -> u64 {
            MIB as u64
        }
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
            match offset {
                0 => {
                    buffer.fill(7);
                    Ok(())
                }
                _ => Err(std::io::Error::other("pack 1234 is damaged")),
            }
        }
        fn extents(
            &self,
            range: std::ops::Range<u64>,
            _: usize,
        ) -> std::io::Result<Vec<snapkeep_nbd::ZeroRange>> {
            // Nonsense on purpose.
            Ok(vec![snapkeep_nbd::ZeroRange {
                range: 5..range.end + 1,
                is_zero: true,
            }])
        }
    }
    let served = Served::of(Arc::new(Broken));
    let client = served.client();
    let mut buffer = [0; 4096];
    let failed = client.read_at(4096, &mut buffer).unwrap_err();
    assert!(
        failed.to_string().contains("pack 1234 is damaged"),
        "{failed}"
    );
    client.read_at(0, &mut buffer).unwrap();
    assert_eq!(buffer, [7; 4096]);
    assert!(client.read_at(0, &mut vec![0; MIB / 2]).is_err());
    assert!(client.block_status(BASE_ALLOCATION, 0..100).is_err());
    client.read_at(0, &mut buffer).unwrap();
}

#[test]
fn a_disk_that_panics_costs_its_connection_only() {
    struct Panics;
    impl Export for Panics {
        fn size_bytes(&self) -> u64 {
            MIB as u64
        }
        fn read_at(&self, offset: u64, _: &mut [u8]) -> std::io::Result<()> {
            assert!(offset == 0, "on purpose");
            Ok(())
        }
        fn extents(
            &self,
            _: std::ops::Range<u64>,
            _: usize,
        ) -> std::io::Result<Vec<snapkeep_nbd::ZeroRange>> {
            Ok(Vec::new())
        }
    }
    let served = Served::of(Arc::new(Panics));
    let client = served.client();
    assert!(client.read_at(512, &mut [0; 512]).is_err());
    served.wait_until_idle();
    served.client().read_at(0, &mut [0; 512]).unwrap();
}

#[test]
fn an_unknown_export_and_a_missing_server_are_told() {
    let served = Served::of(Memory::read_only(vec![0; 100]));
    let connect = |uri: &Uri| {
        Client::connect(uri, &Options::default())
            .unwrap_err()
            .to_string()
    };
    let unknown = connect(&served.server.uri("other"));
    assert!(
        unknown.contains("\"other\"") && unknown.contains("no export"),
        "{unknown}"
    );
    let gone = connect(&Uri::unix(&served.folder.path().join("none"), "disk"));
    assert!(gone.contains("is the NBD server running"), "{gone}");
    // The first export is the default.
    let default = Client::connect(&served.server.uri(""), &Options::default()).unwrap();
    assert_eq!(default.size_bytes(), 100);
}

#[test]
fn the_socket_is_for_its_user_only_and_goes_with_the_server() {
    use std::os::unix::fs::PermissionsExt;
    let served = Served::of(Memory::read_only(vec![0; 100]));
    let mode = std::fs::metadata(served.socket())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let start = |path| {
        let options = ServerOptions::new(ListenOn::Unix(path));
        Server::start(options, Vec::new())
    };
    let taken = start(served.socket()).unwrap_err().to_string();
    assert!(taken.contains("in use by another server"), "{taken}");
    let file = served.folder.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(
        start(file.clone())
            .unwrap_err()
            .to_string()
            .contains("already")
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    // What a server left that was killed is replaced.
    let stale = served.folder.path().join("stale");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    drop(start(stale.clone()).unwrap());
    assert!(!stale.exists());
    let socket = served.socket();
    served.server.stop();
    assert!(!socket.exists());
}

#[test]
fn other_hosts_are_served_with_tls_only() {
    let open = ServerOptions::new(ListenOn::Tcp("0.0.0.0:0".parse().unwrap()));
    let refused = Server::start(open, Vec::new()).unwrap_err().to_string();
    assert!(
        refused.contains("in the clear") && refused.contains("TLS"),
        "{refused}"
    );
}

#[test]
fn a_stopped_server_ends_its_connections_and_clients_are_told() {
    let served = Served::of(Memory::read_only(pattern(MIB)));
    let client = served.client();
    served.server.stop();
    let mut buffer = [0; 10];
    assert!(client.read_at(0, &mut buffer).is_err());
    let again = client.read_at(0, &mut buffer).unwrap_err();
    assert!(again.to_string().contains("connect again"), "{again}");
}

#[test]
fn too_many_clients_are_turned_away_and_the_others_stay() {
    let served = Served::with(Memory::read_only(pattern(MIB)), |options| {
        options.max_connections = 2
    });
    let (one, _two) = (served.client(), served.client());
    let third = Client::connect(&served.server.uri("disk"), &Options::default());
    assert!(third.is_err());
    one.read_at(0, &mut [0; 10]).unwrap();
    drop(one);
    while served.server.connections() > 1 {
        std::thread::yield_now();
    }
    served.client().read_at(0, &mut [0; 10]).unwrap();
}

fn data(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn secure(disk: Vec<u8>, client_authorities: Option<&str>) -> Server {
    let options = ServerOptions {
        tls: Some(ServerTls {
            certificate: data("server-cert.pem"),
            key: data("server-key.pem"),
            client_authorities: client_authorities.map(data),
        }),
        has_secret_names: true,
        ..ServerOptions::new(ListenOn::Tcp("127.0.0.1:0".parse().unwrap()))
    };
    let export = NamedExport {
        name: "disk".to_owned(),
        description: String::new(),
        export: Memory::read_only(disk),
    };
    Server::start(options, vec![export]).unwrap()
}

#[test]
fn tls_carries_many_requests_at_once_and_trusts_the_given_authority_only() {
    let disk = pattern(5 * MIB);
    let server = secure(disk.clone(), None);
    let mut uri = server.uri("disk");
    assert!(uri.to_string().starts_with("nbds://127.0.0.1:"));
    let stranger = Client::connect(&uri, &Options::default()).unwrap_err();
    assert!(matches!(stranger, NbdError::Tls { .. }), "{stranger}");
    uri.tls_certificates = Some(data(""));
    let client = Client::connect(&uri, &Options::with_contexts([BASE_ALLOCATION])).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..6_usize {
            let (client, disk) = (&client, &disk);
            scope.spawn(move || {
                for round in 0..20_usize {
                    let start = (thread * 1_234_567 + round * 7_654_321) % (4 * MIB);
                    let mut buffer = vec![0; [5, 70_000, MIB][round % 3]];
                    client.read_at(start as u64, &mut buffer).unwrap();
                    assert!(buffer == disk[start..start + buffer.len()]);
                }
            });
        }
    });
    assert_eq!(
        client
            .block_status(BASE_ALLOCATION, 0..MIB as u64)
            .unwrap()
            .len(),
        16
    );
    // Without TLS nothing is told, with it no secret name.
    let clear = Uri {
        is_tls: false,
        ..uri.clone()
    };
    let refused = Client::connect(&clear, &Options::default()).unwrap_err();
    assert!(refused.to_string().contains("TLS"), "{refused}");
    let default = Uri {
        export: String::new(),
        ..uri
    };
    assert!(Client::connect(&default, &Options::default()).is_err());
}

#[test]
fn a_server_can_ask_for_certificates_of_clients() {
    let disk = pattern(100_000);
    let server = secure(disk.clone(), Some("ca-cert.pem"));
    let mut uri = server.uri("disk");
    uri.tls_certificates = Some(data(""));
    assert!(Client::connect(&uri, &Options::default()).is_err());
    uri.tls_certificates = Some(data("client"));
    let client = Client::connect(&uri, &Options::default()).unwrap();
    let mut found = vec![0; disk.len()];
    client.read_at(0, &mut found).unwrap();
    assert!(found == disk);
}

/// One thing that a client does to a disk.
#[derive(Debug, Clone)]
enum Action {
    Write(usize, usize, u8),
    Zero(usize, usize, bool),
    Trim(usize, usize),
    Flush,
    Reopen,
}

const DISK: usize = 5 * 65536 + 700;

fn action() -> impl Strategy<Value = Action> {
    let range = || (0..DISK, prop_oneof![1..3000_usize, 1..200_000_usize]);
    prop_oneof![
        4 => (range(), 1..=255_u8).prop_map(|((start, length), byte)| Action::Write(start, length, byte)),
        2 => (range(), any::<bool>()).prop_map(|((start, length), hole)| Action::Zero(start, length, hole)),
        1 => range().prop_map(|(start, length)| Action::Trim(start, length)),
        1 => Just(Action::Flush),
        1 => Just(Action::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// A kept overlay that is opened again goes on where it was; the disk below never changes.
    #[test]
    fn an_overlay_reads_as_what_was_written_over_the_disk(actions in prop::collection::vec(action(), 1..25)) {
        let below = pattern(DISK);
        let base = Memory::read_only(below.clone());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("overlay");
        let open = || Overlay::kept(Arc::clone(&base) as Arc<dyn Export>, &file, "this disk").unwrap();
        let mut overlay = open();
        let mut model = below.clone();
        for action in actions {
            let span = |start: usize, length: usize| start..(start + length).min(DISK);
            let wide = |range: &std::ops::Range<usize>| range.start as u64..range.end as u64;
            match action {
                Action::Write(start, length, byte) => {
                    let range = span(start, length);
                    model[range.clone()].fill(byte);
                    overlay.write_at(start as u64, &model[range]).unwrap();
                }
                Action::Zero(start, length, may_be_hole) => {
                    let range = span(start, length);
                    overlay.write_zeroes(wide(&range), may_be_hole).unwrap();
                    model[range].fill(0);
                }
                Action::Trim(start, length) => {
                    let range = span(start, length);
                    overlay.trim(wide(&range)).unwrap();
                    // What is trimmed reads as anything: take over what it is.
                    let mut now = vec![0; range.len()];
                    overlay.read_at(start as u64, &mut now).unwrap();
                    prop_assert!(now == model[range.clone()] || now.contains(&0));
                    model[range].copy_from_slice(&now);
                }
                Action::Flush => overlay.flush().unwrap(),
                Action::Reopen => {
                    overlay.flush().unwrap();
                    drop(overlay);
                    overlay = open();
                }
            }
            let mut now = vec![0; DISK];
            overlay.read_at(0, &mut now).unwrap();
            prop_assert!(now == model);
            let mut at = 0;
            while at < DISK as u64 {
                for extent in overlay.extents(at..DISK as u64, 3).unwrap() {
                    prop_assert_eq!(extent.range.start, at);
                    let bytes = &model[extent.range.start as usize..extent.range.end as usize];
                    prop_assert!(!extent.is_zero || bytes.iter().all(|byte| *byte == 0));
                    at = extent.range.end;
                }
            }
        }
        prop_assert!(*base.bytes.read().unwrap() == below);
    }
}

#[test]
fn a_kept_overlay_fits_only_the_disk_it_was_made_for_and_one_server() {
    let base = || Memory::read_only(pattern(DISK)) as Arc<dyn Export>;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("overlay");
    let open = |base, text| Overlay::kept(base, &file, text);
    let problem = |base, text| open(base, text).unwrap_err().to_string();
    let overlay = open(base(), "snapshot one").unwrap();
    assert!(problem(base(), "snapshot one").contains("another server uses it"));
    overlay.write_at(70_000, b"kept").unwrap();
    overlay.flush().unwrap();
    assert_eq!(overlay.written_bytes(), 65536);
    drop(overlay);
    let other = problem(base(), "snapshot two");
    assert!(
        other.contains("belongs to another disk: snapshot one"),
        "{other}"
    );
    assert!(problem(base(), "snapshot").contains("another disk"));
    assert!(problem(Memory::read_only(vec![0; 10]), "snapshot one").contains("another disk"));
    let again = open(base(), "snapshot one").unwrap();
    let mut buffer = [0; 4];
    again.read_at(70_000, &mut buffer).unwrap();
    assert_eq!(&buffer, b"kept");
    drop(again);
    std::fs::write(&file, "something else").unwrap();
    assert!(problem(base(), "snapshot one").contains("no overlay"));
    assert_eq!(std::fs::read(&file).unwrap(), b"something else");
}

#[test]
fn writes_over_several_connections_do_not_disturb_each_other() {
    let base = Memory::read_only(pattern(4 * MIB));
    let folder = tempfile::tempdir().unwrap();
    let overlay = Overlay::temporary(base, folder.path()).unwrap();
    let served = Served::of(Arc::new(overlay));
    // Every thread has its own 512 bytes of each kilobyte of the same granules.
    std::thread::scope(|scope| {
        for thread in 0..2_u64 {
            let client = served.client();
            scope.spawn(move || {
                for block in 0..512_u64 {
                    let data = [thread as u8 + 1; 512];
                    client.write_at(block * 1024 + thread * 512, &data).unwrap();
                }
            });
        }
    });
    let client = served.client();
    let mut found = vec![0; 512 * 1024];
    client.read_at(0, &mut found).unwrap();
    for (at, byte) in found.iter().enumerate() {
        assert_eq!(usize::from(*byte), at / 512 % 2 + 1, "at {at}");
    }
    client.write_zeroes(0..MIB as u64, true).unwrap();
    client.trim(0..MIB as u64).unwrap();
    client.flush().unwrap();
    let status = client.block_status(BASE_ALLOCATION, 0..MIB as u64).unwrap();
    assert!(status.len() == 1 && status[0].is_zero(), "{status:?}");
    let large = pattern(3 * MIB);
    client.write_at(12_345, &large).unwrap();
    let mut found = vec![0; large.len()];
    client.read_at(12_345, &mut found).unwrap();
    assert!(found == large);
}
