//! The middleware.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use snapkeep_engine::credentials::{Principal, Refused};
use snapkeep_engine::{AuditOutcome, AuditRecord, Engine};

use super::caller::{Action, Caller, Method, PeerAddress};
use super::canonical::Signed;
use super::challenge::{Reason, Refusal};
use super::dialect::{self, Dialect};
use super::scheme::{Presented, presented};
use super::trail::Noted;
use crate::elasticsearch::Shape;

/// Largest signed body: Huawei's gateway has the same limit. It is collected, because the signature covers it.
const MAX_SIGNED_BODY_BYTES: usize = 12 << 20;

/// Every request comes from [`Caller::local_admin`]: for offline commands and tests.
pub fn without_credentials(router: Router) -> Router {
    router.layer(from_fn(|mut request: Request, next: Next| {
        request.extensions_mut().insert(Caller::local_admin());
        next.run(request)
    }))
}

/// Stands before all dialects of a server.
#[derive(Debug, Clone)]
pub struct Gate {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    shape: Shape,
    is_open: bool,
    is_audited: bool,
}

/// Somebody who was recognised, or why not.
type Recognised = Result<(Principal, Method), Reason>;

impl Gate {
    /// Credentials are required as soon as there are any, unless `is_open`. `shape` decides on the words of Elasticsearch's refusals.
    pub fn new(engine: Engine, shape: Shape, is_open: bool, is_audited: bool) -> Self {
        Self {
            inner: Arc::new(Inner {
                engine,
                shape,
                is_open,
                is_audited,
            }),
        }
    }

    /// Whether requests need credentials now.
    pub fn is_closed(&self) -> bool {
        !self.inner.is_open && self.inner.engine.credentials().exist()
    }

    /// Puts itself before a router.
    pub fn protect(self, router: Router) -> Router {
        router.layer(from_fn(move |request: Request, next: Next| {
            let gate = self.clone();
            async move { gate.pass(request, next).await }
        }))
    }

    async fn pass(&self, request: Request, next: Next) -> Response {
        let address = request.extensions().get::<PeerAddress>().map(|it| it.0);
        let line = format!("{} {}", request.method(), request.uri().path());
        let (mut request, caller) = if self.is_closed() {
            match self.recognise(request, address).await {
                Ok(recognised) => recognised,
                Err((response, tried, reason)) => {
                    self.audit_stranger(line, address, tried, &reason, &response);
                    return *response;
                }
            }
        } else {
            (request, Caller::local_admin_from(address))
        };
        request.extensions_mut().insert(caller.clone());
        let response = next.run(request).await;
        self.audit(line, &caller, &response);
        response
    }

    /// The request again (the body of a signed one has been read) with its caller, or the refusal and who it was said to come from.
    async fn recognise(
        &self,
        request: Request,
        address: Option<IpAddr>,
    ) -> Result<(Request, Caller), (Box<Response>, String, Reason)> {
        let path = request.uri().path().to_owned();
        let method = request.method().clone();
        let dialect = Dialect::of(&path, request.headers());
        let refusal = Refusal {
            dialect,
            shape: self.inner.shape,
            path: &path,
        };
        let is_open = dialect::is_open(&method, &path);
        let is_signed = presented(dialect, request.headers())
            .iter()
            .any(|way| matches!(way, Presented::Signature(_)));
        let (head, body) = request.into_parts();
        let (body, bytes) = match is_signed {
            false => (body, bytes::Bytes::new()),
            true => match Limited::new(body, MAX_SIGNED_BODY_BYTES).collect().await {
                Ok(collected) => {
                    let bytes = collected.to_bytes();
                    (Body::from(bytes.clone()), bytes)
                }
                Err(cause) => {
                    let reason = match cause.downcast_ref::<LengthLimitError>() {
                        Some(_) => Reason::TooLarge(MAX_SIGNED_BODY_BYTES),
                        None => Reason::Wrong(None),
                    };
                    return Err((Box::new(refusal.answer(&reason)), String::new(), reason));
                }
            },
        };
        let signed = Signed {
            method: &head.method,
            uri: &head.uri,
            headers: &head.headers,
            body: &bytes,
        };
        let ways = match dialect::is_exchange(&method, &path) {
            true => Vec::new(),
            false => presented(dialect, &head.headers),
        };
        let mut outcome = Err(Reason::Missing);
        let mut tried = String::new();
        for way in &ways {
            if tried.is_empty() {
                tried = claimed(way);
            }
            let result = self.try_one(way, signed, address).await;
            let is_done = result.is_ok();
            outcome = result;
            if is_done {
                break;
            }
        }
        let caller = match outcome {
            Ok((principal, method)) => Caller::new(principal, method, address),
            // Where everybody may look, a stranger sees what strangers may see.
            Err(_) if is_open => Caller::stranger(address),
            Err(reason) => return Err((Box::new(refusal.answer(&reason)), tried, reason)),
        };
        Ok((Request::from_parts(head, body), caller))
    }

