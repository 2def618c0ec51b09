//! Answering requests.
//!
//! A few threads take turns: one waits for the next request, and as soon as it has it lets the next thread wait while it
//! answers. Requests are never handed from thread to thread, and replies go out in whatever order they are ready.

use std::io::{self, BufReader, ErrorKind, Read};
use std::ops::Range;
use std::sync::{MutexGuard, PoisonError};

use super::export::ZeroRange;
use super::handshake::{Agreed, CONTEXT_ID};
use crate::error::NbdError;
use crate::protocol::{
    ChunkHeader, Extent, MAX_PAYLOAD, Request, SimpleReply, chunk, code, command, command_flag,
    encode_error, encode_extents, state,
};
use crate::transport::{Incoming, Outgoing, Socket};

/// Threads of a connection: so many requests are carried out at one time.
const THREADS: usize = 4;
/// Data goes through buffers of this size, one a thread, however long a request is.
const BUFFER_BYTES: usize = 1 << 20;
/// Reads from this length on look for zeroes, which are told instead of sent.
const HOLES_FROM_BYTES: u32 = 64 << 10;
/// Most extents of a reply: 32 KiB.
const MAX_EXTENTS: usize = 4096;
/// Header and offset of a chunk with data.
const DATA_HEAD_BYTES: usize = ChunkHeader::BYTES + 8;

/// Serves a connection until the client leaves or breaks the protocol.
pub(super) fn serve(agreed: &Agreed) {
    std::thread::scope(|scope| {
        for _ in 1..THREADS {
            let started = std::thread::Builder::new()
                .name("nbd-request".to_owned())
                .spawn_scoped(scope, || Turn::new(agreed).serve());
            if let Err(cause) = started {
                // Fewer threads do as well.
                tracing::debug!(%cause, "no more threads for an NBD connection");
                break;
            }
        }
        Turn::new(agreed).serve();
    });
    agreed.outgoing().close();
}

impl Agreed {
    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, header: &[u8], payload: &[u8]) -> Result<(), Failure> {
        Ok(self.outgoing().send(header, payload).map_err(sending)?)
    }
}

/// How a request was answered.
enum Reply {
    /// All of it was sent.
    Sent,
    /// There is only success to tell.
    Success,
}

enum Failure {
    /// The client is told; the connection goes on.
    Request { code: u32, message: String },
    /// The connection cannot go on.
    Connection(NbdError),
}

impl Failure {
    fn request(code: u32, message: &str) -> Self {
        let message = message.to_owned();
        Self::Request { code, message }
    }

    /// An error of an export.
    fn of_export(cause: io::Error) -> Self {
        let code = match cause.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => code::NO_SPACE,
            ErrorKind::PermissionDenied => code::PERMISSION,
            ErrorKind::OutOfMemory => code::NO_MEMORY,
            _ => code::IO,
        };
        tracing::warn!(%cause, "a disk that is served over NBD has an error");
        Self::Request {
            code,
            message: cause.to_string(),
        }
    }
}

impl From<NbdError> for Failure {
    fn from(error: NbdError) -> Self {
        Self::Connection(error)
    }
}

fn sending(cause: io::Error) -> NbdError {
    NbdError::io("sending a reply")(cause)
}

fn receiving(cause: io::Error) -> NbdError {
    NbdError::io("receiving a request")(cause)
}

/// The next request; nothing when the client closed the connection.
fn next(incoming: &mut BufReader<Incoming>) -> Result<Option<Request>, NbdError> {
    let mut bytes = [0; Request::BYTES];
    let first = incoming.read(&mut bytes).map_err(receiving)?;
    if first == 0 {
        return Ok(None);
    }
    incoming
        .read_exact(&mut bytes[first..])
        .map_err(receiving)?;
    Ok(Some(Request::decode(&bytes)?))
}

/// The half that reads, while a thread has its turn; nothing when nobody is to read any more.
type Receiver<'a> = MutexGuard<'a, Option<BufReader<Incoming>>>;

/// When one thread ends, even by a panic, all do: it wakes the one that waits for a request.
struct End<'a>(&'a Socket);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.stop_reading();
    }
}

