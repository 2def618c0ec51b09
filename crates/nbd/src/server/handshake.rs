//! The server's side of the handshake.

use std::io::{BufReader, Read};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::export::Export;
use super::listener::{NamedExport, Shared};
use crate::error::NbdError;
use crate::protocol::{
    BASE_ALLOCATION, BlockSizes, ExportRequest, Info, MAX_OPTION, MAX_PAYLOAD, MetaContext,
    MetaRequest, OptionHeader, OptionReply, export_flag, handshake_flag, info, magic, option,
    reply,
};
use crate::tls;
use crate::transport::{Incoming, Outgoing, Socket, shake_hands, split};

/// The whole handshake must be over within it.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// A client that takes no reply for this long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// More options than any client sends.
const MAX_OPTIONS: usize = 100;
/// The number of the only context.
pub(super) const CONTEXT_ID: u32 = 1;
/// What is fast: reads of whole blocks of the repository or of the overlay.
const PREFERRED_BYTES: u32 = 64 << 10;

/// What the handshake ended with.
pub(super) struct Agreed {
    pub export: Arc<dyn Export>,
    pub name: String,
    pub socket: Arc<Socket>,
    /// Nothing when nobody is to read any more.
    pub incoming: Mutex<Option<BufReader<Incoming>>>,
    pub outgoing: Mutex<Outgoing>,
    pub is_structured: bool,
    /// The client asked for `base:allocation`.
    pub has_context: bool,
}

struct Talk<'a> {
    shared: &'a Shared,
    socket: &'a Arc<Socket>,
    incoming: BufReader<Incoming>,
    outgoing: Outgoing,
    deadline: Instant,
    is_secure: bool,
    is_structured: bool,
    no_zeroes: bool,
    /// The export for which the context was asked for.
    context_of: Option<String>,
}

/// Talks about options until the client has chosen an export; nothing when it has taken leave.
pub(super) fn agree(shared: &Shared, socket: &Arc<Socket>) -> Result<Option<Agreed>, NbdError> {
    let (incoming, outgoing) = split(Arc::clone(socket), None);
    let mut talk = Talk {
        shared,
        socket,
        incoming,
        outgoing,
        deadline: Instant::now() + HANDSHAKE_TIMEOUT,
        is_secure: shared.tls.is_none(),
        is_structured: false,
        no_zeroes: false,
        context_of: None,
    };
    talk.greet()?;
    for _ in 0..MAX_OPTIONS {
        let header = OptionHeader::decode(&talk.receive()?)?;
        if header.length > MAX_OPTION {
            return Err(NbdError::violation("an option that is too long"));
        }
        let mut data = vec![0; header.length as usize];
        talk.fill(&mut data)?;
        match talk.answer(header.option, &data)? {
            Next::Continue => {}
            Next::End => return Ok(None),
            Next::Serve(export) => return talk.finish(&export).map(Some),
        }
    }
    Err(NbdError::violation("too many options"))
}

enum Next {
    Continue,
    End,
    Serve(NamedExport),
}

