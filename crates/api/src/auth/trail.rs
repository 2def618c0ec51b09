//! What a request turned out to do, noted when it is authorised and written to the audit log when it has been answered.

use std::sync::{Arc, Mutex, PoisonError};

use super::caller::{Action, Need};

/// Names of resources that are noted.
const MAX_RESOURCES: usize = 100;

/// Shared by all clones of a caller.
#[derive(Debug, Clone, Default)]
pub(super) struct Trail(Arc<Mutex<Option<Noted>>>);

/// The weightiest thing that was asked for.
#[derive(Debug, Clone)]
pub(super) struct Noted {
    pub(super) action: Action,
    pub(super) what: String,
    pub(super) repository: Option<String>,
    pub(super) resources: Vec<String>,
    pub(super) project: Option<String>,
    pub(super) is_denied: bool,
}

impl Trail {
    /// Notes what was asked for. A refusal stays; of what is allowed the weightiest counts, completed by what is asked later.
    pub(super) fn note(&self, need: &Need<'_>, is_denied: bool) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Noted {
            action: need.action,
            what: need.what.to_owned(),
            repository: need.repository.map(str::to_owned),
            resources: need.resources.iter().take(MAX_RESOURCES).cloned().collect(),
            project: need.project.map(str::to_owned),
            is_denied,
        };
        match noted.as_mut() {
            Some(known) if known.is_denied => {}
            Some(known) if !is_denied && known.action >= need.action => {
                let new = new();
                known.repository = known.repository.take().or(new.repository);
                known.project = known.project.take().or(new.project);
                let room = MAX_RESOURCES.saturating_sub(known.resources.len());
                let others = new
                    .resources
                    .into_iter()
                    .filter(|name| !known.resources.contains(name));
                let others: Vec<String> = others.take(room).collect();
                known.resources.extend(others);
            }
            _ => *noted = Some(new()),
        }
    }

    /// What was noted.
    pub(super) fn take(&self) -> Option<Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weightiest_thing_is_noted_with_all_it_touched() {
        let trail = Trail::default();
        let names = ["a".to_owned()];
        trail.note(&Need::read("look"), false);
        trail.note(&Need::operate("create").repository("r"), false);
        trail.note(&Need::operate("create").resources(&names), false);
        trail.note(&Need::read("look"), false);
        let noted = trail.take().unwrap();
        assert_eq!(
            (noted.what.as_str(), noted.repository.as_deref()),
            ("create", Some("r"))
        );
        assert_eq!(noted.resources, names);
    }

    #[test]
    fn a_refusal_stays() {
        let trail = Trail::default();
        trail.note(&Need::read("look"), true);
        trail.note(&Need::administer("change"), false);
        assert_eq!(trail.take().unwrap().what, "look");
    }
}
