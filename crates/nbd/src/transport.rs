//! Sockets with or without TLS, split into a half that reads and a half that writes.
//!
//! The halves of a TLS connection share its state behind a mutex, which nobody holds while waiting for the network: so one thread
//! can wait for what comes while others send.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::Connection;

/// Bytes that are asked for at once when little is wanted: several requests or replies come with one system call.
const BUFFER_BYTES: usize = 32 << 10;
/// Largest record of TLS with its overhead, bytes, rounded up.
const RECORD_BYTES: usize = 20 << 10;

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    /// No single wait for the network takes longer.
    pub(crate) fn set_timeouts(
        &self,
        read: Option<Duration>,
        write: Option<Duration>,
    ) -> io::Result<()> {
        match self {
            Self::Unix(socket) => {
                socket.set_read_timeout(read)?;
                socket.set_write_timeout(write)
            }
            Self::Tcp(socket) => {
                socket.set_nodelay(true)?;
                socket.set_read_timeout(read)?;
                socket.set_write_timeout(write)
            }
        }
    }

    /// Nothing more is received; what is to be sent still is.
    pub(crate) fn stop_reading(&self) {
        self.shut_down_half(Shutdown::Read);
    }

    /// Ends all waiting on this socket, here and on the other side.
    pub(crate) fn shut_down(&self) {
        self.shut_down_half(Shutdown::Both);
    }

    fn shut_down_half(&self, half: Shutdown) {
        // It fails only when the connection is gone already.
        let _ = match self {
            Self::Unix(socket) => socket.shutdown(half),
            Self::Tcp(socket) => socket.shutdown(half),
        };
    }
}

impl Read for &Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Unix(socket) => (&mut &*socket).read(buffer),
            Socket::Tcp(socket) => (&mut &*socket).read(buffer),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Unix(socket) => (&mut &*socket).write(bytes),
            Socket::Tcp(socket) => (&mut &*socket).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Tls = Arc<Mutex<Connection>>;

/// The half that reads.
#[derive(Debug)]
pub(crate) struct Incoming {
    socket: Arc<Socket>,
    tls: Option<Tls>,
    /// Encrypted bytes that were received: those from `start` on are not looked at yet.
    raw: Vec<u8>,
    start: usize,
}

/// The half that writes.
#[derive(Debug)]
pub(crate) struct Outgoing {
    socket: Arc<Socket>,
    tls: Option<Tls>,
    encrypted: Vec<u8>,
}

/// Both halves of a socket; `tls` is a connection whose handshake is done.
pub(crate) fn split(
    socket: Arc<Socket>,
    tls: Option<Connection>,
) -> (BufReader<Incoming>, Outgoing) {
    let tls = tls.map(|connection| Arc::new(Mutex::new(connection)));
    let incoming = Incoming {
        socket: Arc::clone(&socket),
        tls: tls.clone(),
        raw: Vec::new(),
        start: 0,
    };
    let outgoing = Outgoing {
        socket,
        tls,
        encrypted: Vec::new(),
    };
    (BufReader::with_capacity(BUFFER_BYTES, incoming), outgoing)
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else {
            return (&mut &*self.socket).read(buffer);
        };
        loop {
            {
                let mut tls = tls.lock().unwrap_or_else(PoisonError::into_inner);
                loop {
                    match tls.reader().read(buffer) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        // With a close that was announced: 0 bytes. Without: an error, as a cut connection must not look complete.
                        read => return read,
                    }
                    let mut rest = &self.raw[self.start..];
                    if rest.is_empty() {
                        break;
                    }
                    let taken = tls.read_tls(&mut rest)?;
                    self.start += taken;
                    tls.process_new_packets()
                        .map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause))?;
                }
            }
            self.raw.resize(RECORD_BYTES, 0);
            self.start = 0;
            let read = (&mut &*self.socket).read(&mut self.raw);
            self.raw.truncate(*read.as_ref().unwrap_or(&0));
            if read? == 0 {
                let mut tls = tls.lock().unwrap_or_else(PoisonError::into_inner);
                tls.read_tls(&mut io::empty())?;
                return tls.reader().read(buffer);
            }
        }
    }
}

impl Outgoing {
    /// Whatever TLS wants to send, behind what it was given.
    fn send_encrypted(&mut self, plain: &[u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else {
            return (&mut &*self.socket).write(plain);
        };
        self.encrypted.clear();
        let taken = {
            let mut tls = tls.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = tls.writer().write(plain)?;
            while tls.wants_write() {
                tls.write_tls(&mut self.encrypted)?;
            }
            taken
        };
        (&mut &*self.socket).write_all(&self.encrypted)?;
        Ok(taken)
    }

    /// Says that nothing more comes.
    pub(crate) fn close(&mut self) {
        if let Some(tls) = &self.tls {
            tls.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .send_close_notify();
            // Who is gone already does not need the announcement.
            let _ = self.send_encrypted(&[]);
        }
        self.socket.shut_down_half(Shutdown::Write);
    }

    /// Sends a header and what follows it, with one system call if both are small.
    pub(crate) fn send(&mut self, header: &[u8], payload: &[u8]) -> io::Result<()> {
        if payload.is_empty() {
            return self.write_all(header);
        }
        if payload.len() > BUFFER_BYTES {
            self.write_all(header)?;
            return self.write_all(payload);
        }
        self.write_all(&[header, payload].concat())
    }
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send_encrypted(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Carries out the handshake of TLS, and leaves the socket with other time limits.
pub(crate) fn shake_hands(
    socket: &Socket,
    tls: &mut Connection,
    deadline: Instant,
) -> io::Result<()> {
    let mut stream = socket;
    loop {
        while tls.wants_write() {
            tls.write_tls(&mut stream)?;
        }
        if !tls.is_handshaking() {
            return Ok(());
        }
        // A peer that sends a byte now and then gets no longer than one that sends none.
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_timeouts(Some(left), Some(left))?;
        if tls.read_tls(&mut stream)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Err(cause) = tls.process_new_packets() {
            // The peer is told why, if it still listens.
            let _ = tls.write_tls(&mut stream);
            return Err(io::Error::new(io::ErrorKind::InvalidData, cause));
        }
    }
}
