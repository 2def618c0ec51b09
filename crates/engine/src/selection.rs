//! Which names an expression of the Elasticsearch API means: comma lists, wildcards, `-` exclusions, aliases.

/// Something that can be selected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Candidate {
    /// Name of the index.
    pub name: String,
    /// Its aliases; naming one selects the index.
    pub aliases: Vec<String>,
    /// False when it is closed.
    pub open: bool,
    /// True when wildcards pass it over unless asked not to.
    pub hidden: bool,
}

/// What wildcards expand to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expand {
    /// Open indices.
    pub open: bool,
    /// Closed indices.
    pub closed: bool,
    /// Hidden indices too.
    pub hidden: bool,
}

impl Expand {
    /// Open, closed and hidden ones.
    pub const ALL: Self = Self {
        open: true,
        closed: true,
        hidden: true,
    };
    /// Only open ones that are not hidden.
    pub const OPEN: Self = Self {
        open: true,
        closed: false,
        hidden: false,
    };
    /// Nothing: wildcards match nothing.
    pub const NONE: Self = Self {
        open: false,
        closed: false,
        hidden: false,
    };
}

/// How strict the resolution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Concrete names that do not exist are dropped instead of being an error.
    pub ignore_unavailable: bool,
    /// A wildcard (or everything) that matches nothing is no error.
    pub allow_no_indices: bool,
    /// What wildcards match.
    pub expand: Expand,
    /// A closed index that is named outright is an error (dropped with `ignore_unavailable`).
    pub forbid_closed: bool,
    /// Aliases can be used as names.
    pub aliases: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ignore_unavailable: false,
            allow_no_indices: true,
            expand: Expand::ALL,
            forbid_closed: false,
            aliases: true,
        }
    }
}

/// Why an expression means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// No such name, or a pattern without a match where one is needed.
    #[error("no such index [{0}]")]
    Missing(String),
    /// A closed index was named and cannot be used.
    #[error("closed index [{0}]")]
    Closed(String),
}

/// Resolves `expressions` (each may be a comma list) to names of candidates, sorted, each once.
///
/// Nothing, `""`, `_all` and `*` mean everything that `expand` allows. An item that starts with `-` removes what it matches when
/// an item with a wildcard stands before it; otherwise it is a name like any other.
pub fn resolve<S: AsRef<str>>(
    expressions: &[S],
    candidates: &[Candidate],
    options: &Options,
) -> Result<Vec<String>, SelectionError> {
    let items: Vec<&str> = expressions
        .iter()
        .flat_map(|expression| expression.as_ref().split(','))
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .collect();
    let everything = ["*"];
    let items = if items.is_empty() || items == ["_all"] {
        everything.as_slice()
    } else {
        items.as_slice()
    };
    let mut chosen = vec![false; candidates.len()];
    let mut wildcard_seen = false;
    for item in items {
        if let Some(excluded) = item.strip_prefix('-').filter(|_| wildcard_seen) {
            exclude(excluded, candidates, options, &mut chosen)?;
        } else if item.contains('*') || *item == "_all" {
            wildcard_seen = true;
            include_pattern(item, candidates, options, &mut chosen)?;
        } else {
            include_name(item, candidates, options, &mut chosen)?;
        }
    }
    let mut names: Vec<String> = candidates
        .iter()
        .zip(&chosen)
        .filter(|(_, is_chosen)| **is_chosen)
        .map(|(candidate, _)| candidate.name.clone())
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() && !options.allow_no_indices {
        return Err(SelectionError::Missing(items.join(",")));
    }
    Ok(names)
}

fn include_name(
    name: &str,
    candidates: &[Candidate],
    options: &Options,
    chosen: &mut [bool],
) -> Result<(), SelectionError> {
    let mut found = false;
    for (candidate, chosen) in candidates.iter().zip(chosen) {
        if candidate.name != name && !has_alias(candidate, options, |alias| alias == name) {
            continue;
        }
        found = true;
        if candidate.open || !options.forbid_closed {
            *chosen = true;
        } else if !options.ignore_unavailable {
            return Err(SelectionError::Closed(candidate.name.clone()));
        }
    }
    if found || options.ignore_unavailable {
        Ok(())
    } else {
        Err(SelectionError::Missing(name.to_owned()))
    }
}

fn include_pattern(
    pattern: &str,
    candidates: &[Candidate],
    options: &Options,
    chosen: &mut [bool],
) -> Result<(), SelectionError> {
    let pattern = if pattern == "_all" { "*" } else { pattern };
    let mut found = false;
    for (candidate, chosen) in candidates.iter().zip(chosen) {
        let state_allowed = if candidate.open {
            options.expand.open
        } else {
            options.expand.closed
        };
        // A pattern that itself begins with a dot means hidden names that do.
        let dotted = pattern.starts_with('.') && candidate.name.starts_with('.');
        let visible = !candidate.hidden || options.expand.hidden || dotted;
        if state_allowed && visible && matches_candidate(pattern, candidate, options) {
            *chosen = true;
            found = true;
        }
    }
    if found || options.allow_no_indices {
        Ok(())
    } else {
        Err(SelectionError::Missing(pattern.to_owned()))
    }
}

