//! Makes, changes and recognises credentials.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use subtle::ConstantTimeEq;
use tokio::sync::{Mutex, Semaphore};

use super::attempts::Attempts;
use super::error::{CredentialError, Refused};
use super::model::{Credential, Issued, Kind, Limits, NewCredential, Principal, Role, Token};
use super::password;
use super::roster::{CredentialRow, Roster, TokenRow};
use super::secret::{Secret, fingerprint, random_access_key, random_key_id};
use super::server_key::ServerKey;
use super::verified::Verified;
use crate::catalogue::Catalogue;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;

/// Credentials that can be kept: all of them are in memory, about 1 KiB each.
const MAX_CREDENTIALS: usize = 10_000;
/// Tokens of one credential that are good at the same time; the ones that end first go when there are more.
const MAX_TOKENS: usize = 1_000;
/// Passwords hashed at the same time, 19 MiB each.
const MAX_HASHING: usize = 2;
/// Greatest length of a pattern of a limit, bytes.
const MAX_PATTERN_BYTES: usize = 256;
/// Patterns of one limit.
const MAX_PATTERNS: usize = 1_000;
/// Greatest length of a name, bytes.
const MAX_NAME_BYTES: usize = 128;

/// The part of an engine that keeps credentials.
#[derive(Debug)]
pub(crate) struct Keeper {
    data_dir: PathBuf,
    roster: RwLock<Roster>,
    /// One change at a time: what is checked before must still hold when it is done.
    changing: Mutex<()>,
    attempts: Attempts,
    verified: Verified,
    server_key: OnceLock<ServerKey>,
    hashing: Semaphore,
}

