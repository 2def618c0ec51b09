//! Which classes a request means.

use super::super::errors::WvError;
use super::conditions::{DUPLICATE_CLASS, INCLUDE_AND_EXCLUDE};
use super::request::Lists;

impl Lists {
    /// What can be wrong with the lists whatever classes there are.
    pub fn check(&self) -> Result<(), WvError> {
        if !self.include.is_empty() && !self.exclude.is_empty() {
            return Err(INCLUDE_AND_EXCLUDE.error(&[]));
        }
        for (position, class) in self.include.iter().enumerate() {
            if self.include[..position].contains(class) {
                return Err(DUPLICATE_CLASS.error(&[("class", class)]));
            }
        }
        Ok(())
    }

    /// The classes meant, in the order of `available`; `Err` has the entries of `include` that fit nothing.
    pub fn select(&self, available: &[String]) -> Result<Vec<String>, Vec<String>> {
        let unknown: Vec<String> = self
            .include
            .iter()
            .filter(|entry| !available.iter().any(|class| fits(entry, class)))
            .cloned()
            .collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let is_meant = |class: &String| {
            let any = |entries: &[String]| entries.iter().any(|entry| fits(entry, class));
            (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
        };
        Ok(available
            .iter()
            .filter(|it| is_meant(it))
            .cloned()
            .collect())
    }
}

/// Whether a class fits an entry, in which `*` stands for any characters and `?` for one.
fn fits(entry: &str, class: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (entry.chars().collect(), class.chars().collect());
    let (mut at, mut pos) = (0, 0);
    // Where to go on when the last star has to swallow one character more.
    let mut retry: Option<(usize, usize)> = None;
    while pos < text.len() {
        match pattern.get(at) {
            Some('*') => {
                retry = Some((at + 1, pos));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == text[pos] => {
                at += 1;
                pos += 1;
            }
            _ => match retry {
                Some((star, swallowed)) => {
                    at = star;
                    pos = swallowed + 1;
                    retry = Some((star, pos));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&rest| rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(include: &[&str], exclude: &[&str]) -> Lists {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Lists {
            include: owned(include),
            exclude: owned(exclude),
        }
    }

    fn classes() -> Vec<String> {
        lists(&["Article", "AllTypes", "Paragraph"], &[]).include
    }

    #[test]
    fn stars_and_question_marks_stand_for_characters() {
        for (entry, class, fit) in [
            ("A*", "Article", true),
            ("*", "", true),
            ("A?ticle", "Article", true),
            ("*i*e", "Article", true),
            ("A*x", "Article", false),
            ("article", "Article", false),
            ("[A", "[A", true),
            ("", "Article", false),
        ] {
            assert_eq!(fits(entry, class), fit, "{entry} {class}");
        }
    }

    #[test]
    fn without_lists_everything_is_meant() {
        assert_eq!(lists(&[], &[]).select(&classes()).unwrap(), classes());
        let without = lists(&[], &["A*", "Nope"]).select(&classes()).unwrap();
        assert_eq!(without, ["Paragraph"]);
    }

    #[test]
    fn an_entry_that_fits_nothing_is_no_licence_for_everything() {
        let unknown = lists(&["Zz*", "A*", "Nope"], &[]).select(&classes());
        assert_eq!(unknown.unwrap_err(), ["Zz*", "Nope"]);
    }

    #[test]
    fn a_class_that_fits_twice_is_meant_once() {
        let meant = lists(&["A*", "Article"], &[]).select(&classes()).unwrap();
        assert_eq!(meant, ["Article", "AllTypes"]);
    }

    #[test]
    fn both_lists_or_a_name_twice_are_refused() {
        assert!(lists(&["A"], &["B"]).check().is_err());
        assert!(lists(&["A", "A"], &[]).check().is_err());
        assert!(lists(&[], &["A", "A"]).check().is_ok());
    }
}
