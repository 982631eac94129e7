//! The stored form of a series: columns of steps, times and values, each in as few bits as it needs, every bit kept.
//!
//! A pack is a version byte, the number of points, and then columns of integers (`pack/column.rs`): steps, times,
//! the kinds of the values as run lengths, the integers, the floats. Reading bytes that are no pack is an error,
//! never a panic, and never takes more memory than [`MAX_POINTS`] points.

use super::{Point, Value, series::Axis};
use crate::time::Millis;

mod column;

const VERSION: u8 = 1;

/// Points of the largest pack.
pub const MAX_POINTS: usize = 1 << 16;

/// Bytes that are no pack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Written by a later version of Runyard.
    #[error(
        "the metric pack has version {0}, this version of runyard reads {VERSION}: use the version that wrote it"
    )]
    Version(u8),
    /// The bytes end too early.
    #[error("the metric pack is cut off")]
    Truncated,
    /// The bytes contradict themselves.
    #[error("the metric pack is damaged: {0}")]
    Corrupt(&'static str),
}

/// Packs points, in their order.
///
/// # Panics
/// With more than [`MAX_POINTS`] points, which no reader would take back.
pub fn pack(points: &[Point]) -> Vec<u8> {
    let mut out = start(points.len());
    let mut scratch: Vec<i64> = Vec::with_capacity(points.len());
    let mut put = |values: &mut dyn Iterator<Item = i64>, out: &mut Vec<u8>| {
        scratch.clear();
        scratch.extend(values);
        column::write(&scratch, out);
    };
    put(&mut points.iter().map(|point| point.step), &mut out);
    put(&mut points.iter().map(|point| point.at.0), &mut out);
    write_kinds(points, &mut out);
    put(&mut points.iter().filter_map(|point| as_int(point.value)), &mut out);
    put(&mut points.iter().filter_map(|point| as_float(point.value)).map(order_float), &mut out);
    out
}

/// Reads a pack back.
///
/// # Errors
/// Bytes that [`pack`] did not write.
pub fn unpack(bytes: &[u8]) -> Result<Vec<Point>, Error> {
    let (mut rest, count) = open(bytes)?;
    let steps = column::read(&mut rest, count)?;
    let times = column::read(&mut rest, count)?;
    let kinds = read_kinds(&mut rest, count)?;
    let int_count = kinds.iter().step_by(2).sum();
    let ints = column::read(&mut rest, int_count)?;
    let floats = column::read(&mut rest, count - int_count)?;
    if !rest.is_empty() {
        return Err(Error::Corrupt("bytes follow the last column"));
    }
    let mut points = Vec::with_capacity(count);
    let (mut ints, mut floats) = (ints.into_iter(), floats.into_iter());
    let mut keys = steps.into_iter().zip(times);
    for (i, run) in kinds.into_iter().enumerate() {
        let keys = keys.by_ref().take(run);
        if i % 2 == 0 {
            points.extend(keys.zip(&mut ints).map(|(key, int)| point(key, Value::Int(int))));
        } else {
            points.extend(
                keys.zip(&mut floats).map(|(key, float)| point(key, Value::Float(restore_float(float)))),
            );
        }
    }
    Ok(points)
}

/// Hands each point's place on an axis and its value to `each`, in their order, and reads no more than that.
///
/// # Errors
/// Bytes that [`pack`] did not write; then some points may have been handed over already.
pub fn unpack_along(bytes: &[u8], axis: Axis, mut each: impl FnMut(i64, f64)) -> Result<(), Error> {
    let (mut rest, count) = open(bytes)?;
    let places = match axis {
        Axis::Step => {
            let steps = column::read(&mut rest, count)?;
            column::skip(&mut rest, count)?;
            steps
        }
        Axis::Time => {
            column::skip(&mut rest, count)?;
            column::read(&mut rest, count)?
        }
    };
    let kinds = read_kinds(&mut rest, count)?;
    let int_count = kinds.iter().step_by(2).sum();
    let ints = column::read(&mut rest, int_count)?;
    let floats = column::read(&mut rest, count - int_count)?;
    if !rest.is_empty() {
        return Err(Error::Corrupt("bytes follow the last column"));
    }
    let (mut ints, mut floats, mut places) = (ints.into_iter(), floats.into_iter(), places.into_iter());
    for (i, run) in kinds.into_iter().enumerate() {
        let places = places.by_ref().take(run);
        if i % 2 == 0 {
            places.zip(&mut ints).for_each(|(x, int)| each(x, int as f64));
        } else {
            places.zip(&mut floats).for_each(|(x, float)| each(x, restore_float(float)));
        }
    }
    Ok(())
}

