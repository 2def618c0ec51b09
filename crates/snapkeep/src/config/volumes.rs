//! Volumes and instances of the configuration: `[[volume]]` and `[[instance]]`.

use std::collections::BTreeSet;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use snapkeep_engine::{AddInstance, AddVolume, HostSpec, RollbackMode, VolumeFormat};

/// What stands beside the settings of a driver in `[[instance]]`.
const INSTANCE_KEYS: [&str; 4] = ["id", "name", "description", "volumes"];

/// All `[[volume]]` of the configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VolumeList(pub Vec<AddVolume>);

/// All `[[instance]]` of the configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InstanceList(pub Vec<AddInstance>);

/// One `[[volume]]`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct VolumeEntry {
    id: Option<String>,
    name: Option<String>,
    path: String,
    format: Option<VolumeFormat>,
    #[serde(default)]
    allow_inconsistent: bool,
    rollback: Option<RollbackMode>,
}

impl<'de> Deserialize<'de> for VolumeList {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let entries = Vec::<VolumeEntry>::deserialize(input)?;
        let mut seen = BTreeSet::new();
        let mut volumes = Vec::with_capacity(entries.len());
        for entry in entries {
            let volume = volume_of(entry).map_err(D::Error::custom)?;
            let names = [("id", volume.id.as_ref()), ("path", Some(&volume.location))];
            refuse_twice(&mut seen, "volume", names).map_err(D::Error::custom)?;
            volumes.push(volume);
        }
        Ok(Self(volumes))
    }
}

impl<'de> Deserialize<'de> for InstanceList {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let tables = Vec::<toml::Table>::deserialize(input)?;
        let mut seen = BTreeSet::new();
        let mut instances = Vec::with_capacity(tables.len());
        for table in tables {
            let instance = instance_of(table).map_err(D::Error::custom)?;
            let names = [("id", instance.id.as_ref()), ("name", Some(&instance.name))];
            refuse_twice(&mut seen, "instance", names).map_err(D::Error::custom)?;
            instances.push(instance);
        }
        Ok(Self(instances))
    }
}

fn volume_of(entry: VolumeEntry) -> Result<AddVolume, String> {
    check_id("volume", "vol-", entry.id.as_deref())?;
    let is_uri = entry.path.starts_with("nbd://")
        || entry.path.starts_with("nbds://")
        || entry.path.starts_with("nbd+unix://")
        || entry.path.starts_with("nbds+unix://");
    if !is_uri && !entry.path.starts_with('/') {
        return Err(format!(
            "volume.path: `{}` is neither an absolute path nor an NBD URI such as nbd+unix:///name?socket=/run/vm.sock",
            entry.path
        ));
    }
    if is_uri && entry.rollback == Some(RollbackMode::Swap) {
        return Err(format!(
            "volume.rollback: `{}` is no regular file, which `swap` needs; use in_place",
            entry.path
        ));
    }
    Ok(AddVolume {
        id: entry.id,
        name: entry.name,
        location: entry.path,
        format: entry.format,
        allow_inconsistent: entry.allow_inconsistent,
        rollback: entry.rollback,
    })
}

/// Reads one `[[instance]]`. The settings of its driver stand beside its own keys, so that what nobody knows is found by looking at
/// what was understood.
fn instance_of(mut table: toml::Table) -> Result<AddInstance, String> {
    let wrong = |key: &str, what: &str| format!("instance.{key}: {what}");
    let mut own = toml::Table::new();
    for key in INSTANCE_KEYS {
        if let Some(value) = table.remove(key) {
            own.insert(key.to_owned(), value);
        }
    }
    if !table.contains_key("driver") {
        table.insert("driver".to_owned(), "none".into());
    }
    let given: Vec<String> = table.keys().cloned().collect();
    let host: HostSpec = table
        .try_into()
        .map_err(|cause: toml::de::Error| wrong("driver", cause.message()))?;
    let understood = toml::Table::try_from(&host).map_err(|cause| cause.to_string())?;
    if let Some(key) = given.iter().find(|key| !understood.contains_key(*key)) {
        let driver = host.driver();
        return Err(wrong(
            key,
            &format!("driver `{driver}` has no such setting"),
        ));
    }
    host.check().map_err(|cause| cause.to_string())?;
    let text = |key: &str| match own.get(key) {
        None => Ok(None),
        Some(toml::Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(key, "a text is needed")),
    };
    let name = text("name")?.filter(|name| !name.trim().is_empty());
    let name = name.ok_or_else(|| wrong("name", "every instance needs one"))?;
    let id = text("id")?;
    check_id("instance", "i-", id.as_deref())?;
    let volumes = match own.get("volumes") {
        Some(toml::Value::Array(volumes)) if !volumes.is_empty() => volumes
            .iter()
            .map(|volume| volume.as_str().map(str::to_owned))
            .collect::<Option<Vec<String>>>(),
        _ => None,
    };
    let volumes =
        volumes.ok_or_else(|| wrong("volumes", "name at least one, as [\"vol-abc1234\"]"))?;
    Ok(AddInstance {
        description: text("description")?.unwrap_or_default(),
        id,
        name,
        volumes,
        host,
    })
}

