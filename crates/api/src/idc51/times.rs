//! Times and sizes as this dialect writes them.

/// Bytes of a megabyte here.
const MIB: u64 = 1 << 20;
/// Bytes of a gigabyte here, the unit of disks.
const GIB: u64 = 1 << 30;

/// A moment in UTC, in whole seconds: `2016-07-15T16:20:05Z`; empty when there is none yet.
pub fn time(at_ms: Option<i64>) -> String {
    let at = at_ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| {
        at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    })
}

/// Megabytes, rounded up, at least one: nothing that exists has the size 0.
pub fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(MIB).max(1)
}

/// Gigabytes, rounded up.
pub fn gigabytes(bytes: u64) -> u64 {
    bytes.div_ceil(GIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_whole_seconds() {
        assert_eq!(time(Some(1_468_599_605_999)), "2016-07-15T16:20:05Z");
        assert_eq!(time(Some(0)), "1970-01-01T00:00:00Z");
        assert_eq!(time(None), "");
    }

    #[test]
    fn sizes_are_rounded_up() {
        let sizes = [0, 1, MIB, MIB + 1, 5 * MIB].map(megabytes);
        assert_eq!(sizes, [1, 1, 1, 2, 5]);
        assert_eq!([0, 1, GIB, GIB + 1].map(gigabytes), [0, 1, 1, 2]);
    }
}
