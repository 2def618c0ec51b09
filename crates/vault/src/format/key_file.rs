//! Key files: the repository's key, sealed with a key derived from a password by scrypt.

use super::{FormatError, MasterKey, Time};
use crate::password::Password;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// Restic refuses salts of other lengths.
const SALT_BYTES: usize = 64;
/// Most memory that opening a key may take (`128·N·r`); restic uses 32 to 64 MiB, rustic 128 MiB.
const SCRYPT_MEMORY_MAX_BYTES: u64 = 1 << 30;
/// Most work that opening a key may take (`128·N·r·p`), about eight seconds.
const SCRYPT_WORK_MAX_BYTES: u64 = 4 << 30;

/// How slow it is made to try passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KdfParams {
    /// scrypt N, as a power of two.
    log2_n: u8,
    /// scrypt r.
    r: u32,
    /// scrypt p.
    p: u32,
}

impl KdfParams {
    /// For a password of 256 random bits: nobody can try those, so that opening costs next to nothing.
    pub const fn machine() -> Self {
        Self {
            log2_n: 1,
            r: 8,
            p: 1,
        }
    }

    /// For a password that a person made up: N = 65 536 takes 64 MiB and about 0.2 s for each try.
    pub const fn human() -> Self {
        Self {
            log2_n: 16,
            r: 8,
            p: 1,
        }
    }
}

/// One file below `keys/`. It is plain JSON; its name is the SHA-256 of the file, so that a damaged
/// one shows before the password is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFile {
    /// When the key was added.
    pub created: Time,
    /// Who added it.
    #[serde(default)]
    pub username: String,
    /// On which host.
    #[serde(default)]
    pub hostname: String,
    /// Always `scrypt`.
    kdf: String,
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
    salt: String,
    data: String,
}

/// The sealed part of a key file.
#[derive(Serialize, Deserialize)]
struct KeyData {
    mac: MacData,
    encrypt: String,
}

#[derive(Serialize, Deserialize)]
struct MacData {
    k: String,
    r: String,
}

impl Drop for KeyData {
    fn drop(&mut self) {
        self.mac.k.zeroize();
        self.mac.r.zeroize();
        self.encrypt.zeroize();
    }
}

impl KeyFile {
    /// A new key file that gives `master` to who knows `password`.
    pub fn create(
        master: &MasterKey,
        password: &Password,
        params: KdfParams,
        username: &str,
        hostname: &str,
    ) -> Result<Self, FormatError> {
        let mut salt = [0_u8; SALT_BYTES];
        rand::fill(&mut salt[..]);
        let mut file = Self {
            created: Time::now(),
            username: username.to_owned(),
            hostname: hostname.to_owned(),
            kdf: "scrypt".to_owned(),
            n: 1 << params.log2_n,
            r: params.r,
            p: params.p,
            salt: BASE64.encode(salt),
            data: String::new(),
        };
        let (encrypt, mac_k, mac_r) = master.parts();
        let data = KeyData {
            mac: MacData {
                k: BASE64.encode(mac_k),
                r: BASE64.encode(mac_r),
            },
            encrypt: BASE64.encode(encrypt),
        };
        let json =
            Zeroizing::new(serde_json::to_vec(&data).map_err(|error| FormatError::json(&error))?);
        file.data = BASE64.encode(file.derive(password)?.seal(&json));
        Ok(file)
    }

    /// The file as stored.
    pub fn to_json(&self) -> Result<Vec<u8>, FormatError> {
        serde_json::to_vec(self).map_err(|error| FormatError::json(&error))
    }

    /// Reads a key file. Whether its bytes are those that were written only its name tells
    /// ([`KeyId::of`](crate::KeyId::of)).
    pub fn parse(file: &[u8]) -> Result<Self, FormatError> {
        let key: Self = serde_json::from_slice(file).map_err(|error| FormatError::json(&error))?;
        if key.kdf != "scrypt" {
            return Err(FormatError::malformed("its key derivation is not scrypt"));
        }
        key.scrypt_params()?;
        key.salt_bytes()?;
        Ok(key)
    }

