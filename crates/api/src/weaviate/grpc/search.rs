//! `Search`: lists, the cursor, filters, exact nearest neighbours.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use snapkeep_store::View;
use snapkeep_store::collections::{
    Filter, Metric, NearVector as Near, Object, ObjectHit, ObjectQuery, QueryVector,
};

use super::super::class::{ClassSchema, DataType};
use super::super::errors::WvError;
use super::super::filter::{parse_where, sort_key};
use super::super::object::{
    Beacon, ClassCatalogue, ClassContext, StorageContext, parse_id, ready_tenant,
};
use super::super::state::{MAX_RESULTS, blocking};
use super::outgoing::{self, Wanted};
use super::proto::{
    Filters, MetadataRequest, MetadataResult, NearObject, NearVector, PropertiesRequest,
    PropertiesResult, RefPropertiesRequest, RefPropertiesResult, SearchReply, SearchRequest,
    SearchResult, Targets,
};
use super::service::{Context, not_offered, tenant, took};
use super::{filters, vectors};
use crate::auth::Need;

/// Objects in a reply to a request that names no limit (`QUERY_DEFAULTS_LIMIT`).
const DEFAULT_LIMIT: usize = 10;
/// References that are followed from one object to the next.
const MAX_REFERENCE_DEPTH: usize = 8;

pub(super) async fn search(
    context: Context,
    request: SearchRequest,
) -> Result<SearchReply, WvError> {
    let since = Instant::now();
    refuse_what_is_not_offered(&request)?;
    blocking(move || {
        let tenant = tenant(request.tenant.clone());
        let class = class_for_reading(&context, &request.collection, tenant.as_deref())?;
        let view = context.state.store.peek();
        let query = query(&view, &class, tenant.clone(), &request)?;
        let metric = query.near.as_ref().map(|near| near.metric);
        let name = &class.meta.name;
        let hits = view
            .search_objects(&query)
            .map_err(|error| StorageContext::List.error(name, &error))?;
        let mut reader = Reader {
            context: &context,
            view: &view,
            tenant: tenant.as_deref(),
        };
        let everything = PropertiesRequest {
            return_all_nonref_properties: true,
            ..PropertiesRequest::default()
        };
        let wanted = request.properties.as_ref().unwrap_or(&everything);
        let nothing = MetadataRequest::default();
        let metadata = request.metadata.as_ref().unwrap_or(&nothing);
        let mut results = Vec::with_capacity(hits.len());
        for hit in &hits {
            results.push(SearchResult {
                properties: Some(reader.properties(&class, &hit.object, wanted, 0)?),
                metadata: Some(describe(hit, metadata, metric)),
            });
        }
        Ok(SearchReply {
            took: took(since),
            results,
        })
    })
    .await
}

fn refuse_what_is_not_offered(request: &SearchRequest) -> Result<(), WvError> {
    let selection = request
        .near_vector
        .as_ref()
        .is_some_and(|it| it.selection.is_some())
        || request
            .near_object
            .as_ref()
            .is_some_and(|it| it.selection.is_some());
    let refused = [
        ("hybrid search", request.hybrid_search.is_some()),
        ("bm25 search", request.bm25_search.is_some()),
        ("near_text", request.near_text.is_some()),
        ("near_image", request.near_image.is_some()),
        ("near_audio", request.near_audio.is_some()),
        ("near_video", request.near_video.is_some()),
        ("near_depth", request.near_depth.is_some()),
        ("near_thermal", request.near_thermal.is_some()),
        ("near_imu", request.near_imu.is_some()),
        ("group_by", request.group_by.is_some()),
        ("autocut", request.autocut > 0),
        ("generative search", request.generative.is_some()),
        ("rerank", request.rerank.is_some()),
        ("boost", request.boost.is_some()),
        ("selection of diverse results", selection),
        (
            "the properties of clients older than server 1.27",
            !request.uses_127_api,
        ),
    ];
    match refused.iter().find(|(_, asked)| *asked) {
        Some((feature, _)) => Err(not_offered(feature)),
        None => Ok(()),
    }
}