impl Talk<'_> {
    /// Each wait is limited by what is left for the whole handshake.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), NbdError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(NbdError::violation("a handshake that takes too long"));
            }
            let read = self
                .socket
                .set_timeouts(Some(left), Some(left))
                .and_then(|()| self.incoming.read(&mut buffer[filled..]))
                .map_err(NbdError::io("the handshake"))?;
            if read == 0 {
                return Err(NbdError::io("the handshake")(
                    std::io::ErrorKind::UnexpectedEof.into(),
                ));
            }
            filled += read;
        }
        Ok(())
    }

    fn receive<const N: usize>(&mut self) -> Result<[u8; N], NbdError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), NbdError> {
        self.outgoing
            .send(bytes, &[])
            .map_err(NbdError::io("the handshake"))
    }

    fn reply(&mut self, option: u32, kind: u32, data: &[u8]) -> Result<(), NbdError> {
        let header = OptionReply {
            option,
            kind,
            length: data.len() as u32,
        };
        self.outgoing
            .send(&header.encode(), data)
            .map_err(NbdError::io("the handshake"))
    }

    fn refuse(&mut self, option: u32, kind: u32, why: &str) -> Result<Next, NbdError> {
        self.reply(option, kind, why.as_bytes())?;
        Ok(Next::Continue)
    }

    fn acknowledge(&mut self, option: u32) -> Result<Next, NbdError> {
        self.reply(option, reply::ACK, &[])?;
        Ok(Next::Continue)
    }

    fn greet(&mut self) -> Result<(), NbdError> {
        let offered = handshake_flag::FIXED_NEWSTYLE | handshake_flag::NO_ZEROES;
        let mut greeting = magic::GREETING.to_be_bytes().to_vec();
        greeting.extend(magic::OPTION.to_be_bytes());
        greeting.extend(offered.to_be_bytes());
        self.send(&greeting)?;
        let taken = u32::from_be_bytes(self.receive()?);
        if taken & !u32::from(offered) != 0 {
            return Err(NbdError::violation("flags that were not offered"));
        }
        self.no_zeroes = taken & u32::from(handshake_flag::NO_ZEROES) != 0;
        Ok(())
    }

    fn answer(&mut self, option: u32, data: &[u8]) -> Result<Next, NbdError> {
        if !self.is_secure {
            return match option {
                option::STARTTLS => self.start_tls(data),
                option::ABORT => self.abort(option),
                // It has no reply that could tell an error.
                option::EXPORT_NAME => Err(NbdError::violation("an export asked for without TLS")),
                _ => self.refuse(option, reply::TLS_REQUIRED, "this server wants TLS"),
            };
        }
        match option {
            option::ABORT => self.abort(option),
            option::EXPORT_NAME => self.by_name(data),
            option::LIST => self.list(data),
            option::INFO | option::GO => self.inform(option, data),
            option::STRUCTURED_REPLY if data.is_empty() => {
                self.is_structured = true;
                self.acknowledge(option)
            }
            option::LIST_META_CONTEXT | option::SET_META_CONTEXT => self.contexts(option, data),
            option::STRUCTURED_REPLY => {
                self.refuse(option, reply::INVALID, "this option has no data")
            }
            option::STARTTLS if self.shared.tls.is_some() => {
                self.refuse(option, reply::INVALID, "TLS is in use already")
            }
            option::STARTTLS => self.refuse(option, reply::POLICY, "this server is without TLS"),
            _ => self.refuse(option, reply::UNSUPPORTED, "this option is not known"),
        }
    }

    fn abort(&mut self, option: u32) -> Result<Next, NbdError> {
        self.reply(option, reply::ACK, &[])?;
        self.outgoing.close();
        Ok(Next::End)
    }

    fn start_tls(&mut self, data: &[u8]) -> Result<Next, NbdError> {
        let Some(config) = self.shared.tls.as_ref().filter(|_| data.is_empty()) else {
            return self.refuse(option::STARTTLS, reply::INVALID, "this option has no data");
        };
        let mut session = tls::server_session(config)?;
        self.reply(option::STARTTLS, reply::ACK, &[])?;
        // What came in the clear behind the option must not pass for encrypted.
        if !self.incoming.buffer().is_empty() {
            return Err(NbdError::violation(
                "bytes in the clear behind the start of TLS",
            ));
        }
        shake_hands(self.socket, &mut session, self.deadline).map_err(tls::failed)?;
        (self.incoming, self.outgoing) = split(Arc::clone(self.socket), Some(session));
        self.is_secure = true;
        Ok(Next::Continue)
    }

    fn by_name(&mut self, data: &[u8]) -> Result<Next, NbdError> {
        let name = std::str::from_utf8(data).unwrap_or("\0");
        let Some(export) = self.shared.export(name).cloned() else {
            return Err(NbdError::violation("an export asked for that there is not"));
        };
        let mut answer = export.export.size_bytes().to_be_bytes().to_vec();
        answer.extend(self.flags(&export).to_be_bytes());
        if !self.no_zeroes {
            answer.extend([0; 124]);
        }
        self.send(&answer)?;
        Ok(Next::Serve(export))
    }

    fn list(&mut self, data: &[u8]) -> Result<Next, NbdError> {
        if !data.is_empty() {
            return self.refuse(option::LIST, reply::INVALID, "this option has no data");
        }
        if self.shared.has_secret_names {
            return self.refuse(
                option::LIST,
                reply::POLICY,
                "the names of exports are not told",
            );
        }
        for export in self.shared.exports.clone() {
            let mut entry = (export.name.len() as u32).to_be_bytes().to_vec();
            entry.extend(export.name.as_bytes());
            self.reply(option::LIST, reply::SERVER, &entry)?;
        }
        self.acknowledge(option::LIST)
    }

    fn inform(&mut self, option: u32, data: &[u8]) -> Result<Next, NbdError> {
        let Ok(request) = ExportRequest::decode(data) else {
            return self.refuse(option, reply::INVALID, "the request is malformed");
        };
        let Some(export) = self.shared.export(&request.export).cloned() else {
            return self.refuse(option, reply::UNKNOWN, "there is no export of this name");
        };
        let mut known = vec![Info::Export {
            size_bytes: export.export.size_bytes(),
            flags: self.flags(&export),
        }];
        // Repeated wishes are not granted twice.
        let is_wanted = |kind| request.wanted.contains(&kind);
        if is_wanted(info::NAME) {
            known.push(Info::Name(export.name.clone()));
        }
        if is_wanted(info::DESCRIPTION) {
            known.push(Info::Description(export.description.clone()));
        }
        if is_wanted(info::BLOCK_SIZE) {
            known.push(Info::BlockSizes(BlockSizes {
                minimum: 1,
                preferred: PREFERRED_BYTES,
                maximum: MAX_PAYLOAD,
            }));
        }
        for info in known {
            self.reply(option, reply::INFO, &info.encode())?;
        }
        self.reply(option, reply::ACK, &[])?;
        Ok(match option {
            option::GO => Next::Serve(export),
            _ => Next::Continue,
        })
    }

    fn contexts(&mut self, option: u32, data: &[u8]) -> Result<Next, NbdError> {
        let is_set = option == option::SET_META_CONTEXT;
        if is_set {
            // A request that fails leaves none, whatever was there.
            self.context_of = None;
        }
        if !self.is_structured {
            return self.refuse(option, reply::INVALID, "structured replies come first");
        }
        let Ok(request) = MetaRequest::decode(data) else {
            return self.refuse(option, reply::INVALID, "the request is malformed");
        };
        let Some(export) = self.shared.export(&request.export).cloned() else {
            return self.refuse(option, reply::UNKNOWN, "there is no export of this name");
        };
        let is_meant = |query: &String| query == BASE_ALLOCATION || (!is_set && query == "base:");
        let lists_all = !is_set && request.queries.is_empty();
        if lists_all || request.queries.iter().any(is_meant) {
            let id = if is_set { CONTEXT_ID } else { 0 };
            let name = BASE_ALLOCATION.to_owned();
            let context = MetaContext { id, name };
            self.reply(option, reply::META_CONTEXT, &context.encode())?;
            if is_set {
                self.context_of = Some(export.name);
            }
        }
        self.acknowledge(option)
    }

    fn flags(&self, export: &NamedExport) -> u16 {
        // A flush on one connection covers the writes of all, so clients may use several.
        let mut flags = export_flag::HAS_FLAGS | export_flag::CAN_MULTI_CONN;
        if self.is_structured {
            flags |= export_flag::SEND_DF;
        }
        flags
            | match export.export.is_read_only() {
                true => export_flag::READ_ONLY,
                false => {
                    export_flag::SEND_FLUSH
                        | export_flag::SEND_FUA
                        | export_flag::SEND_TRIM
                        | export_flag::SEND_WRITE_ZEROES
                }
            }
    }

    fn finish(self, export: &NamedExport) -> Result<Agreed, NbdError> {
        // A disk may be left alone for days, but replies are taken.
        self.socket
            .set_timeouts(None, Some(SEND_TIMEOUT))
            .map_err(NbdError::io("the handshake"))?;
        Ok(Agreed {
            export: Arc::clone(&export.export),
            name: export.name.clone(),
            socket: Arc::clone(self.socket),
            incoming: Mutex::new(Some(self.incoming)),
            outgoing: Mutex::new(self.outgoing),
            is_structured: self.is_structured,
            has_context: self.context_of.as_ref() == Some(&export.name),
        })
    }
}
