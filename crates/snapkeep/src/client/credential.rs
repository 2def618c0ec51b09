//! What a command presents to a server: from a file or the environment, never from the command line, which everybody on the machine can read.

use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::exit::Failure;

/// Variable with the credential itself.
pub const VARIABLE: &str = "SNAPKEEP_CREDENTIAL";
/// Longest credential that is read.
const MAX_BYTES: u64 = 16 << 10;

/// The value of `Authorization`, if a credential is given. The file wins over the environment.
pub fn find(file: Option<&PathBuf>) -> Result<Option<HeaderValue>, Failure> {
    let (text, from) = match file {
        Some(file) => (Some(read(file)?), file.display().to_string()),
        None => {
            let set = std::env::var(VARIABLE).ok().map(Zeroizing::new);
            (
                set.filter(|text| !text.trim().is_empty()),
                VARIABLE.to_owned(),
            )
        }
    };
    let Some(text) = text else { return Ok(None) };
    header(&text).map(Some).ok_or_else(|| {
        Failure::usage(format!("{from} holds no credential"))
            .hint("write NAME:PASSWORD, or the encoded API key that `snapkeep credential add --kind api-key` printed, on one line")
    })
}

fn read(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let problem =
        |cause: std::io::Error| Failure::usage(format!("cannot read {}: {cause}", file.display()));
    let mut text = Zeroizing::new(String::new());
    let opened = std::fs::File::open(file).map_err(problem)?;
    opened
        .take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(problem)?;
    Ok(text)
}

/// `NAME:PASSWORD`, an encoded API key, or a whole value such as `Bearer …`.
fn header(text: &str) -> Option<HeaderValue> {
    let line = text.trim();
    if line.is_empty() || line.contains(['\n', '\r']) {
        return None;
    }
    let known = ["Basic ", "ApiKey ", "Bearer "];
    let value = match () {
        () if known.iter().any(|scheme| line.starts_with(scheme)) => line.to_owned(),
        () if line.contains(':') => format!("Basic {}", STANDARD.encode(line)),
        () => format!("ApiKey {line}"),
    };
    let mut value = HeaderValue::from_str(&Zeroizing::new(value)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_keys_and_whole_values_are_told_apart() {
        let shown = |text: &str| header(text).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(
            shown("alice:secret\n").as_deref(),
            Some("Basic YWxpY2U6c2VjcmV0")
        );
        assert_eq!(
            shown("YWxpY2U6c2VjcmV0").as_deref(),
            Some("ApiKey YWxpY2U6c2VjcmV0")
        );
        assert_eq!(shown(" Bearer abc ").as_deref(), Some("Bearer abc"));
        assert_eq!(shown("\n"), None);
        assert_eq!(shown("two\nlines"), None);
        assert!(!format!("{:?}", header("alice:secret")).contains("YWxpY2U6c2VjcmV0"));
    }
}