impl Keeper {
    /// Reads all credentials.
    pub(crate) async fn load(
        catalogue: &Catalogue,
        data_dir: PathBuf,
    ) -> Result<Self, EngineError> {
        let roster = Roster::new(catalogue.credentials().await?, catalogue.tokens().await?);
        Ok(Self {
            data_dir,
            roster: RwLock::new(roster),
            changing: Mutex::default(),
            attempts: Attempts::default(),
            verified: Verified::default(),
            server_key: OnceLock::new(),
            hashing: Semaphore::new(MAX_HASHING),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, Roster> {
        self.roster.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Roster> {
        self.roster.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn server_key(&self) -> Result<&ServerKey, CredentialError> {
        if let Some(key) = self.server_key.get() {
            return Ok(key);
        }
        let key = ServerKey::load_or_create(&self.data_dir)?;
        Ok(self.server_key.get_or_init(|| key))
    }
}

impl Engine {
    /// The credentials of this server.
    pub fn credentials(&self) -> Credentials {
        Credentials {
            inner: Arc::clone(&self.inner),
        }
    }
}

/// The credentials of a server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Credentials {
    inner: Arc<Inner>,
}

impl Credentials {
    fn keeper(&self) -> &Keeper {
        &self.inner.keeper
    }

    fn now_ms(&self) -> i64 {
        self.inner.config.clock.now_ms()
    }

    /// Whether there are any.
    pub fn exist(&self) -> bool {
        !self.keeper().read().is_empty()
    }

    /// All, sorted by name, without their secrets.
    pub fn list(&self) -> Vec<Credential> {
        self.keeper().read().list()
    }

    /// Makes a credential. The secret is in the answer and nowhere else.
    ///
    /// # Errors
    /// The name or password breaks a rule or is taken, or the first credential is no admin.
    pub async fn add(&self, new: NewCredential) -> Result<Issued, CredentialError> {
        check_name(&new.name)?;
        check_limits(&new.limits)?;
        if new.password.is_some() && new.kind != Kind::Password {
            return Err(CredentialError::PasswordNotTaken);
        }
        let secret = self.new_secret(new.kind, new.password)?;
        let key_id = match new.kind {
            Kind::Password => new.name.clone(),
            Kind::ApiKey => random_key_id(),
            Kind::AccessKey => random_access_key(),
        };
        let kept = self.kept_form(new.kind, &key_id, &secret).await?;
        let _turn = self.keeper().changing.lock().await;
        {
            let roster = self.keeper().read();
            let is_admin = new.role == Role::Admin && new.limits.is_none();
            if roster.is_empty() && !(is_admin && new.kind != Kind::AccessKey) {
                return Err(CredentialError::not_an_unlimited_admin(
                    new.role,
                    new.kind,
                    !new.limits.is_none(),
                ));
            }
            if roster.get(&new.name).is_some() {
                return Err(CredentialError::Exists { name: new.name });
            }
            if roster.len() >= MAX_CREDENTIALS {
                return Err(CredentialError::TooMany {
                    limit: MAX_CREDENTIALS,
                });
            }
        }
        let now_ms = self.now_ms();
        let credential = Credential {
            name: new.name,
            kind: new.kind,
            key_id,
            role: new.role,
            limits: new.limits,
            created_ms: now_ms,
            rotated_ms: now_ms,
        };
        self.keep(credential, kept, secret).await
    }

    /// Gives a credential a new secret; the old one and all tokens are void at once. `password` is only for [`Kind::Password`];
    /// none: one is generated. An access key keeps its name.
    ///
    /// # Errors
    /// There is none of that name, or the password breaks a rule.
    pub async fn rotate(
        &self,
        name: &str,
        password: Option<Secret>,
    ) -> Result<Issued, CredentialError> {
        let _turn = self.keeper().changing.lock().await;
        let found = self.keeper().read().get(name).cloned();
        let Some(row) = found else {
            return Err(CredentialError::Missing {
                name: name.to_owned(),
            });
        };
        let mut credential = row.credential;
        if password.is_some() && credential.kind != Kind::Password {
            return Err(CredentialError::PasswordNotTaken);
        }
        let secret = self.new_secret(credential.kind, password)?;
        let kept = self
            .kept_form(credential.kind, &credential.key_id, &secret)
            .await?;
        credential.rotated_ms = self.now_ms();
        self.keep(credential, kept, secret).await
    }

    /// Removes a credential and its tokens.
    ///
    /// # Errors
    /// There is none of that name, or it is the last that could keep credentials.
    pub async fn remove(&self, name: &str) -> Result<(), CredentialError> {
        let _turn = self.keeper().changing.lock().await;
        {
            let roster = self.keeper().read();
            if roster.get(name).is_none() {
                return Err(CredentialError::Missing {
                    name: name.to_owned(),
                });
            }
            if !roster.has_other_admin(name) {
                return Err(CredentialError::LastAdmin {
                    name: name.to_owned(),
                });
            }
        }
        self.inner.catalogue.remove_credential(name).await?;
        self.keeper().write().remove(name);
        self.keeper().verified.clear();
        Ok(())
    }

    /// Recognises a name and password. Takes 75 ms when they were not recognised lately.
    ///
    /// # Errors
    /// They are wrong, or too many wrong ones came before.
    pub async fn password(
        &self,
        name: &str,
        password: &str,
        address: Option<IpAddr>,
    ) -> Result<Principal, Refused> {
        let keeper = self.keeper();
        let find = || keeper.read().by_key(Kind::Password, name).cloned();
        let was_verified = |row: &CredentialRow| {
            keeper
                .verified
                .knows(name, password, &row.secret, self.now_ms())
        };
        if let Some(row) = find().filter(was_verified) {
            return Ok(row.credential.principal());
        }
        let _permit = keeper
            .hashing
            .acquire()
            .await
            .map_err(|cause| Refused::Unavailable(cause.to_string()))?;
        // Looked at after waiting: of many requests with the same password one pays, and of many wrong guesses only two run at a time.
        let row = find();
        if let Some(row) = row.clone().filter(was_verified) {
            return Ok(row.credential.principal());
        }
        keeper
            .attempts
            .check(address, name, self.now_ms())
            .map_err(|retry_after| Refused::TooManyAttempts { retry_after })?;
        let hashed = row
            .as_ref()
            .map_or_else(password::of_nobody, |row| row.secret.clone());
        let given = Secret::new(password);
        let verified =
            tokio::task::spawn_blocking(move || password::verify(given.expose(), &hashed))
                .await
                .map_err(|cause| Refused::Unavailable(cause.to_string()))?;
        match row.filter(|_| verified) {
            Some(row) => {
                keeper
                    .verified
                    .remember(name, password, &row.secret, self.now_ms());
                Ok(row.credential.principal())
            }
            None => Err(self.wrong(address, name)),
        }
    }

    /// Recognises an API key.
    ///
    /// # Errors
    /// It is wrong. Also when too many wrong ones came before, but a right one is never refused for that: it cannot be guessed.
    pub fn api_key(
        &self,
        id: &str,
        key: &str,
        address: Option<IpAddr>,
    ) -> Result<Principal, Refused> {
        let row = self.keeper().read().by_key(Kind::ApiKey, id).cloned();
        let given = fingerprint(key);
        match row.filter(|row| is_same(&row.secret, &given)) {
            Some(row) => Ok(row.credential.principal()),
            None => Err(self.wrong(address, id)),
        }
    }

    /// Recognises an access key by what `check` says of its secret: that it made the signature.
    ///
    /// # Errors
    /// There is no such access key, or `check` says no.
    pub fn access_key(
        &self,
        access_key: &str,
        address: Option<IpAddr>,
        check: impl FnOnce(&str) -> bool,
    ) -> Result<Principal, Refused> {
        let row = self
            .keeper()
            .read()
            .by_key(Kind::AccessKey, access_key)
            .cloned();
        let Some(row) = row else {
            return Err(self.wrong(address, access_key));
        };
        let key = self
            .keeper()
            .server_key()
            .map_err(|cause| Refused::Unavailable(cause.to_string()))?;
        let Some(secret) = key.open(access_key, &row.secret) else {
            return Err(Refused::Unavailable(format!(
                "the secret of the access key {access_key} was sealed with another server.key; rotate it"
            )));
        };
        match check(secret.expose()) {
            true => Ok(row.credential.principal()),
            false => Err(self.wrong(address, access_key)),
        }
    }

    /// Recognises whoever knows the id and secret of a credential of any kind: an access key, an API key, or a name and password.
    ///
    /// # Errors
    /// They are wrong, or too many wrong ones came before.
    pub async fn client(
        &self,
        id: &str,
        secret: &str,
        address: Option<IpAddr>,
    ) -> Result<Principal, Refused> {
        let has = |kind| self.keeper().read().by_key(kind, id).is_some();
        if has(Kind::AccessKey) {
            return self.access_key(id, address, |own| is_same(own, secret));
        }
        if has(Kind::ApiKey) {
            return self.api_key(id, secret, address);
        }
        self.password(id, secret, address).await
    }

    /// Issues a token to somebody who was recognised. With `project` it is good for that project only.
    ///
    /// # Errors
    /// The credential has gone meanwhile, or the catalogue fails.
    pub async fn issue_token(
        &self,
        principal: &Principal,
        project: Option<&str>,
        life: Duration,
    ) -> Result<Token, CredentialError> {
        let _turn = self.keeper().changing.lock().await;
        if self.keeper().read().get(&principal.name).is_none() {
            return Err(CredentialError::Missing {
                name: principal.name.clone(),
            });
        }
        let now_ms = self.now_ms();
        let secret = Secret::random();
        let life_ms = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
        let row = TokenRow {
            hash: fingerprint(secret.expose()),
            credential: principal.name.clone(),
            project: project.map(str::to_owned),
            expires_ms: now_ms.saturating_add(life_ms),
        };
        let shed = self
            .keeper()
            .write()
            .shed_tokens(&principal.name, MAX_TOKENS, now_ms);
        self.inner.catalogue.put_token(&row, &shed).await?;
        let expires_ms = row.expires_ms;
        self.keeper().write().put_token(row);
        Ok(Token { secret, expires_ms })
    }

    /// Recognises a token.
    ///
    /// # Errors
    /// It is wrong or has expired.
    pub fn token(&self, token: &str, address: Option<IpAddr>) -> Result<Principal, Refused> {
        let hash = fingerprint(token);
        let found = {
            let roster = self.keeper().read();
            roster
                .token(&hash)
                .filter(|row| row.expires_ms > self.now_ms())
                .and_then(|row| {
                    let credential = &roster.get(&row.credential)?.credential;
                    Some((credential.principal(), row.project.clone()))
                })
        };
        let Some((mut principal, project)) = found else {
            return Err(self.wrong(address, "token"));
        };
        if let Some(project) = project {
            principal.limits.projects = Some(match principal.limits.covers_project(&project) {
                true => vec![project],
                false => Vec::new(),
            });
        }
        Ok(principal)
    }

    fn wrong(&self, address: Option<IpAddr>, name: &str) -> Refused {
        let attempts = &self.keeper().attempts;
        let now_ms = self.now_ms();
        match attempts.check(address, name, now_ms) {
            Ok(()) => {
                attempts.failed(address, name, now_ms);
                Refused::Wrong
            }
            Err(retry_after) => Refused::TooManyAttempts { retry_after },
        }
    }

    fn new_secret(&self, kind: Kind, given: Option<Secret>) -> Result<Secret, CredentialError> {
        let secret = match (kind, given) {
            (Kind::Password, Some(given)) => given,
            (Kind::Password, None) => Secret::random_password(),
            (Kind::ApiKey, _) => Secret::random(),
            (Kind::AccessKey, _) => Secret::random_access_secret(),
        };
        let length = secret.expose().len();
        if !(password::MIN_BYTES..=password::MAX_BYTES).contains(&length) {
            return Err(CredentialError::InvalidPassword {
                min: password::MIN_BYTES,
                max: password::MAX_BYTES,
            });
        }
        Ok(secret)
    }

    /// What is kept of a secret.
    async fn kept_form(
        &self,
        kind: Kind,
        key_id: &str,
        secret: &Secret,
    ) -> Result<String, CredentialError> {
        match kind {
            Kind::ApiKey => Ok(fingerprint(secret.expose())),
            Kind::AccessKey => self.keeper().server_key()?.seal(key_id, secret),
            Kind::Password => {
                let secret = secret.clone();
                let hashed = tokio::task::spawn_blocking(move || password::hash(&secret)).await;
                let internal = |text: String| CredentialError::Engine(EngineError::Internal(text));
                hashed
                    .map_err(|cause| internal(cause.to_string()))?
                    .ok_or_else(|| internal("a password cannot be hashed".to_owned()))
            }
        }
    }

    async fn keep(
        &self,
        credential: Credential,
        kept: String,
        secret: Secret,
    ) -> Result<Issued, CredentialError> {
        let row = CredentialRow {
            credential: credential.clone(),
            secret: kept,
        };
        self.inner.catalogue.put_credential(&row).await?;
        self.keeper().write().put(row);
        self.keeper().verified.clear();
        Ok(Issued { credential, secret })
    }
}

fn is_same(expected: &str, given: &str) -> bool {
    expected.as_bytes().ct_eq(given.as_bytes()).into()
}

fn check_name(name: &str) -> Result<(), CredentialError> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-');
    let is_name = name.len() <= MAX_NAME_BYTES
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(is_allowed);
    match is_name {
        true => Ok(()),
        false => Err(CredentialError::InvalidName {
            name: name.chars().take(MAX_NAME_BYTES).collect(),
        }),
    }
}

fn check_limits(limits: &Limits) -> Result<(), CredentialError> {
    let lists = [&limits.repositories, &limits.resources, &limits.projects];
    let is_sane = lists.into_iter().flatten().all(|patterns| {
        let fits = |pattern: &String| !pattern.is_empty() && pattern.len() <= MAX_PATTERN_BYTES;
        patterns.len() <= MAX_PATTERNS && patterns.iter().all(fits)
    });
    match is_sane {
        true => Ok(()),
        false => Err(CredentialError::InvalidLimit {
            max: MAX_PATTERN_BYTES,
            max_patterns: MAX_PATTERNS,
        }),
    }
}
