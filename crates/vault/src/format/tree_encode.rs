//! Writing directories in restic's canonical form: fields in this order, empty ones left out, a line feed at the end.

use super::quote::{push_json_string, quote};
use super::{Node, Time, Tree};
use crate::ids::BlobId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::io::Write;

impl Tree {
    /// The plain tree blob.
    pub fn to_json(&self) -> Vec<u8> {
        let ids: usize = self.nodes().iter().map(content_len).sum();
        let mut out = Vec::with_capacity(self.nodes().len() * 400 + ids * 67 + 16);
        out.extend_from_slice(b"{\"nodes\":[");
        for (position, node) in self.nodes().iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            push_node(node, &mut out);
        }
        out.extend_from_slice(b"]}\n");
        out
    }
}

fn content_len(node: &Node) -> usize {
    node.content.as_ref().map_or(0, Vec::len)
}

fn push_node(node: &Node, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"name\":");
    push_json_string(&quote(&node.name), out);
    out.extend_from_slice(b",\"type\":\"");
    out.extend_from_slice(node.kind.as_str().as_bytes());
    out.push(b'"');
    push_number("mode", node.mode.0.into(), out);
    push_time("mtime", &node.mtime, out);
    push_time("atime", &node.atime, out);
    push_time("ctime", &node.ctime, out);
    push_display("uid", &node.uid, out);
    push_display("gid", &node.gid, out);
    push_text("user", &node.user, out);
    push_text("group", &node.group, out);
    push_number("inode", node.inode, out);
    push_number("device_id", node.device_id, out);
    push_number("size", node.size, out);
    push_number("links", node.links, out);
    push_link_target(&node.link_target, out);
    push_attributes(node, out);
    push_number("device", node.device, out);
    push_field("content", out);
    match &node.content {
        None => out.extend_from_slice(b"null"),
        Some(ids) => push_ids(ids, out),
    }
    if let Some(subtree) = &node.subtree {
        push_field("subtree", out);
        push_id(subtree, out);
    }
    push_text("error", &node.error, out);
    out.push(b'}');
}

fn push_field(field: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(field.as_bytes());
    out.extend_from_slice(b"\":");
}

fn push_display(field: &str, value: &dyn std::fmt::Display, out: &mut Vec<u8>) {
    push_field(field, out);
    push_formatted(value, out);
}

fn push_formatted(value: &dyn std::fmt::Display, out: &mut Vec<u8>) {
    // Writing into a vector cannot fail.
    let _ = write!(out, "{value}");
}

fn push_number(field: &str, number: u64, out: &mut Vec<u8>) {
    if number != 0 {
        push_display(field, &number, out);
    }
}

fn push_time(field: &str, time: &Time, out: &mut Vec<u8>) {
    push_field(field, out);
    out.push(b'"');
    push_formatted(time, out);
    out.push(b'"');
}

fn push_text(field: &str, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        push_field(field, out);
        push_json_string(text, out);
    }
}

/// A target that is not UTF-8 is written twice: readable with replaced bytes, as Go does it, and whole in base64.
fn push_link_target(target: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(target) {
        Ok(text) => push_text("linktarget", text, out),
        Err(_) => {
            push_field("linktarget", out);
            push_lossy_string(target, out);
            push_field("linktarget_raw", out);
            push_base64(target, out);
        }
    }
}

/// As Go's `encoding/json` writes bytes that are not UTF-8: each such byte as `\ufffd`.
fn push_lossy_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        let mut escaped = Vec::with_capacity(chunk.valid().len() + 2);
        push_json_string(chunk.valid(), &mut escaped);
        out.extend_from_slice(&escaped[1..escaped.len() - 1]);
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
}

fn push_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(BASE64.encode(bytes).as_bytes());
    out.push(b'"');
}

fn push_attributes(node: &Node, out: &mut Vec<u8>) {
    if !node.extended_attributes.is_empty() {
        push_field("extended_attributes", out);
        for (position, attribute) in node.extended_attributes.iter().enumerate() {
            out.extend_from_slice(if position == 0 { b"[{" } else { b",{" });
            out.extend_from_slice(b"\"name\":");
            push_json_string(&attribute.name, out);
            push_field("value", out);
            push_base64(&attribute.value, out);
            out.push(b'}');
        }
        out.push(b']');
    }
    if !node.generic_attributes.is_empty() {
        push_field("generic_attributes", out);
        for (position, (name, value)) in node.generic_attributes.iter().enumerate() {
            out.push(if position == 0 { b'{' } else { b',' });
            push_json_string(name, out);
            out.push(b':');
            push_escaped_json(&value.to_string(), out);
        }
        out.push(b'}');
    }
}

/// Go escapes these characters in embedded JSON as well; outside of its strings they do not occur.
fn push_escaped_json(json: &str, out: &mut Vec<u8>) {
    let mut buffer = [0; 4];
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let escape = format!("\\u{:04x}", u32::from(character));
                out.extend_from_slice(escape.as_bytes());
            }
            _ => out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes()),
        }
    }
}

