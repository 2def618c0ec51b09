//! Which segments of the last snapshot a shard keeps, and from where on it is read.

use crate::layout::{Segment, ShardDescription};

/// Segments that a shard may have before the small ones at its end are merged.
const MAX_SEGMENTS: usize = 64;

/// How to bring a shard up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShardPlan {
    /// Read everything into one segment.
    Full,
    /// Keep the first `keep` segments; read what is numbered `from` and above.
    Increment { keep: usize, from: u64 },
}

/// Decides for a shard that has `live` documents now and was described by `base` last time, with all changes since known.
///
/// Dead copies cost space and restore time: when they are more than a third of all copies everything is written anew. Many
/// segments cost one read each: beyond the limit the tail is merged, as far as that writes no more than it saves, as in
/// a log-structured merge tree.
pub(super) fn plan(base: &ShardDescription, live: u64) -> ShardPlan {
    let copies = base.copies();
    let dead = copies.saturating_sub(live);
    if base.segments.is_empty() || dead * 3 > copies {
        return ShardPlan::Full;
    }
    if base.segments.len() < MAX_SEGMENTS {
        return ShardPlan::Increment {
            keep: base.segments.len(),
            from: base.token.next_seq_no,
        };
    }
    let mut keep = base.segments.len() / 2;
    let mut merged = documents(&base.segments[keep..]);
    while keep > 0 && base.segments[keep - 1].documents <= merged {
        keep -= 1;
        merged += base.segments[keep].documents;
    }
    if keep == 0 {
        ShardPlan::Full
    } else {
        ShardPlan::Increment {
            keep,
            from: base.segments[keep].first_seq_no,
        }
    }
}

fn documents(segments: &[Segment]) -> u64 {
    segments.iter().map(|segment| segment.documents).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapkeep_drivers::ChangeToken;

    fn base(documents: &[u64]) -> ShardDescription {
        let mut next = 0;
        let segments = documents
            .iter()
            .map(|count| {
                let first_seq_no = next;
                next += count;
                Segment {
                    first_seq_no,
                    next_seq_no: next,
                    documents: *count,
                    bytes: 0,
                    longest_line_bytes: 0,
                    gone: 0,
                    gone_bytes: 0,
                    vector_bytes: 0,
                    parts: Vec::new(),
                }
            })
            .collect();
        let token = ChangeToken {
            index_uuid: String::new(),
            history_uuid: String::new(),
            next_seq_no: next,
        };
        ShardDescription {
            format: 1,
            documents: next,
            digest: 0,
            token,
            segments,
        }
    }

    #[test]
    fn what_is_there_is_kept() {
        assert_eq!(
            plan(&base(&[1000, 10]), 1005),
            ShardPlan::Increment {
                keep: 2,
                from: 1010
            }
        );
    }

    #[test]
    fn more_than_a_third_of_garbage_is_collected() {
        assert_eq!(
            plan(&base(&[200, 100]), 200),
            ShardPlan::Increment { keep: 2, from: 300 }
        );
        assert_eq!(plan(&base(&[200, 100]), 199), ShardPlan::Full);
        assert_eq!(plan(&base(&[]), 5), ShardPlan::Full);
    }

    #[test]
    fn a_long_tail_is_merged_but_not_the_large_segment_before_it() {
        let mut documents = vec![100_000];
        documents.extend([10; 63]);
        assert_eq!(
            plan(&base(&documents), 100_600),
            ShardPlan::Increment {
                keep: 1,
                from: 100_000
            }
        );
        let mut documents = vec![100_000, 90_000];
        documents.extend([10; 62]);
        assert_eq!(
            plan(&base(&documents), 190_500),
            ShardPlan::Increment {
                keep: 2,
                from: 190_000
            }
        );
    }

    #[test]
    fn equal_segments_are_all_merged() {
        assert_eq!(plan(&base(&[10; 64]), 640), ShardPlan::Full);
    }
}
