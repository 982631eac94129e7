//! A series as a chart needs it: points reduced to buckets with their minimum, maximum, last value and count.
//!
//! Only finite values have a minimum and a maximum. NaN and the infinities are counted as gaps, never as numbers, so
//! that a chart can show that something was reported there which it cannot draw.

use std::fmt;

use super::{Point, Value};

/// What a chart's horizontal axis shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Axis {
    /// Steps.
    #[default]
    Step,
    /// Times, in epoch milliseconds.
    Time,
}

impl Axis {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Time => "time",
        }
    }

    /// Where a point lies on this axis.
    pub fn of(self, point: &Point) -> i64 {
        match self {
            Self::Step => point.step,
            Self::Time => point.at.0,
        }
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Equal intervals of an axis, both ends included. The last one may reach beyond the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    from: i64,
    to: i64,
    width: u64,
}

impl Grid {
    /// At most `buckets` intervals from `from` to `to`; `None` where there is nothing between them.
    pub fn new(from: i64, to: i64, buckets: usize) -> Option<Self> {
        let buckets = buckets as u64;
        // With this width the last place is in the last bucket, and no interval is empty of integers.
        (from <= to && buckets > 0).then(|| Self {
            from,
            to,
            width: (to.abs_diff(from) / buckets).saturating_add(1),
        })
    }

    /// The lowest place.
    pub fn from(&self) -> i64 {
        self.from
    }

    /// The highest place.
    pub fn to(&self) -> i64 {
        self.to
    }

    /// How many places are in an interval.
    pub fn width(&self) -> u64 {
        self.width
    }

    /// How many intervals there are.
    pub fn len(&self) -> usize {
        (self.to.abs_diff(self.from) / self.width) as usize + 1
    }

    /// Never: there is at least one interval.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The interval of a place, if it is within the grid.
    pub fn index(&self, x: i64) -> Option<usize> {
        (self.from..=self.to).contains(&x).then(|| (x.abs_diff(self.from) / self.width) as usize)
    }

    /// The interval that holds all places from `low` to `high`, if one does.
    pub fn index_of_all(&self, low: i64, high: i64) -> Option<usize> {
        let index = self.index(low)?;
        (self.index(high) == Some(index)).then_some(index)
    }
}

/// Points that a chart cannot draw, by what they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gaps {
    /// NaN.
    pub nan: i64,
    /// Infinity.
    pub infinity: i64,
    /// Minus infinity.
    pub minus_infinity: i64,
}

impl Gaps {
    /// Of one value that is not finite.
    fn of(value: f64) -> Self {
        let count = |is: bool| i64::from(is);
        Self {
            nan: count(value.is_nan()),
            infinity: count(value == f64::INFINITY),
            minus_infinity: count(value == f64::NEG_INFINITY),
        }
    }

    /// All of them.
    pub fn total(self) -> i64 {
        self.nan + self.infinity + self.minus_infinity
    }

    fn add(&mut self, other: Self) {
        self.nan += other.nan;
        self.infinity += other.infinity;
        self.minus_infinity += other.minus_infinity;
    }
}

/// What is left of the points of a bucket, or of a pack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// How many points there were.
    pub count: i64,
    /// How many of them were NaN or infinite.
    pub gaps: Gaps,
    /// The lowest finite value; `None`: there was none.
    pub min: Option<f64>,
    /// The highest finite value.
    pub max: Option<f64>,
    /// The value of the last point on the axis, whatever it is.
    pub last: Value,
    /// Where the last point lies on the axis.
    pub last_x: i64,
    /// Of several last points at one place, the one written last counts: rises with the order of writing.
    pub order: i64,
}

impl Summary {
    /// Of one point.
    pub fn of(x: i64, order: i64, value: f64) -> Self {
        let finite = value.is_finite().then_some(value);
        Self {
            count: 1,
            gaps: Gaps::of(value),
            min: finite,
            max: finite,
            last: Value::Float(value),
            last_x: x,
            order,
        }
    }

