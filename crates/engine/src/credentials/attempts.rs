//! A limit on wrong guesses: each address and each name has an allowance that refills with time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Wrong guesses in a row for one name.
const PER_NAME: u32 = 10;
/// One more guess for a name after so long, ms.
const NAME_REFILL_MS: i64 = 6_000;
/// Wrong guesses in a row from one address, whatever the names.
const PER_ADDRESS: u32 = 30;
/// One more guess from an address after so long, ms.
const ADDRESS_REFILL_MS: i64 = 2_000;
/// Addresses and names remembered. Beyond that those that failed longest ago are forgotten.
const REMEMBERED: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Address(IpAddr),
    Name(String),
}

impl Subject {
    fn rule(&self) -> (u32, i64) {
        match self {
            Self::Address(_) => (PER_ADDRESS, ADDRESS_REFILL_MS),
            Self::Name(_) => (PER_NAME, NAME_REFILL_MS),
        }
    }
}

/// Failures that are not forgiven yet: each counts for one refill time.
#[derive(Debug, Clone, Copy)]
struct Debt {
    /// When the last of them is forgiven, ms.
    until_ms: i64,
}

/// Counts wrong guesses.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    debts: Mutex<HashMap<Subject, Debt>>,
}

impl Attempts {
    /// Whether another guess is allowed; how long to wait if not.
    pub(super) fn check(
        &self,
        address: Option<IpAddr>,
        name: &str,
        now_ms: i64,
    ) -> Result<(), Duration> {
        let debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        for subject in subjects(address, name) {
            let (allowed, refill_ms) = subject.rule();
            let owed_ms = debts.get(&subject).map_or(0, |debt| debt.until_ms - now_ms);
            let beyond_ms = owed_ms - i64::from(allowed - 1) * refill_ms;
            if beyond_ms > 0 {
                return Err(Duration::from_millis(u64::try_from(beyond_ms).unwrap_or(0)));
            }
        }
        Ok(())
    }

    /// Notes a wrong guess.
    pub(super) fn failed(&self, address: Option<IpAddr>, name: &str, now_ms: i64) {
        let mut debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        if debts.len() >= REMEMBERED {
            debts.retain(|_, debt| debt.until_ms > now_ms);
        }
        if debts.len() >= REMEMBERED {
            let oldest = debts.iter().min_by_key(|(_, debt)| debt.until_ms);
            let oldest = oldest.map(|(subject, _)| subject.clone());
            oldest.and_then(|subject| debts.remove(&subject));
        }
        for subject in subjects(address, name) {
            let (_, refill_ms) = subject.rule();
            let debt = debts.entry(subject).or_insert(Debt { until_ms: now_ms });
            debt.until_ms = debt.until_ms.max(now_ms) + refill_ms;
        }
    }
}

fn subjects(address: Option<IpAddr>, name: &str) -> impl Iterator<Item = Subject> {
    // Names come from outside and may be long; what is remembered of one is bounded.
    let name: String = name.chars().take(128).collect();
    address
        .map(Subject::Address)
        .into_iter()
        .chain([Subject::Name(name)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    #[test]
    fn a_name_is_guessed_ten_times_and_then_once_in_six_seconds() {
        let attempts = Attempts::default();
        for guess in 0..PER_NAME {
            assert!(attempts.check(None, "alice", 0).is_ok(), "guess {guess}");
            attempts.failed(None, "alice", 0);
        }
        assert_eq!(
            attempts.check(None, "alice", 0),
            Err(Duration::from_secs(6))
        );
        assert!(attempts.check(None, "bob", 0).is_ok());
        assert!(attempts.check(None, "alice", 6_000).is_ok());
        attempts.failed(None, "alice", 6_000);
        assert!(attempts.check(None, "alice", 6_001).is_err());
    }

    #[test]
    fn an_address_that_tries_many_names_is_stopped_too() {
        let attempts = Attempts::default();
        for guess in 0..PER_ADDRESS {
            attempts.failed(address(1), &format!("name-{guess}"), 0);
        }
        assert!(attempts.check(address(1), "another", 0).is_err());
        assert!(attempts.check(address(2), "another", 0).is_ok());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let attempts = Attempts::default();
        for guess in 0..REMEMBERED + 100 {
            attempts.failed(None, &format!("name-{guess}"), 0);
        }
        assert!(attempts.debts.lock().unwrap().len() <= REMEMBERED + 1);
    }
}