/// A class by its name or an alias.
pub(super) fn class_of(context: &Context, name: &str) -> Option<Arc<ClassContext>> {
    ClassCatalogue::new(&context.state.store).get(name)
}

/// A class that the caller may read, its tenant awake where the class says that this happens by itself.
pub(super) fn class_for_reading(
    context: &Context,
    name: &str,
    tenant: Option<&str>,
) -> Result<Arc<ClassContext>, WvError> {
    let class = class_of(context, name)
        .ok_or_else(|| WvError::unprocessable(format!("could not find class {name} in schema")))?;
    let names = [class.meta.name.clone()];
    let need = Need::read("read_data").resources(&names);
    context.caller.authorise(need)?;
    if let Some(tenant) = tenant {
        ready_tenant(&context.state.store, &class, tenant, false)?;
    }
    Ok(class)
}

/// The filter of a request.
pub(super) fn filter(
    class: &ClassContext,
    given: Option<&Filters>,
) -> Result<Option<Filter>, WvError> {
    let parsed = given.map(|given| {
        let clause = filters::clause(given)?;
        parse_where(&class.schema, &clause)
    });
    parsed.transpose().map_err(WvError::unprocessable)
}

fn query(
    view: &View,
    class: &ClassContext,
    tenant: Option<String>,
    request: &SearchRequest,
) -> Result<ObjectQuery, WvError> {
    let limit = match request.limit as usize {
        0 => DEFAULT_LIMIT,
        limit => limit,
    };
    let offset = request.offset as usize;
    if limit.saturating_add(offset) > MAX_RESULTS {
        return Err(WvError::unprocessable(format!(
            "query maximum results exceeded: the total limit calculated from the provided offset '{offset}' and limit \
             '{limit}' exceeds the configured value for QUERY_MAXIMUM_RESULTS '{MAX_RESULTS}'"
        )));
    }
    let after = parse_id(&request.after, "after", "body")?;
    let sort = request
        .sort_by
        .iter()
        .map(|key| sort_key(&class.schema, &json!(key.path), !key.ascending))
        .collect::<Result<Vec<_>, _>>()
        .map_err(WvError::unprocessable)?;
    let near = match (&request.near_vector, &request.near_object) {
        (Some(_), Some(_)) => {
            return Err(WvError::unprocessable(
                "near_vector and near_object cannot both be given",
            ));
        }
        (Some(near), None) => Some(near_vector(&class.schema, near)?),
        (None, Some(near)) => Some(near_object(view, class, tenant.as_deref(), near)?),
        (None, None) => None,
    };
    if after.is_some() && (near.is_some() || !sort.is_empty() || offset > 0) {
        let text = "the cursor (after) cannot be combined with a search, a sort or an offset";
        return Err(WvError::unprocessable(text));
    }
    Ok(ObjectQuery {
        collection: class.meta.name.clone(),
        tenant,
        filter: filter(class, request.filters.as_ref())?,
        near,
        sort,
        limit,
        offset,
        after,
    })
}

/// The one vector of the objects to compare with: the one named, or the only one there is.
fn target(
    class: &ClassSchema,
    targets: Option<&Targets>,
    older: &[String],
) -> Result<String, WvError> {
    let named = targets.map_or(older, |it| it.target_vectors.as_slice());
    match named {
        [] => {}
        [name] if class.named_vectors.is_empty() && name == "default" => return Ok(String::new()),
        [name] => return Ok(name.clone()),
        _ => return Err(not_offered("a search over several target vectors")),
    }
    let mut names = class.named_vectors.keys();
    match (class.vector, names.next(), names.next()) {
        (Some(_), _, _) | (None, None, _) => Ok(String::new()),
        (None, Some(only), None) => Ok(only.clone()),
        (None, Some(_), Some(_)) => Err(WvError::unprocessable(format!(
            "class {} has multiple vectors, but no target vectors were provided",
            class.name
        ))),
    }
}

fn near_vector(class: &ClassSchema, near: &NearVector) -> Result<Near, WvError> {
    let (name, vector) = query_vector(near).map_err(WvError::unprocessable)?;
    let named: Vec<String> = near.target_vectors.iter().cloned().chain(name).collect();
    let target = target(class, near.targets.as_ref(), &named)?;
    nearest(class, target, vector, near.distance, near.certainty)
}