    /// Takes in one point, written after those that it has.
    fn take(&mut self, x: i64, order: i64, value: f64) {
        self.count += 1;
        if value.is_finite() {
            self.min = Some(self.min.map_or(value, |min| min.min(value)));
            self.max = Some(self.max.map_or(value, |max| max.max(value)));
        } else {
            self.gaps.add(Gaps::of(value));
        }
        if (x, order) >= (self.last_x, self.order) {
            (self.last, self.last_x, self.order) = (Value::Float(value), x, order);
        }
    }

    /// Of points in the order in which they were written; `None`: there are none.
    pub fn of_points(points: &[Point], axis: Axis, order: i64) -> Option<Self> {
        let (first, rest) = points.split_first()?;
        let mut all = Self::of(axis.of(first), order, first.value.as_f64());
        for point in rest {
            all.take(axis.of(point), order, point.value.as_f64());
        }
        Some(all)
    }

    /// Takes in what `other` stands for; where both end at one place and in one order, the other one is later.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.gaps.add(other.gaps);
        self.min = pick(self.min, other.min, f64::min);
        self.max = pick(self.max, other.max, f64::max);
        if (other.last_x, other.order) >= (self.last_x, self.order) {
            (self.last, self.last_x, self.order) = (other.last, other.last_x, other.order);
        }
    }
}

fn pick(one: Option<f64>, other: Option<f64>, choose: fn(f64, f64) -> f64) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(choose(one, other)),
        (one, other) => one.or(other),
    }
}

fn add(all: &mut Option<Summary>, one: Summary) {
    match all {
        Some(all) => all.merge(one),
        None => *all = Some(one),
    }
}

/// A series on a grid, bucket by bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Buckets {
    grid: Grid,
    buckets: Vec<Option<Summary>>,
}

impl Buckets {
    /// Without points.
    pub fn new(grid: Grid) -> Self {
        Self { grid, buckets: vec![None; grid.len()] }
    }

    /// The grid.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// Takes in a point, unless it is outside.
    pub fn add(&mut self, x: i64, order: i64, value: f64) {
        let Some(index) = self.grid.index(x) else { return };
        match &mut self.buckets[index] {
            Some(bucket) => bucket.take(x, order, value),
            empty => *empty = Some(Summary::of(x, order, value)),
        }
    }

    /// Takes in points from `low` to `high`, if one bucket holds all of them; answers whether one does.
    pub fn add_all(&mut self, low: i64, high: i64, summary: Summary) -> bool {
        let index = self.grid.index_of_all(low, high);
        if let Some(index) = index {
            add(&mut self.buckets[index], summary);
        }
        index.is_some()
    }

    /// The buckets that have points, from low to high.
    pub fn filled(&self) -> impl Iterator<Item = &Summary> {
        self.buckets.iter().flatten()
    }
}