fn check_id(what: &str, prefix: &str, id: Option<&str>) -> Result<(), String> {
    let Some(id) = id else { return Ok(()) };
    let is_right = id.strip_prefix(prefix).is_some_and(|rest| {
        (1..=32).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    if is_right {
        Ok(())
    } else {
        Err(format!(
            "{what}.id: `{id}` is no id; write {prefix} and up to 32 letters and digits, such as {prefix}abc1234"
        ))
    }
}

fn refuse_twice(
    seen: &mut BTreeSet<(&'static str, String)>,
    what: &str,
    names: [(&'static str, Option<&String>); 2],
) -> Result<(), String> {
    for (key, name) in names {
        let Some(name) = name else { continue };
        if !seen.insert((key, name.clone())) {
            return Err(format!("{what}.{key}: `{name}` stands there twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct File {
        #[serde(default)]
        volume: VolumeList,
        #[serde(default)]
        instance: InstanceList,
    }

    fn mistake(text: &str) -> String {
        toml::from_str::<File>(text).unwrap_err().to_string()
    }

    #[test]
    fn volumes_are_read_with_all_they_can_say() {
        let file: File = toml::from_str(
            "[[volume]]\nid = \"vol-abc1234\"\nname = \"db\"\npath = \"/dev/sdb\"\nformat = \"block\"\nallow_inconsistent = true\nrollback = \"in_place\"\n\n[[volume]]\npath = \"nbd+unix:///live?socket=/run/vm.sock\"\n",
        )
        .unwrap();
        let [first, second] = &file.volume.0[..] else {
            panic!("{file:?}");
        };
        assert_eq!(first.id.as_deref(), Some("vol-abc1234"));
        assert_eq!(first.format, Some(VolumeFormat::Block));
        assert_eq!(first.rollback, Some(RollbackMode::InPlace));
        assert!(first.allow_inconsistent);
        assert_eq!(second.location, "nbd+unix:///live?socket=/run/vm.sock");
        assert_eq!(second.id, None);
    }

    #[test]
    fn a_mistake_in_a_volume_is_named_with_its_key() {
        for (text, key) in [
            ("[[volume]]\npath = \"disk.raw\"\n", "volume.path"),
            ("[[volume]]\nid = \"abc\"\npath = \"/d\"\n", "volume.id"),
            ("[[volume]]\npath = \"/d\"\npaht = 1\n", "paht"),
            ("[[volume]]\nname = \"x\"\n", "path"),
            ("[[volume]]\npath = \"/d\"\nformat = \"vhd\"\n", "vhd"),
            (
                "[[volume]]\npath = \"/d\"\n[[volume]]\npath = \"/d\"\n",
                "twice",
            ),
            (
                "[[volume]]\npath = \"nbd://h/x\"\nrollback = \"swap\"\n",
                "volume.rollback",
            ),
        ] {
            let text = mistake(text);
            assert!(text.contains(key) && text.contains("line"), "{key}: {text}");
        }
    }

    #[test]
    fn an_instance_has_its_driver_beside_its_own_keys() {
        let file: File = toml::from_str(
            "[[instance]]\nid = \"i-abc1234\"\nname = \"db\"\nvolumes = [\"vol-abc1234\"]\ndriver = \"hooks\"\nstop = { argv = [\"/bin/stop\"] }\nstart = { argv = [\"/bin/start\"], timeout_s = 5 }\n\n[[instance]]\nname = \"plain\"\nvolumes = [\"web\"]\n",
        )
        .unwrap();
        let [first, second] = &file.instance.0[..] else {
            panic!("{file:?}");
        };
        assert!(matches!(&first.host, HostSpec::Hooks(hooks) if hooks.stop.is_some()));
        assert_eq!(second.host, HostSpec::None);
    }

    #[test]
    fn a_mistake_in_an_instance_is_named_with_its_key() {
        let with = |rest: &str| format!("[[instance]]\nname = \"a\"\nvolumes = [\"v\"]\n{rest}");
        for (text, key) in [
            (
                "[[instance]]\nvolumes = [\"v\"]\n".to_owned(),
                "instance.name",
            ),
            (
                "[[instance]]\nname = \"a\"\n".to_owned(),
                "instance.volumes",
            ),
            (with("id = \"vol-1\"\n"), "instance.id"),
            (with("driver = \"vmware\"\n"), "vmware"),
            (
                with("driver = \"libvirt\"\ndomain = \"a\"\nurl = \"x\"\n"),
                "instance.url",
            ),
            (with("driver = \"libvirt\"\n"), "domain"),
            (
                with("driver = \"hooks\"\nfreeze = { argv = [\"/bin/f\"] }\n"),
                "freeze",
            ),
            (with("stop = { argv = [\"/bin/f\"] }\n"), "instance.stop"),
        ] {
            let text = mistake(&text);
            assert!(text.contains(key) && text.contains("line"), "{key}: {text}");
        }
    }
}
