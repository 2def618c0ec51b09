//! Lines of docs and gone files.
//!
//! A document is `{"_id":…,"_routing":…,"_version":…,"_seq_no":…,"_source":…}` and a line feed; `_routing` only where given. The
//! source stands at the end, byte for byte. Line feeds and carriage returns in it (they can only be white space of JSON) are
//! written as blanks; `_source_lf` and `_source_cr` before it then list where they were, so that the bytes come back.
//! An object with vectors has `_vectors` before its source: how many bytes they take in the vectors file.
//! A dead copy is `{"_id":…,"_seq_no":…}`.

use std::borrow::Cow;

use serde::Deserialize;
use snapkeep_drivers::{LiveDocument, LoadedDocument};

/// What stands before the source. Inside a JSON string the quote would be escaped, so its first occurrence is the right one.
const SOURCE_KEY: &[u8] = b",\"_source\":";

/// Why a line cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("damaged line in a docs or gone file: {0}")]
pub(crate) struct LineError(String);

/// Appends the line of a document to `line`.
pub(crate) fn write_document(document: &LiveDocument<'_>, line: &mut Vec<u8>) {
    line.extend_from_slice(b"{\"_id\":");
    write_string(document.id, line);
    if let Some(routing) = document.routing {
        line.extend_from_slice(b",\"_routing\":");
        write_string(routing, line);
    }
    line.extend_from_slice(b",\"_version\":");
    write_number(document.version, line);
    line.extend_from_slice(b",\"_seq_no\":");
    write_number(document.seq_no, line);
    if !document.vectors.is_empty() {
        line.extend_from_slice(b",\"_vectors\":");
        write_number(document.vectors.len() as u64, line);
    }
    // The one pass that finds no line break is what nearly every document costs.
    if document
        .source
        .iter()
        .any(|byte| matches!(byte, b'\n' | b'\r'))
    {
        write_positions(b",\"_source_lf\":[", b'\n', document.source, line);
        write_positions(b",\"_source_cr\":[", b'\r', document.source, line);
        line.extend_from_slice(SOURCE_KEY);
        line.extend(document.source.iter().map(|byte| {
            if matches!(byte, b'\n' | b'\r') {
                b' '
            } else {
                *byte
            }
        }));
    } else {
        line.extend_from_slice(SOURCE_KEY);
        line.extend_from_slice(document.source);
    }
    line.extend_from_slice(b"}\n");
}

fn write_positions(key: &[u8], wanted: u8, source: &[u8], line: &mut Vec<u8>) {
    let mut positions = source
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == wanted)
        .map(|(at, _)| at as u64);
    let Some(first) = positions.next() else {
        return;
    };
    line.extend_from_slice(key);
    write_number(first, line);
    for position in positions {
        line.push(b',');
        write_number(position, line);
    }
    line.push(b']');
}

/// Appends the line of a dead copy to `line`.
pub(crate) fn write_gone(id: &str, seq_no: u64, line: &mut Vec<u8>) {
    line.extend_from_slice(b"{\"_id\":");
    write_string(id, line);
    line.extend_from_slice(b",\"_seq_no\":");
    write_number(seq_no, line);
    line.extend_from_slice(b"}\n");
}

fn write_string(text: &str, line: &mut Vec<u8>) {
    let plain = text
        .bytes()
        .all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        line.push(b'"');
        line.extend_from_slice(text.as_bytes());
        line.push(b'"');
    } else {
        line.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
    }
}

fn write_number(mut number: u64, line: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    line.extend_from_slice(&digits[at..]);
}

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow, rename = "_id")]
    id: Cow<'a, str>,
    #[serde(borrow, default, rename = "_routing")]
    routing: Option<Cow<'a, str>>,
    #[serde(rename = "_version")]
    version: u64,
    #[serde(rename = "_seq_no")]
    seq_no: u64,
    #[serde(default, rename = "_vectors")]
    vectors: usize,
    #[serde(default, rename = "_source_lf")]
    source_lf: Vec<usize>,
    #[serde(default, rename = "_source_cr")]
    source_cr: Vec<usize>,
}

