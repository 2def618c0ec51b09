//! The caller of a request and what it may do.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::Extensions;
use http::request::Parts;
use snapkeep_engine::credentials::{Limits, Principal, Role};

use super::trail::Trail;

/// What a call does, in ascending order of what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Looks at something. Viewers may.
    Read,
    /// Writes or deletes documents and objects. Operators may. Not audited one by one.
    Write,
    /// Takes a snapshot, restores, cancels, runs a policy, makes or drops an index or collection. Operators may.
    Operate,
    /// Registers a repository, deletes a snapshot, changes a policy, key or credential. Admins may.
    Administer,
}

impl Action {
    /// The least role that may.
    pub fn role(self) -> Role {
        match self {
            Self::Read => Role::Viewer,
            Self::Write | Self::Operate => Role::Operator,
            Self::Administer => Role::Admin,
        }
    }
}

/// What a call is about to do and to what.
#[derive(Debug, Clone, Copy)]
pub struct Need<'a> {
    /// What it does.
    pub action: Action,
    /// The repository it touches.
    pub repository: Option<&'a str>,
    /// Concrete names (no patterns) of the indices or collections it touches.
    pub resources: &'a [String],
    /// The project it is made for (clouds).
    pub project: Option<&'a str>,
    /// What it is called in the dialect, for the refusal and the audit log: `cluster:admin/snapshot/create`, `create_backups`.
    pub what: &'a str,
}

impl<'a> Need<'a> {
    /// An action that touches nothing in particular yet.
    pub const fn new(action: Action, what: &'a str) -> Self {
        Self {
            action,
            repository: None,
            resources: &[],
            project: None,
            what,
        }
    }

    /// Looks at something.
    pub const fn read(what: &'a str) -> Self {
        Self::new(Action::Read, what)
    }

    /// Writes documents or objects.
    pub const fn write(what: &'a str) -> Self {
        Self::new(Action::Write, what)
    }

    /// Takes a snapshot, restores, and the like.
    pub const fn operate(what: &'a str) -> Self {
        Self::new(Action::Operate, what)
    }

    /// Changes what only admins may.
    pub const fn administer(what: &'a str) -> Self {
        Self::new(Action::Administer, what)
    }

    /// Touches a repository.
    #[must_use]
    pub fn repository(mut self, name: &'a str) -> Self {
        self.repository = Some(name);
        self
    }

    /// Touches indices or collections, by their concrete names.
    #[must_use]
    pub fn resources(mut self, names: &'a [String]) -> Self {
        self.resources = names;
        self
    }

    /// Is made for a project.
    #[must_use]
    pub fn project(mut self, id: &'a str) -> Self {
        self.project = Some(id);
        self
    }
}

/// What a caller lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shortfall {
    /// A role of this rank.
    Role(Role),
    /// This repository.
    Repository(String),
    /// These indices or collections.
    Resources(Vec<String>),
    /// This project.
    Project(String),
}

/// A refusal; each dialect renders it as its own 403.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{principal} ({role}) may not do {what}: {}", shortfall_text(.shortfall))]
pub struct Denied {
    /// Name of the credential.
    pub principal: String,
    /// Its role.
    pub role: Role,
    /// [`Need::what`].
    pub what: String,
    /// What was needed.
    pub action: Action,
    /// What is missing.
    pub shortfall: Shortfall,
}

fn shortfall_text(shortfall: &Shortfall) -> String {
    match shortfall {
        Shortfall::Role(role) => format!("it takes the role {role}"),
        Shortfall::Repository(name) => {
            format!("the repository [{name}] is not among those of this credential")
        }
        Shortfall::Resources(names) => format!(
            "[{}] not among the resources of this credential",
            names.join(", ")
        ),
        Shortfall::Project(id) => {
            format!("the project [{id}] is not among those of this credential")
        }
    }
}

/// How a caller was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Not at all: credentials are off.
    Local,
    /// Name and password.
    Basic,
    /// `ApiKey`, or an API key as `Bearer`.
    ApiKey,
    /// A token that the server issued.
    Token,
    /// A signature made with an access key.
    Signature,
}

impl Method {
    /// The word for it in the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Basic => "basic",
            Self::ApiKey => "api_key",
            Self::Token => "token",
            Self::Signature => "signature",
        }
    }
}

/// Who makes a request. Cheap to clone. An extractor for axum handlers; elsewhere [`Caller::of`].
#[derive(Debug, Clone)]
pub struct Caller {
    principal: Option<Arc<Principal>>,
    method: Method,
    address: Option<IpAddr>,
    trail: Trail,
}

/// Where a connection comes from; the listener puts it into the extensions of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);

impl Caller {
    /// Who may do everything: credentials are off, or an offline command works on the data itself.
    pub fn local_admin() -> Self {
        Self::local_admin_from(None)
    }

    /// [`Self::local_admin`], with where the connection comes from.
    pub fn local_admin_from(address: Option<IpAddr>) -> Self {
        let principal = Principal {
            id: "local".to_owned(),
            name: "local".to_owned(),
            role: Role::Admin,
            limits: Limits::default(),
        };
        Self::new(principal, Method::Local, address)
    }

    /// Who may do nothing: the request did not pass the middleware.
    pub fn nobody() -> Self {
        Self::stranger(None)
    }

    /// Somebody who presented nothing, where nothing is needed. May do nothing that is asked for.
    pub(super) fn stranger(address: Option<IpAddr>) -> Self {
        Self {
            principal: None,
            method: Method::Local,
            address,
            trail: Trail::default(),
        }
    }

