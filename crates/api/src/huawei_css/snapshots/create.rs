//! `POST …/index_snapshot`.

use serde_json::json;
use snapkeep_engine::selection::{self, Expand, Options, SelectionError};
use snapkeep_engine::{CreateSnapshot, SnapshotState};

use super::backup::{Surroundings, show};
use super::origin::Origin;
use crate::auth::Need;
use crate::huawei_css::call::{Answer, Call, CssResult};
use crate::huawei_css::errors::{CssError, Fault};
use crate::huawei_css::fields::Fields;
use crate::huawei_css::rules;
use crate::huawei_css::setting::Setting;
use crate::huawei_css::state::{HuaweiState, blocking};
use crate::shared::candidates;

/// What the body asks for.
struct Wanted {
    name: String,
    description: String,
    indices: String,
}

impl Wanted {
    fn read(fields: &Fields) -> Result<Self, CssError> {
        let name = fields
            .text(&["name"])?
            .ok_or_else(|| Fault::invalid("name", "it is required"))?;
        rules::snapshot_name(name)?;
        let description = fields.text(&["description"])?.unwrap_or_default();
        rules::description(description)?;
        let indices = fields.text(&["indices"])?.unwrap_or_default();
        rules::indices(indices)?;
        Ok(Self {
            name: name.to_owned(),
            description: description.to_owned(),
            indices: match indices {
                "" => "*".to_owned(),
                given => given.to_owned(),
            },
        })
    }
}

/// Accepts a snapshot; it is `BUILDING` in the answer, whatever becomes of it in the next moment.
pub async fn create(call: Call) -> CssResult {
    let cluster = call.cluster()?;
    let what = "css:snapshot:create";
    call.authorise(Need::operate(what))?;
    let wanted = Wanted::read(&call.fields()?)?;
    let state = &call.state;
    let _turn = state.turn.lock().await;
    let mut setting = Setting::load_enabled(state).await?;
    let indices = resolve(&call, &wanted.indices).await?;
    call.authorise(
        Need::operate(what)
            .repository(&setting.bucket)
            .resources(&indices),
    )?;
    let repository = setting.repository(state).await?.name;
    refuse_when_busy(state, &repository).await?;
    let origin = Origin {
        description: wanted.description,
        indices: Some(wanted.indices),
        ..Origin::default()
    };
    let request = CreateSnapshot {
        name: wanted.name,
        indices,
        partial: true,
        // Templates and settings concern indices of all names.
        include_global_state: !call.caller.has_resource_limits(),
        metadata: Some(origin.metadata()),
        ..CreateSnapshot::default()
    };
    let ticket = state.engine.create_snapshot(&repository, request).await?;
    setting.remember(state, &cluster).await?;
    let mut info = state.engine.snapshot(&repository, &ticket.name).await?;
    info.state = SnapshotState::InProgress;
    let around = Surroundings {
        config: &state.config,
        cluster: &cluster,
        restore: None,
    };
    Ok(Answer::created(json!({ "backup": show(&info, around) })))
}

/// The indices that an expression means now, of those that the caller may see. A name without `*` must exist: a snapshot without it would be no backup of it.
async fn resolve(call: &Call, expression: &str) -> Result<Vec<String>, CssError> {
    let options = Options {
        expand: Expand::ALL,
        ..Options::default()
    };
    let store = call.state.store.clone();
    let mut all = blocking(move || candidates::of_store(&store)).await?;
    all.retain(|candidate| call.caller.sees_resource(&candidate.name));
    selection::resolve(&[expression], &all, &options).map_err(|error| match error {
        SelectionError::Missing(name) => {
            Fault::InvalidParameter.because(format!("indices is invalid: no such index [{name}]"))
        }
        SelectionError::Closed(name) => {
            Fault::InvalidParameter.because(format!("indices is invalid: [{name}] is closed"))
        }
    })
}

/// One operation at a time on the cluster.
pub async fn refuse_when_busy(state: &HuaweiState, repository: &str) -> Result<(), CssError> {
    let snapshots = state.engine.snapshots(repository).await?;
    if let Some(running) = snapshots.iter().find(|info| info.is_running()) {
        return Err(Fault::Busy.because(format!("snapshot {} is being created", running.name)));
    }
    if let Some(running) = state.engine.running_restores(None).await.first() {
        return Err(Fault::Busy.because(format!("snapshot {} is being restored", running.snapshot)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Wanted, CssError> {
        Wanted::read(&Fields::parse(body.as_bytes()).unwrap())
    }

    #[test]
    fn the_body_of_the_source_document_is_read() {
        let wanted =
            read(r#"{"name":"snapshot_001","indices":"myindex1,myindex2","description":""}"#)
                .unwrap();
        assert_eq!(wanted.name, "snapshot_001");
        assert_eq!(wanted.indices, "myindex1,myindex2");
    }

    #[test]
    fn indices_are_all_unless_named() {
        assert_eq!(read(r#"{"name":"abcd"}"#).unwrap().indices, "*");
        assert_eq!(
            read(r#"{"name":"abcd","indices":""}"#).unwrap().indices,
            "*"
        );
        assert_eq!(
            read(r#"{"name":"abcd","indices":null}"#).unwrap().indices,
            "*"
        );
    }

    #[test]
    fn text_is_decoded_before_it_is_counted() {
        let escaped = "\\u7d22".repeat(256);
        assert!(read(&format!(r#"{{"name":"abcd","description":"{escaped}"}}"#)).is_ok());
    }

    #[test]
    fn values_of_another_type_are_invalid() {
        for body in [
            r#"{"name":1}"#,
            r#"{"description":"x"}"#,
            r#"{"name":"abcd","indices":["a"]}"#,
        ] {
            let refused = read(body).err().unwrap();
            assert_eq!(refused.fault, Fault::InvalidParameter, "{body}");
        }
    }
}
