//! From a URI to an open export.

use std::io::{BufReader, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::{Negotiated, Options};
use crate::error::NbdError;
use crate::protocol::{
    BlockSizes, ExportRequest, Info, MetaContext, MetaRequest, OptionHeader, OptionReply,
    export_flag, handshake_flag, info, magic, option, reply,
};
use crate::tls;
use crate::transport::{Incoming, Outgoing, Socket, shake_hands, split};
use crate::uri::{Place, Uri};

/// Longest wait for one address to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Most replies to one option.
const MAX_REPLIES: usize = 1000;

/// The replies to one option: data before the acknowledgement, or the refusal.
type Replies = Result<Vec<(u32, Vec<u8>)>, Refusal>;

#[derive(Debug)]
struct Refusal {
    kind: u32,
    text: String,
}

impl Refusal {
    fn of(self, what: impl Into<String>) -> NbdError {
        let reason = match self.text.is_empty() {
            true => reply::name(self.kind),
            false => self.text,
        };
        NbdError::Refused {
            what: what.into(),
            reason,
        }
    }
}

/// Both halves of a connection that talks about options.
struct Talk {
    incoming: BufReader<Incoming>,
    outgoing: Outgoing,
}

/// Connects, agrees on everything and opens the export.
pub(super) fn connect(uri: &Uri, options: &Options) -> Result<(Connection, Negotiated), NbdError> {
    let socket = Arc::new(open(&uri.place).map_err(|cause| NbdError::Connect {
        uri: uri.to_string(),
        cause,
    })?);
    let limit = || {
        socket
            .set_timeouts(Some(options.timeout), Some(options.timeout))
            .map_err(NbdError::io("setting time limits"))
    };
    limit()?;
    let (incoming, outgoing) = split(Arc::clone(&socket), None);
    let mut talk = Talk { incoming, outgoing };
    let has_zeroes = talk.greet()?;
    if uri.is_tls {
        talk.ask(option::STARTTLS, &[])?
            .map_err(|refusal| refusal.of("TLS"))?;
        // What came in the clear behind the acknowledgement would be taken for encrypted: that is how such channels are injected into.
        if !talk.incoming.buffer().is_empty() {
            return Err(NbdError::violation(
                "bytes in the clear behind the start of TLS",
            ));
        }
        let mut session = tls::client_session(uri)?;
        let deadline = Instant::now() + options.timeout;
        shake_hands(&socket, &mut session, deadline).map_err(tls::failed)?;
        limit()?;
        let (incoming, outgoing) = split(Arc::clone(&socket), Some(session));
        talk = Talk { incoming, outgoing };
    }
    let mut export = Negotiated {
        size_bytes: 0,
        flags: 0,
        block_sizes: BlockSizes::default(),
        is_structured: talk.ask(option::STRUCTURED_REPLY, &[])?.is_ok(),
        contexts: Vec::new(),
    };
    if export.is_structured && !options.contexts.is_empty() {
        export.contexts = talk.contexts(uri, options)?;
    }
    talk.open(uri, &mut export, has_zeroes)?;
    if export.size_bytes > i64::MAX as u64 || export.flags & export_flag::HAS_FLAGS == 0 {
        return Err(NbdError::violation(
            "an export whose size or flags cannot be",
        ));
    }
    let halves = (talk.incoming, talk.outgoing);
    let connection = Connection::new(socket, halves, options.timeout, export.is_structured);
    Ok((connection, export))
}

fn open(place: &Place) -> std::io::Result<Socket> {
    match place {
        Place::Unix(path) => UnixStream::connect(path).map(Socket::Unix),
        Place::Tcp { host, port } => {
            let mut failure = std::io::Error::new(
                std::io::ErrorKind::NotFound,
                "the name of the host has no address",
            );
            for address in (host.as_str(), *port).to_socket_addrs()? {
                match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                    Ok(stream) => return Ok(Socket::Tcp(stream)),
                    Err(cause) => failure = cause,
                }
            }
            Err(failure)
        }
    }
}

impl Talk {
    fn receive<const N: usize>(&mut self) -> Result<[u8; N], NbdError> {
        let mut bytes = [0; N];
        self.incoming
            .read_exact(&mut bytes)
            .map_err(NbdError::io("the handshake"))?;
        Ok(bytes)
    }

    fn send(&mut self, header: &[u8], payload: &[u8]) -> Result<(), NbdError> {
        self.outgoing
            .send(header, payload)
            .map_err(NbdError::io("the handshake"))
    }