/// Reads documents from `text`, which consists of whole lines, and their vectors from `vectors`, which must hold exactly those;
/// documents that `is_dead` are passed over.
pub(crate) fn read_documents(
    text: &[u8],
    mut vectors: &[u8],
    is_dead: impl Fn(u64) -> bool,
    documents: &mut Vec<LoadedDocument>,
) -> Result<(), LineError> {
    let mut header = Vec::with_capacity(256);
    for line in split_lines(text) {
        let line = line?;
        let source_key = find(line, SOURCE_KEY).ok_or_else(|| damaged(line, "no _source"))?;
        header.clear();
        header.extend_from_slice(&line[..source_key]);
        header.push(b'}');
        let parsed: Header<'_> =
            serde_json::from_slice(&header).map_err(|error| damaged(line, &error.to_string()))?;
        let (own, rest) = vectors
            .split_at_checked(parsed.vectors)
            .ok_or_else(|| damaged(line, "its vectors are cut off"))?;
        vectors = rest;
        if is_dead(parsed.seq_no) {
            continue;
        }
        let mut source = line[source_key + SOURCE_KEY.len()..]
            .strip_suffix(b"}")
            .ok_or_else(|| damaged(line, "no brace at the end"))?
            .to_vec();
        for (positions, byte) in [(&parsed.source_lf, b'\n'), (&parsed.source_cr, b'\r')] {
            for position in positions {
                *source
                    .get_mut(*position)
                    .ok_or_else(|| damaged(line, "a position is out of range"))? = byte;
            }
        }
        documents.push(LoadedDocument {
            id: parsed.id.into_owned(),
            routing: parsed.routing.map(Cow::into_owned),
            version: parsed.version,
            seq_no: parsed.seq_no,
            source,
            vectors: own.to_vec(),
        });
    }
    if !vectors.is_empty() {
        return Err(LineError(format!(
            "{} bytes of vectors belong to no object",
            vectors.len()
        )));
    }
    Ok(())
}

/// A line of a gone file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct GoneLine<'a> {
    #[serde(borrow, rename = "_id")]
    pub(crate) id: Cow<'a, str>,
    #[serde(rename = "_seq_no")]
    pub(crate) seq_no: u64,
}

/// Reads dead copies from `text`, which consists of whole lines.
pub(crate) fn read_gone<'a>(
    text: &'a [u8],
    visit: &mut dyn FnMut(GoneLine<'a>),
) -> Result<(), LineError> {
    for line in split_lines(text) {
        let line = line?;
        visit(serde_json::from_slice(line).map_err(|error| damaged(line, &error.to_string()))?);
    }
    Ok(())
}

fn split_lines(text: &[u8]) -> impl Iterator<Item = Result<&[u8], LineError>> {
    text.split_inclusive(|byte| *byte == b'\n').map(|line| {
        line.strip_suffix(b"\n")
            .ok_or_else(|| damaged(line, "no line feed at the end"))
    })
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}

