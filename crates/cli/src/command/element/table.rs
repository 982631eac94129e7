//! Elements as rows of a Parquet file. The columns `id`, `type`, `name`, `parent`, `image`, `width` and `height` are what they
//! say; every other one goes into the payload. Row groups are read one after the other, a page of each column at a time.

use std::{fs::File, path::Path};

use parquet::{
    errors::ParquetError,
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row},
};
use serde_json::{Map, Value, json};

use super::import::{Place, Sink};
use crate::failure::Failure;

/// Reads a file to its end.
pub(super) fn read(from: &Path, sink: &mut Sink) -> Result<(), Failure> {
    let damaged = |error: ParquetError| {
        Failure::new(format!("{} cannot be read as a Parquet file: {error}", from.display())).hint(
            "columns compressed with snappy or zstd can be read; \
             pandas.read_parquet(..).to_json(.., orient='records', lines=True) makes JSON lines of any other",
        )
    };
    let file = File::open(from)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", from.display())))?;
    let length = file.metadata().map_or(0, |found| found.len());
    let reader = SerializedFileReader::new(file).map_err(damaged)?;
    let rows = reader.metadata().file_metadata().num_rows().max(1).unsigned_abs();
    for (at, row) in (1_u64..).zip(reader.get_row_iter(None).map_err(damaged)?) {
        let element = element(&row.map_err(damaged)?).map_err(|why| {
            Failure::new(format!("row {at}: {why}")).hint("what comes before is there, or on its way")
        })?;
        let content = serde_json::to_vec(&element).unwrap_or_default();
        let read = (u128::from(length) * u128::from(at) / u128::from(rows)) as u64;
        sink.take(element, Place::Row(at), (at, &content), read)?;
    }
    Ok(())
}

fn element(row: &Row) -> Result<Map<String, Value>, String> {
    let (mut element, mut image, mut payload) = (Map::new(), Map::new(), Map::new());
    for (name, field) in row.get_column_iter() {
        let value =
            json(field).map_err(|kind| format!("column `{name}` is {kind}, which cannot be a payload"))?;
        if value.is_null() {
            continue;
        }
        match name.as_str() {
            "id" | "type" | "name" => drop(element.insert(name.clone(), text(value))),
            "parent" => drop(element.insert("parents".into(), json!([text(value)]))),
            "image" => drop(image.insert("url".into(), value)),
            "width" | "height" => drop(image.insert(name.clone(), value)),
            _ => drop(payload.insert(name.clone(), value)),
        }
    }
    if image.contains_key("url") {
        element.insert("image".into(), image.into());
    } else {
        // Without an image they are numbers like any other.
        payload.extend(image);
    }
    if !payload.is_empty() {
        element.insert("payload".into(), payload.into());
    }
    Ok(element)
}

/// Names are often numbers.
fn text(value: Value) -> Value {
    match value {
        Value::Number(number) => number.to_string().into(),
        other => other,
    }
}

/// A value as JSON; `Err`: what it is when it cannot be.
fn json(field: &Field) -> Result<Value, &'static str> {
    let value = match field {
        Field::Null => Value::Null,
        Field::Bool(value) => (*value).into(),
        Field::Byte(value) => (*value).into(),
        Field::Short(value) => (*value).into(),
        Field::Int(value) | Field::Date(value) | Field::TimeMillis(value) => (*value).into(),
        Field::Long(value)
        | Field::TimeMicros(value)
        | Field::TimestampMillis(value)
        | Field::TimestampMicros(value) => (*value).into(),
        Field::UByte(value) => (*value).into(),
        Field::UShort(value) => (*value).into(),
        Field::UInt(value) => (*value).into(),
        Field::ULong(value) => (*value).into(),
        Field::Float(value) => f64::from(*value).into(),
        Field::Double(value) => (*value).into(),
        Field::Str(value) => value.clone().into(),
        Field::Bytes(value) => match value.as_utf8() {
            Ok(text) => text.into(),
            Err(_) => return Err("bytes that are no text"),
        },
        Field::ListInternal(list) => list.elements().iter().map(json).collect::<Result<Vec<_>, _>>()?.into(),
        Field::Group(row) => {
            let pairs = row
                .get_column_iter()
                .map(|(name, field)| Ok::<_, &'static str>((name.clone(), json(field)?)));
            pairs.collect::<Result<Map<_, _>, _>>()?.into()
        }
        Field::MapInternal(map) => {
            let pairs = map
                .entries()
                .iter()
                .map(|(key, value)| Ok::<_, &'static str>((key.to_string(), json(value)?)));
            pairs.collect::<Result<Map<_, _>, _>>()?.into()
        }
        Field::Decimal(_) | Field::Float16(_) => field.to_string().into(),
    };
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::{
        data_type::{ByteArray, ByteArrayType, Int64Type},
        file::writer::SerializedFileWriter,
        schema::parser::parse_message_type,
    };

    use super::*;

    #[test]
    fn columns_are_fields_and_all_others_are_payload() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("elements.parquet");
        let schema = "message schema { REQUIRED BYTE_ARRAY name (UTF8); OPTIONAL BYTE_ARRAY parent (UTF8);
            REQUIRED INT64 year; }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let mut writer =
            SerializedFileWriter::new(File::create(&path).unwrap(), schema, Arc::default()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let texts = |words: &[&str]| words.iter().map(|word| ByteArray::from(*word)).collect::<Vec<_>>();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&texts(&["p1", "p2"]), None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&texts(&["book"]), Some(&[1, 0]), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&[1848, 1871], None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();

        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        let rows: Vec<Value> =
            reader.get_row_iter(None).unwrap().map(|row| element(&row.unwrap()).unwrap().into()).collect();
        assert_eq!(
            rows,
            [
                json!({"name": "p1", "parents": ["book"], "payload": {"year": 1848}}),
                json!({"name": "p2", "payload": {"year": 1871}}),
            ]
        );
    }
}
