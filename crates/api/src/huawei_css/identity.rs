//! What clients ask of the identity service before they come here: the id of the project, and a token.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use snapkeep_engine::credentials::{Principal, Refused};

use super::call::{Answer, Call, CssResult};
use super::errors::{CssError, Fault};
use super::ids;

/// How long a token is good.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// `GET /v3/projects`: the one project of the caller. `name` is the name of a region, and the project is called so.
pub fn projects(call: &Call) -> CssResult {
    let id = project_of(call, call.caller.principal());
    let name = call.parameter("name").unwrap_or_else(|| "local".to_owned());
    let project = json!({
        "id": id,
        "name": name,
        "domain_id": id,
        "parent_id": id,
        "enabled": true,
        "is_domain": false,
        "description": "",
    });
    Ok(Answer::ok(
        json!({ "projects": [project], "links": { "next": null, "previous": null } }),
    ))
}

/// The project that a credential is confined to, or else that of the cluster.
fn project_of(call: &Call, principal: Option<&Principal>) -> String {
    let confined = principal.and_then(|principal| principal.limits.projects.as_deref());
    match confined {
        Some([only]) if !only.contains('*') => only.clone(),
        _ => call.state.project_id(),
    }
}

/// What is asked for with a name and a password.
struct Wanted {
    user: String,
    password: String,
    project: Option<String>,
}

impl Wanted {
    fn read(body: &Value) -> Option<Self> {
        let auth = &body["auth"];
        let user = &auth["identity"]["password"]["user"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Some(Self {
            user: text(&user["name"]).or_else(|| text(&user["id"]))?,
            password: text(&user["password"])?,
            project: text(&auth["scope"]["project"]["id"]),
        })
    }
}

/// `POST /v3/auth/tokens`, password method. The token comes back in a header.
pub async fn token(call: Call) -> CssResult {
    let body = call.json()?;
    let wanted = Wanted::read(&body).ok_or_else(|| {
        Fault::InvalidParameter.because("auth.identity.password.user needs a name and a password")
    })?;
    let credentials = call.state.engine.credentials();
    let issued_ms = jiff::Timestamp::now().as_millisecond();
    if !credentials.exist() {
        // Nobody asks for it where credentials are off, but clients will not begin without one.
        let project = wanted.project.unwrap_or_else(|| call.state.project_id());
        let life_ms = i64::try_from(TOKEN_LIFE.as_millis()).unwrap_or(i64::MAX);
        let shown = show(&wanted.user, &project, issued_ms, issued_ms + life_ms);
        return Ok(shown.header("x-subject-token", ids::new_request_id()));
    }
    let address = call.caller.address();
    let recognised = credentials
        .password(&wanted.user, &wanted.password, address)
        .await;
    let principal = match recognised {
        Ok(principal) => principal,
        Err(refused) => return Ok(refuse(&refused)),
    };
    let project = wanted
        .project
        .unwrap_or_else(|| project_of(&call, Some(&principal)));
    if !principal.limits.covers_project(&project) {
        return Err(Fault::ClusterUnknown.because(format!("no project {project}")));
    }
    let token = credentials
        .issue_token(&principal, Some(&project), TOKEN_LIFE)
        .await
        .map_err(|error| CssError {
            fault: Fault::Internal,
            detail: error.to_string(),
        })?;
    let shown = show(&principal.name, &project, issued_ms, token.expires_ms);
    Ok(shown.header("x-subject-token", token.secret.expose().to_owned()))
}

fn show(user: &str, project: &str, issued_ms: i64, expires_ms: i64) -> Answer {
    let time = |ms| {
        let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
        time.strftime("%Y-%m-%dT%H:%M:%S.000000Z").to_string()
    };
    let domain = json!({ "id": project, "name": "snapkeep" });
    Answer::created(json!({
        "token": {
            "expires_at": time(expires_ms),
            "issued_at": time(issued_ms),
            "methods": ["password"],
            "catalog": [],
            "roles": [],
            "project": { "id": project, "name": "local", "domain": domain },
            "user": { "id": user, "name": user, "domain": domain, "password_expires_at": "" },
        }
    }))
}

fn refuse(refused: &Refused) -> Answer {
    let (status, title) = match refused {
        Refused::Wrong => (StatusCode::UNAUTHORIZED, "Unauthorized"),
        Refused::TooManyAttempts { .. } => (StatusCode::FORBIDDEN, "Forbidden"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    };
    let message = match refused {
        Refused::Wrong => "The username or password is wrong.".to_owned(),
        other => other.to_string(),
    };
    Answer::with(
        status,
        Some(json!({ "error": { "code": status.as_u16(), "message": message, "title": title } })),
    )
}
