//! Peers that do not keep to the rules harm nothing but their own connection.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use common::{MIB, Memory, Served, pattern};
use proptest::prelude::*;
use snapkeep_nbd::protocol::{
    BASE_ALLOCATION, ChunkHeader, ExportRequest, Info, MetaRequest, OptionHeader, OptionReply,
    Request, chunk, code, command, command_flag, info, magic, option, reply,
};
use snapkeep_nbd::{Client, Options, Overlay, Uri};

const WRITTEN: u64 = 300_000;

fn served() -> Served {
    let base = Memory::read_only(pattern(MIB));
    let folder = tempfile::tempdir().unwrap();
    let overlay = Overlay::temporary(base, folder.path()).unwrap();
    Served::of(Arc::new(overlay))
}

/// The server answers somebody who keeps to the rules, the disk is unharmed, and nobody is stuck.
fn assert_unharmed(served: &Served) {
    served.wait_until_idle();
    let client = served.client();
    let mut found = vec![0; 200_000];
    client.read_at(0, &mut found).unwrap();
    assert!(found == pattern(MIB)[..200_000]);
    drop(client);
    served.wait_until_idle();
}

fn connect(served: &Served) -> UnixStream {
    let stream = UnixStream::connect(served.socket()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
}

fn with_option(option: u32, data: &[u8]) -> Vec<u8> {
    let length = data.len() as u32;
    [&OptionHeader { option, length }.encode()[..], data].concat()
}

fn request(command: u16, flags: u16, offset: u64, length: u32) -> Vec<u8> {
    Request {
        flags,
        command,
        cookie: 7,
        offset,
        length,
    }
    .encode()
    .to_vec()
}

fn go() -> Vec<u8> {
    let go = ExportRequest {
        export: "disk".to_owned(),
        wanted: vec![info::BLOCK_SIZE],
    };
    with_option(option::GO, &go.encode())
}

/// From the answer to the greeting to the choice of the export.
fn handshake() -> Vec<u8> {
    let meta = MetaRequest {
        export: "disk".to_owned(),
        queries: vec![BASE_ALLOCATION.to_owned()],
    };
    let mut bytes = 3_u32.to_be_bytes().to_vec();
    bytes.extend(with_option(option::STRUCTURED_REPLY, &[]));
    bytes.extend(with_option(option::SET_META_CONTEXT, &meta.encode()));
    bytes.extend(go());
    bytes
}

/// All that a well-behaved client sends.
fn session() -> Vec<u8> {
    let mut bytes = handshake();
    bytes.extend(request(command::READ, 0, 0, 4096));
    bytes.extend(request(command::BLOCK_STATUS, 0, 0, MIB as u32));
    bytes.extend(request(command::WRITE, command_flag::FUA, WRITTEN, 16));
    bytes.extend([9; 16]);
    bytes.extend(request(command::DISCONNECT, 0, 0, 0));
    bytes
}

/// Sends bytes and returns all that comes until the server closes the connection.
fn say(served: &Served, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(served);
    // A server that has seen enough closes before everything is sent.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    heard
}

#[test]
fn a_session_may_be_cut_at_every_byte() {
    let served = served();
    let session = session();
    for length in 0..=session.len() {
        drop(say(&served, &session[..length]));
        // And without waiting for an answer.
        let _ = connect(&served).write_all(&session[..length]);
    }
    assert_unharmed(&served);
}

#[test]
fn bad_magic_and_flags_end_the_connection() {
    let served = served();
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        [&3_u32.to_be_bytes()[..], b"NOTMAGIC\0\0\0\x03\0\0\0\0"].concat(),
        0xffff_ffff_u32.to_be_bytes().to_vec(),
        [handshake(), b"NOTAREQUEST.................".to_vec()].concat(),
    ] {
        drop(say(&served, &bytes));
    }
    assert_unharmed(&served);
}

