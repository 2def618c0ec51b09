//! Numbers that the kernel uses for files and folders of a mount.

use std::collections::HashMap;
use std::sync::Arc;

use snapkeep_vault::{Node, Tree};

/// The number of the folder that is mounted.
pub const ROOT: u64 = 1;

/// A file or folder that the kernel knows.
#[derive(Debug, Clone)]
pub struct Inode {
    /// Number of the folder that it is in; the root is in itself.
    pub parent: u64,
    /// What it is.
    pub node: Arc<Node>,
    /// Position in its folder.
    position: usize,
    /// How many answers with it the kernel has not forgotten.
    lookups: u64,
}

/// Those that the kernel knows; it says what it forgets, so that the table does not grow with what was ever seen.
#[derive(Debug)]
pub struct Inodes {
    known: HashMap<u64, Inode>,
    numbers: HashMap<(u64, usize), u64>,
    next: u64,
}

impl Inodes {
    /// Only the root.
    pub fn new(root: Node) -> Self {
        let root = Inode {
            parent: ROOT,
            node: Arc::new(root),
            position: 0,
            lookups: 1,
        };
        Self {
            known: HashMap::from([(ROOT, root)]),
            numbers: HashMap::new(),
            next: ROOT + 1,
        }
    }

    /// What has this number.
    pub fn get(&self, number: u64) -> Option<&Inode> {
        self.known.get(&number)
    }

    /// The number of the entry at `position` of a folder, for an answer to a look-up; the kernel forgets it later.
    pub fn look_up(&mut self, parent: u64, position: usize, node: &Node) -> u64 {
        let next = &mut self.next;
        let number = *self.numbers.entry((parent, position)).or_insert_with(|| {
            let number = *next;
            *next += 1;
            number
        });
        let inode = self.known.entry(number).or_insert_with(|| Inode {
            parent,
            node: Arc::new(node.clone()),
            position,
            lookups: 0,
        });
        inode.lookups += 1;
        number
    }

    /// The kernel forgets `count` answers.
    pub fn forget(&mut self, number: u64, count: u64) {
        if number == ROOT {
            return;
        }
        let Some(inode) = self.known.get_mut(&number) else {
            return;
        };
        inode.lookups = inode.lookups.saturating_sub(count);
        if inode.lookups == 0 {
            let place = (inode.parent, inode.position);
            self.known.remove(&number);
            self.numbers.remove(&place);
        }
    }
}

/// The position of a name in a folder, whose entries are sorted by name.
pub fn position(tree: &Tree, name: &[u8]) -> Option<usize> {
    tree.nodes()
        .binary_search_by(|node| node.name.as_slice().cmp(name))
        .ok()
}

#[cfg(test)]
mod tests {
    use snapkeep_vault::NodeKind;

    use super::*;

    fn node(name: &str) -> Node {
        Node::new(name, NodeKind::File)
    }

    #[test]
    fn an_entry_keeps_its_number_until_the_kernel_has_forgotten_every_answer() {
        let mut inodes = Inodes::new(Node::new("", NodeKind::Dir));
        let first = inodes.look_up(ROOT, 0, &node("a"));
        let other = inodes.look_up(ROOT, 1, &node("b"));
        assert_ne!(first, other);
        assert_eq!(inodes.look_up(ROOT, 0, &node("a")), first);
        inodes.forget(first, 1);
        assert_eq!(inodes.get(first).unwrap().node.name, b"a");
        inodes.forget(first, 1);
        assert!(inodes.get(first).is_none());
        // A number is never given again: the kernel may still hold the old one somewhere.
        assert!(inodes.look_up(ROOT, 0, &node("a")) > other);
    }

    #[test]
    fn the_root_stays_and_what_is_unknown_is_ignored() {
        let mut inodes = Inodes::new(Node::new("", NodeKind::Dir));
        inodes.forget(ROOT, 100);
        inodes.forget(77, 1);
        assert_eq!(inodes.get(ROOT).unwrap().parent, ROOT);
    }
}
