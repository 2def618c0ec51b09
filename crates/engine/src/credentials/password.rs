//! Passwords, hashed with argon2id.
//!
//! Kept in the notation that is usual for it: `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`. Hashing takes about 75 ms and 19 MiB:
//! callers keep it off the threads that serve and limit how many run at a time.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;

use super::secret::Secret;

/// Least length that is accepted, bytes.
pub(super) const MIN_BYTES: usize = 8;
/// Greatest length that is accepted, bytes.
pub(super) const MAX_BYTES: usize = 1024;
/// KiB of memory for new hashes.
const MEMORY_KIB: u32 = 19 << 10;
/// Passes for new hashes.
const PASSES: u32 = 2;
/// Limits on what a stored hash may ask for, so that a damaged row cannot exhaust the machine.
const MAX_MEMORY_KIB: u32 = 1 << 20;
const MAX_PASSES: u32 = 64;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// Hashes a new password.
pub(super) fn hash(password: &Secret) -> Option<String> {
    let salt = rand::random::<[u8; SALT_BYTES]>();
    let hash = compute(password.expose(), &salt, MEMORY_KIB, PASSES)?;
    Some(format!(
        "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${}${}",
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(hash)
    ))
}

/// Whether `password` is the one that was hashed. False also for a hash that cannot be read.
pub(super) fn verify(password: &str, hashed: &str) -> bool {
    let Some((memory_kib, passes, salt, expected)) = parse(hashed) else {
        return false;
    };
    compute(password, &salt, memory_kib, passes)
        .is_some_and(|hash| hash.as_slice().ct_eq(&expected).into())
}

/// A hash that no password has, for as much work as a real one: an unknown name must not answer faster than a known one.
pub(super) fn of_nobody() -> String {
    format!(
        "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${}${}",
        STANDARD_NO_PAD.encode([0; SALT_BYTES]),
        STANDARD_NO_PAD.encode([0; HASH_BYTES])
    )
}

fn compute(password: &str, salt: &[u8], memory_kib: u32, passes: u32) -> Option<[u8; HASH_BYTES]> {
    if password.len() > MAX_BYTES {
        return None;
    }
    let params = Params::new(memory_kib, passes, 1, Some(HASH_BYTES)).ok()?;
    let mut hash = [0; HASH_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut hash)
        .ok()?;
    Some(hash)
}

fn parse(hashed: &str) -> Option<(u32, u32, Vec<u8>, Vec<u8>)> {
    let mut parts = hashed.strip_prefix("$argon2id$v=19$")?.split('$');
    let (costs, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let mut costs = costs.split(',');
    let mut cost = |name: &str| costs.next()?.strip_prefix(name)?.parse::<u32>().ok();
    let (memory_kib, passes, lanes) = (cost("m=")?, cost("t=")?, cost("p=")?);
    let is_sane = memory_kib <= MAX_MEMORY_KIB && passes <= MAX_PASSES && lanes == 1;
    if !is_sane || parts.next().is_some() {
        return None;
    }
    let salt = STANDARD_NO_PAD.decode(salt).ok()?;
    let hash = STANDARD_NO_PAD.decode(hash).ok()?;
    Some((memory_kib, passes, salt, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_recognised_and_another_is_not() {
        let hashed = hash(&Secret::new("correct horse")).unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify("correct horse", &hashed));
        assert!(!verify("correct hors", &hashed));
        assert_ne!(hashed, hash(&Secret::new("correct horse")).unwrap());
    }

    #[test]
    fn hashes_of_other_programs_are_read() {
        // Made by the argon2 command: printf password | argon2 somesalt -id -t 2 -m 16 -p 1
        let known = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(verify("password", known));
    }

    #[test]
    fn what_cannot_be_read_is_no_password() {
        for hashed in [
            "",
            "plain",
            "$argon2id$v=19$m=99999999,t=2,p=1$AAAA$AAAA",
            "$argon2id$v=19$m=19456,t=2,p=1$%$%",
            "$argon2id$v=19$$$",
        ] {
            assert!(!verify("plain", hashed), "{hashed}");
        }
        assert!(!verify("", &of_nobody()));
        assert!(!verify(&"x".repeat(MAX_BYTES + 1), &of_nobody()));
    }
}
