//! Where an export is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error::NbdError;
use crate::protocol::MAX_STRING;

/// The port that IANA gave to NBD.
pub const DEFAULT_PORT: u16 = 10809;

/// What stays as it is in a path or a parameter of a URI.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A server, by its socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A name or address, and a port.
    Tcp {
        /// Name, IPv4 address or IPv6 address without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// A UNIX socket.
    Unix(PathBuf),
}

/// A URI of an export, as <https://github.com/NetworkBlockDevice/nbd/blob/master/doc/uri.md> describes them: `nbd`, `nbds`
/// (TLS), `nbd+unix` and `nbds+unix`, and of libnbd's parameters `tls-certificates` and `tls-hostname`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    /// Where the server listens.
    pub place: Place,
    /// Name of the export; empty is the server's default.
    pub export: String,
    /// TLS is wanted, and nothing else accepted.
    pub is_tls: bool,
    /// A folder with `ca-cert.pem`, against which the server's certificate is checked instead of the system's authorities. If
    /// there are `client-cert.pem` and `client-key.pem`, they are shown to the server.
    pub tls_certificates: Option<PathBuf>,
    /// The name that the server's certificate must have, when it is not the host's.
    pub tls_hostname: Option<String>,
}

impl Uri {
    /// An export behind a UNIX socket.
    pub fn unix(socket: &Path, export: &str) -> Self {
        Self::without_tls(Place::Unix(socket.to_owned()), export)
    }

    /// An export at a TCP port.
    pub fn tcp(host: &str, port: u16, export: &str) -> Self {
        let host = host.to_owned();
        Self::without_tls(Place::Tcp { host, port }, export)
    }

    fn without_tls(place: Place, export: &str) -> Self {
        Self {
            place,
            export: export.to_owned(),
            is_tls: false,
            tls_certificates: None,
            tls_hostname: None,
        }
    }

    /// The name that a certificate of the server must have.
    pub(crate) fn server_name(&self) -> &str {
        match (&self.tls_hostname, &self.place) {
            (Some(name), _) => name,
            (None, Place::Tcp { host, .. }) => host,
            (None, Place::Unix(_)) => "localhost",
        }
    }
}

impl FromStr for Uri {
    type Err = NbdError;

    fn from_str(text: &str) -> Result<Self, NbdError> {
        parse(text).map_err(|reason| NbdError::Uri {
            uri: text.to_owned(),
            reason,
        })
    }
}

