//! What the collections of a snapshot become, and restoring them: all or none.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use snapkeep_drivers::{DriverError, ResourceKind, RestoreCollection};
use snapkeep_vault::{Node, Repository, Tree};

use super::accept::{read_json, subtree};
use super::load::Loading;
use super::running::RunningRestore;
use super::targets::TargetError;
use crate::engine::Inner;
use crate::error::{EngineError, RestoreProblem};
use crate::layout::{
    CLASS_FILE, CollectionDescription, Manifest, ResourceManifest, ShardResult, shard_directory,
};
use crate::model::{OnConflict, RestoreRequest};
use crate::snapshots::base::{find_node, folder_of};

/// How often a restore that waits for its earliest end looks for a cancel.
const CANCEL_LOOK: Duration = Duration::from_millis(5);

/// A collection to load.
#[derive(Debug)]
pub(super) struct CollectionWork {
    /// Name in the snapshot.
    pub(super) source: String,
    pub(super) target: RestoreCollection,
    /// Directories of its shards in the order of the target's; none for a shard that the snapshot misses or left out.
    pub(super) shards: Vec<Option<Node>>,
}

/// Checks names and tenants, and reads the descriptions of the collections, sorted by target name. Blocks.
pub(super) fn prepare(
    repository: &Repository,
    root: &Tree,
    manifest: &Manifest,
    request: &RestoreRequest,
) -> Result<Vec<CollectionWork>, TargetError> {
    if request.collections.is_empty() {
        return Ok(Vec::new());
    }
    if request.tenants.is_some() && request.on_conflict == OnConflict::Overwrite {
        return Err(TargetError::Engine(EngineError::Refused {
            reason: "some tenants of a collection cannot overwrite it, its other tenants would be lost; restore them \
                     under another name"
                .to_owned(),
        }));
    }
    let targets = targets(request, manifest)?;
    let unreadable = |reason: String| {
        TargetError::Engine(EngineError::RepositoryUnavailable {
            repository: repository.storage().location(),
            reason,
        })
    };
    let folder =
        subtree(repository, root, folder_of(ResourceKind::Collection)).map_err(unreadable)?;
    let mut works = Vec::new();
    for (target, described) in targets {
        let tree = subtree(repository, &folder, &described.name).map_err(unreadable)?;
        let description: CollectionDescription =
            read_json(repository, &tree, CLASS_FILE).map_err(unreadable)?;
        works
            .push(prepare_one(target, described, description, &tree, request).map_err(unreadable)?);
    }
    if let Some(wanted) = &request.tenants {
        let restored: BTreeSet<&String> = works
            .iter()
            .filter(|work| work.target.multi_tenant)
            .flat_map(|work| work.target.shards.iter().map(|shard| &shard.name))
            .collect();
        if let Some(missing) = wanted.iter().find(|tenant| !restored.contains(tenant)) {
            return Err(TargetError::Engine(EngineError::TenantMissing {
                tenant: missing.clone(),
                collections: works.iter().map(|work| work.source.clone()).collect(),
            }));
        }
    }
    Ok(works)
}

/// The target names with what is known of their sources.
fn targets<'m>(
    request: &RestoreRequest,
    manifest: &'m Manifest,
) -> Result<BTreeMap<String, &'m ResourceManifest>, TargetError> {
    let sources: BTreeSet<&String> = request.collections.iter().collect();
    let missing = |name: &String| {
        TargetError::Engine(EngineError::CollectionMissing {
            collection: name.clone(),
        })
    };
    if let Some(unknown) = request
        .collection_rename
        .keys()
        .find(|name| !sources.contains(name))
    {
        return Err(missing(unknown));
    }
    let known: HashMap<&String, &ResourceManifest> = manifest
        .collections
        .iter()
        .map(|collection| (&collection.name, collection))
        .collect();
    let mut targets: BTreeMap<String, &ResourceManifest> = BTreeMap::new();
    for source in sources {
        let described = *known.get(source).ok_or_else(|| missing(source))?;
        if described.is_partial() && !request.partial {
            return Err(TargetError::Problem(
                RestoreProblem::CollectionNotFullySnapshotted {
                    collection: source.clone(),
                },
            ));
        }
        let target = request.collection_rename.get(source).unwrap_or(source);
        if let Some(first) = targets.insert(target.clone(), described) {
            return Err(TargetError::Problem(
                RestoreProblem::CollectionsRenamedIntoSame {
                    first: first.name.clone(),
                    second: source.clone(),
                    target: target.clone(),
                },
            ));
        }
    }
    Ok(targets)
}

