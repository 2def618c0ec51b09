//! What a caller may see and touch of indices and repositories.

use std::sync::Arc;

use serde_json::json;
use snapkeep_engine::PolicySpec;
use snapkeep_store::{IndexMeta, Store};

use super::config::Shape;
use super::errors::{ErrorKind, EsError};
use super::request::EsRequest;
use super::response::EsResponse;
use super::routes::{EsResult, RouteTable};
use crate::auth::{Action, Caller, Denied, Method, Need, Shortfall};
use crate::shared::policies::authorise;

/// Adds the routes of this area.
pub(super) fn register(table: &mut RouteTable) {
    table.get("/_security/_authenticate", &[], authenticate);
}

/// Who is asking. There is nobody to tell of when credentials are off: then the path does not exist, as on a real server without security.
async fn authenticate(request: EsRequest) -> EsResult {
    let principal = match request.caller.principal() {
        Some(principal) if request.caller.method() != Method::Local => principal,
        _ => {
            let text = format!(
                "no handler found for uri [{}] and method [{}]",
                request.path, request.method
            );
            return Err(EsError::plain_without_status(400, text));
        }
    };
    let realm = json!({"name": "snapkeep", "type": "native"});
    let kind = match request.caller.method() {
        Method::ApiKey => "api_key",
        Method::Token => "token",
        _ => "realm",
    };
    Ok(EsResponse::value(json!({
        "username": principal.name,
        "roles": [principal.role.as_str()],
        "full_name": null,
        "email": null,
        "metadata": {},
        "enabled": true,
        "authentication_realm": realm,
        "lookup_realm": realm,
        "authentication_type": kind,
    })))
}

/// A refusal in the words of the shape.
pub(super) fn refused(denied: &Denied, shape: Shape) -> EsError {
    let Denied {
        principal,
        role,
        what,
        ..
    } = denied;
    if shape == Shape::OpenSearch {
        return ErrorKind::Unauthorized.error(format!(
            "no permissions for [{what}] and User [name={principal}, backend_roles=[{role}], requestedTenant=null]"
        ));
    }
    let (on, needed) = match &denied.shortfall {
        Shortfall::Role(needed) => (String::new(), format!("the role [{needed}]")),
        Shortfall::Repository(name) => (
            format!(" on repository [{name}]"),
            "a credential for this repository".to_owned(),
        ),
        Shortfall::Resources(names) => (
            format!(" on indices [{}]", names.join(",")),
            "a credential for these indices".to_owned(),
        ),
        Shortfall::Project(id) => (
            format!(" on project [{id}]"),
            "a credential for this project".to_owned(),
        ),
    };
    ErrorKind::Unauthorized.error(format!(
        "action [{what}] is unauthorized for user [{principal}] with effective roles [{role}]{on}, this action is granted by {needed}"
    ))
}

/// What an index expression of one caller is measured with.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    caller: Caller,
    what: &'static str,
    action: Action,
    shape: Shape,
}

impl EsRequest {
    /// What the caller may reach with this call.
    pub(super) fn reach(&self) -> Reach {
        Reach {
            caller: self.caller.clone(),
            what: self.access.what,
            action: self.access.action,
            shape: self.shape(),
        }
    }

    /// The indices that the caller may see.
    pub fn visible_indices(&self) -> Vec<Arc<IndexMeta>> {
        let mut indices = self.state.store.indices();
        if self.caller.has_resource_limits() {
            indices.retain(|meta| self.caller.sees_resource(&meta.name));
        }
        indices
    }

    /// Asks whether the caller may do what this route does with a policy.
    ///
    /// # Errors
    /// 403.
    pub(super) fn authorise_policy(&self, spec: &PolicySpec) -> Result<(), EsError> {
        let need = Need::new(self.access.action, self.access.what);
        authorise(&self.caller, need, spec).map_err(|denied| refused(&denied, self.shape()))
    }

    /// Asks whether the caller may do what this route does with these indices, by their concrete names.
    ///
    /// # Errors
    /// 403.
    pub fn authorise_indices(&self, names: &[String]) -> Result<(), EsError> {
        self.reach().authorise(names)
    }

    /// Asks whether the caller may do what this route does with this repository.
    ///
    /// # Errors
    /// 403.
    pub fn authorise_repository(&self, name: &str) -> Result<(), EsError> {
        let need = Need::new(self.access.action, self.access.what).repository(name);
        self.caller
            .authorise(need)
            .map_err(|denied| refused(&denied, self.shape()))
    }

    /// Asks whether the caller may do something that touches all indices, known or not.
    ///
    /// # Errors
    /// 403 for a caller with limits.
    pub fn authorise_everything(&self) -> Result<(), EsError> {
        match self.caller.has_resource_limits() {
            true => self.authorise_indices(&["*".to_owned()]),
            false => Ok(()),
        }
    }
}

impl Reach {
    /// Asks whether the caller may touch these indices, by their concrete names.
    pub(super) fn authorise(&self, names: &[String]) -> Result<(), EsError> {
        // Whoever may touch all need not be asked again for each; what is changed is noted for the audit log.
        if !self.caller.has_resource_limits() && self.action < Action::Operate {
            return Ok(());
        }
        let need = Need::new(self.action, self.what).resources(names);
        self.caller
            .authorise(need)
            .map_err(|denied| refused(&denied, self.shape))
    }

    /// Asks whether the caller may touch what is named outright: an index, there or not, or all indices behind an alias.
    pub(super) fn authorise_named(&self, store: &Store, name: &str) -> Result<(), EsError> {
        if !self.caller.has_resource_limits() {
            return Ok(());
        }
        self.authorise(&behind(store, name))
    }

    /// Like [`Self::authorise_named`] for all names of an expression; wildcards mean what may be seen anyway.
    pub(super) fn authorise_expression(
        &self,
        store: &Store,
        names: &[String],
    ) -> Result<(), EsError> {
        let is_outright =
            |name: &&String| !name.contains('*') && !name.starts_with('-') && *name != "_all";
        names
            .iter()
            .filter(is_outright)
            .try_for_each(|name| self.authorise_named(store, name))
    }
}

/// The indices that a name stands for.
fn behind(store: &Store, name: &str) -> Vec<String> {
    if store.index(name).is_some() {
        return vec![name.to_owned()];
    }
    let having: Vec<String> = store
        .indices()
        .iter()
        .filter(|meta| meta.aliases.contains_key(name))
        .map(|meta| meta.name.clone())
        .collect();
    match having.is_empty() {
        true => vec![name.to_owned()],
        false => having,
    }
}