/// Packs whole numbers, in their order; the form of one column.
///
/// # Panics
/// With more than [`MAX_POINTS`] numbers.
pub fn pack_integers(values: &[i64]) -> Vec<u8> {
    let mut out = start(values.len());
    column::write(values, &mut out);
    out
}

/// Reads what [`pack_integers`] wrote.
///
/// # Errors
/// Other bytes.
pub fn unpack_integers(bytes: &[u8]) -> Result<Vec<i64>, Error> {
    let (mut rest, count) = open(bytes)?;
    let values = column::read(&mut rest, count)?;
    if rest.is_empty() { Ok(values) } else { Err(Error::Corrupt("bytes follow the column")) }
}

fn start(count: usize) -> Vec<u8> {
    assert!(count <= MAX_POINTS, "a pack of {count} points: the largest has {MAX_POINTS}");
    let mut out = Vec::with_capacity(16 + count * 8);
    out.push(VERSION);
    column::write_varint(count as u64, &mut out);
    out
}

fn open(bytes: &[u8]) -> Result<(&[u8], usize), Error> {
    let (version, mut rest) = bytes.split_first().ok_or(Error::Truncated)?;
    if *version != VERSION {
        return Err(Error::Version(*version));
    }
    let count = column::read_varint(&mut rest)?;
    match usize::try_from(count) {
        Ok(count) if count <= MAX_POINTS => Ok((rest, count)),
        _ => Err(Error::Corrupt("more points than a pack holds")),
    }
}

fn point((step, at): (i64, i64), value: Value) -> Point {
    Point { step, at: Millis(at), value }
}

fn as_int(value: Value) -> Option<i64> {
    match value {
        Value::Int(value) => Some(value),
        Value::Float(_) => None,
    }
}

fn as_float(value: Value) -> Option<f64> {
    match value {
        Value::Int(_) => None,
        Value::Float(value) => Some(value),
    }
}

/// Runs of integers and floats in turn, integers first (perhaps none of them).
fn write_kinds(points: &[Point], out: &mut Vec<u8>) {
    let (mut is_int, mut rest) = (true, points);
    while !rest.is_empty() {
        let run = rest
            .iter()
            .position(|point| matches!(point.value, Value::Int(_)) != is_int)
            .unwrap_or(rest.len());
        column::write_varint(run as u64, out);
        rest = &rest[run..];
        is_int = !is_int;
    }
}

fn read_kinds(rest: &mut &[u8], count: usize) -> Result<Vec<usize>, Error> {
    let mut runs = Vec::new();
    let mut left = count;
    while left > 0 {
        let run = column::read_varint(rest)? as usize;
        if run > left || (run == 0 && !runs.is_empty()) {
            return Err(Error::Corrupt("the kinds of values do not add up"));
        }
        runs.push(run);
        left -= run;
    }
    Ok(runs)
}

/// Maps floats to integers in the same order, so that close floats are close integers, and keeps trailing
/// zero bits, so that a float that came from an f32 stays short. Negative zero takes the one integer left over.
fn order_float(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    if bits >= 0 { bits } else { (bits & i64::MAX).checked_neg().filter(|x| *x != 0).unwrap_or(i64::MIN) }
}

fn restore_float(ordered: i64) -> f64 {
    let bits = match ordered {
        0.. => ordered,
        i64::MIN => i64::MIN,
        _ => -ordered | i64::MIN,
    };
    f64::from_bits(bits.cast_unsigned())
}
