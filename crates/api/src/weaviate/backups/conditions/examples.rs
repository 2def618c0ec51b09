//! How to bring about the conditions of the table: what its tests are made of.

/// A way to a row.
#[derive(Debug)]
pub enum Example {
    /// Steps on a fresh server, then the request that is answered with the row.
    Answer {
        /// What comes before.
        before: &'static [Step],
        /// The request.
        call: Call,
        /// What stands for the placeholders; `{home}` in a value is the path of the backend's repository.
        values: &'static [(&'static str, &'static str)],
    },
    /// Steps on a fresh server, then a status whose `error` is the row.
    Reason {
        /// What comes before.
        before: &'static [Step],
        /// Path of the status, polled until it is one of SUCCESS, FAILED and CANCELED.
        status: &'static str,
        /// Which of them.
        outcome: &'static str,
        /// As in [`Example::Answer`].
        values: &'static [(&'static str, &'static str)],
    },
    /// The condition does not arise, because of this.
    Never(&'static str),
}

/// A request below `/v1/backups/`.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Method.
    pub method: &'static str,
    /// Path after `/v1/backups/`.
    pub path: &'static str,
    /// JSON; empty: none.
    pub body: &'static str,
}

/// Who sends requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Credentials are off.
    Anyone,
    /// A viewer named `custom-user`.
    Viewer,
    /// An operator named `custom-user` who is confined to other collections.
    Elsewhere,
}

/// One thing done before.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// A class with a few objects.
    Class(&'static str),
    /// A class with several megabytes of vectors.
    Heavy(&'static str),
    /// The class is dropped.
    Drop(&'static str),
    /// The repository takes or gives this many bytes a second: backups and restores of a heavy class take their time.
    Throttle {
        /// Writing; 0: no limit.
        backup: u64,
        /// Reading; 0: no limit.
        restore: u64,
    },
    /// A request whose answer must be 2xx.
    Send(Call),
    /// Polls a status (path after `/v1/backups/`) until it is this.
    Until(&'static str, &'static str),
    /// Lets as many milliseconds go by.
    Pause(u64),
    /// Whoever sends from here on.
    As(Who),
}

/// A request without a body.
pub(super) const fn bare(method: &'static str, path: &'static str) -> Call {
    Call {
        method,
        path,
        body: "",
    }
}

/// A request with a body.
pub(super) const fn post(path: &'static str, body: &'static str) -> Call {
    Call {
        method: "POST",
        path,
        body,
    }
}
