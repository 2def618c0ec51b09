//! Names as Go writes them: `strconv.Quote` first, then JSON.
//!
//! Names of files are bytes. Restic quotes them as Go source text without the quotes, so that any bytes become valid text, and puts that
//! into JSON with Go's escapes, which also cover `<`, `>` and `&`.

use super::quote_table::UNPRINTABLE;
use std::borrow::Cow;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// `strconv.Quote` without the quotes around.
pub(super) fn quote(name: &[u8]) -> Cow<'_, str> {
    let is_plain = |byte: &u8| (0x20..0x7f).contains(byte) && !matches!(byte, b'"' | b'\\');
    if let (true, Ok(text)) = (name.iter().all(is_plain), std::str::from_utf8(name)) {
        return Cow::Borrowed(text);
    }
    let mut quoted = String::with_capacity(name.len() + 16);
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            quote_character(character, &mut quoted);
        }
        for &byte in chunk.invalid() {
            push_hex_byte(byte, &mut quoted);
        }
    }
    Cow::Owned(quoted)
}

fn quote_character(character: char, quoted: &mut String) {
    let code = u32::from(character);
    match character {
        '"' | '\\' => quoted.extend(['\\', character]),
        '\x07' => quoted.push_str("\\a"),
        '\x08' => quoted.push_str("\\b"),
        '\x0c' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\x0b' => quoted.push_str("\\v"),
        '\0'..='\x1f' | '\x7f' => push_hex_byte(code as u8, quoted),
        _ if is_printable(code) => quoted.push(character),
        _ if code < 0x10000 => quoted.push_str(&format!("\\u{code:04x}")),
        _ => quoted.push_str(&format!("\\U{code:08x}")),
    }
}

fn push_hex_byte(byte: u8, quoted: &mut String) {
    quoted.push_str("\\x");
    quoted.push(char::from(HEX[usize::from(byte >> 4)]));
    quoted.push(char::from(HEX[usize::from(byte & 15)]));
}

fn is_printable(code: u32) -> bool {
    let after = UNPRINTABLE.partition_point(|(first, _)| *first <= code);
    after == 0 || UNPRINTABLE[after - 1].1 < code
}

/// `strconv.Unquote` of the text within the quotes. `None` if it is not what Go would accept.
pub(super) fn unquote(text: &str) -> Option<Vec<u8>> {
    if !text.contains(['\\', '"', '\n']) {
        return Some(text.as_bytes().to_vec());
    }
    let mut name = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' | '\n' => return None,
            '\\' => unescape(&mut characters, &mut name)?,
            _ => push_char(character, &mut name),
        }
    }
    Some(name)
}

fn unescape(characters: &mut std::str::Chars<'_>, name: &mut Vec<u8>) -> Option<()> {
    let code = characters.next()?;
    let byte = match code {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' | '"' => code as u8,
        'x' => u8::try_from(take_digits(characters, 2, 16)?).ok()?,
        'u' => {
            push_char(char::from_u32(take_digits(characters, 4, 16)?)?, name);
            return Some(());
        }
        'U' => {
            push_char(char::from_u32(take_digits(characters, 8, 16)?)?, name);
            return Some(());
        }
        '0'..='7' => {
            let first = code.to_digit(8)?;
            let rest = take_digits(characters, 2, 8)?;
            u8::try_from(first * 64 + rest).ok()?
        }
        _ => return None,
    };
    name.push(byte);
    Some(())
}

fn take_digits(characters: &mut std::str::Chars<'_>, count: u32, radix: u32) -> Option<u32> {
    (0..count).try_fold(0_u32, |number, _| {
        let digit = characters.next()?.to_digit(radix)?;
        number.checked_mul(radix)?.checked_add(digit)
    })
}

fn push_char(character: char, name: &mut Vec<u8>) {
    name.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Appends `text` as a JSON string, escaped as Go's `encoding/json` does.
pub(super) fn push_json_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let is_line_separator =
            byte == 0xe2 && matches!(bytes.get(at + 1..at + 3), Some([0x80, 0xa8 | 0xa9]));
        if byte >= 0x20 && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&') && !is_line_separator
        {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0xe2 => {
                out.extend_from_slice(b"\\u202");
                out.push(HEX[usize::from(bytes[at + 2] & 15)]);
                copied = at + 3;
            }
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_quoted_as_go_does() {
        for (name, quoted) in [
            (&b"plain.txt"[..], "plain.txt"),
            (b"a\"b\\c", "a\\\"b\\\\c"),
            (b"tab\tnew\nbell\x07", "tab\\tnew\\nbell\\a"),
            (b"\x01\x7f", "\\x01\\x7f"),
            (b"bad\xff\xfeutf", "bad\\xff\\xfeutf"),
            (b"cut\xe2\x82", "cut\\xe2\\x82"),
            ("grüße €".as_bytes(), "grüße €"),
            ("\u{a0}\u{200b}\u{2028}".as_bytes(), "\\u00a0\\u200b\\u2028"),
            ("\u{fffd}\u{feff}".as_bytes(), "\u{fffd}\\ufeff"),
            ("\u{1f600}\u{e0001}".as_bytes(), "\u{1f600}\\U000e0001"),
            ("e\u{301}".as_bytes(), "e\u{301}"),
        ] {
            assert_eq!(quote(name), quoted);
            assert_eq!(unquote(quoted).as_deref(), Some(name), "{quoted}");
        }
    }

    #[test]
    fn texts_that_go_refuses_are_refused() {
        for text in [
            "a\"b", "\\", "\\q", "\\x1", "\\ud800", "\\u12", "\\'", "\\400",
        ] {
            assert_eq!(unquote(text), None, "{text}");
        }
        assert_eq!(unquote("\\101"), Some(b"A".to_vec()));
    }

    #[test]
    fn json_is_escaped_as_go_does() {
        let mut out = Vec::new();
        push_json_string("<a&b>\"\\\u{2028}\u{2029}\u{1}\n\u{8}é€", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"\\u003ca\\u0026b\\u003e\\\"\\\\\\u2028\\u2029\\u0001\\n\\bé€\""
        );
    }

    proptest! {
        #[test]
        fn any_name_comes_back(name in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert_eq!(unquote(&quote(&name)), Some(name));
        }

        #[test]
        fn any_text_name_comes_back(name in "\\PC*|.*") {
            prop_assert_eq!(unquote(&quote(name.as_bytes())), Some(name.into_bytes()));
        }

        #[test]
        fn json_strings_are_valid(text in any::<String>()) {
            let mut out = Vec::new();
            push_json_string(&text, &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn unquoting_any_text_does_not_panic(text in any::<String>()) {
            let _ = unquote(&text);
        }
    }
}
