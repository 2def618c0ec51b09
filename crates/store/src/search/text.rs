//! Texts: cutting into tokens, and patterns.

/// Tokens as the standard analyser makes them for plain text: runs of letters and digits, lower case.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = String> {
    raw_tokens(text).map(str::to_lowercase)
}

/// The same before lower case.
pub(super) fn raw_tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|token| !token.is_empty())
}

/// Whether a raw token is `term` once in lower case; allocates only beyond ASCII.
pub(super) fn is_token(raw: &str, term: &str) -> bool {
    if raw.is_ascii() {
        raw.len() == term.len()
            && raw
                .bytes()
                .zip(term.bytes())
                .all(|(raw, term)| raw.to_ascii_lowercase() == term)
    } else {
        raw.to_lowercase() == term
    }
}

/// Whether `text` matches a pattern of `*` (any run) and `?` (one character), with `\` as escape.
pub(super) fn wildcard(pattern: &str, text: &str) -> bool {
    let pattern: Vec<Piece> = pieces(pattern);
    let text: Vec<char> = text.chars().collect();
    // Greedy with one point to go back to: linear for each star.
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(Piece::Run) => {
                back = Some((p, t));
                p += 1;
            }
            Some(Piece::One) => {
                p += 1;
                t += 1;
            }
            Some(Piece::Char(c)) if *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match back {
                Some((star, at)) => {
                    back = Some((star, at + 1));
                    p = star + 1;
                    t = at + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|piece| matches!(piece, Piece::Run))
}

enum Piece {
    Run,
    One,
    Char(char),
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let mut chars = pattern.chars();
    let mut pieces = Vec::new();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '*' => Piece::Run,
            '?' => Piece::One,
            '\\' => Piece::Char(chars.next().unwrap_or('\\')),
            c => Piece::Char(c),
        });
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_runs_and_single_characters() {
        for (pattern, text) in [
            ("*", ""),
            ("a*", "abc"),
            ("*c", "abc"),
            ("a?c", "abc"),
            ("*b*", "abc"),
            ("a\\*", "a*"),
            ("é?", "éà"),
        ] {
            assert!(wildcard(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("a", "ab"),
            ("a?", "a"),
            ("*x", "abc"),
            ("a\\*", "ab"),
            ("", "a"),
        ] {
            assert!(!wildcard(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn tokens_are_compared_in_lower_case() {
        assert!(is_token("QuIck", "quick") && is_token("ÄB", "äb"));
        assert!(!is_token("quick", "Quick") && !is_token("quic", "quick"));
    }

    #[test]
    fn texts_are_cut_at_everything_but_letters_and_digits() {
        let found: Vec<String> = tokens("Quick-Brown foxes, 42!").collect();
        assert_eq!(found, ["quick", "brown", "foxes", "42"]);
    }
}