fn exclude(
    pattern: &str,
    candidates: &[Candidate],
    options: &Options,
    chosen: &mut [bool],
) -> Result<(), SelectionError> {
    let mut known = pattern.contains('*') || options.ignore_unavailable;
    for (candidate, chosen) in candidates.iter().zip(chosen) {
        if matches_candidate(pattern, candidate, options) {
            *chosen = false;
            known = true;
        }
    }
    if known {
        Ok(())
    } else {
        Err(SelectionError::Missing(pattern.to_owned()))
    }
}

fn matches_candidate(pattern: &str, candidate: &Candidate, options: &Options) -> bool {
    matches(pattern, &candidate.name)
        || has_alias(candidate, options, |alias| matches(pattern, alias))
}

fn has_alias(candidate: &Candidate, options: &Options, test: impl Fn(&str) -> bool) -> bool {
    options.aliases && candidate.aliases.iter().any(|alias| test(alias))
}

/// Whether `text` matches `pattern`, in which `*` stands for any number of characters. Takes time proportional to the product of
/// both lengths at most.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut middle: Vec<&str> = parts.collect();
    let Some(last) = middle.pop() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidates() -> Vec<Candidate> {
        let index = |name: &str, open, hidden, aliases: &[&str]| Candidate {
            name: name.to_owned(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            open,
            hidden,
        };
        vec![
            index("logs-1", true, false, &["logs"]),
            index("logs-2", true, false, &["logs"]),
            index("old", false, false, &[]),
            index(".secret", true, true, &[]),
        ]
    }

    fn names(expression: &str, options: &Options) -> Result<Vec<String>, SelectionError> {
        resolve(&[expression], &candidates(), options)
    }

    #[test]
    fn nothing_and_all_mean_everything_that_may_be_expanded() {
        let open = Options {
            expand: Expand::OPEN,
            ..Options::default()
        };
        for all in ["", "_all", "*"] {
            assert_eq!(names(all, &open).unwrap(), ["logs-1", "logs-2"]);
            assert_eq!(
                names(all, &Options::default()).unwrap(),
                [".secret", "logs-1", "logs-2", "old"]
            );
        }
    }

    #[test]
    fn exclusions_count_only_behind_a_wildcard() {
        let options = Options::default();
        assert_eq!(names("logs*,-logs-1", &options).unwrap(), ["logs-2"]);
        assert_eq!(
            names("-logs-1", &options),
            Err(SelectionError::Missing("-logs-1".into()))
        );
        assert_eq!(
            names("logs*,-logs-1,logs-1", &options).unwrap(),
            ["logs-1", "logs-2"]
        );
        assert_eq!(
            names("*,-nope", &options),
            Err(SelectionError::Missing("nope".into()))
        );
    }

    #[test]
    fn a_missing_name_is_an_error_unless_ignored() {
        let strict = Options::default();
        let lenient = Options {
            ignore_unavailable: true,
            ..strict
        };
        assert_eq!(
            names("nope", &strict),
            Err(SelectionError::Missing("nope".into()))
        );
        assert_eq!(names("nope,old", &lenient).unwrap(), ["old"]);
        assert!(names("no*", &strict).unwrap().is_empty());
        let some = Options {
            allow_no_indices: false,
            ..strict
        };
        assert_eq!(
            names("no*", &some),
            Err(SelectionError::Missing("no*".into()))
        );
    }

    #[test]
    fn aliases_stand_for_their_indices() {
        assert_eq!(
            names("logs", &Options::default()).unwrap(),
            ["logs-1", "logs-2"]
        );
        let plain = Options {
            aliases: false,
            ..Options::default()
        };
        assert!(names("logs", &plain).is_err());
    }

    #[test]
    fn closed_indices_named_outright_can_be_forbidden() {
        let options = Options {
            forbid_closed: true,
            ..Options::default()
        };
        assert_eq!(
            names("old", &options),
            Err(SelectionError::Closed("old".into()))
        );
    }

    #[test]
    fn hidden_indices_show_to_patterns_with_a_dot() {
        let open = Options {
            expand: Expand::OPEN,
            ..Options::default()
        };
        assert_eq!(names(".s*", &open).unwrap(), [".secret"]);
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_it_was_made_from(text in "[a-c]{0,12}", from in 0_usize..12, to in 0_usize..12) {
            let from = from.min(text.len());
            let to = to.clamp(from, text.len());
            let pattern = format!("{}*{}", &text[..from], &text[to..]);
            prop_assert!(matches(&pattern, &text));
        }

        #[test]
        fn a_pattern_without_star_matches_only_itself(pattern in "[a-b]{0,4}", text in "[a-b]{0,4}") {
            prop_assert_eq!(matches(&pattern, &text), pattern == text);
        }
    }
}
