//! Exact search by scanning all shards in parallel ranges.

use std::cmp::Ordering;
use std::ops::{ControlFlow, Range};

use serde_json::Value;

use super::codec::{self, Stored};
use super::distance::Distance;
use super::filter::{self, Candidate, Matcher};
use super::view::Merged;
use super::{
    Filter, FilterPath, MAX_WINDOW, NearVector, ObjectHit, ObjectId, ObjectQuery, ObjectSort,
};
use crate::parallel::{RANGE_BYTES, in_parallel};
use crate::window::{Ranked, Window};
use crate::{DocumentRef, ShardView, StoreError, View};

impl View {
    /// Exact search by scanning, in parallel, with memory bounded by the page.
    pub fn search_objects(&self, query: &ObjectQuery) -> Result<Vec<ObjectHit>, StoreError> {
        let window = query.offset.saturating_add(query.limit);
        if window > MAX_WINDOW {
            return Err(StoreError::illegal(format!(
                "offset and limit together are {window}, more than {MAX_WINDOW}"
            )));
        }
        let shards = self.open_shards(&query.collection, query.tenant.as_deref())?;
        let search = Search {
            query,
            after: query.after.map(|after| after.to_string()),
            shards: &shards,
            matcher: query.filter.as_ref().map(Matcher::new),
            near: match &query.near {
                Some(near) => Some((near, self.distance(&query.collection, near)?)),
                None => None,
            },
        };
        let found = match query.filter.as_ref().and_then(Matcher::ids) {
            Some(ids) => search.by_ids(&ids)?,
            None if search.is_plain() => search.in_order()?,
            None => search.everything()?,
        };
        search.hits(found)
    }

    /// The query's vector, which must be as long as those of the collection.
    fn distance(&self, collection: &str, near: &NearVector) -> Result<Distance, StoreError> {
        let collection = self.catalogue().collections.resolve(collection)?;
        let distance = Distance::new(&near.vector, near.metric)
            .ok_or_else(|| StoreError::illegal("the rows of the vector differ in length"))?;
        let lengths = collection.shared.vector_lengths();
        match lengths.get(&near.target) {
            Some(&expected) if expected != distance.dims() => Err(StoreError::VectorLength {
                collection: collection.meta.name.clone(),
                vector: near.target.clone(),
                expected,
                found: distance.dims(),
            }),
            _ => Ok(distance),
        }
    }
}

/// Counts the objects of the shards that match.
pub(super) fn count(shards: &[ShardView], filter: &Filter) -> Result<u64, StoreError> {
    let matcher = Matcher::new(filter);
    let counts = scan(
        shards,
        || 0u64,
        |count, _, document| {
            let stored = Stored::parse(document.id, document.source, document.tail)?;
            *count += u64::from(matcher.matches(&Candidate::new(document.id, &stored))?);
            Ok(())
        },
    )?;
    Ok(counts.iter().sum())
}

/// Shows every object to one of several threads.
fn scan<Part: Send>(
    shards: &[ShardView],
    new: impl Fn() -> Part + Sync,
    visit: impl Fn(&mut Part, usize, &DocumentRef<'_>) -> Result<(), StoreError> + Sync,
) -> Result<Vec<Part>, StoreError> {
    let tasks: Vec<(usize, Range<u64>)> = shards
        .iter()
        .enumerate()
        .flat_map(|(number, shard)| {
            let ranges = shard.split(RANGE_BYTES);
            ranges.into_iter().map(move |range| (number, range))
        })
        .collect();
    in_parallel(&tasks, new, |part, (number, range)| {
        let mut failure = None;
        shards[*number].scan(
            range.clone(),
            &mut |document| match visit(part, *number, &document) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            },
        )?;
        failure.map_or(Ok(()), Err)
    })
}

/// An object that may be a hit.
#[derive(Clone)]
struct Found {
    distance: Option<f32>,
    keys: Vec<Key>,
    id: ObjectId,
    shard: usize,
    seq_no: u64,
}

impl Ranked for Found {
    type By = [ObjectSort];

    fn rank(&self, other: &Self, sort: &[ObjectSort]) -> Ordering {
        // Without a distance both have none.
        let distance = |found: &Found| found.distance.unwrap_or(0.0);
        distance(self)
            .total_cmp(&distance(other))
            .then_with(|| by_keys(sort, self, other))
            .then_with(|| self.id.cmp(&other.id))
    }
}