fn prepare_one(
    name: String,
    described: &ResourceManifest,
    description: CollectionDescription,
    tree: &Tree,
    request: &RestoreRequest,
) -> Result<CollectionWork, String> {
    let results: HashMap<String, &ShardResult> = described
        .shards
        .iter()
        .map(|shard| (shard.directory(), &shard.result))
        .collect();
    let tenants: Option<BTreeSet<&String>> = request
        .tenants
        .as_ref()
        .filter(|_| description.multi_tenant)
        .map(|tenants| tenants.iter().collect());
    let is_wanted = |tenant: &String| {
        let tenants = tenants.as_ref();
        tenants.is_none_or(|tenants| tenants.contains(tenant))
    };
    let mut shards = Vec::new();
    let mut nodes = Vec::new();
    for shard in description.shards {
        if !is_wanted(&shard.name) {
            continue;
        }
        let directory = shard_directory(&shard.name);
        let node = find_node(tree, &directory).filter(|node| node.subtree.is_some());
        let may_be_missing = !matches!(results.get(&directory), Some(ShardResult::Captured { .. }));
        // Only a shard that is told to have failed or to be left out may be missing.
        if node.is_none() && !(may_be_missing && results.contains_key(&directory)) {
            return Err(format!(
                "shard {} of collection {} is missing in the snapshot",
                shard.name, described.name
            ));
        }
        shards.push(shard);
        nodes.push(node);
    }
    Ok(CollectionWork {
        source: described.name.clone(),
        target: RestoreCollection {
            name,
            class: description.class,
            multi_tenant: description.multi_tenant,
            created_ms: description.created_ms,
            shards,
            aliases: if request.include_aliases {
                description.aliases
            } else {
                Vec::new()
            },
            replace_existing: false,
            overwrite_aliases: request.overwrite_aliases,
        },
        shards: nodes,
    })
}

/// Loads collections and makes them visible, all or none; those that were left alone because they exist are told in the run.
pub(super) fn restore(
    inner: &Inner,
    running: &RunningRestore,
    repository: &Repository,
    mut works: Vec<CollectionWork>,
    (on_conflict, not_before): (OnConflict, Instant),
) -> Result<(), String> {
    let existing: BTreeSet<String> = inner
        .driver
        .resources()
        .map_err(|error| error.to_string())?
        .into_iter()
        .filter(|resource| resource.kind == ResourceKind::Collection)
        .map(|resource| resource.name)
        .collect();
    // Also of those that are left alone: under the new name is what references are meant to find.
    let renamed: BTreeMap<String, String> = works
        .iter()
        .filter(|work| work.source != work.target.name)
        .map(|work| (work.source.clone(), work.target.name.clone()))
        .collect();
    let is_there = |work: &CollectionWork| existing.contains(&work.target.name);
    let conflicts: Vec<String> = works
        .iter()
        .filter(|work| is_there(work))
        .map(|work| work.target.name.clone())
        .collect();
    let mut figures = running.collections.clone();
    if !conflicts.is_empty() && on_conflict != OnConflict::Overwrite {
        running.set_conflicts(conflicts.clone());
    }
    match on_conflict {
        OnConflict::Fail if !conflicts.is_empty() => return Err(exists(&conflicts)),
        OnConflict::Fail => {}
        OnConflict::Skip => {
            let mut kept = works.iter().map(|work| !is_there(work));
            figures.retain(|_| kept.next().unwrap_or_default());
            works.retain(|work| !is_there(work));
        }
        OnConflict::Overwrite => {
            for work in &mut works {
                work.target.replace_existing = existing.contains(&work.target.name);
            }
        }
    }
    if works.is_empty() {
        return Ok(());
    }
    let targets = works.iter().map(|work| work.target.clone()).collect();
    // Dropping the restoration on the way out undoes everything.
    let restoration = inner
        .driver
        .begin_collections_restore(targets, &renamed)
        .map_err(|error| match error {
            // It appeared since it was looked for.
            DriverError::CollectionExists(name) => {
                running.set_conflicts(vec![name.clone()]);
                exists(&[name])
            }
            other => other.to_string(),
        })?;
    let mut proofs = Vec::new();
    for (at, (work, figures)) in works.iter().zip(&figures).enumerate() {
        let restoration = restoration.as_ref();
        let loading = Loading {
            repository,
            kind: ResourceKind::Collection,
            figures,
            cancel: &running.job.cancel,
            load: &|shard, objects| restoration.load(at, shard, objects),
        };
        let loaded = loading.run(&work.shards);
        proofs.push(loaded.map_err(|error| format!("collection [{}]: {error}", work.target.name))?);
    }
    while Instant::now() < not_before && !running.job.cancel.is_cancelled() {
        std::thread::sleep(CANCEL_LOOK);
    }
    if !running.begin_finalizing() {
        return Err("cancelled".to_owned());
    }
    restoration.finish(proofs).map_err(|error| match error {
        DriverError::CollectionExists(name) => {
            running.set_conflicts(vec![name.clone()]);
            exists(&[name])
        }
        other => other.to_string(),
    })
}

fn exists(names: &[String]) -> String {
    format!(
        "collection(s) [{}] already exist(s) and nothing was restored; delete them, rename on restore, or ask for them to \
         be skipped or overwritten",
        names.join(", ")
    )
}

/// Marks the shards of all collections as ended.
pub(super) fn finish_figures(running: &RunningRestore, failure: Option<&str>, now_ms: i64) {
    for shard in running.collections.iter().flatten().map(Arc::as_ref) {
        shard.finish(failure, now_ms);
    }
}
