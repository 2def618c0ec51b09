use proptest::prelude::*;

use super::*;

fn link(id: &str, ancestors: &[&str], at: i64) -> Link {
    Link {
        id: id.to_owned(),
        ancestors: ancestors.iter().map(|id| (*id).to_owned()).collect(),
        create_ms: at,
        snapshot_ms: at,
        size_bytes: 10,
        is_usable: true,
    }
}

fn mark(id: &str, set_ms: i64) -> HeadMark {
    HeadMark {
        id: id.to_owned(),
        set_ms,
    }
}

fn gone(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// a ← b ← c, and d beside c after a rollback to b.
fn branched() -> Vec<Link> {
    vec![
        link("a", &[], 1),
        link("b", &["a"], 2),
        link("c", &["a", "b"], 3),
        link("d", &["a", "b"], 5),
    ]
}

#[test]
fn an_increment_hangs_on_the_youngest_point() {
    let chains = Chains::new(branched(), None);
    assert_eq!(chains.head(), Some("d"));
    assert_eq!(chains.next_ancestors(false, 30), ["a", "b", "d"]);
    assert_eq!(chains.parent("d"), Some("b"));
    assert_eq!(chains.root("d"), "a");
    let totals = chains.totals()["a"];
    assert_eq!(
        (totals.count, totals.size_bytes, totals.latest_ms),
        (4, 40, 5)
    );
}

#[test]
fn after_a_rollback_the_head_is_the_applied_point_until_another_is_made() {
    let links = branched();
    let applied = mark("b", 4);
    let before = Chains::new(links[..3].to_vec(), Some(&applied));
    assert_eq!(before.head(), Some("b"));
    assert_eq!(Chains::new(links, Some(&applied)).head(), Some("d"));
}

#[test]
fn a_full_point_begins_a_chain() {
    let chains = Chains::new(branched(), None);
    assert!(chains.next_ancestors(true, 30).is_empty());
    assert!(Chains::default().next_ancestors(false, 30).is_empty());
}

#[test]
fn a_chain_ends_at_its_longest() {
    let chains = Chains::new(branched(), None);
    assert_eq!(chains.next_ancestors(false, 4).len(), 3);
    assert!(chains.next_ancestors(false, 3).is_empty());
    assert!(chains.next_ancestors(false, 1).is_empty());
}

#[test]
fn points_whose_full_point_is_gone_hang_on_what_is_left() {
    let without_a = Chains::new(branched().split_off(1), None);
    assert_eq!(without_a.parent("b"), None);
    assert_eq!(without_a.root("d"), "b");
    let only_leaves = Chains::new(branched().split_off(2), None);
    assert_eq!((only_leaves.root("c"), only_leaves.root("d")), ("c", "d"));
    assert!(only_leaves.is_in_head_chain("d") && !only_leaves.is_in_head_chain("c"));
    assert_eq!(only_leaves.totals()["c"].count, 1);
}

#[test]
fn a_cascade_takes_what_hangs_on_the_point_and_no_branch_beside_it() {
    let chains = Chains::new(branched(), None);
    assert_eq!(chains.descendants("b"), gone(&["c", "d"]));
    assert!(chains.descendants("c").is_empty());
    assert_eq!(chains.descendants("a"), gone(&["b", "c", "d"]));
}

#[test]
fn when_the_head_is_deleted_the_point_before_it_becomes_the_head() {
    let chains = Chains::new(branched(), None);
    assert_eq!(chains.head_without(&gone(&["d"])).as_deref(), Some("b"));
    assert_eq!(
        chains.head_without(&gone(&["d", "b"])).as_deref(),
        Some("a")
    );
    assert_eq!(chains.head_without(&gone(&["c"])).as_deref(), Some("d"));
    let all_but_c = gone(&["a", "b", "d"]);
    assert_eq!(chains.head_without(&all_but_c).as_deref(), Some("c"));
    assert_eq!(chains.head_without(&gone(&["a", "b", "c", "d"])), None);
}

#[test]
fn nothing_hangs_on_a_point_that_is_being_made() {
    let mut links = branched();
    links[3].is_usable = false;
    let chains = Chains::new(links, None);
    assert_eq!(chains.head(), Some("c"));
    assert_eq!(chains.totals()["a"].count, 4);
}

/// What somebody does with a volume.
#[derive(Debug, Clone)]
enum Step {
    Create { full: bool },
    Apply(usize),
    Delete { at: usize, cascade: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<bool>().prop_map(|rare| Step::Create { full: rare }),
        6 => Just(Step::Create { full: false }),
        2 => (0..64_usize).prop_map(Step::Apply),
        3 => (0..64_usize, any::<bool>()).prop_map(|(at, cascade)| Step::Delete { at, cascade }),
    ]
}

/// A volume whose points are kept with their true parents, as a picture to compare with.
#[derive(Default)]
struct Picture {
    links: Vec<Link>,
    /// Of every point ever made, the one it was made after.
    made_after: HashMap<String, Option<String>>,
    mark: Option<HeadMark>,
    time: i64,
}

impl Picture {
    fn chains(&self) -> Chains {
        Chains::new(self.links.clone(), self.mark.as_ref())
    }

    /// The nearest point left that this one was made after, directly or not.
    fn true_parent(&self, id: &str) -> Option<String> {
        let mut at = self.made_after[id].clone();
        while let Some(parent) = at {
            if self.links.iter().any(|link| link.id == parent) {
                return Some(parent);
            }
            at = self.made_after[&parent].clone();
        }
        None
    }

    fn apply(&mut self, step: &Step, max_chain: usize) {
        self.time += 1;
        let chains = self.chains();
        match step {
            Step::Create { full } => {
                let ancestors = chains.next_ancestors(*full, max_chain);
                let id = format!("p{}", self.time);
                self.made_after
                    .insert(id.clone(), ancestors.last().cloned());
                self.links.push(Link {
                    id,
                    ancestors,
                    create_ms: self.time,
                    snapshot_ms: self.time,
                    size_bytes: 1,
                    is_usable: true,
                });
            }
            Step::Apply(at) if !self.links.is_empty() => {
                let id = self.links[at % self.links.len()].id.clone();
                self.mark = Some(HeadMark {
                    id,
                    set_ms: self.time,
                });
            }
            Step::Delete { at, cascade } if !self.links.is_empty() => {
                let id = self.links[at % self.links.len()].id.clone();
                let mut gone = BTreeSet::from([id.clone()]);
                if *cascade {
                    gone.extend(chains.descendants(&id));
                }
                self.mark = chains.head_without(&gone).map(|id| HeadMark {
                    id,
                    set_ms: self.time,
                });
                self.links.retain(|link| !gone.contains(&link.id));
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn chains_stay_whole_whatever_is_made_applied_and_deleted(
        steps in prop::collection::vec(step(), 1..60),
        max_chain in 1..12_usize,
    ) {
        let mut picture = Picture::default();
        for step in &steps {
            picture.apply(step, max_chain);
            let chains = picture.chains();
            prop_assert_eq!(chains.head().is_some(), !picture.links.is_empty());
            let totals = chains.totals();
            let counted: u64 = totals.values().map(|total| total.count).sum();
            prop_assert_eq!(counted, picture.links.len() as u64);
            for link in &picture.links {
                let parent = chains.parent(&link.id).map(ToOwned::to_owned);
                prop_assert_eq!(&parent, &picture.true_parent(&link.id));
                let root = chains.root(&link.id);
                prop_assert!(totals.contains_key(root) && chains.parent(root).is_none());
                // Walking up from parent to parent ends at the root, within the longest chain.
                let mut at = link.id.as_str();
                let mut length = 1;
                while let Some(next) = chains.parent(at) {
                    prop_assert!(chains.descendants(next).contains(at));
                    at = next;
                    length += 1;
                }
                prop_assert_eq!(at, root);
                prop_assert!(length <= max_chain);
            }
            if let Some(head) = chains.head() {
                prop_assert!(chains.is_in_head_chain(head));
            }
        }
    }

    #[test]
    fn deleting_in_any_order_ends_with_nothing(
        steps in prop::collection::vec(step(), 1..30),
        order in prop::collection::vec(0..64_usize, 30),
    ) {
        let mut picture = Picture::default();
        for step in &steps {
            picture.apply(step, 30);
        }
        for at in order {
            picture.apply(&Step::Delete { at, cascade: false }, 30);
        }
        prop_assert!(picture.links.is_empty() && picture.chains().head().is_none());
    }
}
