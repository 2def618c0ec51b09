//! Who may have to do with a policy. It runs with the rights of the server, so it is measured by the limits of whoever makes or runs it.

use snapkeep_engine::PolicySpec;

use crate::auth::{Caller, Denied, Need};

/// Asks whether the caller may do something with a policy: its repository and all that it selects must be within the caller's limits.
///
/// # Errors
/// What lies outside.
pub fn authorise(caller: &Caller, need: Need<'_>, spec: &PolicySpec) -> Result<(), Denied> {
    let need = need.repository(&spec.repository);
    if !caller.has_resource_limits() {
        return caller.authorise(need);
    }
    let selection = &spec.selection;
    let mut selected: Vec<String> = Vec::new();
    for expression in selection.indices.iter().chain(&selection.collections) {
        let items = expression.split(',').map(str::trim);
        // A pattern is within a limit when it is matched as if it were a name: `logs-2*` is below `logs-*`, `*` is not.
        selected.extend(
            items
                .filter(|item| !item.starts_with('-'))
                .map(str::to_owned),
        );
    }
    if selection.include_global_state {
        // Templates and settings concern indices of all names.
        selected.push("*".to_owned());
    }
    caller.authorise(need.resources(&selected))
}

/// Whether a policy is told of: its repository must be one that the caller may see.
pub fn sees(caller: &Caller, spec: &PolicySpec) -> bool {
    caller.sees_repository(&spec.repository)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Limits, Method, Principal, Role, Shortfall};
    use snapkeep_engine::NameTemplate;

    fn alice() -> Caller {
        let limits = Limits {
            repositories: Some(vec!["own-*".into()]),
            resources: Some(vec!["logs-*".into()]),
            projects: None,
        };
        let principal = Principal {
            id: "a".into(),
            name: "alice".into(),
            role: Role::Admin,
            limits,
        };
        Caller::new(principal, Method::Basic, None)
    }

    fn spec(repository: &str, indices: &str) -> PolicySpec {
        let template = NameTemplate::EpochMillis { prefix: "p".into() };
        let mut spec = PolicySpec::new(repository, template);
        spec.selection.indices = vec![indices.to_owned()];
        spec.selection.include_global_state = false;
        spec
    }

    #[test]
    fn a_policy_stays_within_the_limits_of_its_maker() {
        let ask = |spec: &PolicySpec| authorise(&alice(), Need::administer("put"), spec);
        assert!(ask(&spec("own-1", "logs-2*,logs-x,-logs-y,-other")).is_ok());
        for indices in ["*", "logs*", "secret", "logs-1,secret"] {
            assert!(ask(&spec("own-1", indices)).is_err(), "{indices}");
        }
        let mut whole = spec("own-1", "logs-*");
        whole.selection.include_global_state = true;
        assert!(ask(&whole).is_err());
        let denied = ask(&spec("other", "logs-*")).unwrap_err();
        assert_eq!(denied.shortfall, Shortfall::Repository("other".into()));
        assert!(sees(&alice(), &spec("own-1", "*")) && !sees(&alice(), &spec("other", "*")));
    }

    #[test]
    fn without_limits_everything_goes() {
        let everything = spec("r", "*");
        assert!(authorise(&Caller::local_admin(), Need::administer("put"), &everything).is_ok());
    }
}