fn by_keys(sort: &[ObjectSort], one: &Found, other: &Found) -> Ordering {
    for ((key, one), other) in sort.iter().zip(&one.keys).zip(&other.keys) {
        let order = one.order(other);
        let order = if key.descending {
            order.reverse()
        } else {
            order
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

struct Search<'a> {
    query: &'a ObjectQuery,
    after: Option<String>,
    shards: &'a [ShardView],
    matcher: Option<Matcher>,
    near: Option<(&'a NearVector, Distance)>,
}

impl<'a> Search<'a> {
    /// Whether the first ids are the answer.
    fn is_plain(&self) -> bool {
        self.matcher.is_none() && self.near.is_none() && self.query.sort.is_empty()
    }

    fn window(&self) -> Window<'a, Found> {
        Window::new(
            self.query.sort.as_slice(),
            self.query.offset + self.query.limit,
        )
    }

    fn by_ids(&self, ids: &[ObjectId]) -> Result<Vec<Found>, StoreError> {
        let mut window = self.window();
        for id in ids {
            let id = id.to_string();
            for (number, shard) in self.shards.iter().enumerate() {
                if let Some(document) = shard.get(&id)? {
                    self.consider(&mut window, number, &document.as_ref())?;
                }
            }
        }
        Ok(window.into_sorted())
    }

    fn in_order(&self) -> Result<Vec<Found>, StoreError> {
        let window = self.query.offset + self.query.limit;
        Merged::new(self.shards, self.query.after)
            .take(window)
            .map(|found| {
                let (shard, id, seq_no) = found?;
                Ok(Found {
                    distance: None,
                    keys: Vec::new(),
                    id: codec::parse_id(&id)?,
                    shard,
                    seq_no,
                })
            })
            .collect()
    }

    fn everything(&self) -> Result<Vec<Found>, StoreError> {
        let parts = scan(
            self.shards,
            || self.window(),
            |window, number, document| self.consider(window, number, document),
        )?;
        let mut all = self.window();
        for part in parts {
            all.merge(part);
        }
        Ok(all.into_sorted())
    }

    fn consider(
        &self,
        window: &mut Window<'_, Found>,
        shard: usize,
        document: &DocumentRef<'_>,
    ) -> Result<(), StoreError> {
        if self
            .after
            .as_deref()
            .is_some_and(|after| document.id <= after)
        {
            return Ok(());
        }
        let stored = Stored::parse(document.id, document.source, document.tail)?;
        let Some(distance) = self.distance_of(&stored, document.tail) else {
            return Ok(());
        };
        let object = Candidate::new(document.id, &stored);
        if let Some(matcher) = &self.matcher
            && !matcher.matches(&object)?
        {
            return Ok(());
        }
        let keys: Result<_, StoreError> = self
            .query
            .sort
            .iter()
            .map(|key| Key::new(key, &object))
            .collect();
        window.push(Found {
            distance,
            keys: keys?,
            id: codec::parse_id(document.id)?,
            shard,
            seq_no: document.seq_no,
        });
        Ok(())
    }

    /// `None`: too far, or no such vector. `Some(None)`: not asked for.
    fn distance_of(&self, stored: &Stored<'_>, tail: &[u8]) -> Option<Option<f32>> {
        let Some((near, distance)) = &self.near else {
            return Some(None);
        };
        let (shape, bytes) = stored.vector(&near.target, tail)?;
        let found = distance.to(shape, bytes)?;
        let is_near = near.max_distance.is_none_or(|most| found <= most);
        is_near.then_some(Some(found))
    }

    fn hits(&self, mut found: Vec<Found>) -> Result<Vec<ObjectHit>, StoreError> {
        if self.near.is_some() && !self.query.sort.is_empty() {
            // The nearest were chosen; now their own order.
            found.sort_by(|one, other| by_keys(&self.query.sort, one, other));
        }
        found
            .iter()
            .skip(self.query.offset)
            .take(self.query.limit)
            .map(|found| {
                let document = self.shards[found.shard]
                    .by_seq_no(found.seq_no)?
                    .ok_or_else(|| StoreError::Damaged {
                        object: format!("object [{}]", found.id),
                        reason: format!("operation {} is missing", found.seq_no),
                    })?;
                Ok(ObjectHit {
                    object: codec::decode(&document.as_ref())?,
                    distance: found.distance,
                })
            })
            .collect()
    }
}

/// A value to sort by; kinds in the order of their variants.
#[derive(Debug, Clone, PartialEq)]
enum Key {
    Absent,
    Boolean(bool),
    Number(f64),
    /// Nanoseconds since 1970.
    Moment(i128),
    Text(String),
    List(Vec<Key>),
}

impl Key {
    fn new(sort: &ObjectSort, object: &Candidate<'_>) -> Result<Self, StoreError> {
        let values = filter::values(&sort.path, object)?;
        let is_list = match &sort.path {
            FilterPath::Property(names) => names
                .first()
                .map(|name| object.properties().map(|all| all.get(name)))
                .transpose()?
                .flatten()
                .is_some_and(Value::is_array),
            _ => false,
        };
        let mut keys: Vec<Key> = values
            .iter()
            .map(|value| Key::of(value, sort.dates))
            .collect();
        Ok(match keys.len() {
            0 => Key::Absent,
            1 if !is_list => keys.swap_remove(0),
            _ => Key::List(keys),
        })
    }

    fn of(value: &Value, is_date: bool) -> Self {
        match value {
            Value::Bool(truth) => Key::Boolean(*truth),
            Value::Number(number) => Key::Number(number.as_f64().unwrap_or(0.0)),
            Value::String(text) => match filter::moment(text).filter(|_| is_date) {
                Some(moment) => Key::Moment(moment),
                None => Key::Text(text.clone()),
            },
            Value::Null | Value::Array(_) | Value::Object(_) => Key::Absent,
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Key::Absent => 0,
            Key::Boolean(_) => 1,
            Key::Number(_) => 2,
            Key::Moment(_) => 3,
            Key::Text(_) => 4,
            Key::List(_) => 5,
        }
    }

    fn order(&self, other: &Key) -> Ordering {
        match (self, other) {
            (Key::Boolean(one), Key::Boolean(other)) => one.cmp(other),
            (Key::Number(one), Key::Number(other)) => one.total_cmp(other),
            (Key::Moment(one), Key::Moment(other)) => one.cmp(other),
            (Key::Text(one), Key::Text(other)) => one.cmp(other),
            (Key::List(one), Key::List(other)) => one
                .iter()
                .zip(other)
                .map(|(one, other)| one.order(other))
                .find(|order| order.is_ne())
                .unwrap_or_else(|| one.len().cmp(&other.len())),
            _ => self.kind().cmp(&other.kind()),
        }
    }
}
