//! Lists of objects: pages by offset, the cursor, sorting.

use std::ops::ControlFlow;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json;
use snapkeep_store::View;
use snapkeep_store::collections::{Object, ObjectId, ObjectQuery, ObjectSort};

use super::common::{class, includes_vector};
use crate::auth::Need;
use crate::weaviate::class::ClassSchema;
use crate::weaviate::errors::WvError;
use crate::weaviate::filter::sort_key;
use crate::weaviate::object::{ObjectJson, Shown, StorageContext, ready_tenant};
use crate::weaviate::request::WvRequest;
use crate::weaviate::response::WvResponse;
use crate::weaviate::routes::{RouteTable, WvResult};
use crate::weaviate::state::{DEFAULT_RESULTS, MAX_RESULTS, blocking};

pub(super) fn register(table: &mut RouteTable) {
    table.get("/objects", list);
}

/// What part of a list is wanted.
struct Page {
    limit: usize,
    offset: usize,
    after: Option<ObjectId>,
}

fn page(request: &WvRequest, limit: Option<i64>, offset: Option<i64>) -> Result<Page, WvError> {
    let (wanted, skipped) = (limit.unwrap_or(DEFAULT_RESULTS), offset.unwrap_or(0));
    let parts = (usize::try_from(wanted), usize::try_from(skipped));
    let (Ok(limit_count), Ok(offset_count)) = parts else {
        return Err(too_many(wanted, skipped));
    };
    if limit_count.saturating_add(offset_count) > MAX_RESULTS {
        return Err(too_many(wanted, skipped));
    }
    let cursor_error = |complaint: String| {
        WvError::unprocessable(format!(
            "msg:cursor api: invalid 'after' parameter code:400 err:{complaint}"
        ))
    };
    let after = match request.query.get("after") {
        None => None,
        Some(_) if limit.is_none() => {
            return Err(cursor_error("limit parameter must be set".into()));
        }
        Some(_) if offset_count > 0 => {
            return Err(cursor_error(
                "offset cannot be set with after and limit parameters".into(),
            ));
        }
        Some(_) if request.query.get("sort").is_some() => {
            return Err(cursor_error(
                "sort cannot be set with after and limit parameters".into(),
            ));
        }
        Some(text) => Some(text.parse().map_err(|_| {
            let reason = match text.len() {
                36 => "invalid UUID format".to_owned(),
                length => format!("invalid UUID length: {length}"),
            };
            cursor_error(format!(
                "after parameter '{text}' is not a valid uuid: {reason}"
            ))
        })?),
    };
    Ok(Page {
        limit: limit_count,
        offset: offset_count,
        after,
    })
}

fn too_many(limit: i64, offset: i64) -> WvError {
    WvError::unprocessable(format!(
        "msg:offset or limit code:400 err:query maximum results exceeded: the total limit calculated from the provided \
         offset '{offset}' and limit '{limit}' exceeds the configured value for QUERY_MAXIMUM_RESULTS '{MAX_RESULTS}'. \
         If you've supplied a negative offset or limit, this may be an underflow error"
    ))
}

fn sorts(request: &WvRequest, class: &ClassSchema) -> Result<Vec<ObjectSort>, WvError> {
    let paths = request.query.get("sort").unwrap_or_default();
    let mut orders = request.query.get("order").unwrap_or_default().split(',');
    let paths = paths.split(',').filter(|path| !path.is_empty());
    paths
        .map(|path| {
            let descending = match orders.next().unwrap_or_default() {
                "" | "asc" => false,
                "desc" => true,
                other => {
                    return Err(WvError::unprocessable(format!(
                        "invalid order parameter, possible values are: [\"asc\", \"desc\"] not: {other:?}"
                    )));
                }
            };
            sort_key(class, &json!([path.trim()]), descending).map_err(WvError::unprocessable)
        })
        .collect()
}