/// One of the threads of a connection.
struct Turn<'a> {
    agreed: &'a Agreed,
    buffer: Vec<u8>,
}

impl<'a> Turn<'a> {
    fn new(agreed: &'a Agreed) -> Self {
        Self {
            agreed,
            buffer: Vec::new(),
        }
    }

    fn serve(mut self) {
        let _end = End(&self.agreed.socket);
        loop {
            // A poisoned lock is a thread that panicked inside of a request: nobody knows where the next one starts.
            let Ok(mut receiver) = self.agreed.incoming.lock() else {
                break;
            };
            let Some(incoming) = receiver.as_mut() else {
                break;
            };
            let request = match next(incoming) {
                Ok(Some(request)) if request.command != command::DISCONNECT => request,
                ended => {
                    *receiver = None;
                    if let Err(cause) = ended {
                        tracing::debug!(%cause, export = self.agreed.name, "an NBD connection ended");
                    }
                    break;
                }
            };
            let answered = match request.command {
                command::WRITE => self.write(&request, receiver),
                _ => {
                    drop(receiver);
                    self.answer(&request)
                }
            };
            if let Err(cause) = self.conclude(&request, answered) {
                tracing::debug!(%cause, export = self.agreed.name, "an NBD connection ended");
                break;
            }
        }
    }

    fn conclude(
        &self,
        request: &Request,
        answered: Result<Reply, Failure>,
    ) -> Result<(), NbdError> {
        let (code, message) = match answered {
            Ok(Reply::Sent) => return Ok(()),
            Ok(Reply::Success) => (0, String::new()),
            Err(Failure::Request { code, message }) => (code, message),
            Err(Failure::Connection(cause)) => return Err(cause),
        };
        let cookie = request.cookie;
        let is_structured = self.agreed.is_structured;
        let needs_chunk = matches!(request.command, command::READ | command::BLOCK_STATUS);
        let sent = if is_structured && (code != 0 || needs_chunk) {
            let (kind, payload) = match code {
                0 => (chunk::NONE, Vec::new()),
                code => (chunk::ERROR, encode_error(code, &message)),
            };
            let header = chunk_header(cookie, kind, payload.len(), true);
            self.agreed.outgoing().send(&header, &payload)
        } else {
            let reply = SimpleReply {
                error: code,
                cookie,
            };
            self.agreed.outgoing().send(&reply.encode(), &[])
        };
        sent.map_err(sending)
    }

    fn answer(&mut self, request: &Request) -> Result<Reply, Failure> {
        let export = &self.agreed.export;
        match request.command {
            command::READ => self.read(request),
            command::BLOCK_STATUS => self.status(request),
            command::FLUSH => {
                check_flags(request, command_flag::FUA)?;
                export.flush().map_err(Failure::of_export)?;
                Ok(Reply::Success)
            }
            command::TRIM | command::WRITE_ZEROES => {
                let range = self.writable(request)?;
                if range.is_empty() {
                    return Ok(Reply::Success);
                }
                let done = match request.command {
                    command::TRIM => export.trim(range),
                    _ => export.write_zeroes(range, request.flags & command_flag::NO_HOLE == 0),
                };
                done.map_err(Failure::of_export)?;
                self.flush_if_asked(request)
            }
            _ => Err(Failure::request(code::INVALID, "an unknown request")),
        }
    }

    fn flush_if_asked(&self, request: &Request) -> Result<Reply, Failure> {
        if request.flags & command_flag::FUA != 0 {
            self.agreed.export.flush().map_err(Failure::of_export)?;
        }
        Ok(Reply::Success)
    }

    /// The bytes of a request; `beyond` is the error for those that are not in the disk.
    fn range(&self, request: &Request, beyond: u32) -> Result<Range<u64>, Failure> {
        let end = request.offset.checked_add(u64::from(request.length));
        match end.filter(|end| *end <= self.agreed.export.size_bytes()) {
            Some(end) => Ok(request.offset..end),
            None => Err(Failure::request(beyond, "the disk ends before")),
        }
    }

