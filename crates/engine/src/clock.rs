//! The time, as something that tests can set.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

type Listener = Box<dyn Fn() + Send + Sync>;

/// Tells the time in milliseconds since 1970 (UTC).
#[derive(Clone)]
pub struct Clock {
    now_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Told when the time was set; nobody sets the time of the machine.
    listeners: Arc<Mutex<Vec<Listener>>>,
}

impl Clock {
    /// The time of the machine.
    pub fn system() -> Self {
        Self::from_fn(|| {
            let since_1970 = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
        })
    }

    /// Whatever the function says.
    pub fn from_fn(now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self {
            now_ms: Arc::new(now_ms),
            listeners: Arc::default(),
        }
    }

    /// A clock that stands still at `now_ms` until it is set, and what sets it. Whoever sleeps until a time of this clock is woken
    /// when it is set: years pass as fast as the work of them can be done.
    pub fn simulated(now_ms: i64) -> (Self, SimulatedTime) {
        let time = Arc::new(AtomicI64::new(now_ms));
        let shown = Arc::clone(&time);
        let clock = Self::from_fn(move || shown.load(Ordering::Acquire));
        let listeners = Arc::clone(&clock.listeners);
        (clock, SimulatedTime { time, listeners })
    }

    /// Now.
    pub fn now_ms(&self) -> i64 {
        (self.now_ms)()
    }

    /// Calls `listener` whenever the time is set.
    pub(crate) fn on_change(&self, listener: impl Fn() + Send + Sync + 'static) {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(listener));
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Sets the time of a [`Clock::simulated`].
#[derive(Clone)]
pub struct SimulatedTime {
    time: Arc<AtomicI64>,
    listeners: Arc<Mutex<Vec<Listener>>>,
}

impl SimulatedTime {
    /// It is this time now, milliseconds since 1970.
    pub fn set(&self, now_ms: i64) {
        self.time.store(now_ms, Ordering::Release);
        self.tell();
    }

    /// So many milliseconds pass.
    pub fn advance(&self, ms: i64) {
        self.time.fetch_add(ms, Ordering::AcqRel);
        self.tell();
    }

    fn tell(&self) {
        let listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for listener in listeners.iter() {
            listener();
        }
    }
}

impl fmt::Debug for SimulatedTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimulatedTime").field(&self.time).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_for_a_simulated_time_is_told_when_it_is_set() {
        let (clock, time) = Clock::simulated(1000);
        let told = Arc::new(AtomicI64::new(0));
        let seen = Arc::clone(&told);
        clock.on_change(move || {
            seen.fetch_add(1, Ordering::Relaxed);
        });
        time.advance(500);
        assert_eq!(clock.now_ms(), 1500);
        time.set(10);
        assert_eq!((clock.now_ms(), told.load(Ordering::Relaxed)), (10, 2));
    }
}