fn damaged(line: &[u8], reason: &str) -> LineError {
    let beginning = String::from_utf8_lossy(&line[..line.len().min(80)]);
    LineError(format!("{reason} in `{beginning}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line_of(document: &LiveDocument<'_>) -> String {
        let mut line = Vec::new();
        write_document(document, &mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_document_is_one_line_of_json_with_its_source_as_it_was() {
        let document = LiveDocument {
            id: "a\"b",
            routing: Some("r"),
            version: 3,
            seq_no: 17,
            source: br#"{ "x" : 1.0 }"#,
            vectors: &[],
        };
        assert_eq!(
            line_of(&document),
            "{\"_id\":\"a\\\"b\",\"_routing\":\"r\",\"_version\":3,\"_seq_no\":17,\"_source\":{ \"x\" : 1.0 }}\n"
        );
        let mut line = Vec::new();
        write_gone("x", 0, &mut line);
        assert_eq!(line, b"{\"_id\":\"x\",\"_seq_no\":0}\n");
    }

    #[test]
    fn vectors_stand_in_another_file_and_their_length_in_the_line() {
        let vectors = [0u8, 0, 128, 63, 0, 0, 0, 64];
        let object = LiveDocument {
            id: "a",
            routing: None,
            version: 1,
            seq_no: 0,
            source: b"{}",
            vectors: &vectors,
        };
        let plain = LiveDocument {
            id: "b",
            seq_no: 1,
            vectors: &[],
            ..object
        };
        let text = line_of(&object) + &line_of(&plain) + &line_of(&object);
        assert!(text.starts_with(
            "{\"_id\":\"a\",\"_version\":1,\"_seq_no\":0,\"_vectors\":8,\"_source\":{}}\n"
        ));
        let mut documents = Vec::new();
        let both = [vectors, [9; 8]].concat();
        read_documents(text.as_bytes(), &both, |_| false, &mut documents).unwrap();
        let read: Vec<&[u8]> = documents.iter().map(|object| &object.vectors[..]).collect();
        assert_eq!(read, [&vectors[..], &[], &[9; 8]]);
    }

    #[test]
    fn line_breaks_in_a_source_come_back() {
        let source = b"\n{\r\n \"a\": 1\n}\n ";
        let document = LiveDocument {
            id: "a",
            routing: None,
            version: 1,
            seq_no: 0,
            source,
            vectors: &[],
        };
        let line = line_of(&document);
        assert_eq!(line.matches('\n').count(), 1);
        serde_json::from_str::<serde_json::Value>(&line).unwrap();
        let mut documents = Vec::new();
        read_documents(line.as_bytes(), &[], |_| false, &mut documents).unwrap();
        assert_eq!(documents[0].source, source);
    }

    #[test]
    fn damage_is_told_and_never_skipped() {
        let mut documents = Vec::new();
        for text in [
            "{}\n",
            "{\"_id\":1,\"_source\":{}}\n",
            "\n",
            "{\"_id\":\"a\",\"_version\":1,\"_seq_no\":0,\"_source\":{}}",
        ] {
            assert!(
                read_documents(text.as_bytes(), &[], |_| false, &mut documents).is_err(),
                "{text}"
            );
        }
        assert!(documents.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(
            id in ".{1,20}",
            routing in proptest::option::of(".{0,20}"),
            version in any::<u64>(),
            seq_no in any::<u64>(),
            value in ".{0,40}",
            blanks in "[ \n\r\t]{0,5}",
            vectors in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let source = format!("{blanks}{{{blanks}\"k\":{}{blanks}}}{blanks}", serde_json::Value::from(value));
            let document = LiveDocument {
                id: &id, routing: routing.as_deref(), version, seq_no, source: source.as_bytes(), vectors: &vectors,
            };
            let line = line_of(&document);
            let mut documents = Vec::new();
            read_documents(line.as_bytes(), &vectors, |_| false, &mut documents).unwrap();
            let expected =
                LoadedDocument {
                    id: id.clone(), routing: routing.clone(), version, seq_no, source: source.into_bytes(), vectors: vectors.clone(),
                };
            prop_assert_eq!(&documents, &[expected]);
            documents.clear();
            read_documents(line.as_bytes(), &vectors, |dead| dead == seq_no, &mut documents).unwrap();
            prop_assert!(documents.is_empty());
            let longer = [&vectors[..], &[0]].concat();
            prop_assert!(read_documents(line.as_bytes(), &longer, |_| false, &mut documents).is_err());
            if let Some(shorter) = vectors.len().checked_sub(1) {
                prop_assert!(read_documents(line.as_bytes(), &vectors[..shorter], |_| false, &mut documents).is_err());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut documents = Vec::new();
            let _ = read_documents(&text, &[], |_| false, &mut documents);
            let _ = read_gone(&text, &mut |_| {});
        }
    }
}
