//! What every command does around its own work: connect, work, end what was opened.

use std::time::Duration;

use crate::client::{Client, ConnectArgs};
use crate::exit::Failure;
use crate::output::Output;

/// How long an offline command waits at its end for work it started and does not wait for.
const CLOSING: Duration = Duration::from_secs(600);

/// A connection and a way to print.
#[derive(Debug)]
pub struct Session {
    /// The server, or this process.
    pub client: Client,
    /// How to print.
    pub output: Output,
}

impl Session {
    /// Connects to what is there.
    pub async fn open(connect: &ConnectArgs) -> Result<Self, Failure> {
        Ok(Self {
            client: connect.connect(false).await?,
            output: connect.output(),
        })
    }

    /// Connects, and makes a data folder where there is none.
    pub async fn open_or_create(connect: &ConnectArgs) -> Result<Self, Failure> {
        Ok(Self {
            client: connect.connect(true).await?,
            output: connect.output(),
        })
    }

    /// Ends, and passes the outcome on. Must be reached whatever the outcome is.
    pub async fn end<T>(self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        self.client.close(CLOSING).await;
        outcome
    }
}
