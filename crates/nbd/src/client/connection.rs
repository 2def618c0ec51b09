//! One connection on which the requests of many threads are under way.
//!
//! There is no thread that reads: of those that wait for a reply, one reads what comes next and leaves at the door of the others what
//! is theirs. So nothing needs to be started or ended, and a lone reader gets its bytes without a copy.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::NbdError;
use crate::protocol::{
    ChunkHeader, Extent, Request, SimpleReply, chunk, command, decode_error, decode_extents, magic,
};
use crate::transport::{Incoming, Outgoing, Socket};

/// Longest status of one context that is accepted, bytes: a million extents.
const MAX_STATUS_BYTES: u32 = 8 << 20;
/// Most chunks of one reply: every block of 512 bytes of the longest read by itself, and some.
const MAX_CHUNKS: usize = 10_000;

/// What a reply brought, besides data that is in the reader's buffer.
#[derive(Debug)]
pub(super) enum Answer {
    /// These bytes of the request were put where they belong.
    Placed { start: usize, length: usize },
    /// These bytes of the request were read by another thread.
    Data { start: usize, bytes: Vec<u8> },
    /// These bytes of the request are zeroes.
    Zeroes { start: usize, length: usize },
    /// The state of the range in a context.
    Status(u32, Vec<Extent>),
}

/// A request whose reply is not complete.
#[derive(Debug)]
struct Pending {
    request: Request,
    answers: Vec<Answer>,
    /// Bytes of data so far.
    received: u64,
    failure: Option<(u32, String)>,
    is_done: bool,
}

#[derive(Debug)]
struct State {
    /// Nothing while some thread reads.
    incoming: Option<BufReader<Incoming>>,
    pending: HashMap<u64, Pending>,
    next_cookie: u64,
    /// Why the connection cannot be used any more.
    broken: Option<String>,
}

/// An open connection behind the handshake.
pub(super) struct Connection {
    socket: Arc<Socket>,
    state: Mutex<State>,
    changed: Condvar,
    outgoing: Mutex<Outgoing>,
    timeout: Duration,
    is_structured: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({:?})", self.socket)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connection {
    pub(super) fn new(
        socket: Arc<Socket>,
        (incoming, outgoing): (BufReader<Incoming>, Outgoing),
        timeout: Duration,
        is_structured: bool,
    ) -> Self {
        Self {
            socket,
            state: Mutex::new(State {
                incoming: Some(incoming),
                pending: HashMap::new(),
                next_cookie: 1,
                broken: None,
            }),
            changed: Condvar::new(),
            outgoing: Mutex::new(outgoing),
            timeout,
            is_structured,
        }
    }

    /// Sends a request and waits for its reply. Data that is read is in `into` then, all of it.
    pub(super) fn call(
        &self,
        request: Request,
        payload: &[u8],
        into: &mut [u8],
    ) -> Result<Vec<Answer>, NbdError> {
        let request = self.register(request)?;
        let sent = lock(&self.outgoing)
            .send(&request.encode(), payload)
            .map_err(NbdError::io("sending a request"));
        if let Err(error) = sent {
            return Err(self.give_up(error));
        }
        let done = self.wait(request.cookie, into)?;
        if let Some((code, message)) = done.failure {
            return Err(NbdError::Remote {
                operation: command::name(request.command),
                range: request.offset..request.offset + u64::from(request.length),
                code,
                message,
            });
        }
        if request.command == command::READ {
            place(&done.answers, into).map_err(|error| self.give_up(error))?;
        }
        Ok(done.answers)
    }

    fn register(&self, request: Request) -> Result<Request, NbdError> {
        let mut state = lock(&self.state);
        state.check()?;
        let request = Request {
            cookie: state.next_cookie,
            ..request
        };
        state.next_cookie += 1;
        let pending = Pending {
            request,
            answers: Vec::new(),
            received: 0,
            failure: None,
            is_done: false,
        };
        state.pending.insert(request.cookie, pending);
        Ok(request)
    }