    /// Somebody who was recognised.
    pub fn new(principal: Principal, method: Method, address: Option<IpAddr>) -> Self {
        Self {
            principal: Some(Arc::new(principal)),
            method,
            address,
            trail: Trail::default(),
        }
    }

    /// The caller of a request; [`Self::nobody`] if it did not pass the middleware.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_else(Self::nobody)
    }

    /// Who it is; none for [`Self::nobody`].
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_deref()
    }

    /// Name of the credential; `local` when credentials are off.
    pub fn name(&self) -> &str {
        self.principal().map_or("nobody", |it| it.name.as_str())
    }

    /// How it was recognised.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Where the connection comes from.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    pub(super) fn trail(&self) -> &Trail {
        &self.trail
    }

    /// Whether an index or collection may be seen: lists leave out those that may not.
    pub fn sees_resource(&self, name: &str) -> bool {
        self.principal()
            .is_some_and(|it| it.limits.covers_resource(name))
    }

    /// Whether a repository may be seen: lists leave out those that may not.
    pub fn sees_repository(&self, name: &str) -> bool {
        self.principal()
            .is_some_and(|it| it.limits.covers_repository(name))
    }

    /// Whether a project may be seen.
    pub fn sees_project(&self, id: &str) -> bool {
        self.principal()
            .is_some_and(|it| it.limits.covers_project(id))
    }

    /// Whether the caller is confined to some indices or collections.
    pub fn has_resource_limits(&self) -> bool {
        self.principal()
            .is_none_or(|it| it.limits.resources.is_some())
    }

    /// Asks whether the caller may do something. To be called before anything is changed.
    ///
    /// # Errors
    /// What is missing: first the role, then project, repository and resources.
    pub fn authorise(&self, need: Need<'_>) -> Result<(), Denied> {
        let shortfall = match self.principal() {
            Some(principal) => shortfall(principal, &need),
            None => Some(Shortfall::Role(need.action.role())),
        };
        self.trail.note(&need, shortfall.is_some());
        match shortfall {
            None => Ok(()),
            Some(shortfall) => Err(Denied {
                principal: self.name().to_owned(),
                role: self.principal().map_or(Role::Viewer, |it| it.role),
                what: need.what.to_owned(),
                action: need.action,
                shortfall,
            }),
        }
    }
}

fn shortfall(principal: &Principal, need: &Need<'_>) -> Option<Shortfall> {
    let limits = &principal.limits;
    if principal.role < need.action.role() {
        return Some(Shortfall::Role(need.action.role()));
    }
    if let Some(project) = need.project.filter(|id| !limits.covers_project(id)) {
        return Some(Shortfall::Project(project.to_owned()));
    }
    if let Some(name) = need
        .repository
        .filter(|name| !limits.covers_repository(name))
    {
        return Some(Shortfall::Repository(name.to_owned()));
    }
    // What concerns the whole server is not for whoever is confined to a part of it.
    let is_about_all =
        need.repository.is_none() && need.project.is_none() && need.resources.is_empty();
    if need.action == Action::Administer && is_about_all && !limits.is_none() {
        return Some(Shortfall::Repository("*".to_owned()));
    }
    let outside: Vec<String> = need
        .resources
        .iter()
        .filter(|name| !limits.covers_resource(name))
        .cloned()
        .collect();
    (!outside.is_empty()).then_some(Shortfall::Resources(outside))
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(role: Role, limits: Limits) -> Caller {
        let principal = Principal {
            id: "a".into(),
            name: "alice".into(),
            role,
            limits,
        };
        Caller::new(principal, Method::Basic, None)
    }

    #[test]
    fn each_role_may_do_what_the_ones_below_may() {
        let actions = [
            Action::Read,
            Action::Write,
            Action::Operate,
            Action::Administer,
        ];
        let allowed = |role| {
            actions
                .map(|action| {
                    caller(role, Limits::default())
                        .authorise(Need::new(action, "x"))
                        .is_ok()
                })
                .to_vec()
        };
        assert_eq!(allowed(Role::Viewer), [true, false, false, false]);
        assert_eq!(allowed(Role::Operator), [true, true, true, false]);
        assert_eq!(allowed(Role::Admin), [true, true, true, true]);
    }

    #[test]
    fn nobody_may_do_nothing_and_local_admin_everything() {
        assert!(Caller::nobody().authorise(Need::read("x")).is_err());
        assert!(!Caller::nobody().sees_resource("a"));
        assert!(
            Caller::local_admin()
                .authorise(Need::administer("x").repository("r"))
                .is_ok()
        );
    }

    #[test]
    fn what_lies_outside_of_the_limits_is_named() {
        let limits = Limits {
            repositories: Some(vec!["own-*".into()]),
            resources: Some(vec!["logs-*".into()]),
            projects: None,
        };
        let alice = caller(Role::Admin, limits);
        let names = ["logs-1".to_owned(), "secret".to_owned()];
        let need = Need::operate("snapshot")
            .repository("own-1")
            .resources(&names);
        let denied = alice.authorise(need).unwrap_err();
        assert_eq!(
            denied.shortfall,
            Shortfall::Resources(vec!["secret".into()])
        );
        let denied = alice
            .authorise(Need::read("x").repository("other"))
            .unwrap_err();
        assert_eq!(denied.shortfall, Shortfall::Repository("other".into()));
    }
}
