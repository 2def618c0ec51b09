//! Taking, listing, cloning and deleting snapshots.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use snapkeep_engine::selection::{self, Candidate, Expand, Options, SelectionError};
use snapkeep_engine::{
    CreateSnapshot as EngineCreate, EngineError, JobInfo, JobKind, PointQuery, SnapshotInfo,
};
use snapkeep_store::IndexState;

use super::body::Body;
use super::jobs::accepted;
use super::problem::{Answer, Refusal};
use super::router::NativeState;
use super::types::{
    CloneSnapshot, CreateSnapshot, Job, Problem, Snapshot, SnapshotStatus, Snapshots,
};
use crate::auth::{Caller, Need};

/// Lists the snapshots of a repository, running ones included.
#[utoipa::path(get, path = "/api/v1/repositories/{repository}/snapshots", tag = "snapshots", params(("repository" = String, Path)),
    responses((status = 200, body = Snapshots), (status = 404, body = Problem)))]
pub async fn list(
    State(state): State<NativeState>,
    Path(repository): Path<String>,
) -> Answer<Json<Snapshots>> {
    let found = state.engine.snapshots(&repository).await?;
    let mut snapshots: Vec<Snapshot> = found.into_iter().map(Snapshot::from).collect();
    say_what_disks_are_of(&state, &mut snapshots).await?;
    Ok(Json(Snapshots { snapshots }))
}

/// Gives one snapshot.
#[utoipa::path(get, path = "/api/v1/repositories/{repository}/snapshots/{snapshot}", tag = "snapshots",
    params(("repository" = String, Path), ("snapshot" = String, Path)), responses((status = 200, body = Snapshot), (status = 404, body = Problem)))]
pub async fn get(
    State(state): State<NativeState>,
    Path((repository, snapshot)): Path<(String, String)>,
) -> Answer<Json<Snapshot>> {
    let found = find(&state, &repository, &snapshot).await?;
    let mut snapshots = [Snapshot::from(found)];
    say_what_disks_are_of(&state, &mut snapshots).await?;
    let [snapshot] = snapshots;
    Ok(Json(snapshot))
}

