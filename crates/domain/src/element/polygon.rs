//! Polygons: where on its image an element is. Never closes, turns or repairs what was given: it only rounds.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::FieldErrors;

/// Points of a polygon.
pub const MAX_POINTS: usize = 10_000;

/// Points `[x, y]` in whole pixels, in their order; what is between two pixels is rounded when it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Polygon(pub Vec<[i64; 2]>);

impl<'de> Deserialize<'de> for Polygon {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let points = Vec::<Point>::deserialize(deserializer)?;
        Ok(Self(points.into_iter().map(|point| point.0).collect()))
    }
}

struct Point([i64; 2]);

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Coordinates)
    }
}

/// Reads `[x, y]`.
struct Coordinates;

impl<'de> de::Visitor<'de> for Coordinates {
    type Value = Point;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a point [x, y]")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Point, A::Error> {
        let (mut point, mut count) = ([0; 2], 0);
        while let Some(coordinate) = seq.next_element::<f64>()? {
            if let Some(place) = point.get_mut(count) {
                // Beyond i64 a float becomes its end: the check finds it out of every image.
                *place = coordinate.round() as i64;
            }
            count += 1;
        }
        if count == 2 {
            return Ok(Point(point));
        }
        Err(de::Error::custom(format_args!("has {count} coordinates: a point is [x, y]")))
    }
}

impl Polygon {
    /// The whole of an image.
    pub fn whole(width: i64, height: i64) -> Self {
        Self(vec![[0, 0], [width, 0], [width, height], [0, height]])
    }

    /// Notes what is wrong with it, on an image of this size if that is known.
    pub fn check(&self, path: &str, size: Option<(i64, i64)>, errors: &mut FieldErrors) {
        let given = self.0.len();
        if given > MAX_POINTS {
            errors.add(path, format!("has {given} points: a polygon has at most {MAX_POINTS}"));
            return;
        }
        let distinct = self.0.iter().collect::<BTreeSet<_>>().len();
        if distinct < 3 {
            errors.add(
                path,
                format!(
                    "has {distinct} different points: a polygon has at least 3, such as [[0,0],[9,0],[9,9]]"
                ),
            );
        }
        let (width, height) = size.unwrap_or((super::MAX_SIDE, super::MAX_SIDE));
        let outside = |[x, y]: &&[i64; 2]| !(0..=width).contains(x) || !(0..=height).contains(y);
        if let Some([x, y]) = self.0.iter().find(outside) {
            let reason = match size {
                _ if *x < 0 || *y < 0 => "coordinates are 0 or more".to_owned(),
                Some(_) => format!("the image has {width} x {height} pixels"),
                None => format!("coordinates are at most {}", super::MAX_SIDE),
            };
            errors.add(path, format!("has the point [{x}, {y}]: {reason}"));
        }
    }

    /// `(x, y, width, height)` of the smallest upright box around it.
    pub fn bounds(&self) -> Option<(i64, i64, i64, i64)> {
        let left = self.0.iter().map(|[x, _]| *x).min()?;
        let right = self.0.iter().map(|[x, _]| *x).max()?;
        let top = self.0.iter().map(|[_, y]| *y).min()?;
        let bottom = self.0.iter().map(|[_, y]| *y).max()?;
        Some((left, top, right - left, bottom - top))
    }

    /// The same ring has the same outline, wherever it begins, whichever way it turns, closed or open.
    pub fn outline(&self) -> Vec<[i64; 2]> {
        let mut ring = self.0.clone();
        ring.dedup();
        while ring.len() > 1 && ring.first() == ring.last() {
            ring.pop();
        }
        let turned: Vec<_> = ring.iter().rev().copied().collect();
        least_rotation(&ring).min(least_rotation(&turned))
    }
}

/// The rotation that is first in the order of points (Booth's algorithm, linear).
fn least_rotation(ring: &[[i64; 2]]) -> Vec<[i64; 2]> {
    let n = ring.len();
    let (mut i, mut j, mut k) = (0, 1, 0);
    while i < n && j < n && k < n {
        let (one, other) = (ring[(i + k) % n], ring[(j + k) % n]);
        if one == other {
            k += 1;
            continue;
        }
        if one > other {
            i += k + 1;
        } else {
            j += k + 1;
        }
        if i == j {
            j += 1;
        }
        k = 0;
    }
    let start = i.min(j);
    (0..n).map(|at| ring[(start + at) % n]).collect()
}