#[test]
fn lengths_that_lie_are_not_believed() {
    let served = served();
    let start = 3_u32.to_be_bytes().to_vec();
    let announce = |option, length| OptionHeader { option, length }.encode().to_vec();
    let mut names = u32::MAX.to_be_bytes().to_vec();
    names.extend(b"disk");
    let mut queries = vec![0, 0, 0, 4];
    queries.extend(b"disk");
    queries.extend(u32::MAX.to_be_bytes());
    for bytes in [
        announce(option::GO, u32::MAX),
        announce(option::EXPORT_NAME, u32::MAX),
        announce(77, (64 << 10) + 1),
        with_option(option::GO, &names),
        with_option(option::GO, &[]),
        with_option(option::EXPORT_NAME, &[0xff; 5000]),
        [
            with_option(option::STRUCTURED_REPLY, &[]),
            with_option(option::SET_META_CONTEXT, &queries),
        ]
        .concat(),
        with_option(option::LIST, b"data"),
        with_option(option::LIST, &[]).repeat(5000),
    ] {
        drop(say(&served, &[start.clone(), bytes].concat()));
    }
    // A write of 4 GiB is not waited for.
    drop(say(
        &served,
        &[handshake(), request(command::WRITE, 0, 0, u32::MAX)].concat(),
    ));
    assert_unharmed(&served);
}

/// The errors of the structured replies behind the handshake.
fn errors(heard: &[u8]) -> Vec<u32> {
    let magic = magic::CHUNK.to_be_bytes();
    let mut found = Vec::new();
    let mut at = heard
        .windows(4)
        .position(|word| word == magic)
        .unwrap_or(heard.len());
    while heard.len() >= at + ChunkHeader::BYTES && heard[at..at + 4] == magic {
        let body: &[u8; 16] = heard[at + 4..at + 20].try_into().unwrap();
        let header = ChunkHeader::decode_body(body).unwrap();
        let payload = &heard[at + 20..at + 20 + header.length as usize];
        if header.kind == chunk::ERROR {
            found.push(u32::from_be_bytes(payload[..4].try_into().unwrap()));
        }
        at += ChunkHeader::BYTES + header.length as usize;
    }
    found
}

#[test]
fn requests_that_cannot_be_are_refused_one_by_one() {
    let served = served();
    let size = MIB as u64;
    for (bytes, expected) in [
        (request(command::READ, 0, size - 10, 11), code::INVALID),
        (request(command::READ, 0, u64::MAX, 1), code::INVALID),
        (
            request(command::READ, 0, u64::MAX - 10, u32::MAX),
            code::INVALID,
        ),
        (request(command::READ, 0x8000, 0, 10), code::INVALID),
        (request(command::READ, command_flag::DF, 0, MIB as u32), 0),
        (request(command::BLOCK_STATUS, 0, size, 1), code::INVALID),
        (request(command::BLOCK_STATUS, 0, 0, 0), code::INVALID),
        (request(command::TRIM, 0, size, 1), code::NO_SPACE),
        (
            request(command::WRITE_ZEROES, 0, 1, MIB as u32),
            code::NO_SPACE,
        ),
        (request(command::WRITE_ZEROES, 1 << 4, 0, 10), code::INVALID),
        (request(99, 0, 0, 10), code::INVALID),
        (
            [request(command::WRITE, 0, size - 5, 10), vec![1; 10]].concat(),
            code::NO_SPACE,
        ),
        (
            [request(command::WRITE, 0x4000, 0, 10), vec![1; 10]].concat(),
            code::INVALID,
        ),
        (
            [request(command::WRITE, 0, 0, 3 << 20), vec![1; 3 << 20]].concat(),
            code::NO_SPACE,
        ),
    ] {
        // The read behind it shows that the connection goes on.
        let last = [
            request(command::READ, 0, 0, 1),
            request(command::DISCONNECT, 0, 0, 0),
        ]
        .concat();
        let heard = say(&served, &[handshake(), bytes, last].concat());
        let wanted: Vec<u32> = Some(expected)
            .into_iter()
            .filter(|code| *code != 0)
            .collect();
        assert_eq!(errors(&heard), wanted);
        let mut data = ChunkHeader {
            flags: 1,
            kind: chunk::OFFSET_DATA,
            cookie: 7,
            length: 9,
        }
        .encode()
        .to_vec();
        data.extend([0; 8]);
        data.push(pattern(1)[0]);
        assert!(heard.windows(data.len()).any(|window| window == data));
    }
    assert_unharmed(&served);
}

