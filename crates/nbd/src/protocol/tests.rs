//! What is encoded is decoded as itself, and nothing that is received makes a decoder panic.

use proptest::prelude::*;

use super::*;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z:/ ]{1,40}", ".{0,20}"]
}

fn block_sizes() -> impl Strategy<Value = BlockSizes> {
    (0..=16_u32, 0..=10_u32, 1..=2000_u32).prop_map(|(minimum, more, count)| BlockSizes {
        minimum: 1 << minimum,
        preferred: 1 << (minimum + more),
        maximum: (1 << minimum) * count,
    })
}

fn information() -> impl Strategy<Value = Info> {
    prop_oneof![
        (any::<u64>(), any::<u16>())
            .prop_map(|(size_bytes, flags)| Info::Export { size_bytes, flags }),
        name().prop_map(Info::Name),
        name().prop_map(Info::Description),
        block_sizes().prop_map(Info::BlockSizes),
    ]
}

proptest! {
    #[test]
    fn options_are_read_as_they_are_written(
        option: u32, kind: u32, length: u32, export in name(), wanted: Vec<u16>,
        queries in prop::collection::vec(name(), 0..5), id: u32, information in information(),
    ) {
        let header = OptionHeader { option, length };
        prop_assert_eq!(OptionHeader::decode(&header.encode()), Ok(header));
        let answer = OptionReply { option, kind, length: length % (MAX_OPTION + 1) };
        prop_assert_eq!(OptionReply::decode(&answer.encode()), Ok(answer));
        let request = ExportRequest { export: export.clone(), wanted };
        prop_assert_eq!(ExportRequest::decode(&request.encode()), Ok(request));
        let context = MetaContext { id, name: export.clone() };
        prop_assert_eq!(MetaContext::decode(&context.encode()), Ok(context));
        let request = MetaRequest { export, queries };
        prop_assert_eq!(MetaRequest::decode(&request.encode()), Ok(request));
        prop_assert_eq!(Info::decode(&information.encode()), Ok(information));
    }

    #[test]
    fn requests_and_replies_are_read_as_they_are_written(
        flags: u16, number: u16, cookie: u64, offset: u64, length: u32, message in ".{0,50}",
        extents in prop::collection::vec((1..=u32::MAX, any::<u32>()), 1..50),
    ) {
        let request = Request { flags, command: number, cookie, offset, length };
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
        let header = ChunkHeader { flags, kind: number, cookie, length };
        let bytes = header.encode();
        prop_assert_eq!(&bytes[..4], &magic::CHUNK.to_be_bytes());
        prop_assert_eq!(ChunkHeader::decode_body(bytes[4..].try_into().unwrap()), Ok(header));
        let answer = SimpleReply { error: length, cookie };
        let bytes = answer.encode();
        prop_assert_eq!(&bytes[..4], &magic::SIMPLE_REPLY.to_be_bytes());
        prop_assert_eq!(SimpleReply::decode_body(bytes[4..].try_into().unwrap()), Ok(answer));
        let code = length.max(1);
        prop_assert_eq!(decode_error(&encode_error(code, &message)), Ok((code, message)));
        let extents: Vec<_> = extents.into_iter().map(|(length, flags)| Extent { length, flags }).collect();
        prop_assert_eq!(decode_extents(&encode_extents(length, &extents)), Ok((length, extents)));
    }

    #[test]
    fn what_is_cut_or_too_long_is_refused(export in "[a-z]{1,9}", cut in 1..20_usize, more in prop::collection::vec(any::<u8>(), 1..9)) {
        let request = ExportRequest { export: export.clone(), wanted: vec![3] }.encode();
        prop_assert!(ExportRequest::decode(&request[..request.len().saturating_sub(cut)]).is_err());
        prop_assert!(ExportRequest::decode(&[&request[..], &more].concat()).is_err());
        let request = MetaRequest { export, queries: vec!["base:".to_owned()] }.encode();
        prop_assert!(MetaRequest::decode(&request[..request.len().saturating_sub(cut)]).is_err());
        prop_assert!(MetaRequest::decode(&[&request[..], &more].concat()).is_err());
    }

    #[test]
    fn nothing_received_makes_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = ExportRequest::decode(&bytes);
        let _ = MetaRequest::decode(&bytes);
        let _ = MetaContext::decode(&bytes);
        let _ = Info::decode(&bytes);
        let _ = decode_extents(&bytes);
        let _ = decode_error(&bytes);
    }
}

#[test]
fn the_bytes_are_those_of_the_document() {
    let request = Request {
        flags: command_flag::FUA,
        command: command::WRITE,
        cookie: 0x0102_0304_0506_0708,
        offset: 0x1000,
        length: 0x200,
    };
    let expected = "2560951300010001010203040506070800000000000010000000".to_owned() + "0200";
    let hex: String = request
        .encode()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(hex, expected);
    let header = OptionHeader {
        option: option::GO,
        length: 10,
    };
    assert_eq!(&header.encode()[..8], b"IHAVEOPT");
    assert_eq!(&magic::GREETING.to_be_bytes(), b"NBDMAGIC");
}

#[test]
fn numbers_that_cannot_be_are_refused() {
    let reply = OptionReply {
        option: 7,
        kind: 1,
        length: MAX_OPTION + 1,
    };
    assert!(OptionReply::decode(&reply.encode()).is_err());
    for sizes in [
        [0, 1, 1],
        [3, 8, 9],
        [4096, 512, 8192],
        [512, 512, 700],
        [1 << 20, 1 << 20, 1 << 20],
    ] {
        let [minimum, preferred, maximum] = sizes;
        let info = Info::BlockSizes(BlockSizes {
            minimum,
            preferred,
            maximum,
        });
        assert!(Info::decode(&info.encode()).is_err(), "{sizes:?}");
    }
    assert!(decode_extents(&encode_extents(1, &[])).is_err());
    assert!(
        decode_extents(&encode_extents(
            1,
            &[Extent {
                length: 0,
                flags: 0
            }]
        ))
        .is_err()
    );
    let long = "é".repeat(5000);
    let (_, message) = decode_error(&encode_error(5, &long)).unwrap();
    assert!(message.len() <= MAX_STRING && long.starts_with(&message));
}
