//! Reads and merges the layers of the configuration. Whatever is wrong is said with the place where it stands.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use confique::meta::{FieldKind, Meta};
use confique::{Config, Layer};

use super::settings::Settings;
use super::values::LogFormat;

type SettingsLayer = <Settings as Config>::Layer;

/// What the command line says; wins over everything else.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config FILE`.
    pub file: Option<PathBuf>,
    /// `--set SECTION.KEY=VALUE`.
    pub set: Vec<String>,
    /// `--data-dir DIR`.
    pub data_dir: Option<PathBuf>,
    /// `--listen ADDR`, repeatable; empty: not given.
    pub listen: Vec<SocketAddr>,
    /// `--repo-root DIR`, repeatable; empty: not given.
    pub repo_roots: Vec<PathBuf>,
    /// `--insecure-no-credentials`.
    pub insecure_no_credentials: bool,
    /// `--tls-certificate FILE`.
    pub tls_certificate: Option<PathBuf>,
    /// `--tls-key FILE`.
    pub tls_key: Option<PathBuf>,
    /// `--log-format`.
    pub log_format: Option<LogFormat>,
    /// `--log-level`.
    pub log_level: Option<String>,
}

/// A mistake in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {cause}; check the path and its permissions", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file has a mistake; `cause` shows line, column and key.
    #[error("mistake in {}: {cause}see `snapkeep config reference` for all keys", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Line, column and key.
        cause: Box<toml::de::Error>,
    },
    /// A `--set` has a mistake.
    #[error("mistake in --set {argument}: {cause}see `snapkeep config reference` for all keys")]
    Set {
        /// As given.
        argument: String,
        /// What is wrong.
        cause: String,
    },
    /// An environment variable has a mistake.
    #[error("mistake in the environment: {0}")]
    Environment(String),
    /// An environment variable that looks like a key of a section but is none.
    #[error("mistake in the environment: {variable} is no setting{}; see `snapkeep config reference` for all keys", .similar.as_ref().map(|name| format!(" (did you mean {name}?)")).unwrap_or_default())]
    UnknownVariable {
        /// Its name.
        variable: String,
        /// A setting with nearly this name.
        similar: Option<String>,
    },
    /// The merged settings do not go together.
    #[error("mistake in the configuration: {0}")]
    Merged(String),
}

/// Merges flags, `--set`, environment, file and defaults.
pub fn load(overrides: &Overrides) -> Result<Settings, ConfigError> {
    let mut merged = flags_layer(overrides);
    for argument in overrides.set.iter().rev() {
        merged = merged.with_fallback(set_layer(argument)?);
    }
    refuse_unknown_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
    let environment =
        SettingsLayer::from_env().map_err(|cause| ConfigError::Environment(with_causes(&cause)))?;
    merged = merged.with_fallback(environment);
    if let Some(file) = &overrides.file {
        merged = merged.with_fallback(file_layer(file)?);
    }
    let complete = merged.with_fallback(SettingsLayer::default_values());
    Settings::from_layer(complete).map_err(|cause| ConfigError::Merged(with_causes(&cause)))
}

fn flags_layer(overrides: &Overrides) -> SettingsLayer {
    let mut layer = SettingsLayer::empty();
    layer.server.data_dir = overrides.data_dir.clone();
    layer.server.listen = (!overrides.listen.is_empty()).then(|| overrides.listen.clone());
    layer.repositories.roots =
        (!overrides.repo_roots.is_empty()).then(|| overrides.repo_roots.clone());
    layer.security.insecure_no_credentials = overrides.insecure_no_credentials.then_some(true);
    layer.tls.certificate = overrides.tls_certificate.clone();
    layer.tls.key = overrides.tls_key.clone();
    layer.log.format = overrides.log_format;
    layer.log.level = overrides.log_level.clone();
    layer
}

fn file_layer(file: &Path) -> Result<SettingsLayer, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|cause| ConfigError::Unreadable {
        file: file.to_owned(),
        cause,
    })?;
    toml::from_str(&text).map_err(|cause| ConfigError::File {
        file: file.to_owned(),
        cause: Box::new(cause),
    })
}

/// `elasticsearch.shape=opensearch`: the value is TOML, or else taken as text.
fn set_layer(argument: &str) -> Result<SettingsLayer, ConfigError> {
    let mistake = |cause: String| ConfigError::Set {
        argument: argument.to_owned(),
        cause,
    };
    let split = argument
        .split_once('=')
        .and_then(|(key, value)| Some((key.trim().split_once('.')?, value.trim())));
    let Some(((section, key), value)) = split else {
        return Err(mistake("write SECTION.KEY=VALUE; ".to_owned()));
    };
    let as_toml = toml::from_str::<SettingsLayer>(&format!("[{section}]\n{key} = {value}\n"));
    as_toml.or_else(|first| {
        let quoted = toml::Value::String(value.to_owned());
        let as_text = toml::from_str::<SettingsLayer>(&format!("[{section}]\n{key} = {quoted}\n"));
        as_text.map_err(|second| {
            let bare = value.parse::<f64>().is_ok()
                || value.starts_with(['[', '"', '{'])
                || matches!(value, "true" | "false");
            mistake(if bare { first } else { second }.message().to_owned() + "; ")
        })
    })
}