/// The vector, in whichever of the ways the client gives it, and the target it names along with it.
fn query_vector(near: &NearVector) -> Result<(Option<String>, QueryVector), String> {
    let several = || Err("a search with several vectors is not offered by this server".to_owned());
    if let Some(for_target) = near.vector_for_targets.first() {
        if near.vector_for_targets.len() > 1 || for_target.vectors.len() > 1 {
            return several();
        }
        let vector = match for_target.vectors.first() {
            Some(vector) => vectors::of_query(vector)?,
            None => QueryVector::Single(vectors::decode(&for_target.vector_bytes)?),
        };
        let is_said_elsewhere = near.targets.is_some() || !near.target_vectors.is_empty();
        let name = (!is_said_elsewhere).then(|| for_target.name.clone());
        return Ok((name, vector));
    }
    if let Some((name, bytes)) = near.vector_per_target.first_key_value() {
        if near.vector_per_target.len() > 1 {
            return several();
        }
        let name = near.target_vectors.is_empty().then(|| name.clone());
        return Ok((name, QueryVector::Single(vectors::decode(bytes)?)));
    }
    let vector = match near.vectors.as_slice() {
        [] if near.vector_bytes.is_empty() => QueryVector::Single(near.vector.clone()),
        [] => QueryVector::Single(vectors::decode(&near.vector_bytes)?),
        [only] => vectors::of_query(only)?,
        _ => return several(),
    };
    Ok((None, vector))
}

fn near_object(
    view: &View,
    class: &ClassContext,
    tenant: Option<&str>,
    near: &NearObject,
) -> Result<Near, WvError> {
    let id = parse_id(&near.id, "id", "body")?
        .ok_or_else(|| WvError::unprocessable("near_object has no id"))?;
    let target = target(&class.schema, near.targets.as_ref(), &near.target_vectors)?;
    let name = &class.meta.name;
    let object = view
        .object(name, tenant, id)
        .map_err(|error| StorageContext::List.error(name, &error))?;
    let vector = object.as_ref().and_then(|it| it.vector(&target));
    let vector = vector.ok_or_else(|| {
        WvError::unprocessable(format!(
            "vectorize params: nearObject params: vector not found for {id}"
        ))
    })?;
    let vector = match vector.rows {
        None => QueryVector::Single(vector.values.clone()),
        Some(_) => QueryVector::Multi(vector.rows().map(<[f32]>::to_vec).collect()),
    };
    nearest(&class.schema, target, vector, near.distance, near.certainty)
}

fn nearest(
    class: &ClassSchema,
    target: String,
    vector: QueryVector,
    distance: Option<f64>,
    certainty: Option<f64>,
) -> Result<Near, WvError> {
    let index = class.vector_index(&target).ok_or_else(|| {
        WvError::unprocessable(format!(
            "class {} does not have named vector {target}",
            class.name
        ))
    })?;
    let max_distance = match (distance, certainty) {
        (Some(_), Some(_)) => {
            return Err(WvError::unprocessable(
                "distance and certainty cannot both be given",
            ));
        }
        (Some(distance), None) => Some(distance as f32),
        (None, Some(_)) if index.metric != Metric::Cosine => {
            return Err(WvError::unprocessable(
                "can't compute and return certainty when vector index is configured with another distance than cosine",
            ));
        }
        (None, Some(certainty)) => Some(((1.0 - certainty) * 2.0) as f32),
        (None, None) => None,
    };
    Ok(Near {
        target,
        vector,
        metric: index.metric,
        max_distance,
    })
}

fn describe(hit: &ObjectHit, asked: &MetadataRequest, metric: Option<Metric>) -> MetadataResult {
    let mut shown = metadata(&hit.object, asked);
    if let Some(distance) = hit.distance {
        shown.distance = distance;
        shown.distance_present = asked.distance;
        if metric == Some(Metric::Cosine) {
            shown.certainty = 1.0 - distance / 2.0;
            shown.certainty_present = asked.certainty;
        }
    }
    shown
}