/// Snapshots of disks are points, and what these are of is known there.
async fn say_what_disks_are_of(state: &NativeState, snapshots: &mut [Snapshot]) -> Answer<()> {
    let has_no_documents =
        |snapshot: &Snapshot| snapshot.indices.is_empty() && snapshot.collections.is_empty();
    let candidates = snapshots.iter().filter(|it| has_no_documents(it));
    let ids: Vec<String> = candidates.map(|it| it.name.clone()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let query = PointQuery {
        ids,
        limit: usize::MAX,
        ..PointQuery::default()
    };
    for point in state.engine.points(query).await?.points {
        let of_point = |it: &&mut Snapshot| {
            it.name == point.id && it.repository == point.repository && has_no_documents(it)
        };
        if let Some(snapshot) = snapshots.iter_mut().find(of_point) {
            snapshot.disks_of = Some(point.resource.into());
        }
    }
    Ok(())
}

/// Takes a snapshot. The job's subject is its name.
#[utoipa::path(post, path = "/api/v1/repositories/{repository}/snapshots", tag = "snapshots", params(("repository" = String, Path)),
    request_body = CreateSnapshot, responses((status = 202, body = Job), (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn create(
    State(state): State<NativeState>,
    caller: Caller,
    Path(repository): Path<String>,
    Body(wanted): Body<CreateSnapshot>,
) -> Answer<(StatusCode, Json<Job>)> {
    let options = Options {
        ignore_unavailable: wanted.ignore_unavailable,
        expand: Expand {
            open: true,
            closed: false,
            hidden: true,
        },
        ..Options::default()
    };
    authorise_names(&caller, "snapshot:create", &wanted.indices)?;
    authorise_names(&caller, "snapshot:create", &wanted.collections)?;
    let named = Named::of(&wanted.indices, &wanted.collections);
    let mut indices = Vec::new();
    if named.takes_indices() {
        let candidates = visible(&caller, candidates(&state));
        indices = selection::resolve(&wanted.indices, &candidates, &options)?;
    }
    let mut collections = Vec::new();
    if named.takes_collections() {
        let all = state.store.collections();
        let names = all.iter().map(|collection| collection.name.clone());
        collections = resolve_names(&caller, names, &wanted.collections, &options)
            .map_err(collection_missing)?;
    }
    let touched = [&indices[..], &collections].concat();
    caller.authorise(Need::operate("snapshot:create").resources(&touched))?;
    let request = EngineCreate {
        name: wanted.name,
        indices,
        collections,
        partial: wanted.partial,
        include_global_state: wanted.include_global_state,
        metadata: wanted.metadata,
        ..EngineCreate::default()
    };
    let ticket = state.engine.create_snapshot(&repository, request).await?;
    accepted(&state, &ticket.job_id).await
}

/// Deletes a snapshot; one that is being taken is cancelled.
#[utoipa::path(delete, path = "/api/v1/repositories/{repository}/snapshots/{snapshot}", tag = "snapshots",
    params(("repository" = String, Path), ("snapshot" = String, Path)), responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn delete(
    State(state): State<NativeState>,
    Path((repository, snapshot)): Path<(String, String)>,
) -> Answer<StatusCode> {
    state
        .engine
        .delete_snapshots(&repository, &[snapshot])
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tells how far a snapshot is, or what it came to, shard by shard.
#[utoipa::path(get, path = "/api/v1/repositories/{repository}/snapshots/{snapshot}/status", tag = "snapshots",
    params(("repository" = String, Path), ("snapshot" = String, Path)), responses((status = 200, body = SnapshotStatus), (status = 404, body = Problem)))]
pub async fn status(
    State(state): State<NativeState>,
    Path((repository, snapshot)): Path<(String, String)>,
) -> Answer<Json<SnapshotStatus>> {
    let status = state.engine.snapshot_status(&repository, &snapshot).await?;
    let mut status = SnapshotStatus::from(status);
    if status.stored_bytes == 0 {
        status.stored_bytes = stored_by_job(&state, &status.snapshot).await?;
    }
    Ok(Json(status))
}

/// What taking a snapshot added to the repository. A snapshot cannot hold what storing it cost, but the job that took it knows,
/// for as long as it is remembered.
async fn stored_by_job(state: &NativeState, snapshot: &Snapshot) -> Answer<u64> {
    let jobs = state.engine.jobs().await?;
    let took = |job: &&JobInfo| {
        job.kind == JobKind::Snapshot
            && job.repository == snapshot.repository
            && job.subject == snapshot.name
            && snapshot.end_ms.is_none_or(|end| job.created_ms <= end)
            && job
                .finished_ms
                .is_none_or(|finished| finished >= snapshot.start_ms)
    };
    Ok(jobs
        .iter()
        .find(took)
        .map_or(0, |job| job.progress.stored_bytes))
}

/// Makes a new snapshot from a part of an existing one. Nothing is copied.
#[utoipa::path(post, path = "/api/v1/repositories/{repository}/snapshots/{snapshot}/clone", tag = "snapshots",
    params(("repository" = String, Path), ("snapshot" = String, Path)), request_body = CloneSnapshot,
    responses((status = 200, body = Snapshot), (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn clone(
    State(state): State<NativeState>,
    caller: Caller,
    Path((repository, snapshot)): Path<(String, String)>,
    Body(wanted): Body<CloneSnapshot>,
) -> Answer<Json<Snapshot>> {
    let source = find(&state, &repository, &snapshot).await?;
    let indices = indices_of(&caller, &source, &wanted.indices)?;
    let made = state
        .engine
        .clone_snapshot(&repository, &snapshot, &wanted.target, &indices)
        .await?;
    Ok(Json(made.into()))
}

/// The snapshot of this name.
pub async fn find(state: &NativeState, repository: &str, snapshot: &str) -> Answer<SnapshotInfo> {
    Ok(state.engine.snapshot(repository, snapshot).await?)
}

/// Those that the caller may see.
fn visible(caller: &Caller, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.retain(|candidate| caller.sees_resource(&candidate.name));
    candidates
}

/// Names that are given outright must be within the caller's limits, there or not; patterns mean what may be seen.
fn authorise_names(caller: &Caller, what: &str, expressions: &[String]) -> Answer<()> {
    let names = expressions.iter().flat_map(|item| item.split(','));
    let is_outright =
        |name: &&str| !name.contains('*') && !name.starts_with('-') && *name != "_all";
    let names: Vec<String> = names.filter(is_outright).map(str::to_owned).collect();
    match caller.has_resource_limits() {
        true => Ok(caller.authorise(Need::read(what).resources(&names))?),
        false => Ok(()),
    }
}

/// Resolves names and patterns against the indices of a snapshot that the caller may see.
pub fn indices_of(
    caller: &Caller,
    snapshot: &SnapshotInfo,
    expressions: &[String],
) -> Answer<Vec<String>> {
    authorise_names(caller, "snapshot:read", expressions)?;
    let names = snapshot.index_names().into_iter();
    Ok(resolve_names(
        caller,
        names,
        expressions,
        &Options::default(),
    )?)
}

/// Resolves names and patterns against the collections of a snapshot that the caller may see.
pub fn collections_of(
    caller: &Caller,
    snapshot: &SnapshotInfo,
    expressions: &[String],
) -> Answer<Vec<String>> {
    authorise_names(caller, "snapshot:read", expressions)?;
    let names = snapshot.collection_names().into_iter();
    resolve_names(caller, names, expressions, &Options::default()).map_err(collection_missing)
}

/// The selection speaks of indices.
fn collection_missing(error: SelectionError) -> Refusal {
    match error {
        SelectionError::Missing(collection) => EngineError::CollectionMissing { collection }.into(),
        other => other.into(),
    }
}

fn resolve_names(
    caller: &Caller,
    names: impl Iterator<Item = String>,
    expressions: &[String],
    options: &Options,
) -> Result<Vec<String>, SelectionError> {
    let candidate = |name: String| Candidate {
        name,
        open: true,
        ..Candidate::default()
    };
    let candidates = visible(caller, names.map(candidate).collect());
    selection::resolve(expressions, &candidates, options)
}

/// What a request names: where it names indices only or collections only, it means no more than these.
#[derive(Clone, Copy)]
pub struct Named {
    indices: bool,
    collections: bool,
}

impl Named {
    /// Of a request with these lists.
    pub fn of(indices: &[String], collections: &[String]) -> Self {
        Self {
            indices: !indices.is_empty(),
            collections: !collections.is_empty(),
        }
    }

    /// Whether indices are meant, all of them where none is named.
    pub fn takes_indices(self) -> bool {
        self.indices || !self.collections
    }

    /// The same of collections.
    pub fn takes_collections(self) -> bool {
        self.collections || !self.indices
    }
}

/// The indices of the store, as the selection wants them.
fn candidates(state: &NativeState) -> Vec<Candidate> {
    let usable = state
        .store
        .indices()
        .into_iter()
        .filter(|index| index.state != IndexState::Restoring);
    usable
        .map(|index| Candidate {
            hidden: index
                .settings
                .get("index.hidden")
                .is_some_and(|value| value == "true"),
            open: index.state == IndexState::Open,
            aliases: index.aliases.keys().cloned().collect(),
            name: index.name.clone(),
        })
        .collect()
}
