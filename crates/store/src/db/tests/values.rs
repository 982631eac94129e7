//! One SQL text and the same values on both engines.

use super::*;

both! {
    async fn values_come_back_as_they_were_written(db) {
        let create = match db.dialect() {
            Dialect::Sqlite => "CREATE TABLE kinds (k BIGINT, i BIGINT, f DOUBLE PRECISION, t TEXT, b BLOB)",
            Dialect::Postgres => "CREATE TABLE kinds (k BIGINT, i BIGINT, f DOUBLE PRECISION, t TEXT, b BYTEA)",
        };
        let rows = vec![
            [Value::Int(i64::MAX), Value::Real(f64::INFINITY), Value::from("é\n'\"$1"), Value::from(vec![0, 255])],
            [Value::Int(i64::MIN), Value::Real(f64::NEG_INFINITY), Value::from(""), Value::from(Vec::new())],
            [Value::Int(0), Value::Real(5e-324), Value::from("a".repeat(100_000)), Value::from(vec![7; 100_000])],
            [Value::Null, Value::Null, Value::Null, Value::Null],
        ];
        let written = rows.clone();
        db.write(move |tx| {
            tx.batch(create)?;
            for (k, [i, f, t, b]) in (0_i64..).zip(written.clone()) {
                tx.execute("INSERT INTO kinds (k, i, f, t, b) VALUES ($1, $2, $3, $4, $5)", &[k.into(), i, f, t, b])?;
            }
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
        let read = db.read(|tx| tx.query("SELECT i, f, t, b FROM kinds ORDER BY k", &[])).await.unwrap();
        assert_eq!(read, rows.into_iter().map(|row| Row(row.into())).collect::<Vec<_>>());
        let null = &read[3];
        assert_eq!(null.get::<Option<i64>>(0), Ok(None));
        assert_eq!(null.json::<Option<i64>>(2), Ok(None));
        assert!(null.get::<i64>(0).unwrap_err().to_string().contains("column 0 is null, expected an integer"));
        assert!(null.get::<i64>(4).unwrap_err().to_string().contains("no column 4"));
    }

    async fn placeholders_are_numbered_whatever_their_order(db) {
        with_table(&db).await;
        let row = db
            .write(|tx| {
                tx.execute("INSERT INTO scratch (t, n) VALUES ($2, $1)", params![7, "x"])?;
                tx.query_one(
                    "SELECT n, '$1', t || '$2' FROM scratch WHERE t = $2 AND n = $1 AND $1 + 0 = n",
                    params![7, "x"],
                )
            })
            .await
            .unwrap();
        assert_eq!(row, Row(vec![Value::Int(7), Value::from("$1"), Value::from("x$2")]));
    }

    async fn a_wrong_number_of_parameters_is_an_error(db) {
        for params in [params![1], params![1, 2, 3]] {
            let params = params.to_vec();
            let wrong = db.read(move |tx| tx.query("SELECT CAST($1 AS BIGINT) + CAST($2 AS BIGINT)", &params)).await;
            assert!(wrong.unwrap_err().to_string().contains("parameters for the 2 of"));
        }
    }

    async fn a_zero_byte_in_a_text_is_refused(db) {
        with_table(&db).await;
        let refused = db.write(|tx| tx.execute("INSERT INTO scratch VALUES (1, $1)", params!["a\0b"])).await;
        assert_eq!(refused, Err(Error::ZeroByte));
    }

    async fn broken_rules_are_told_apart(db) {
        with_table(&db).await;
        db.write(|tx| tx.batch("CREATE TABLE child (n BIGINT NOT NULL REFERENCES scratch (n), c BIGINT CHECK (c > 0))"))
            .await
            .unwrap();
        db.write(|tx| put(tx, 1)).await.unwrap();
        for (sql, expected) in [
            ("INSERT INTO scratch (n) VALUES (1)", Rule::Unique),
            ("INSERT INTO child (n) VALUES (2)", Rule::ForeignKey),
            ("INSERT INTO child (c) VALUES (1)", Rule::Value),
            ("INSERT INTO child (n, c) VALUES (1, 0)", Rule::Value),
        ] {
            match db.write(move |tx| tx.execute(sql, &[])).await.unwrap_err() {
                Error::Constraint { rule, message } => assert_eq!(rule, expected, "{message}"),
                other => panic!("{sql}: {other}"),
            }
        }
        let wrong = db.write(|tx| tx.execute("INSERT INTO nothing VALUES (1)", &[])).await.unwrap_err();
        assert!(matches!(&wrong, Error::Sql(text) if text.contains("nothing")), "{wrong}");
    }

    async fn a_row_expected_once_is_not_taken_from_several(db) {
        with_table(&db).await;
        db.write(|tx| put(tx, 1).and(put(tx, 2))).await.unwrap();
        let one = |sql: &'static str| db.read(move |tx| tx.query_one(sql, &[]));
        assert!(one("SELECT n FROM scratch").await.unwrap_err().to_string().contains("2 rows"));
        assert!(one("SELECT n FROM scratch WHERE n = 3").await.unwrap_err().to_string().contains("no row"));
        let none = db.read(|tx| tx.query_opt("SELECT n FROM scratch WHERE n = 3", &[])).await;
        assert_eq!(none, Ok(None));
    }

    async fn rows_are_handed_out_one_by_one_until_an_error(db) {
        with_table(&db).await;
        db.write(|tx| (0..1000).try_for_each(|n| put(tx, n).map(|_| ()))).await.unwrap();
        let (seen, error, after) = db
            .read(|tx| {
                let mut seen = Vec::new();
                let stopped = tx.query_each("SELECT n FROM scratch WHERE n < $1 ORDER BY n", params![900], |row| {
                    seen.push(row.get::<i64>(0)?);
                    if seen.len() == 3 { Err(Error::Sql("enough".into())) } else { Ok(()) }
                });
                let after = tx.query_one("SELECT count(*) FROM scratch", &[])?.get::<i64>(0)?;
                Ok::<_, Error>((seen, stopped, after))
            })
            .await
            .unwrap();
        assert_eq!((seen, error, after), (vec![0, 1, 2], Err(Error::Sql("enough".into())), 1000));
    }

    async fn conditions_grow_with_their_values(db) {
        with_table(&db).await;
        db.write(|tx| (0..10).try_for_each(|n| put(tx, n).map(|_| ()))).await.unwrap();
        let found = db
            .read(|tx| {
                let mut conditions = Conditions::default();
                conditions.any_of(tx.dialect(), "n", Vec::<i64>::new());
                assert_eq!(conditions.clause(), "");
                conditions.any_of(tx.dialect(), "n", [2, 4, 6]);
                let least = conditions.bind(3);
                conditions.and(format!("n > {least}"));
                conditions.equal("n", 6);
                assert_eq!(conditions.clause(), " WHERE n IN ($1, $2, $3) AND n > $4 AND n = $5");
                tx.query(&format!("SELECT n FROM scratch{}", conditions.clause()), conditions.values())
            })
            .await
            .unwrap();
        assert_eq!(found, [Row(vec![Value::Int(6)])]);
    }

    async fn any_of_nothing_matches_nothing(db) {
        with_table(&db).await;
        db.write(|tx| put(tx, 1)).await.unwrap();
        let none = db
            .read(|tx| tx.query(&format!("SELECT n FROM scratch WHERE {}", tx.dialect().any_of("n", 1, 0)), &[]))
            .await;
        assert_eq!(none, Ok(Vec::new()));
    }
}