fn metadata(object: &Object, asked: &MetadataRequest) -> MetadataResult {
    let mut shown = MetadataResult::default();
    if asked.uuid {
        shown.id = object.id.to_string();
        shown.id_as_bytes = object.id.0.to_vec();
    }
    if asked.creation_time_unix {
        shown.creation_time_unix = object.created_ms;
        shown.creation_time_unix_present = true;
    }
    if asked.last_update_time_unix {
        shown.last_update_time_unix = object.updated_ms;
        shown.last_update_time_unix_present = true;
    }
    if asked.is_consistent {
        shown.is_consistent = Some(true);
        shown.is_consistent_present = true;
    }
    for vector in &object.vectors {
        let is_named = asked.vectors.contains(&vector.name);
        if vector.name.is_empty()
            && (asked.vector || asked.vectors.iter().any(|it| it == "default"))
        {
            shown.vector_bytes = vectors::encode(&vector.values);
        } else if !vector.name.is_empty() && (asked.vector || is_named) {
            shown.vectors.extend(vectors::message(vector));
        }
    }
    shown
}

/// Reads properties, following references.
struct Reader<'a> {
    context: &'a Context,
    view: &'a View,
    tenant: Option<&'a str>,
}

impl Reader<'_> {
    fn properties(
        &mut self,
        class: &ClassContext,
        object: &Object,
        asked: &PropertiesRequest,
        depth: usize,
    ) -> Result<PropertiesResult, WvError> {
        let wanted = match asked.return_all_nonref_properties {
            true => Wanted::All,
            false => Wanted::Some(&asked.non_ref_properties, &asked.object_properties),
        };
        let mut ref_props = Vec::new();
        for reference in &asked.ref_properties {
            if depth >= MAX_REFERENCE_DEPTH {
                return Err(not_offered("references deeper than 8"));
            }
            ref_props.extend(self.references(class, object, reference, depth)?);
        }
        Ok(PropertiesResult {
            ref_props,
            target_collection: class.meta.name.clone(),
            metadata: None,
            non_ref_props: Some(outgoing::properties(
                &class.schema.properties,
                &object.properties,
                wanted,
            )),
            ref_props_requested: !asked.ref_properties.is_empty(),
        })
    }

    /// The targets of a reference property; none where the object has no such references. What does not exist any more, or may
    /// not be seen, is left out.
    fn references(
        &mut self,
        class: &ClassContext,
        object: &Object,
        asked: &RefPropertiesRequest,
        depth: usize,
    ) -> Result<Option<RefPropertiesResult>, WvError> {
        let name = &asked.reference_property;
        let property = class.schema.property(name);
        let Some(DataType::Reference(targets)) = property.map(|it| &it.data_type) else {
            return Err(WvError::unprocessable(format!(
                "class {} has no reference property {name}",
                class.meta.name
            )));
        };
        let beacons = object.properties.get(name).and_then(|it| it.as_array());
        let Some(beacons) = beacons.filter(|it| !it.is_empty()) else {
            return Ok(None);
        };
        let everything = PropertiesRequest {
            return_all_nonref_properties: true,
            ..PropertiesRequest::default()
        };
        let wanted = asked.properties.as_ref().unwrap_or(&everything);
        let mut found = Vec::new();
        for beacon in beacons.iter().filter_map(|it| it["beacon"].as_str()) {
            let Ok(beacon) = Beacon::parse(beacon) else {
                continue;
            };
            let Some(target) = beacon.class.as_ref().or(targets.first()) else {
                continue;
            };
            let is_asked = asked.target_collection.is_empty() || asked.target_collection == *target;
            if !is_asked || !self.context.caller.sees_resource(target) {
                continue;
            }
            let Some(target) = class_of(self.context, target) else {
                continue;
            };
            let tenant = self.tenant.filter(|_| target.meta.multi_tenant);
            let read = self.view.object(&target.meta.name, tenant, beacon.id);
            let Ok(Some(object)) = read else {
                continue;
            };
            let mut properties = self.properties(&target, &object, wanted, depth + 1)?;
            properties.metadata = asked.metadata.as_ref().map(|it| metadata(&object, it));
            found.push(properties);
        }
        Ok(Some(RefPropertiesResult {
            properties: found,
            prop_name: name.clone(),
        }))
    }
}