    /// The bytes of a request that writes.
    fn writable(&self, request: &Request) -> Result<Range<u64>, Failure> {
        let known = match request.command {
            command::WRITE_ZEROES => command_flag::FUA | command_flag::NO_HOLE,
            _ => command_flag::FUA,
        };
        check_flags(request, known)?;
        if self.agreed.export.is_read_only() {
            return Err(Failure::request(code::PERMISSION, "the disk is read-only"));
        }
        self.range(request, code::NO_SPACE)
    }

    /// Buffers one piece of the data at most. Short writes let the next thread have its turn before they are carried out.
    fn write(&mut self, request: &Request, mut receiver: Receiver<'_>) -> Result<Reply, Failure> {
        if request.length > MAX_PAYLOAD {
            // To skip so much would be to work for somebody who does not keep to the rules.
            return Err(NbdError::violation("a write that is too long").into());
        }
        let mut outcome = self.writable(request).map(drop);
        let mut left = request.length as usize;
        let mut at = request.offset;
        while left > 0 {
            let piece = left.min(BUFFER_BYTES);
            self.buffer.resize(piece, 0);
            let Some(incoming) = receiver.as_mut() else {
                return Err(receiving(ErrorKind::UnexpectedEof.into()).into());
            };
            incoming.read_exact(&mut self.buffer).map_err(receiving)?;
            left -= piece;
            if piece == request.length as usize {
                break;
            }
            if outcome.is_ok() {
                let written = self.agreed.export.write_at(at, &self.buffer);
                outcome = written.map_err(Failure::of_export);
            }
            at += piece as u64;
        }
        drop(receiver);
        outcome?;
        if request.length > 0 && request.length as usize <= BUFFER_BYTES {
            let written = self.agreed.export.write_at(at, &self.buffer);
            written.map_err(Failure::of_export)?;
        }
        self.flush_if_asked(request)
    }

    fn read(&mut self, request: &Request) -> Result<Reply, Failure> {
        check_flags(request, command_flag::FUA | command_flag::DF)?;
        let range = self.range(request, code::INVALID)?;
        if request.length > MAX_PAYLOAD {
            return Err(Failure::request(code::INVALID, "a read that is too long"));
        }
        if range.is_empty() && self.agreed.is_structured {
            return Ok(Reply::Success);
        }
        if !self.agreed.is_structured {
            return self.read_simple(request, range);
        }
        let is_whole = request.flags & command_flag::DF != 0;
        if is_whole && request.length as usize > BUFFER_BYTES {
            return Err(Failure::request(
                code::OVERFLOW,
                "too long for a reply in one piece",
            ));
        }
        if is_whole || request.length < HOLES_FROM_BYTES {
            return self.read_data(request, range.clone(), range.end);
        }
        for part in self.extents(range.clone())? {
            if part.is_zero {
                self.send_hole(request, part.range, range.end)?;
            } else {
                self.read_data(request, part.range, range.end)?;
            }
        }
        Ok(Reply::Sent)
    }