/// A mistyped variable of one of our sections must not be ignored in silence.
fn refuse_unknown_variables(names: impl Iterator<Item = String>) -> Result<(), ConfigError> {
    let known = variables(&Settings::META);
    let sections: Vec<String> = Settings::META
        .fields
        .iter()
        .map(|field| format!("SNAPKEEP_{}_", field.name.to_uppercase()))
        .collect();
    for variable in names {
        let of_a_section = sections
            .iter()
            .any(|section| variable.starts_with(section.as_str()));
        if of_a_section && !known.contains(&variable.as_str()) {
            let similar = known
                .iter()
                .min_by_key(|name| distance(name, &variable))
                .map(|name| (*name).to_owned());
            let similar = similar.filter(|name| distance(name, &variable) <= 4);
            return Err(ConfigError::UnknownVariable { variable, similar });
        }
    }
    Ok(())
}

fn variables(meta: &'static Meta) -> Vec<&'static str> {
    let mut names = Vec::new();
    for field in meta.fields {
        match field.kind {
            FieldKind::Leaf { env, .. } => names.extend(env),
            FieldKind::Nested { meta } => names.extend(variables(meta)),
        }
    }
    names
}

/// Levenshtein distance; the texts are names of variables.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.bytes().enumerate() {
            let replace = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::values::{ByteRate, ShapeName};
    use super::*;

    fn load_text(text: &str) -> Result<Settings, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("snapkeep.toml");
        std::fs::write(&file, text).unwrap();
        load(&Overrides {
            file: Some(file),
            ..Overrides::default()
        })
    }

    #[test]
    fn works_with_no_configuration_at_all() {
        let settings = load(&Overrides::default()).unwrap();
        assert_eq!(settings.server.listen, ["127.0.0.1:9250".parse().unwrap()]);
        assert_eq!(settings.server.data_dir, Path::new("./snapkeep-data"));
        assert_eq!(
            settings.repositories.max_snapshot_bytes_per_sec,
            ByteRate(Some(20 << 20))
        );
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let text = load_text("[server]\n\nlisten_on = \"x\"\n")
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("snapkeep.toml") && text.contains("line 3") && text.contains("listen_on"),
            "{text}"
        );
    }

    #[test]
    fn an_unknown_section_is_named_with_its_line() {
        let text = load_text("\n[servers]\nlisten = []\n")
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("line 2") && text.contains("servers"),
            "{text}"
        );
    }

    #[test]
    fn a_bad_value_is_named_with_its_line_and_key() {
        for (text, key) in [
            ("[elasticsearch]\nshape = \"mongo\"\n", "shape"),
            ("[server]\nlisten = [\"localhost\"]\n", "listen"),
            ("[server]\nmax_body = \"lots\"\n", "max_body"),
            ("[engine]\nmemory_limit = \"1mb\"\n", "memory_limit"),
            ("[log]\nformat = 3\n", "format"),
        ] {
            let error = load_text(text).unwrap_err().to_string();
            assert!(error.contains("line 2") && error.contains(key), "{error}");
        }
    }

    #[test]
    fn flags_win_over_set_which_wins_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        std::fs::write(&file, "[elasticsearch]\nshape = \"opensearch\"\n[log]\nlevel = \"warn\"\n[server]\nmax_connections = 7\n").unwrap();
        let overrides = Overrides {
            file: Some(file),
            set: vec![
                "log.level=debug".into(),
                "server.max_connections=9".into(),
                "log.level=trace".into(),
            ],
            log_level: Some("error".into()),
            ..Overrides::default()
        };
        let settings = load(&overrides).unwrap();
        assert_eq!(settings.elasticsearch.shape, ShapeName::OpenSearch);
        assert_eq!(settings.server.max_connections, 9);
        assert_eq!(settings.log.level, "error");
    }

    #[test]
    fn a_mistake_in_set_is_named() {
        for argument in [
            "log.levle=info",
            "nonsense",
            "server.max_connections=many",
            "elasticsearch.shape=mongo",
        ] {
            let overrides = Overrides {
                set: vec![argument.into()],
                ..Overrides::default()
            };
            let text = load(&overrides).unwrap_err().to_string();
            assert!(text.contains(argument), "{text}");
        }
    }

    #[test]
    fn a_mistyped_variable_is_refused_and_others_are_left_alone() {
        let text = refuse_unknown_variables(["SNAPKEEP_ELASTICSEARCH_SHAP".to_owned()].into_iter())
            .unwrap_err()
            .to_string();
        assert!(text.contains("SNAPKEEP_ELASTICSEARCH_SHAPE"), "{text}");
        assert!(
            refuse_unknown_variables(["SNAPKEEP_BIN".to_owned(), "PATH".to_owned()].into_iter())
                .is_ok()
        );
    }
}
