//! A page of a list of runs, as a query for its ids: indexes hold all that it reads, and rows are fetched for one page only.
//! It must stay fast over millions of runs, so it walks ranges of indexes that are in the order of the page.

use std::collections::BTreeSet;

use runyard_domain::Millis;

use super::Filter;
use crate::db::{Conditions, Dialect, Value};

/// So many ranges are walked side by side at most.
const RANGES_MAX: usize = 64;
/// The first time whose id begins with more than 48 bits of milliseconds.
const END_OF_TIME: i64 = 1 << 48;

/// The query and the values of its placeholders.
pub(super) fn ids(dialect: Dialect, filter: &Filter) -> (String, Vec<Value>) {
    let mut conditions = of_row(dialect, filter);
    // Active runs and runs asked for by id are few whatever their labels; elsewhere a label narrows more than anything.
    let few = !filter.ids.is_empty()
        || !filter.statuses.is_empty() && filter.statuses.iter().all(|status| !status.is_terminal());
    let labelled = !few && !filter.labels.is_empty();
    let id = if labelled { "l.run_id" } else { "r.id" };
    let only_labels =
        conditions.clause().is_empty() && filter.project_ids.is_empty() && filter.statuses.is_empty();
    let from = if !labelled {
        "runs r"
    } else if only_labels {
        "run_labels l"
    } else {
        conditions.and("r.id = l.run_id");
        // SQLite takes CROSS JOIN as the order of the loops; PostgreSQL decides for itself.
        "run_labels l CROSS JOIN runs r"
    };
    with_labels(&mut conditions, filter, id, labelled);
    within(&mut conditions, filter, id);
    let direction = filter.sort.direction();
    let (limit, offset) = (conditions.bind(filter.limit), conditions.bind(filter.offset));
    let select = |conditions: &Conditions, id: &str, from: &str, limit: &str| {
        let clause = conditions.clause();
        format!("SELECT {id} FROM {from}{clause} ORDER BY {id} {direction} LIMIT {limit}")
    };
    let projects: BTreeSet<String> = filter.project_ids.iter().map(ToString::to_string).collect();
    let statuses: BTreeSet<&str> = filter.statuses.iter().map(|status| status.word()).collect();
    let ranges = projects.len().max(1) * statuses.len().max(1);
    if ranges == 1 || ranges > RANGES_MAX || labelled {
        conditions.any_of(dialect, "r.project_id", projects);
        conditions.any_of(dialect, "r.status", statuses);
        let sql = select(&conditions, id, from, &format!("{limit} OFFSET {offset}"));
        return (sql, conditions.values().to_vec());
    }
    let reach = conditions.bind(filter.limit.saturating_add(filter.offset));
    let projects = bind_all(&mut conditions, "r.project_id", projects);
    let statuses = bind_all(&mut conditions, "r.status", statuses);
    let mut walks = Vec::with_capacity(ranges);
    for project in &projects {
        for status in &statuses {
            let mut walk = conditions.clone();
            for clause in [project, status].into_iter().flatten() {
                walk.and(clause);
            }
            let walk = select(&walk, id, from, &reach);
            walks.push(format!("SELECT id FROM ({walk}) w{}", walks.len()));
        }
    }
    let merged = format!("({}) merged", walks.join(" UNION ALL "));
    let sql = select(&Conditions::default(), "id", &merged, &format!("{limit} OFFSET {offset}"));
    (sql, conditions.values().to_vec())
}

/// What is asked of the row itself, but project and status.
fn of_row(dialect: Dialect, filter: &Filter) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.any_of(dialect, "r.id", filter.ids.iter().copied());
    conditions.any_of(dialect, "r.blueprint_id", filter.blueprint_ids.iter().copied());
    conditions.any_of(dialect, "r.user_id", &filter.user_ids);
    conditions.ilike_any(dialect, "r.name", &filter.name_ilikes);
    conditions.any_of(dialect, "r.version", &filter.versions);
    conditions.any_of(dialect, "r.task_type", &filter.task_types);
    conditions.any_of(dialect, "r.kind", filter.kinds.iter().map(|kind| kind.word()));
    conditions
}

/// All of the labels. `first`: one of them is what the list walks along.
fn with_labels(conditions: &mut Conditions, filter: &Filter, id: &str, first: bool) {
    let mut labels: Vec<_> = filter.labels.iter().collect();
    // A value narrows more than a key alone.
    labels.sort_by_key(|(_, value)| value.is_none());
    for (n, (key, value)) in labels.into_iter().enumerate() {
        let walked = first && n == 0;
        let label = if walked { "l" } else { "x" };
        let mut clause = format!("{label}.key = {}", conditions.bind(key));
        if let Some(value) = value {
            clause = format!("{clause} AND {label}.value = {}", conditions.bind(value));
        }
        conditions.and(if walked {
            clause
        } else {
            format!("EXISTS (SELECT 1 FROM run_labels x WHERE x.run_id = {id} AND {clause})")
        });
    }
}

/// The part of the list: ids begin with the time at which they were made, so times are bounds of ids.
fn within(conditions: &mut Conditions, filter: &Filter, id: &str) {
    if let Some(after) = filter.id_after {
        let follows = if filter.sort.descending { "<" } else { ">" };
        let place = conditions.bind(after);
        conditions.and(format!("{id} {follows} {place}"));
    }
    if let Some(after) = filter.created_after {
        match first_id(after.plus(1)) {
            Some(first) => {
                let place = conditions.bind(first);
                conditions.and(format!("{id} >= {place}"));
            }
            None => conditions.and("1 = 0"),
        }
    }
    if let Some(first) = filter.created_before.and_then(first_id) {
        let place = conditions.bind(first);
        conditions.and(format!("{id} < {place}"));
    }
}

/// How the first id of a millisecond begins; `None`: no id is so late.
fn first_id(at: Millis) -> Option<String> {
    let ms = at.0.max(0);
    (ms < END_OF_TIME).then(|| format!("{:08x}-{:04x}", ms >> 16, ms & 0xffff))
}

/// `column = value` for each of the values; one `None` when there are none.
fn bind_all(
    conditions: &mut Conditions,
    column: &str,
    values: BTreeSet<impl Into<Value>>,
) -> Vec<Option<String>> {
    if values.is_empty() {
        return vec![None];
    }
    values.into_iter().map(|value| Some(format!("{column} = {}", conditions.bind(value)))).collect()
}