    /// All of a range, which is at most [`MAX_PAYLOAD`] long.
    fn extents(&self, range: Range<u64>) -> Result<Vec<ZeroRange>, Failure> {
        let mut found = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let export = &self.agreed.export;
            let more = export
                .extents(at..range.end, MAX_EXTENTS)
                .map_err(Failure::of_export)?;
            at = self.check_extents(at..range.end, &more)?;
            found.extend(more);
        }
        Ok(found)
    }

    /// An export that breaks its contract must not make the server send nonsense. Returns where the extents end.
    fn check_extents(&self, range: Range<u64>, extents: &[ZeroRange]) -> Result<u64, Failure> {
        let mut at = range.start;
        for extent in extents {
            if extent.range.start != at || extent.range.end <= at || extent.range.end > range.end {
                tracing::error!(?range, ?extent, "a disk tells extents that cannot be");
                return Err(Failure::request(
                    code::IO,
                    "the extents of the disk are not known",
                ));
            }
            at = extent.range.end;
        }
        match at > range.start {
            true => Ok(at),
            false => Err(Failure::request(
                code::IO,
                "the extents of the disk are not known",
            )),
        }
    }

    /// Sends data as chunks; the one that ends at `end` is the last of the reply.
    fn read_data(
        &mut self,
        request: &Request,
        range: Range<u64>,
        end: u64,
    ) -> Result<Reply, Failure> {
        let mut at = range.start;
        while at < range.end {
            let length = (range.end - at).min(BUFFER_BYTES as u64) as usize;
            self.buffer.resize(DATA_HEAD_BYTES + length, 0);
            let (head, data) = self.buffer.split_at_mut(DATA_HEAD_BYTES);
            self.agreed
                .export
                .read_at(at, data)
                .map_err(Failure::of_export)?;
            let is_last = at + length as u64 == end;
            let header = chunk_header(request.cookie, chunk::OFFSET_DATA, 8 + length, is_last);
            head[..ChunkHeader::BYTES].copy_from_slice(&header);
            head[ChunkHeader::BYTES..].copy_from_slice(&at.to_be_bytes());
            self.agreed.send(&self.buffer, &[])?;
            at += length as u64;
        }
        Ok(Reply::Sent)
    }

    fn send_hole(&self, request: &Request, range: Range<u64>, end: u64) -> Result<(), Failure> {
        let length = (range.end - range.start) as u32;
        let header = chunk_header(request.cookie, chunk::OFFSET_HOLE, 12, range.end == end);
        let mut payload = range.start.to_be_bytes().to_vec();
        payload.extend(length.to_be_bytes());
        self.agreed.send(&header, &payload)
    }

    /// Behind a reply that began with success, an error could not be told: then the connection is closed.
    fn read_simple(&mut self, request: &Request, range: Range<u64>) -> Result<Reply, Failure> {
        let header = SimpleReply {
            error: 0,
            cookie: request.cookie,
        };
        let mut at = range.start;
        let mut outgoing = None;
        loop {
            let length = (range.end - at).min(BUFFER_BYTES as u64) as usize;
            let is_first = at == range.start;
            let head = if is_first { SimpleReply::BYTES } else { 0 };
            self.buffer.resize(head + length, 0);
            self.buffer[..head].copy_from_slice(&header.encode()[..head]);
            match self.agreed.export.read_at(at, &mut self.buffer[head..]) {
                Ok(()) => {}
                Err(cause) if is_first => return Err(Failure::of_export(cause)),
                Err(cause) => return Err(sending(cause).into()),
            }
            outgoing
                .get_or_insert_with(|| self.agreed.outgoing())
                .send(&self.buffer, &[])
                .map_err(sending)?;
            at += length as u64;
            if at >= range.end {
                return Ok(Reply::Sent);
            }
        }
    }

    fn status(&self, request: &Request) -> Result<Reply, Failure> {
        check_flags(request, command_flag::FUA | command_flag::REQ_ONE)?;
        let range = self.range(request, code::INVALID)?;
        if !self.agreed.has_context || range.is_empty() {
            return Err(Failure::request(
                code::INVALID,
                "no context was asked for, or no bytes",
            ));
        }
        let limit = match request.flags & command_flag::REQ_ONE {
            0 => MAX_EXTENTS,
            _ => 1,
        };
        let export = &self.agreed.export;
        let mut found = export
            .extents(range.clone(), limit)
            .map_err(Failure::of_export)?;
        self.check_extents(range, &found)?;
        found.truncate(limit);
        let extents: Vec<_> = found
            .iter()
            .map(|extent| Extent {
                length: (extent.range.end - extent.range.start) as u32,
                flags: if extent.is_zero {
                    state::HOLE | state::ZERO
                } else {
                    0
                },
            })
            .collect();
        let payload = encode_extents(CONTEXT_ID, &extents);
        let header = chunk_header(request.cookie, chunk::BLOCK_STATUS, payload.len(), true);
        self.agreed.send(&header, &payload)?;
        Ok(Reply::Sent)
    }
}

fn check_flags(request: &Request, known: u16) -> Result<(), Failure> {
    match request.flags & !known {
        0 => Ok(()),
        _ => Err(Failure::request(
            code::INVALID,
            "flags that were not offered",
        )),
    }
}

fn chunk_header(cookie: u64, kind: u16, length: usize, is_last: bool) -> [u8; ChunkHeader::BYTES] {
    ChunkHeader {
        flags: if is_last { chunk::FLAG_DONE } else { 0 },
        kind,
        cookie,
        length: length as u32,
    }
    .encode()
}