#[test]
fn a_client_without_structured_replies_is_served_too() {
    let served = served();
    let mut bytes = 3_u32.to_be_bytes().to_vec();
    bytes.extend(with_option(option::EXPORT_NAME, b"disk"));
    bytes.extend(request(command::READ, 0, 1000, 200));
    bytes.extend(request(command::READ, 0, 0, (MIB - 1) as u32));
    bytes.extend(request(command::READ, 0, MIB as u64, 1));
    bytes.extend(request(command::BLOCK_STATUS, 0, 0, 10));
    let mut stream = connect(&served);
    stream.write_all(&bytes).unwrap();
    let disk = pattern(MIB);
    let mut read = |length: usize| {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).unwrap();
        bytes
    };
    let greeting = read(18);
    assert_eq!(greeting[..8], magic::GREETING.to_be_bytes());
    assert_eq!(read(10)[..8], (MIB as u64).to_be_bytes());
    // The replies come in any order: two with data, two with errors.
    let mut codes = Vec::new();
    let mut data = Vec::new();
    while codes.len() + data.len() < 4 {
        let header = read(16);
        assert_eq!(header[..4], magic::SIMPLE_REPLY.to_be_bytes());
        match u32::from_be_bytes(header[4..8].try_into().unwrap()) {
            0 => {
                // The same cookie for all: the first byte tells which one it is.
                let start = read(200);
                if start == disk[1000..1200] {
                    data.push(200);
                } else {
                    assert!(start == disk[..200] && read(MIB - 201) == disk[200..MIB - 1]);
                    data.push(MIB - 1);
                }
            }
            code => codes.push(code),
        }
    }
    assert_eq!(codes, [code::INVALID, code::INVALID]);
    drop(stream);
    assert_unharmed(&served);
}

#[test]
fn a_client_that_takes_no_replies_does_not_hold_up_the_others() {
    let served = served();
    let mut greedy = connect(&served);
    greedy.write_all(&handshake()).unwrap();
    for _ in 0..64 {
        greedy
            .write_all(&request(command::READ, 0, 0, MIB as u32))
            .unwrap();
    }
    served.client().read_at(0, &mut [0; 100]).unwrap();
    drop(greedy);
    assert_unharmed(&served);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn garbage_is_survived(
        prefix in 0..4_usize, garbage in prop::collection::vec(any::<u8>(), 0..600),
        at in 0..200_usize, flips in prop::collection::vec((0..200_usize, any::<u8>()), 0..4),
    ) {
        let served = served();
        let mut damaged = session();
        // The data of the write stays out of what is compared afterwards, wherever the damage sends it: so no writes.
        damaged.truncate(handshake().len() + 2 * Request::BYTES);
        for (place, byte) in flips {
            let place = place % damaged.len();
            damaged[place] = byte;
        }
        let whole = handshake();
        let start = match prefix {
            0 => Vec::new(),
            1 => 3_u32.to_be_bytes().to_vec(),
            2 => whole[..at % whole.len()].to_vec(),
            _ => damaged,
        };
        drop(say(&served, &[start, garbage].concat()));
        served.wait_until_idle();
        served.client().read_at(0, &mut [0; 100]).unwrap();
    }
}

/// A server that says these bytes, whatever it hears, and then closes.
fn liar(folder: &std::path::Path, bytes: Vec<u8>) -> Uri {
    let path = folder.join("liar");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        // Until the client has gone.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    Uri::unix(&path, "disk")
}

