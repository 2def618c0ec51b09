//! Names of snapshots that policies take.

use jiff::Timestamp;
use rand::Rng;

use super::schedule::zone_of;
use crate::model::NameTemplate;
use crate::names::{check_snapshot_name, render as render_date, resolve_date_math};

/// Random characters after a name of date math, as SLM has them.
const SLM_RANDOM: u8 = 22;
/// Most random characters of a template.
const MOST_RANDOM: u8 = 32;
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// The name of a snapshot that is begun at `now_ms`; the error says what is wrong with the template.
pub(super) fn name(template: &NameTemplate, now_ms: i64) -> Result<String, String> {
    let name = match template {
        NameTemplate::DateMath { expression } => {
            let name = resolve_date_math(expression, now_ms).map_err(|error| error.to_string())?;
            format!("{name}-{}", random(SLM_RANDOM))
        }
        NameTemplate::Dated {
            prefix,
            date_format,
            time_zone,
            random: count,
        } => {
            if *count > MOST_RANDOM {
                return Err(format!(
                    "random is [{count}] but must be 0 to {MOST_RANDOM}"
                ));
            }
            let zone = zone_of(time_zone).map_err(|error| error.to_string())?;
            let now = Timestamp::from_millisecond(now_ms).map_err(|error| error.to_string())?;
            let date = render_date(&now.to_zoned(zone), date_format)
                .ok_or_else(|| format!("unknown date format [{date_format}]"))?;
            match count {
                0 => format!("{prefix}{date}"),
                count => format!("{prefix}{date}-{}", random(*count)),
            }
        }
        NameTemplate::EpochMillis { prefix } => format!("{prefix}-{now_ms}"),
    };
    check_snapshot_name(&name)
        .map_err(|rule| format!("it makes [{name}], and the name of a snapshot {rule}"))?;
    Ok(name)
}

fn random(count: u8) -> String {
    let mut source = rand::rng();
    (0..count)
        .map(|_| char::from(LETTERS[source.random_range(0..LETTERS.len())]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T10:20:30.456Z.
    const NOW_MS: i64 = 1_795_256_430_456;

    fn dated(prefix: &str, date_format: &str, time_zone: &str, random: u8) -> NameTemplate {
        NameTemplate::Dated {
            prefix: prefix.to_owned(),
            date_format: date_format.to_owned(),
            time_zone: time_zone.to_owned(),
            random,
        }
    }

    #[test]
    fn names_are_those_of_the_dialects() {
        let slm = NameTemplate::DateMath {
            expression: "<daily-snap-{now/d}>".to_owned(),
        };
        let slm = name(&slm, NOW_MS).unwrap();
        let tail = slm.strip_prefix("daily-snap-2026.11.21-").unwrap();
        assert_eq!(tail.len(), 22);
        assert!(tail.bytes().all(|byte| LETTERS.contains(&byte)));
        let sm = name(&dated("daily-", "yyyy-MM-dd't'HH:mm:ss", "UTC", 8), NOW_MS).unwrap();
        assert_eq!(&sm[..26], "daily-2026-11-21t10:20:30-");
        assert_eq!(sm.len(), 34);
        let huawei = NameTemplate::EpochMillis {
            prefix: "snapshot".to_owned(),
        };
        assert_eq!(name(&huawei, NOW_MS).unwrap(), "snapshot-1795256430456");
        assert_eq!(
            name(
                &dated("es-cn-1_", "yyyyMMddHHmmss", "Asia/Shanghai", 0),
                NOW_MS
            )
            .unwrap(),
            "es-cn-1_20261121182030"
        );
    }

    #[test]
    fn what_makes_no_name_is_told() {
        let upper = NameTemplate::DateMath {
            expression: "<Daily-{now/d}>".to_owned(),
        };
        for template in [
            upper,
            dated("a-", "QQ", "UTC", 0),
            dated("a-", "yyyy", "Nowhere", 0),
            dated("a-", "yyyy", "UTC", 33),
            NameTemplate::EpochMillis {
                prefix: "a b".to_owned(),
            },
        ] {
            assert!(name(&template, NOW_MS).is_err(), "{template:?}");
        }
    }
}
