//! Version checks and Elasticsearch's words for their failures.

use super::batch::Current;
use super::{VersionType, WriteKind, WriteOp};

/// The reason why `op` must not be applied to the current copy, without the leading `[id]: `.
pub(super) fn conflict(op: &WriteOp, current: Option<&Current>) -> Option<String> {
    let live = current.filter(|current| current.is_live());
    if let (Some(seq_no), Some(term)) = (op.if_seq_no, op.if_primary_term) {
        let required =
            format!("version conflict, required seqNo [{seq_no}], primary term [{term}].");
        match live {
            None => return Some(format!("{required} but no document was found")),
            Some(live) if live.row.seq_no != seq_no || term != 1 => {
                return Some(format!(
                    "{required} current document has seqNo [{}] and primary term [1]",
                    live.row.seq_no
                ));
            }
            Some(_) => {}
        }
    }
    if let (
        WriteKind::Index {
            create_only: true, ..
        },
        Some(live),
    ) = (&op.kind, live)
    {
        return Some(format!(
            "version conflict, document already exists (current version [{}])",
            live.row.version
        ));
    }
    let (Some(given), Some(current)) = (op.version, current) else {
        return None;
    };
    let stored = current.row.version;
    match op.version_type {
        VersionType::External if stored >= given => Some(format!(
            "version conflict, current version [{stored}] is higher or equal to the one provided [{given}]"
        )),
        VersionType::ExternalGte if stored > given => Some(format!(
            "version conflict, current version [{stored}] is higher than the one provided [{given}]"
        )),
        _ => None,
    }
}