async fn list(request: WvRequest) -> WvResult {
    let limit = request.query.int("limit")?;
    let offset = request.query.int("offset")?;
    let vectors = includes_vector(&request)?;
    blocking(move || {
        let listed = match request.query.get("class").map(str::to_owned) {
            Some(name) => of_class(&request, &name, limit, offset)?,
            None => of_all(&request, limit, offset)?,
        };
        Ok(WvResponse::value(&Listed {
            objects: &listed,
            vectors,
            of_class: request.query.get("class").is_some(),
        }))
    })
    .await
}

type Found = Vec<(String, Object)>;

fn of_class(
    request: &WvRequest,
    name: &str,
    limit: Option<i64>,
    offset: Option<i64>,
) -> Result<Found, WvError> {
    let class = class(request, name, Need::read("read_data"))?;
    let page = page(request, limit, offset)?;
    let sort = sorts(request, &class.schema)?;
    let tenant = request.query.get("tenant");
    let store = &request.state.store;
    if let Some(tenant) = tenant {
        ready_tenant(store, &class, tenant, false)?;
    }
    let name = &class.meta.name;
    let view = store.peek();
    let found = if sort.is_empty() {
        in_order(&view, name, tenant, &page)
    } else {
        let query = ObjectQuery {
            collection: name.clone(),
            tenant: tenant.map(str::to_owned),
            sort,
            limit: page.limit,
            offset: page.offset,
            ..ObjectQuery::default()
        };
        view.search_objects(&query)
            .map(|hits| hits.into_iter().map(|hit| hit.object).collect())
    };
    match found {
        Ok(objects) => Ok(objects.into_iter().map(|it| (name.clone(), it)).collect()),
        Err(error) => Err(StorageContext::List.error(name, &error)),
    }
}

/// A page in the order of ids.
fn in_order(
    view: &View,
    class: &str,
    tenant: Option<&str>,
    page: &Page,
) -> Result<Vec<Object>, snapkeep_store::StoreError> {
    let mut objects = Vec::new();
    let mut skipped = 0;
    view.objects_after(class, tenant, page.after, &mut |object| {
        if objects.len() >= page.limit {
            return ControlFlow::Break(());
        }
        if skipped < page.offset {
            skipped += 1;
        } else {
            objects.push(object);
        }
        if objects.len() < page.limit {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    Ok(objects)
}

/// Objects of all classes without tenants, class by class.
fn of_all(request: &WvRequest, limit: Option<i64>, offset: Option<i64>) -> Result<Found, WvError> {
    if request.query.get("after").is_some() {
        return Err(WvError::internal(
            "list objects: after parameter not allowed, cursor must be specific to one class, set class query param",
        ));
    }
    request.authorise(Need::read("read_data"))?;
    let mut page = page(request, limit, offset)?;
    let view = request.state.store.peek();
    let mut found: Found = Vec::new();
    for meta in view.collections() {
        if meta.multi_tenant || !request.caller.sees_resource(&meta.name) {
            continue;
        }
        if page.limit == 0 {
            break;
        }
        let name = &meta.name;
        let failed = |error| StorageContext::List.error(name, &error);
        let objects = in_order(&view, name, None, &page).map_err(failed)?;
        if objects.is_empty() && page.offset > 0 {
            let count = view.count_objects(name, None, None).map_err(failed)?;
            page.offset = page
                .offset
                .saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
            continue;
        }
        page.offset = 0;
        page.limit -= objects.len();
        found.extend(objects.into_iter().map(|it| (name.clone(), it)));
    }
    Ok(found)
}

struct Listed<'a> {
    objects: &'a [(String, Object)],
    vectors: bool,
    of_class: bool,
}

impl Serialize for Listed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = Shown {
            vectors: self.vectors,
            weights: true,
        };
        let objects: Vec<ObjectJson<'_>> = self
            .objects
            .iter()
            .map(|(class, object)| ObjectJson {
                class,
                object,
                tenant: None,
                shown,
            })
            .collect();
        let mut map = serializer.serialize_map(None)?;
        let deprecations: Option<[(); 0]> = self.of_class.then_some([]);
        map.serialize_entry("deprecations", &deprecations)?;
        map.serialize_entry("objects", &objects)?;
        if !objects.is_empty() {
            map.serialize_entry("totalResults", &objects.len())?;
        }
        map.end()
    }
}