fn parse(text: &str) -> Result<Uri, String> {
    let (scheme, rest) = text
        .split_once("://")
        .ok_or("it does not start with nbd://, nbds://, nbd+unix:// or nbds+unix://")?;
    let (is_tls, is_unix) = match scheme {
        "nbd" => (false, false),
        "nbds" => (true, false),
        "nbd+unix" => (false, true),
        "nbds+unix" => (true, true),
        other => {
            return Err(format!(
                "its scheme {other:?} is none of nbd, nbds, nbd+unix, nbds+unix"
            ));
        }
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let export = decode(path)?;
    if export.len() > MAX_STRING {
        return Err("its export name is too long".to_owned());
    }
    let mut uri = Uri::without_tls(Place::Unix(PathBuf::new()), &export);
    uri.is_tls = is_tls;
    let mut socket = None;
    for parameter in query.split('&').filter(|part| !part.is_empty()) {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = decode(value)?;
        match key {
            "socket" => socket = Some(PathBuf::from(value)),
            "tls-certificates" => uri.tls_certificates = Some(PathBuf::from(value)),
            "tls-hostname" => uri.tls_hostname = Some(value),
            // To ignore one that asks for more security would be to lessen it.
            other => return Err(format!("its parameter {other:?} is not known")),
        }
    }
    uri.place = match (is_unix, socket) {
        (true, Some(socket)) if authority.is_empty() => Place::Unix(socket),
        (true, Some(_)) => return Err("a UNIX socket has no host".to_owned()),
        (true, None) => return Err("?socket=PATH is missing".to_owned()),
        (false, Some(_)) => return Err("a socket belongs to nbd+unix:// only".to_owned()),
        (false, None) => address(authority)?,
    };
    Ok(uri)
}

fn address(authority: &str) -> Result<Place, String> {
    // The port starts behind the last colon that is not part of an address in brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port = match port {
        None | Some("") => DEFAULT_PORT,
        Some(port) => port
            .parse()
            .map_err(|_| format!("its port {port:?} is not a number up to 65535"))?,
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = match bare {
        Some(address) => address,
        None if host.contains([':', '[', ']', '@']) => {
            return Err(format!("its host {host:?} is not a name or an address"));
        }
        None => host,
    };
    let host = match host {
        "" => "localhost".to_owned(),
        host => decode(host)?,
    };
    Ok(Place::Tcp { host, port })
}

fn decode(text: &str) -> Result<String, String> {
    percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| format!("{text:?} is not UTF-8"))
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "nbds" } else { "nbd" };
        let export = utf8_percent_encode(&self.export, ESCAPED);
        let mut parameters = Vec::new();
        match &self.place {
            Place::Tcp { host, port } if host.contains(':') => {
                write!(f, "{scheme}://[{host}]:{port}/{export}")?;
            }
            Place::Tcp { host, port } => {
                let host = utf8_percent_encode(host, ESCAPED);
                write!(f, "{scheme}://{host}:{port}/{export}")?;
            }
            Place::Unix(socket) => {
                write!(f, "{scheme}+unix:///{export}")?;
                parameters.push(("socket", socket.to_string_lossy().into_owned()));
            }
        }
        if let Some(folder) = &self.tls_certificates {
            parameters.push(("tls-certificates", folder.to_string_lossy().into_owned()));
        }
        if let Some(name) = &self.tls_hostname {
            parameters.push(("tls-hostname", name.clone()));
        }
        for (index, (key, value)) in parameters.iter().enumerate() {
            let start = if index == 0 { '?' } else { '&' };
            write!(f, "{start}{key}={}", utf8_percent_encode(value, ESCAPED))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn the_forms_of_other_tools_are_understood() {
        assert_eq!(uri("nbd://host"), Uri::tcp("host", 10809, ""));
        assert_eq!(uri("nbd://host:99/a/b"), Uri::tcp("host", 99, "a/b"));
        assert_eq!(uri("nbd://[::1]:99/d"), Uri::tcp("::1", 99, "d"));
        assert_eq!(uri("nbd://[::1]/d"), Uri::tcp("::1", 10809, "d"));
        let socket = Path::new("/run/a b.sock");
        assert_eq!(
            uri("nbd+unix:///a%2Fb%20c?socket=/run/a%20b.sock"),
            Uri::unix(socket, "a/b c")
        );
        let secure = uri("nbds://host/d?tls-certificates=/etc/pki&tls-hostname=other");
        assert!(secure.is_tls);
        assert_eq!(secure.server_name(), "other");
        assert_eq!(secure.tls_certificates, Some(PathBuf::from("/etc/pki")));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, reason) in [
            ("/a/file", "does not start"),
            ("http://host/", "scheme"),
            ("nbd://host:99999/", "port"),
            ("nbd://a:b:c/", "host"),
            ("nbd+unix:///d", "socket=PATH"),
            ("nbd+unix://host/d?socket=/s", "no host"),
            ("nbd://host/d?socket=/s", "only"),
            ("nbds://host/d?tls-psk-file=/s", "not known"),
            ("nbd://host/%ff", "UTF-8"),
        ] {
            let error = text.parse::<Uri>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_uri_that_is_shown_is_read_as_itself(
            host in "[a-z0-9.-]{1,20}|::1|fe80::[0-9a-f]{1,4}", port: u16, export: String,
            socket in "(/[^/\0]{1,10}){1,3}", is_unix: bool, is_tls: bool, name in proptest::option::of(".{0,9}"),
        ) {
            let mut uri = match is_unix {
                true => Uri::unix(Path::new(&socket), &export),
                false => Uri::tcp(&host, port, &export),
            };
            uri.is_tls = is_tls;
            uri.tls_hostname = name;
            proptest::prop_assert_eq!(&uri.to_string().parse::<Uri>().unwrap(), &uri);
        }

        #[test]
        fn nothing_makes_the_parser_panic(text: String) {
            let _ = text.parse::<Uri>();
            let _ = format!("nbd://{text}").parse::<Uri>();
        }
    }
}
