//! Ids of volumes, instances and points: a prefix and seven characters.

use sha2::{Digest, Sha256};

/// Characters behind the prefix of new ids.
const LENGTH: usize = 7;
/// Most characters behind the prefix: ids that people chose, and those of other platforms, have from 1 on.
const MAX_LENGTH: usize = 32;
/// Of new ids.
const ALPHABET: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// What an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdKind {
    Volume,
    Instance,
    Point,
    Image,
}

impl IdKind {
    /// What its ids begin with.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Volume => "vol-",
            Self::Instance => "i-",
            Self::Point => "ss-",
            Self::Image => "img-",
        }
    }

    /// A new id, different from all before with overwhelming probability; whoever uses it looks whether it is taken.
    pub(crate) fn new_id(self) -> String {
        self.spell(rand::random())
    }

    /// An id that always is the same for a name, so that it survives the loss of what we noted. `attempt` gives others where
    /// the first is taken.
    pub(crate) fn id_of_name(self, name: &str, attempt: u32) -> String {
        let mut hash = Sha256::new();
        hash.update(self.prefix());
        hash.update(attempt.to_le_bytes());
        hash.update(name);
        let digest = hash.finalize();
        let mut number = [0; 8];
        number.copy_from_slice(&digest[..8]);
        self.spell(u64::from_le_bytes(number))
    }

    /// Whether a text is an id of this kind: the prefix and one to 32 letters or digits of ASCII.
    pub(crate) fn matches(self, text: &str) -> bool {
        text.strip_prefix(self.prefix()).is_some_and(|rest| {
            (1..=MAX_LENGTH).contains(&rest.len())
                && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    }

    fn spell(self, mut number: u64) -> String {
        let mut id = self.prefix().to_owned();
        for _ in 0..LENGTH {
            let digit = (number % ALPHABET.len() as u64) as usize;
            id.push(char::from(ALPHABET[digit]));
            number /= ALPHABET.len() as u64;
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_are_of_their_kind() {
        for kind in [
            IdKind::Volume,
            IdKind::Instance,
            IdKind::Point,
            IdKind::Image,
        ] {
            let id = kind.new_id();
            assert!(kind.matches(&id), "{id}");
            assert_ne!(id, kind.new_id());
        }
    }

    #[test]
    fn the_id_of_a_name_stays() {
        let id = IdKind::Volume.id_of_name("web", 0);
        assert_eq!(id, IdKind::Volume.id_of_name("web", 0));
        assert_ne!(id, IdKind::Volume.id_of_name("web", 1));
        assert_ne!(id, IdKind::Volume.id_of_name("web2", 0));
        assert!(IdKind::Volume.matches(&id));
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in [
            "vol-",
            "vol-abc_123",
            "vol-abc/123",
            "vol-a b",
            "i-abc1234",
            "abc1234",
        ] {
            assert!(!IdKind::Volume.matches(text), "{text}");
        }
        for id in ["vol-abc1234", "vol-SACNVJNS", "vol-ascdvf"] {
            assert!(IdKind::Volume.matches(id), "{id}");
        }
    }
}
