//! `Aggregate`: how many objects there are.

use std::time::Instant;

use super::super::errors::WvError;
use super::super::object::StorageContext;
use super::super::state::blocking;
use super::proto::{AggregateReply, AggregateRequest, AggregateSingle};
use super::search::{class_for_reading, filter};
use super::service::{Context, not_offered, tenant, took};

pub(super) async fn aggregate(
    context: Context,
    request: AggregateRequest,
) -> Result<AggregateReply, WvError> {
    let since = Instant::now();
    let refused = [
        (
            "aggregation of properties",
            !request.aggregations.is_empty(),
        ),
        ("aggregation of a search", request.search.is_some()),
        ("group_by", request.group_by.is_some()),
        ("object_limit", request.object_limit.is_some()),
    ];
    if let Some((feature, _)) = refused.iter().find(|(_, asked)| *asked) {
        return Err(not_offered(feature));
    }
    blocking(move || {
        let tenant = tenant(request.tenant);
        let class = class_for_reading(&context, &request.collection, tenant.as_deref())?;
        let filter = filter(&class, request.filters.as_ref())?;
        let name = &class.meta.name;
        let view = context.state.store.peek();
        let count = view
            .count_objects(name, tenant.as_deref(), filter.as_ref())
            .map_err(|error| StorageContext::List.error(name, &error))?;
        Ok(AggregateReply {
            took: took(since),
            single_result: Some(AggregateSingle {
                objects_count: request
                    .objects_count
                    .then(|| i64::try_from(count).unwrap_or(i64::MAX)),
                aggregations: None,
            }),
        })
    })
    .await
}