    /// Reads the greeting and answers it. Tells whether zeroes follow the answer to EXPORT_NAME.
    fn greet(&mut self) -> Result<bool, NbdError> {
        if u64::from_be_bytes(self.receive()?) != magic::GREETING {
            return Err(NbdError::violation("whoever answers is no NBD server"));
        }
        if u64::from_be_bytes(self.receive()?) != magic::OPTION {
            return Err(NbdError::NotOffered {
                what: "the newstyle protocol; it is too old".to_owned(),
            });
        }
        let offered = u16::from_be_bytes(self.receive()?);
        if offered & handshake_flag::FIXED_NEWSTYLE == 0 {
            return Err(NbdError::NotOffered {
                what: "the fixed newstyle protocol; it is too old".to_owned(),
            });
        }
        let taken = offered & (handshake_flag::FIXED_NEWSTYLE | handshake_flag::NO_ZEROES);
        self.send(&u32::from(taken).to_be_bytes(), &[])?;
        Ok(taken & handshake_flag::NO_ZEROES == 0)
    }

    fn ask(&mut self, option: u32, data: &[u8]) -> Result<Replies, NbdError> {
        let length = data.len() as u32;
        self.send(&OptionHeader { option, length }.encode(), data)?;
        let mut found = Vec::new();
        loop {
            let header = OptionReply::decode(&self.receive()?)?;
            if header.option != option || found.len() >= MAX_REPLIES {
                return Err(NbdError::violation(
                    "a reply to an option that was not asked for",
                ));
            }
            let mut data = vec![0; header.length as usize];
            self.incoming
                .read_exact(&mut data)
                .map_err(NbdError::io("the handshake"))?;
            match header.kind {
                reply::ACK => return Ok(Ok(found)),
                kind if kind & reply::ERROR != 0 => {
                    let text = String::from_utf8_lossy(&data).into_owned();
                    return Ok(Err(Refusal { kind, text }));
                }
                kind => found.push((kind, data)),
            }
        }
    }

    fn contexts(&mut self, uri: &Uri, options: &Options) -> Result<Vec<MetaContext>, NbdError> {
        let request = MetaRequest {
            export: uri.export.clone(),
            queries: options.contexts.clone(),
        };
        // A server without contexts is as good as one that has none of those.
        let Ok(replies) = self.ask(option::SET_META_CONTEXT, &request.encode())? else {
            return Ok(Vec::new());
        };
        let mut contexts: Vec<MetaContext> = Vec::new();
        for (kind, data) in replies {
            let context = MetaContext::decode(&data)?;
            let is_known = contexts.iter().any(|known| known.id == context.id);
            if kind != reply::META_CONTEXT || is_known || !request.queries.contains(&context.name) {
                return Err(NbdError::violation("a context that was not asked for"));
            }
            contexts.push(context);
        }
        Ok(contexts)
    }

    fn open(
        &mut self,
        uri: &Uri,
        export: &mut Negotiated,
        has_zeroes: bool,
    ) -> Result<(), NbdError> {
        let request = ExportRequest {
            export: uri.export.clone(),
            wanted: vec![info::BLOCK_SIZE],
        };
        let replies = match self.ask(option::GO, &request.encode())? {
            Ok(replies) => replies,
            Err(refusal) if refusal.kind == reply::UNSUPPORTED => {
                return self.open_by_name(uri, export, has_zeroes);
            }
            Err(refusal) => return Err(refusal.of(format!("the export {:?}", uri.export))),
        };
        let mut has_size = false;
        for (kind, data) in replies {
            if kind != reply::INFO {
                return Err(NbdError::violation(
                    "something else than information about an export",
                ));
            }
            match Info::decode(&data)? {
                Info::Export { size_bytes, flags } => {
                    (export.size_bytes, export.flags) = (size_bytes, flags);
                    has_size = true;
                }
                Info::BlockSizes(sizes) => export.block_sizes = sizes,
                Info::Name(_) | Info::Description(_) | Info::Other(_) => {}
            }
        }
        match has_size {
            true => Ok(()),
            false => Err(NbdError::violation("an export without a size")),
        }
    }

    /// For servers from before GO, which close the connection when there is no such export.
    fn open_by_name(
        &mut self,
        uri: &Uri,
        export: &mut Negotiated,
        has_zeroes: bool,
    ) -> Result<(), NbdError> {
        let header = OptionHeader {
            option: option::EXPORT_NAME,
            length: uri.export.len() as u32,
        };
        self.send(&header.encode(), uri.export.as_bytes())?;
        export.size_bytes = u64::from_be_bytes(self.receive()?);
        export.flags = u16::from_be_bytes(self.receive()?);
        if has_zeroes {
            self.receive::<124>()?;
        }
        Ok(())
    }
}
