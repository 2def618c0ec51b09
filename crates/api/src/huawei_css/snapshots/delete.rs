//! `DELETE …/index_snapshot/{snapshot}`.

use super::list::find;
use crate::auth::Need;
use crate::huawei_css::call::{Answer, Call, CssResult};
use crate::huawei_css::errors::Fault;
use crate::huawei_css::setting::Setting;

/// Deletes a snapshot that is not being built; answers when it is gone.
pub async fn delete(call: Call, id: &str) -> CssResult {
    call.cluster()?;
    let what = "css:snapshot:delete";
    call.authorise(Need::administer(what))?;
    let state = &call.state;
    let setting = Setting::load_enabled(state).await?;
    call.authorise(Need::administer(what).repository(&setting.bucket))?;
    let info = find(state, &setting, id).await?;
    if info.is_running() {
        return Err(Fault::NotReady.because(format!("snapshot {} is being created", info.name)));
    }
    let Some(_deletion) = state.begin_deletion(&info.uuid) else {
        return Err(Fault::BeingDeleted.because(info.name));
    };
    state
        .engine
        .delete_snapshots(&setting.bucket, &[info.name])
        .await?;
    Ok(Answer::empty())
}