    async fn try_one(
        &self,
        way: &Presented<'_>,
        request: Signed<'_>,
        address: Option<IpAddr>,
    ) -> Recognised {
        let credentials = self.inner.engine.credentials();
        let now_ms = jiff::Timestamp::now().as_millisecond();
        match way {
            Presented::Basic(pair) => credentials
                .password(pair.id(), pair.secret(), address)
                .await
                .map(|principal| (principal, Method::Basic))
                .map_err(|refused| reason_of(refused, Some(pair.id()))),
            Presented::ApiKey(pair) => credentials
                .api_key(pair.id(), pair.secret(), address)
                .map(|principal| (principal, Method::ApiKey))
                .map_err(|refused| reason_of(refused, None)),
            Presented::Token(token) => credentials
                .token(token, address)
                .map(|principal| (principal, Method::Token))
                .map_err(|refused| reason_of(refused, None)),
            Presented::Signature(signature) => {
                let is_by = |secret: &str| signature.is_by(secret, request);
                let principal = credentials
                    .access_key(signature.access_key, address, is_by)
                    .map_err(|refused| reason_of(refused, None))?;
                match signature.is_fresh(request.headers, now_ms) {
                    true => Ok((principal, Method::Signature)),
                    false => Err(Reason::Stale),
                }
            }
            Presented::Unreadable => Err(Reason::Wrong(None)),
        }
    }

    /// Notes what a recognised caller did: every change, and every refusal.
    fn audit(&self, request: String, caller: &Caller, response: &Response) {
        let Some(principal) = caller.principal() else {
            // Where credentials are exchanged for a token, wrong ones are told by the handler.
            if response.status() == http::StatusCode::UNAUTHORIZED {
                let reason = Reason::Wrong(None);
                let address = caller.address();
                self.audit_stranger(request, address, String::new(), &reason, response);
            }
            return;
        };
        let Some(noted) = caller.trail().take() else {
            if caller.method() != Method::Local && response.status().is_success() {
                tracing::warn!(request, "answered without asking whether the caller may");
            }
            return;
        };
        if !self.inner.is_audited || !(noted.is_denied || noted.action >= Action::Operate) {
            return;
        }
        let outcome = match () {
            () if noted.is_denied => AuditOutcome::Denied,
            () if response.status().is_client_error() || response.status().is_server_error() => {
                AuditOutcome::Failed
            }
            () => AuditOutcome::Done,
        };
        let method = caller.method().as_str();
        let mut record = record(
            request,
            &principal.name,
            method,
            caller.address(),
            noted,
            outcome,
        );
        record.role = Some(principal.role);
        record.status = response.status().as_u16();
        self.inner.engine.note_audit(record);
    }

    /// Notes that somebody was not recognised. A request that presents nothing is no attempt.
    fn audit_stranger(
        &self,
        request: String,
        address: Option<IpAddr>,
        tried: String,
        reason: &Reason,
        response: &Response,
    ) {
        if !self.inner.is_audited || *reason == Reason::Missing {
            return;
        }
        let noted = Noted {
            action: Action::Read,
            what: "authenticate".to_owned(),
            repository: None,
            resources: Vec::new(),
            project: None,
            is_denied: true,
        };
        let outcome = AuditOutcome::Unauthenticated;
        let mut record = record(request, &tried, "none", address, noted, outcome);
        record.status = response.status().as_u16();
        self.inner.engine.note_audit(record);
    }
}

fn reason_of(refused: Refused, user: Option<&str>) -> Reason {
    match refused {
        Refused::Wrong => Reason::Wrong(user.map(str::to_owned)),
        Refused::TooManyAttempts { retry_after } => Reason::TooMany(retry_after),
        Refused::Unavailable(cause) => {
            tracing::error!(cause, "credentials cannot be checked");
            Reason::Unavailable
        }
    }
}

/// Who a request says that it comes from; never a secret.
fn claimed(way: &Presented<'_>) -> String {
    let name = match way {
        Presented::Basic(pair) | Presented::ApiKey(pair) => pair.id(),
        Presented::Signature(signature) => signature.access_key,
        Presented::Token(_) | Presented::Unreadable => "",
    };
    name.chars().filter(|c| !c.is_control()).take(128).collect()
}

fn record(
    request: String,
    principal: &str,
    method: &str,
    address: Option<IpAddr>,
    noted: Noted,
    outcome: AuditOutcome,
) -> AuditRecord {
    let now = jiff::Timestamp::now();
    AuditRecord {
        at_ms: now.as_millisecond(),
        time: format!("{now:.3}"),
        principal: principal.to_owned(),
        role: None,
        method: method.to_owned(),
        address: address.map(|address| address.to_string()),
        action: noted.what,
        request,
        repository: noted.repository,
        resources: noted.resources,
        project: noted.project,
        outcome,
        status: 0,
    }
}
