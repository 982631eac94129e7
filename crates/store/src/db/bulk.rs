//! Many rows in few statements. The statements come in a few sizes only, so that engines can keep them prepared.

use super::{Error, Row, Tx, Value};

/// Rows of one INSERT, and values of one list: the largest that fits what is left is taken.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

impl Tx<'_> {
    /// Writes rows of `columns` into `table`; answers how many. `conflict` is what stands at the end of each statement,
    /// such as `ON CONFLICT DO NOTHING`.
    pub fn insert_rows<const N: usize>(
        &mut self,
        table: &str,
        columns: &[&str; N],
        rows: &[[Value; N]],
        conflict: &str,
    ) -> Result<u64, Error> {
        let (mut left, mut written) = (rows, 0);
        for size in SIZES {
            if left.len() < size {
                continue;
            }
            let sql = insert(table, columns, size, conflict);
            while left.len() >= size {
                let (now, rest) = left.split_at(size);
                written += self.execute(&sql, now.as_flattened())?;
                left = rest;
            }
        }
        Ok(written)
    }

    /// Runs a query for parts of `values`: `sql` is given the placeholders of the part, such as `$3, $4`, and `first` are
    /// the values of the placeholders before them. Rows come back part after part.
    pub fn query_in(
        &mut self,
        first: &[Value],
        values: &[Value],
        sql: impl Fn(&str) -> String,
    ) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        each_part(first, values, |places, params| {
            rows.extend(self.query(&sql(places), params)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The same for a statement that changes rows; answers how many.
    pub fn execute_in(
        &mut self,
        first: &[Value],
        values: &[Value],
        sql: impl Fn(&str) -> String,
    ) -> Result<u64, Error> {
        let mut changed = 0;
        each_part(first, values, |places, params| {
            changed += self.execute(&sql(places), params)?;
            Ok(())
        })?;
        Ok(changed)
    }
}

fn each_part(
    first: &[Value],
    values: &[Value],
    mut run: impl FnMut(&str, &[Value]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut left = values;
    while !left.is_empty() {
        // The smallest size that holds all, or the largest: what is over repeats the last value, which changes nothing.
        let size = SIZES.into_iter().rev().find(|size| *size >= left.len()).unwrap_or(SIZES[0]);
        let (now, rest) = left.split_at(size.min(left.len()));
        let mut params = Vec::with_capacity(first.len() + size);
        params.extend_from_slice(first);
        params.extend_from_slice(now);
        params.resize(first.len() + size, now[now.len() - 1].clone());
        run(&places(first.len(), size), &params)?;
        left = rest;
    }
    Ok(())
}

fn places(before: usize, count: usize) -> String {
    let places: Vec<String> = (before + 1..=before + count).map(|place| format!("${place}")).collect();
    places.join(", ")
}

fn insert<const N: usize>(table: &str, columns: &[&str; N], rows: usize, conflict: &str) -> String {
    let rows: Vec<String> = (0..rows).map(|row| format!("({})", places(row * N, N))).collect();
    format!("INSERT INTO {table} ({}) VALUES {} {conflict}", columns.join(", "), rows.join(", "))
}

#[cfg(test)]
mod tests {
    use crate::{Error, Value, both, params};

    both! {
        async fn rows_of_any_number_are_written_and_found(db) {
            for count in [0_i64, 1, 5, 255, 256, 700] {
                let found = db
                    .write(move |tx| {
                        tx.execute("CREATE TABLE IF NOT EXISTS numbers (n BIGINT PRIMARY KEY NOT NULL, t TEXT)", &[])?;
                        tx.execute("DELETE FROM numbers", &[])?;
                        let rows: Vec<_> = (0..count).map(|n| [Value::from(n), n.to_string().into()]).collect();
                        let columns = ["n", "t"];
                        assert_eq!(tx.insert_rows("numbers", &columns, &rows, "")?, rows.len() as u64);
                        assert_eq!(tx.insert_rows("numbers", &columns, &rows, "ON CONFLICT DO NOTHING")?, 0);
                        let values: Vec<Value> = (0..count).map(|n| n.to_string().into()).collect();
                        let found = tx.query_in(params![0_i64], &values, |places| {
                            format!("SELECT n FROM numbers WHERE n >= $1 AND t IN ({places})")
                        })?;
                        let gone = tx.execute_in(&[], &values, |places| {
                            format!("DELETE FROM numbers WHERE t IN ({places})")
                        })?;
                        assert_eq!(gone, count as u64);
                        Ok::<_, Error>(found.len())
                    })
                    .await
                    .unwrap();
                assert_eq!(found, count as usize);
            }
        }
    }
}