impl Value {
    /// Whether a chart can draw it.
    pub fn is_finite(self) -> bool {
        self.as_f64().is_finite()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::Millis;

    /// A bucket, found the slow way: by looking at every point.
    fn naive(points: &[Point], axis: Axis, low: i128, high: i128) -> Option<Summary> {
        let inside: Vec<&Point> =
            points.iter().filter(|point| (low..high).contains(&i128::from(axis.of(point)))).collect();
        let finite: Vec<f64> =
            inside.iter().map(|point| point.value.as_f64()).filter(|value| value.is_finite()).collect();
        // `max_by_key` takes the last of equals, which is the one written last.
        let last = inside.iter().max_by_key(|point| axis.of(point))?;
        Some(Summary {
            count: inside.len() as i64,
            gaps: inside.iter().fold(Gaps::default(), |mut gaps, point| {
                gaps.add(Gaps::of(point.value.as_f64()));
                gaps
            }),
            min: finite.iter().copied().reduce(f64::min),
            max: finite.iter().copied().reduce(f64::max),
            last: Value::Float(last.value.as_f64()),
            last_x: axis.of(last),
            order: 0,
        })
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            4 => (-1e6..1e6f64).prop_map(Value::Float),
            2 => (-100..100i64).prop_map(Value::Int),
            1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MAX])
                .prop_map(Value::Float),
        ]
    }

    fn place() -> impl Strategy<Value = i64> {
        prop_oneof![8 => -50..500i64, 1 => Just(i64::MIN), 1 => Just(i64::MAX), 1 => any::<i64>()]
    }

    proptest! {
        #[test]
        fn buckets_say_what_a_look_at_every_point_says(
            points in prop::collection::vec((place(), place(), value()), 0..200),
            (from, to) in (place(), place()),
            buckets in 1..60usize,
            pack in 1..20usize,
            by_time in any::<bool>(),
        ) {
            let points: Vec<Point> =
                points.into_iter().map(|(step, at, value)| Point { step, at: Millis(at), value }).collect();
            let axis = if by_time { Axis::Time } else { Axis::Step };
            let Some(grid) = Grid::new(from.min(to), from.max(to), buckets) else { panic!("from is not above to") };
            prop_assert!(grid.len() <= buckets);

            let mut single = Buckets::new(grid);
            for point in &points {
                single.add(axis.of(point), 0, point.value.as_f64());
            }

            // As the store does it: whole packs where they fit, in any order, their points otherwise.
            let mut packed = Buckets::new(grid);
            for whole in [true, false] {
                for (order, pack) in points.chunks(pack).enumerate() {
                    let Some(summary) = Summary::of_points(pack, axis, order as i64) else { continue };
                    let places = || pack.iter().map(|point| axis.of(point));
                    let (low, high) = (places().min().unwrap(), places().max().unwrap());
                    let fits = grid.index_of_all(low, high).is_some();
                    if fits && whole {
                        prop_assert!(packed.add_all(low, high, summary));
                    } else if !fits && !whole {
                        for point in pack {
                            packed.add(axis.of(point), order as i64, point.value.as_f64());
                        }
                    }
                }
            }
            for index in 0..grid.len() {
                let low = i128::from(grid.from()) + index as i128 * i128::from(grid.width());
                let high = (low + i128::from(grid.width())).min(i128::from(grid.to()) + 1);
                let expected = naive(&points, axis, low, high);
                prop_assert_eq!(single.buckets[index], expected);
                let packed = packed.buckets[index].map(|summary| Summary { order: 0, ..summary });
                prop_assert_eq!(packed, expected);
            }
        }
    }

    #[test]
    fn a_grid_reaches_over_all_integers() {
        for buckets in [1, 2, 1000] {
            let grid = Grid::new(i64::MIN, i64::MAX, buckets).unwrap();
            assert_eq!(grid.index(i64::MIN), Some(0));
            assert_eq!(grid.index(i64::MAX), Some(grid.len() - 1));
        }
        let one = Grid::new(7, 7, 1000).unwrap();
        assert_eq!((one.len(), one.index(7), one.index(8)), (1, Some(0), None));
        assert_eq!(Grid::new(8, 7, 10), None);
        assert_eq!(Grid::new(0, 7, 0), None);
    }

    #[test]
    fn as_many_buckets_as_steps_keep_every_point() {
        let grid = Grid::new(0, 999, 1000).unwrap();
        assert_eq!((grid.width(), grid.len()), (1, 1000));
        let grid = Grid::new(0, 1000, 1000).unwrap();
        assert_eq!((grid.width(), grid.len()), (2, 501));
    }

    #[test]
    fn what_cannot_be_drawn_is_a_gap_and_no_number() {
        let mut summary = Summary::of(1, 0, f64::NAN);
        assert_eq!((summary.count, summary.gaps.nan, summary.min), (1, 1, None));
        summary.merge(Summary::of(2, 0, 3.0));
        summary.merge(Summary::of(3, 0, f64::INFINITY));
        assert_eq!((summary.count, summary.gaps.total()), (3, 2));
        assert_eq!(summary.gaps, Gaps { nan: 1, infinity: 1, minus_infinity: 0 });
        assert_eq!((summary.min, summary.max), (Some(3.0), Some(3.0)));
        assert_eq!(summary.last, Value::Float(f64::INFINITY));
    }
}