fn honest_start() -> Vec<u8> {
    let ack = |option| {
        OptionReply {
            option,
            kind: reply::ACK,
            length: 0,
        }
        .encode()
        .to_vec()
    };
    let export = Info::Export {
        size_bytes: 1 << 20,
        flags: 1,
    }
    .encode();
    let context = [&1_u32.to_be_bytes()[..], BASE_ALLOCATION.as_bytes()].concat();
    let told = |option, kind, data: &[u8]| {
        let length = data.len() as u32;
        [
            &OptionReply {
                option,
                kind,
                length,
            }
            .encode()[..],
            data,
        ]
        .concat()
    };
    let mut bytes = magic::GREETING.to_be_bytes().to_vec();
    bytes.extend(magic::OPTION.to_be_bytes());
    bytes.extend(3_u16.to_be_bytes());
    bytes.extend(ack(option::STRUCTURED_REPLY));
    bytes.extend(told(
        option::SET_META_CONTEXT,
        reply::META_CONTEXT,
        &context,
    ));
    bytes.extend(ack(option::SET_META_CONTEXT));
    bytes.extend(told(option::GO, reply::INFO, &export));
    bytes.extend(ack(option::GO));
    bytes
}

fn chunk(kind: u16, cookie: u64, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u32;
    [
        &ChunkHeader {
            flags: 1,
            kind,
            cookie,
            length,
        }
        .encode()[..],
        payload,
    ]
    .concat()
}

#[test]
fn a_client_does_not_believe_replies_that_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let at = |offset: u64, data: &[u8]| [&offset.to_be_bytes()[..], data].concat();
    for (reply, reason) in [
        (
            chunk(chunk::OFFSET_DATA, 1, &at(50, &[1; 100])),
            "not asked for",
        ),
        (
            chunk(chunk::OFFSET_DATA, 1, &at(0, &[1; 200])),
            "not asked for",
        ),
        (chunk(chunk::OFFSET_DATA, 1, &at(0, &[1; 50])), "lacks"),
        (
            chunk(chunk::OFFSET_DATA, 2, &at(0, &[1; 100])),
            "no request",
        ),
        (chunk(chunk::NONE, 1, &[]), "lacks"),
        (chunk(chunk::BLOCK_STATUS, 1, &[0; 12]), "does not fit"),
        (
            chunk(
                chunk::OFFSET_HOLE,
                1,
                &[at(0, &[]), u32::MAX.to_be_bytes().to_vec()].concat(),
            ),
            "not asked for",
        ),
        (chunk(chunk::ERROR, 1, &[0; 6]), "no error"),
        (
            ChunkHeader {
                flags: 0,
                kind: chunk::OFFSET_DATA,
                cookie: 1,
                length: u32::MAX,
            }
            .encode()
            .to_vec(),
            "not asked for",
        ),
        (vec![0; 20], "starts with"),
        (Vec::new(), "closed the connection"),
    ] {
        // Some of these end in the middle of an offset: what comes then is the end of the connection.
        let mut bytes = honest_start();
        bytes.extend(reply);
        bytes.extend([0; 8]);
        if reason == "closed the connection" {
            bytes.truncate(honest_start().len());
        }
        let uri = liar(folder.path(), bytes);
        let client = Client::connect(&uri, &Options::with_contexts([BASE_ALLOCATION])).unwrap();
        let error = client.read_at(0, &mut [0; 100]).unwrap_err().to_string();
        let is_told =
            error.contains(reason) || reason == "not asked for" && error.contains("asked for");
        assert!(is_told, "{reason}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn a_client_survives_a_server_of_garbage(
        cut in 0..400_usize, flips in prop::collection::vec((0..400_usize, any::<u8>()), 0..5),
        garbage in prop::collection::vec(any::<u8>(), 0..300), has_reply: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = honest_start();
        if has_reply {
            bytes.extend(chunk(chunk::OFFSET_DATA, 1, &[[0; 8].to_vec(), vec![1; 100]].concat()));
        }
        bytes.truncate(bytes.len().saturating_sub(cut / 4));
        for (place, byte) in flips {
            let place = place % bytes.len();
            bytes[place] = byte;
        }
        bytes.extend(garbage);
        let uri = liar(folder.path(), bytes);
        if let Ok(client) = Client::connect(&uri, &Options::with_contexts([BASE_ALLOCATION])) {
            let _ = client.read_at(0, &mut [0; 100]);
            let _ = client.block_status(BASE_ALLOCATION, 0..1000);
        }
    }
}
