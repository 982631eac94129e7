//! What is wrong with an export as a whole: ids that are there twice, rows that refer to nothing, circles. Named, a few of each.

use super::{Export, failed};
use crate::db::Error;

/// So many of a kind are named.
const NAMED: usize = 5;

/// Tables whose ids are there once.
const ONCE: [&str; 11] = [
    "image",
    "element",
    "element_path",
    "worker_version",
    "worker_run",
    "classification",
    "entity_type",
    "transcription",
    "transcription_entity",
    "metadata",
    "dataset",
];

/// `table.column` refers to the id of another table.
const REFERENCES: [(&str, &str, &str); 16] = [
    ("element", "image_id", "image"),
    ("element", "worker_run_id", "worker_run"),
    ("element_path", "parent_id", "element"),
    ("element_path", "child_id", "element"),
    ("worker_run", "worker_version_id", "worker_version"),
    ("classification", "element_id", "element"),
    ("classification", "worker_run_id", "worker_run"),
    ("transcription", "element_id", "element"),
    ("transcription", "worker_run_id", "worker_run"),
    ("transcription_entity", "transcription_id", "transcription"),
    ("transcription_entity", "type_id", "entity_type"),
    ("transcription_entity", "worker_run_id", "worker_run"),
    ("metadata", "element_id", "element"),
    ("metadata", "worker_run_id", "worker_run"),
    ("dataset_element", "element_id", "element"),
    ("dataset_element", "dataset_id", "dataset"),
];

impl Export {
    /// Sentences about the file; none: it holds together.
    pub fn faults(&self) -> Result<Vec<String>, Error> {
        let mut faults = Vec::new();
        for table in ONCE {
            if self.has(table)? {
                let sql = format!(
                    "SELECT id FROM {table} GROUP BY id HAVING count(*) > 1 ORDER BY id LIMIT {}",
                    NAMED + 1
                );
                self.name(&mut faults, &sql, |id| format!("the {table} `{id}` is there more than once"))?;
            }
        }
        for (table, column, other) in REFERENCES {
            if !self.has(table)? {
                continue;
            }
            let sql = if self.has(other)? {
                format!(
                    "SELECT DISTINCT t.{column} FROM {table} t
                      WHERE t.{column} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {other} o WHERE o.id = t.{column})
                      ORDER BY 1 LIMIT {}",
                    NAMED + 1
                )
            } else {
                let limit = NAMED + 1;
                format!("SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL LIMIT {limit}")
            };
            self.name(&mut faults, &sql, |id| {
                format!("{table}.{column} refers to the {other} `{id}`, which is not there")
            })?;
        }
        // Walking up from below only makes sense where every link leads somewhere.
        if faults.is_empty() && self.has_circle()? {
            faults.push("elements are above themselves: there is a circle in element_path".to_owned());
        }
        Ok(faults)
    }

    fn name(
        &self,
        faults: &mut Vec<String>,
        sql: &str,
        sentence: impl Fn(&str) -> String,
    ) -> Result<(), Error> {
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let found = statement.query_map([], |row| row.get::<_, String>(0)).map_err(failed)?;
        let found: Vec<String> = found.collect::<Result<_, _>>().map_err(failed)?;
        faults.extend(found.iter().take(NAMED).map(|id| sentence(id)));
        if found.len() > NAMED {
            faults.push(format!("{}, and so are more", sentence(&found[NAMED])));
        }
        Ok(())
    }

    /// Takes away who has no parent that is left, until nothing changes: what is left then is in circles, or below one.
    fn has_circle(&self) -> Result<bool, Error> {
        let edges = "SELECT p.rowid, c.rowid FROM element_path e
                       JOIN element p ON p.id = e.parent_id JOIN element c ON c.id = e.child_id";
        let mut statement = self.connection.prepare(edges).map_err(failed)?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?)));
        let mut edges: Vec<(u32, u32)> = rows.map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
        edges.sort_unstable();
        let mut above = std::collections::HashMap::<u32, u32>::new();
        for (_, child) in &edges {
            *above.entry(*child).or_default() += 1;
        }
        let mut free: Vec<u32> =
            edges.iter().map(|(parent, _)| *parent).filter(|parent| !above.contains_key(parent)).collect();
        free.sort_unstable();
        free.dedup();
        let mut left = edges.len();
        while let Some(parent) = free.pop() {
            let from = edges.partition_point(|(other, _)| *other < parent);
            for (_, child) in edges[from..].iter().take_while(|(other, _)| *other == parent) {
                left -= 1;
                if let Some(count) = above.get_mut(child) {
                    *count -= 1;
                    if *count == 0 {
                        free.push(*child);
                    }
                }
            }
        }
        Ok(left > 0)
    }
}