    /// The repository's key; [`FormatError::WrongPassword`] if the password is another one.
    pub fn open(&self, password: &Password) -> Result<MasterKey, FormatError> {
        let sealed = BASE64
            .decode(&self.data)
            .map_err(|_| FormatError::malformed("its data is not base64"))?;
        let json = match self.derive(password)?.open(&sealed) {
            Ok(json) => Zeroizing::new(json),
            Err(FormatError::MacMismatch) => return Err(FormatError::WrongPassword),
            Err(error) => return Err(error),
        };
        let data: KeyData =
            serde_json::from_slice(&json).map_err(|error| FormatError::json(&error))?;
        Ok(MasterKey::from_parts(
            key_part(&data.encrypt)?,
            key_part(&data.mac.k)?,
            key_part(&data.mac.r)?,
        ))
    }

    fn derive(&self, password: &Password) -> Result<MasterKey, FormatError> {
        let mut derived = Zeroizing::new([0_u8; 64]);
        scrypt::scrypt(
            password.as_bytes(),
            &self.salt_bytes()?,
            &self.scrypt_params()?,
            &mut derived[..],
        )
        .map_err(|error| FormatError::malformed(error.to_string()))?;
        Ok(MasterKey::from_derived(&derived))
    }

    fn salt_bytes(&self) -> Result<Vec<u8>, FormatError> {
        BASE64
            .decode(&self.salt)
            .ok()
            .filter(|salt| salt.len() == SALT_BYTES)
            .ok_or_else(|| FormatError::malformed("its salt is not 64 bytes of base64"))
    }

    fn scrypt_params(&self) -> Result<scrypt::Params, FormatError> {
        let invalid = || FormatError::malformed("its scrypt parameters are not possible");
        if !self.n.is_power_of_two() || self.n < 2 || self.r == 0 || self.p == 0 {
            return Err(invalid());
        }
        let memory = self
            .n
            .checked_mul(u64::from(self.r))
            .and_then(|memory| memory.checked_mul(128))
            .ok_or_else(invalid)?;
        let work = memory.checked_mul(u64::from(self.p)).ok_or_else(invalid)?;
        for (what, size, limit) in [
            ("key derivation memory", memory, SCRYPT_MEMORY_MAX_BYTES),
            ("key derivation work", work, SCRYPT_WORK_MAX_BYTES),
        ] {
            if size > limit {
                return Err(FormatError::TooLarge { what, size, limit });
            }
        }
        // N is a power of two below 2^64, its exponent fits.
        let log2_n = self.n.trailing_zeros() as u8;
        scrypt::Params::new(log2_n, self.r, self.p).map_err(|_| invalid())
    }
}

fn key_part<const N: usize>(text: &str) -> Result<[u8; N], FormatError> {
    let bytes = BASE64.decode(text).map(Zeroizing::new);
    bytes
        .ok()
        .and_then(|bytes| bytes.as_slice().try_into().ok())
        .ok_or_else(|| FormatError::malformed("its key has parts of a wrong length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (MasterKey, KeyFile) {
        let master = MasterKey::generate();
        let password = Password::from("right");
        let file = KeyFile::create(&master, &password, KdfParams::machine(), "u", "h").unwrap();
        (master, file)
    }

    #[test]
    fn the_password_gives_the_repository_key() {
        let (master, file) = sample();
        let read = KeyFile::parse(&file.to_json().unwrap()).unwrap();
        assert_eq!(read, file);
        let opened = read.open(&Password::from("right")).unwrap();
        assert_eq!(opened.open(&master.seal(b"text")).unwrap(), b"text");
    }

    #[test]
    fn another_password_is_told_from_damage() {
        let (_, file) = sample();
        assert_eq!(
            file.open(&Password::from("wrong")).err(),
            Some(FormatError::WrongPassword)
        );
    }

    #[test]
    fn parameters_that_would_take_all_memory_are_refused() {
        let (_, file) = sample();
        let changes: [fn(&mut KeyFile); 6] = [
            |file| file.n = 1 << 40,
            |file| file.n = 3,
            |file| file.n = 0,
            |file| file.r = u32::MAX,
            |file| file.p = u32::MAX,
            |file| file.r = 0,
        ];
        for change in changes {
            let mut changed = file.clone();
            change(&mut changed);
            assert!(KeyFile::parse(&changed.to_json().unwrap()).is_err());
        }
    }

    #[test]
    fn the_fields_are_in_the_order_of_restic() {
        let (_, file) = sample();
        let json = String::from_utf8(file.to_json().unwrap()).unwrap();
        let mut position = 0;
        for field in [
            "created", "username", "hostname", "kdf", "\"N\"", "\"r\"", "\"p\"", "salt", "data",
        ] {
            let found = json[position..].find(field);
            position += found.unwrap_or_else(|| panic!("{field} in {json}"));
        }
    }
}