fn push_ids(ids: &[BlobId], out: &mut Vec<u8>) {
    out.push(b'[');
    for (position, id) in ids.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        push_id(id, out);
    }
    out.push(b']');
}

fn push_id(id: &BlobId, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(&id.to_hex());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{ExtendedAttribute, Mode, NodeKind};
    use proptest::prelude::*;

    #[test]
    fn a_tree_is_written_as_restic_writes_it() {
        let id = BlobId::of(b"x");
        let time = "2024-05-01T10:00:00.12+02:00".parse().unwrap();
        let mut file = Node::file(*b"a <b>", time, vec![id], 5);
        file.uid = 7;
        file.user = "me".into();
        file.inode = 99;
        file.extended_attributes = vec![ExtendedAttribute {
            name: "user.x".into(),
            value: b"v".to_vec(),
        }];
        let empty = Node::file(*b"empty", time, Vec::new(), 0);
        let dir = Node::dir(*b"\xff", time, id);
        let mut link = Node::new(*b"link", NodeKind::Symlink);
        link.link_target = b"to\xfe".to_vec();
        link.mode = Mode::from_unix(0o120_777);
        let tree = Tree::new(vec![file, empty, dir, link]).unwrap();

        let times = r#""mtime":"2024-05-01T10:00:00.12+02:00","atime":"2024-05-01T10:00:00.12+02:00","ctime":"2024-05-01T10:00:00.12+02:00""#;
        let epoch = r#""mtime":"1970-01-01T00:00:00Z","atime":"1970-01-01T00:00:00Z","ctime":"1970-01-01T00:00:00Z""#;
        let expected = format!(
            concat!(
                r#"{{"nodes":[{{"name":"a \u003cb\u003e","type":"file","mode":420,{times},"uid":7,"gid":0,"user":"me","inode":99,"#,
                r#""size":5,"links":1,"extended_attributes":[{{"name":"user.x","value":"dg=="}}],"content":["{id}"]}},"#,
                r#"{{"name":"empty","type":"file","mode":420,{times},"uid":0,"gid":0,"links":1,"content":[]}},"#,
                r#"{{"name":"link","type":"symlink","mode":134218239,{epoch},"uid":0,"gid":0,"linktarget":"to\ufffd","linktarget_raw":"dG/+","content":null}},"#,
                r#"{{"name":"\\xff","type":"dir","mode":2147484141,{times},"uid":0,"gid":0,"content":null,"subtree":"{id}"}}]}}"#,
                "\n"
            ),
            id = id,
            times = times,
            epoch = epoch
        );
        let json = tree.to_json();
        assert_eq!(String::from_utf8(json.clone()).unwrap(), expected);
        assert_eq!(Tree::parse(&json).unwrap(), tree);
    }

    #[test]
    fn an_empty_directory_has_an_empty_list() {
        assert_eq!(Tree::default().to_json(), b"{\"nodes\":[]}\n");
    }

    #[test]
    fn attributes_of_other_systems_come_back_byte_for_byte() {
        let json = concat!(
            r#"{"nodes":[{"name":"w","type":"dir","mtime":"1970-01-01T00:00:00Z","atime":"1970-01-01T00:00:00Z","#,
            r#""ctime":"1970-01-01T00:00:00Z","uid":0,"gid":0,"generic_attributes":{"windows.creation_time":"AB\u003c==","#,
            r#""windows.file_attributes":32},"content":null}]}"#,
            "\n"
        );
        let tree = Tree::parse(json.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(tree.to_json()).unwrap(), json);
    }

    fn any_node() -> impl Strategy<Value = Node> {
        let name = proptest::collection::vec(1..=255_u8, 1..30).prop_filter("a name", |name| {
            !name.contains(&b'/') && name != b"." && name != b".."
        });
        (
            name,
            any::<(u32, u32, u64, u64, i64, u32)>(),
            any::<(String, String)>(),
            proptest::collection::vec(any::<u8>(), 0..20),
            proptest::option::of(proptest::collection::vec(any::<[u8; 32]>(), 0..4)),
        )
            .prop_map(|(name, numbers, texts, bytes, content)| {
                let mut node = Node::new(name, NodeKind::File);
                node.mode = Mode(numbers.0);
                node.uid = numbers.1;
                node.size = numbers.2;
                node.inode = numbers.3;
                node.mtime = Time::from_unix(numbers.4, numbers.5);
                node.user = texts.0;
                node.error = texts.1;
                node.link_target = bytes.clone();
                node.extended_attributes = vec![ExtendedAttribute {
                    name: "user.a".into(),
                    value: bytes,
                }];
                node.content = content.map(|ids| ids.into_iter().map(BlobId::from_bytes).collect());
                node
            })
    }

    proptest! {
        #[test]
        fn any_tree_comes_back(nodes in proptest::collection::vec(any_node(), 0..5)) {
            if let Ok(tree) = Tree::new(nodes) {
                let json = tree.to_json();
                prop_assert_eq!(&Tree::parse(&json).unwrap(), &tree);
                prop_assert_eq!(Tree::parse(&json).unwrap().to_json(), json);
            }
        }
    }
}
