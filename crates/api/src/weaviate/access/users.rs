//! `/v1/users/db`

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use snapkeep_engine::credentials::{Kind, Limits, NewCredential, Role};

use super::super::errors::WvError;
use super::super::request::WvRequest;
use super::super::response::WvResponse;
use super::super::routes::WvResult;
use super::super::state::WeaviateState;
use super::records::{Records, User};
use crate::auth::Need;

/// Characters of a key that are shown later.
const FIRST_LETTERS: usize = 3;
const MAX_ID_BYTES: usize = 128;

pub(super) async fn list(request: WvRequest) -> WvResult {
    request.authorise(Need::read("read_users"))?;
    let records = Records::load(&request.state).await?;
    let users: Vec<Value> = records
        .users
        .iter()
        .map(|(id, user)| user.describe(id))
        .collect();
    Ok(WvResponse::value(&users))
}

pub(super) async fn get(request: WvRequest) -> WvResult {
    request.authorise(Need::read("read_users"))?;
    let id = request.captured("user");
    let records = Records::load(&request.state).await?;
    match records.users.get(id) {
        Some(user) => Ok(WvResponse::value(&user.describe(id))),
        None => Err(WvError::not_found()),
    }
}

pub(super) async fn create(request: WvRequest) -> WvResult {
    request.authorise(Need::administer("create_users"))?;
    let id = request.captured("user");
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.@".contains(c);
    if id.is_empty() || id.len() > MAX_ID_BYTES || !id.chars().all(fits) {
        return Err(WvError::unprocessable(format!(
            "username '{id}' has to match pattern ^[a-zA-Z0-9_\\-.@]{{1,{MAX_ID_BYTES}}}$"
        )));
    }
    let state = &request.state;
    let _lock = state.access.lock().await;
    let mut records = Records::load(state).await?;
    let known = state.engine.credentials().list();
    if records.users.contains_key(id) || known.iter().any(|it| it.name == id) {
        return Err(WvError::application(
            409,
            format!("user '{id}' already exists"),
        ));
    }
    let key = new_key(state, id).await?;
    let user = User {
        created_at: Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
            .to_string(),
        key_first_letters: key.chars().take(FIRST_LETTERS).collect(),
    };
    records.users.insert(id.to_owned(), user);
    records.store(state).await?;
    Ok(WvResponse::value(&json!({"apikey": key})).with_status(StatusCode::CREATED))
}

/// A key for a user. With credentials off no key is looked at, and none is kept.
async fn new_key(state: &WeaviateState, id: &str) -> Result<String, WvError> {
    let credentials = state.engine.credentials();
    if !credentials.exist() {
        let random: [u8; 32] = rand::random();
        return Ok(base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            random,
        ));
    }
    let viewer = NewCredential {
        name: id.to_owned(),
        kind: Kind::ApiKey,
        role: Role::Viewer,
        limits: Limits::default(),
        password: None,
    };
    let issued = credentials.add(viewer).await;
    let issued = issued.map_err(|error| WvError::unprocessable(error.to_string()))?;
    Ok(issued.secret.expose().to_owned())
}

pub(super) async fn rotate(request: WvRequest) -> WvResult {
    request.authorise(Need::administer("update_users"))?;
    let (state, id) = (&request.state, request.captured("user"));
    let _lock = state.access.lock().await;
    let mut records = Records::load(state).await?;
    let Some(user) = records.users.get_mut(id) else {
        return Err(WvError::not_found());
    };
    let credentials = state.engine.credentials();
    let key = match credentials.list().iter().any(|it| it.name == id) {
        true => {
            let issued = credentials.rotate(id, None).await;
            let issued = issued.map_err(|error| WvError::unprocessable(error.to_string()))?;
            issued.secret.expose().to_owned()
        }
        false => new_key(state, id).await?,
    };
    user.key_first_letters = key.chars().take(FIRST_LETTERS).collect();
    records.store(state).await?;
    Ok(WvResponse::value(&json!({"apikey": key})))
}

pub(super) async fn delete(request: WvRequest) -> WvResult {
    request.authorise(Need::administer("delete_users"))?;
    let (state, id) = (&request.state, request.captured("user"));
    let _lock = state.access.lock().await;
    let mut records = Records::load(state).await?;
    if records.users.remove(id).is_none() {
        return Err(WvError::not_found());
    }
    let credentials = state.engine.credentials();
    if credentials.list().iter().any(|it| it.name == id) {
        let removed = credentials.remove(id).await;
        removed.map_err(|error| WvError::unprocessable(error.to_string()))?;
    }
    records.store(state).await?;
    Ok(WvResponse::no_content())
}