    fn wait(&self, cookie: u64, into: &mut [u8]) -> Result<Pending, NbdError> {
        let deadline = Instant::now() + 2 * self.timeout;
        let mut state = lock(&self.state);
        loop {
            if let Some(pending) = state.pending.get(&cookie)
                && pending.is_done
            {
                let done = state.pending.remove(&cookie);
                return done.ok_or_else(|| NbdError::violation("a reply was lost"));
            }
            if let Err(error) = state.check() {
                state.pending.remove(&cookie);
                return Err(error);
            }
            if Instant::now() > deadline {
                drop(state);
                let late = std::io::ErrorKind::TimedOut.into();
                return Err(self.give_up(NbdError::io("waiting for a reply")(late)));
            }
            match state.incoming.take() {
                Some(mut incoming) => {
                    drop(state);
                    let read = self.read_one(&mut incoming, cookie, into);
                    state = lock(&self.state);
                    state.incoming = Some(incoming);
                    if let Err(error) = read {
                        drop(state);
                        return Err(self.give_up(error));
                    }
                    self.changed.notify_all();
                }
                None => {
                    let waited = self.changed.wait_timeout(state, self.timeout);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    /// Nothing can be trusted any more on this connection; all who wait learn it.
    fn give_up(&self, error: NbdError) -> NbdError {
        let mut state = lock(&self.state);
        state.broken.get_or_insert_with(|| error.to_string());
        drop(state);
        self.socket.shut_down();
        self.changed.notify_all();
        error
    }

    /// Reads one simple reply or chunk. What belongs to `own` goes to `into`.
    fn read_one(
        &self,
        incoming: &mut BufReader<Incoming>,
        own: u64,
        into: &mut [u8],
    ) -> Result<(), NbdError> {
        let mut word = [0; 4];
        receive(incoming, &mut word)?;
        match u32::from_be_bytes(word) {
            magic::SIMPLE_REPLY => {
                let mut body = [0; SimpleReply::BYTES - 4];
                receive(incoming, &mut body)?;
                let reply = SimpleReply::decode_body(&body)?;
                let request = self.request_of(reply.cookie)?;
                let is_read = request.command == command::READ;
                if self.is_structured
                    && (is_read || request.command == command::BLOCK_STATUS)
                    && reply.error == 0
                {
                    return Err(NbdError::violation(
                        "a reply that must be structured is not",
                    ));
                }
                let answer = match is_read && reply.error == 0 {
                    true => Some(data(
                        incoming,
                        0,
                        request.length as usize,
                        reply.cookie == own,
                        into,
                    )?),
                    false => None,
                };
                let failure = (reply.error != 0).then(|| (reply.error, String::new()));
                self.deliver(reply.cookie, answer, failure, true)
            }
            magic::CHUNK if self.is_structured => {
                let mut body = [0; ChunkHeader::BYTES - 4];
                receive(incoming, &mut body)?;
                let header = ChunkHeader::decode_body(&body)?;
                self.read_chunk(incoming, &header, own, into)
            }
            other => Err(NbdError::violation(format!(
                "a reply starts with {other:#x}"
            ))),
        }
    }

    fn read_chunk(
        &self,
        incoming: &mut BufReader<Incoming>,
        header: &ChunkHeader,
        own: u64,
        into: &mut [u8],
    ) -> Result<(), NbdError> {
        let request = self.request_of(header.cookie)?;
        let is_read = request.command == command::READ;
        let unfit = || {
            NbdError::violation(format!(
                "a chunk of kind {} with {} bytes does not fit the request",
                header.kind, header.length
            ))
        };
        let mut failure = None;
        let answer = match header.kind {
            chunk::NONE if header.length == 0 => None,
            chunk::OFFSET_DATA if is_read && header.length > 8 => {
                let mut offset = [0; 8];
                receive(incoming, &mut offset)?;
                let length = header.length - 8;
                let start = within(&request, u64::from_be_bytes(offset), length)?;
                Some(data(
                    incoming,
                    start,
                    length as usize,
                    header.cookie == own,
                    into,
                )?)
            }
            chunk::OFFSET_HOLE if is_read && header.length == 12 => {
                let mut body = [0; 12];
                receive(incoming, &mut body)?;
                let (mut offset, mut length) = ([0; 8], [0; 4]);
                offset.copy_from_slice(&body[..8]);
                length.copy_from_slice(&body[8..]);
                let length = u32::from_be_bytes(length);
                let start = within(&request, u64::from_be_bytes(offset), length)?;
                let length = length as usize;
                Some(Answer::Zeroes { start, length })
            }
            chunk::BLOCK_STATUS
                if request.command == command::BLOCK_STATUS
                    && header.length <= MAX_STATUS_BYTES =>
            {
                let (context, extents) = decode_extents(&payload(incoming, header.length)?)?;
                Some(Answer::Status(context, extents))
            }
            kind if kind & chunk::ANY_ERROR != 0
                && header.length <= 2 * crate::protocol::MAX_STRING as u32 =>
            {
                failure = Some(decode_error(&payload(incoming, header.length)?)?);
                None
            }
            _ => return Err(unfit()),
        };
        self.deliver(header.cookie, answer, failure, header.is_last())
    }

    fn request_of(&self, cookie: u64) -> Result<Request, NbdError> {
        let state = lock(&self.state);
        match state.pending.get(&cookie) {
            Some(pending) if !pending.is_done => Ok(pending.request),
            _ => Err(NbdError::violation("a reply to no request")),
        }
    }

    fn deliver(
        &self,
        cookie: u64,
        answer: Option<Answer>,
        failure: Option<(u32, String)>,
        is_last: bool,
    ) -> Result<(), NbdError> {
        let mut state = lock(&self.state);
        let Some(pending) = state.pending.get_mut(&cookie) else {
            return Err(NbdError::violation("a reply to no request"));
        };
        if let Some(answer) = answer {
            pending.received += answer.length();
            pending.answers.push(answer);
        }
        if pending.received > u64::from(pending.request.length)
            || pending.answers.len() > MAX_CHUNKS
        {
            return Err(NbdError::violation(
                "a reply brings more than was asked for",
            ));
        }
        if pending.failure.is_none() {
            pending.failure = failure;
        }
        pending.is_done = is_last;
        Ok(())
    }

    /// Says goodbye; no request may be under way.
    pub(super) fn disconnect(&self) -> Result<(), NbdError> {
        lock(&self.state).check()?;
        let goodbye = Request {
            flags: 0,
            command: command::DISCONNECT,
            cookie: 0,
            offset: 0,
            length: 0,
        };
        let mut outgoing = lock(&self.outgoing);
        outgoing
            .send(&goodbye.encode(), &[])
            .map_err(NbdError::io("disconnecting"))?;
        outgoing.close();
        let mut state = lock(&self.state);
        state.broken = Some("it was closed".to_owned());
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A connection that broke, or was closed, has nobody to say goodbye to.
        let _ = self.disconnect();
    }
}

impl State {
    fn check(&self) -> Result<(), NbdError> {
        match &self.broken {
            None => Ok(()),
            Some(reason) => Err(NbdError::Broken {
                reason: reason.clone(),
            }),
        }
    }
}

impl Answer {
    fn length(&self) -> u64 {
        match self {
            Self::Placed { length, .. } | Self::Zeroes { length, .. } => *length as u64,
            Self::Data { bytes, .. } => bytes.len() as u64,
            Self::Status(..) => 0,
        }
    }
}

fn receive(incoming: &mut impl Read, buffer: &mut [u8]) -> Result<(), NbdError> {
    incoming
        .read_exact(buffer)
        .map_err(NbdError::io("receiving a reply"))
}

/// `length` was checked against a limit.
fn payload(incoming: &mut impl Read, length: u32) -> Result<Vec<u8>, NbdError> {
    let mut bytes = vec![0; length as usize];
    receive(incoming, &mut bytes)?;
    Ok(bytes)
}

/// Where in the request these bytes are.
fn within(request: &Request, offset: u64, length: u32) -> Result<usize, NbdError> {
    let start = offset.checked_sub(request.offset);
    let end = start.and_then(|start| start.checked_add(u64::from(length)));
    match (start, end) {
        (Some(start), Some(end)) if length > 0 && end <= u64::from(request.length) => {
            Ok(start as usize)
        }
        _ => Err(NbdError::violation(
            "a reply has bytes that were not asked for",
        )),
    }
}

/// Data of the request whose cookie was found; `start` and `length` lie inside of it.
fn data(
    incoming: &mut impl Read,
    start: usize,
    length: usize,
    is_own: bool,
    into: &mut [u8],
) -> Result<Answer, NbdError> {
    if is_own {
        receive(incoming, &mut into[start..start + length])?;
        return Ok(Answer::Placed { start, length });
    }
    let bytes = payload(incoming, length as u32)?;
    Ok(Answer::Data { start, bytes })
}

/// Puts data that others received, and zeroes, where they belong, and makes sure that each byte came once.
fn place(answers: &[Answer], into: &mut [u8]) -> Result<(), NbdError> {
    let mut ranges = Vec::with_capacity(answers.len());
    for answer in answers {
        let (start, length) = match answer {
            Answer::Placed { start, length } => (*start, *length),
            Answer::Data { start, bytes } => {
                into[*start..start + bytes.len()].copy_from_slice(bytes);
                (*start, bytes.len())
            }
            Answer::Zeroes { start, length } => {
                into[*start..start + length].fill(0);
                (*start, *length)
            }
            Answer::Status(..) => continue,
        };
        ranges.push((start, start + length));
    }
    ranges.sort_unstable();
    let mut at = 0;
    for (start, end) in ranges {
        if start != at {
            return Err(NbdError::violation("a reply has bytes twice or lacks some"));
        }
        at = end;
    }
    match at == into.len() {
        true => Ok(()),
        false => Err(NbdError::violation(
            "a reply lacks bytes that were asked for",
        )),
    }
}
