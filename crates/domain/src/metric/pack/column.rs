//! A column of integers in blocks: per block the best of values, differences and differences of differences, less a
//! base and a common power of two, in a fixed number of bits, with the few that need more apart (patched frame of reference).
//!
//! One scheme serves every column: regular steps take 4 bytes a block, jittered times the bits of the jitter, floats
//! the bits in which neighbours differ. Arithmetic wraps, so that every bit pattern survives.

use super::Error;

const BLOCK: usize = 128;

/// The last value and the last difference before a block.
#[derive(Clone, Copy, Default)]
struct State {
    value: i64,
    delta: i64,
}

/// How a block is written.
#[derive(Clone, Copy)]
struct Plan {
    order: u8,
    base: i64,
    shift: u32,
    width: u32,
    /// How many values need more than `width` bits.
    apart: u64,
    cost: u64,
}

/// Appends the column.
pub(super) fn write(values: &[i64], out: &mut Vec<u8>) {
    let mut state = State::default();
    for block in values.chunks(BLOCK) {
        let mut residuals = [[0i64; BLOCK]; 3];
        let end = difference(block, state, &mut residuals);
        let plan = choose(&residuals, block.len());
        write_block(plan, &residuals[usize::from(plan.order)][..block.len()], out);
        state = end;
    }
}

/// Reads a column of `count` values from the front of `rest`.
pub(super) fn read(rest: &mut &[u8], count: usize) -> Result<Vec<i64>, Error> {
    let mut values = Vec::with_capacity(count);
    let mut state = State::default();
    let mut residuals = [0i64; BLOCK];
    while values.len() < count {
        let block = &mut residuals[..BLOCK.min(count - values.len())];
        let order = read_block(rest, block)?;
        integrate(order, block, &mut state);
        values.extend_from_slice(block);
    }
    Ok(values)
}

/// Passes a column of `count` values at the front of `rest`.
pub(super) fn skip(rest: &mut &[u8], count: usize) -> Result<(), Error> {
    let mut passed = 0;
    while passed < count {
        let len = BLOCK.min(count - passed);
        let head = read_head(rest)?;
        if head.has_apart {
            for _ in 0..take(rest, 1)?[0] {
                take(rest, 1)?;
                read_varint(rest)?;
            }
        }
        take(rest, (len * head.width as usize).div_ceil(8))?;
        passed += len;
    }
    Ok(())
}

fn difference(block: &[i64], mut state: State, residuals: &mut [[i64; BLOCK]; 3]) -> State {
    for (i, value) in block.iter().enumerate() {
        let delta = value.wrapping_sub(state.value);
        residuals[0][i] = *value;
        residuals[1][i] = delta;
        residuals[2][i] = delta.wrapping_sub(state.delta);
        state = State { value: *value, delta };
    }
    state
}

fn integrate(order: u8, block: &mut [i64], state: &mut State) {
    let State { mut value, mut delta } = *state;
    match order {
        0 => {
            if let [.., before, last] = *block {
                (value, delta) = (last, last.wrapping_sub(before));
            } else if let [last] = *block {
                (delta, value) = (last.wrapping_sub(value), last);
            }
        }
        1 => {
            for x in block {
                delta = *x;
                value = value.wrapping_add(delta);
                *x = value;
            }
        }
        _ => {
            for x in block {
                delta = delta.wrapping_add(*x);
                value = value.wrapping_add(delta);
                *x = value;
            }
        }
    }
    *state = State { value, delta };
}

/// Takes the order whose values lie closest together, but for a few; differences first, whose base is short.
fn choose(residuals: &[[i64; BLOCK]; 3], len: usize) -> Plan {
    let spreads = [1, 0, 2].map(|order: u8| (order, Spread::of(&residuals[usize::from(order)][..len])));
    let (order, spread) = spreads
        .into_iter()
        .min_by_key(|(_, spread)| 64 - spread.width().leading_zeros())
        .unwrap_or(spreads[0]);
    let residuals = &residuals[usize::from(order)][..len];
    let plan = plan_from(order, spread.min, residuals);
    // A few values far below the others (a negative zero, a clock set back) would cost all of them their distance:
    // try a base that leaves them out.
    if spread.low.abs_diff(spread.min) / 2 <= spread.width() {
        return plan;
    }
    let other = plan_from(order, spread.low, residuals);
    if other.cost < plan.cost { other } else { plan }
}

/// Where the values of a block lie: the lowest, and about the third lowest and third highest.
#[derive(Clone, Copy)]
struct Spread {
    min: i64,
    low: i64,
    high: i64,
}

impl Spread {
    fn of(residuals: &[i64]) -> Self {
        const LANES: usize = 8;
        let (mut lows, mut highs) = ([i64::MAX; LANES], [i64::MIN; LANES]);
        for lane in residuals.chunks(LANES) {
            for ((low, high), x) in lows.iter_mut().zip(&mut highs).zip(lane) {
                *low = (*low).min(*x);
                *high = (*high).max(*x);
            }
        }
        lows.sort_unstable();
        highs.sort_unstable();
        let skip = if residuals.len() < 2 * LANES { 0 } else { 2 };
        Self { min: lows[0], low: lows[skip], high: highs[LANES - 1 - skip] }
    }

    /// Zero also where a few high values lie below a few low ones.
    fn width(&self) -> u64 {
        self.high.max(self.low).abs_diff(self.low)
    }
}

/// The cheapest width for this base: every value that does not fit costs its position and its upper bits.
fn plan_from(order: u8, base: i64, residuals: &[i64]) -> Plan {
    let all = residuals.iter().fold(0, |all, x| all | x.wrapping_sub(base).cast_unsigned());
    if all == 0 {
        return Plan { order, base, shift: 0, width: 0, apart: 0, cost: 0 };
    }
    let shift = all.trailing_zeros();
    let mut counts = [0u64; 65];
    for x in residuals {
        let high = x.wrapping_sub(base).cast_unsigned() >> shift;
        counts[(64 - high.leading_zeros()) as usize] += 1;
    }
    let longest = 64 - (all >> shift).leading_zeros();
    let len = residuals.len() as u64;
    let (mut apart, mut upper_bits) = (0, 0);
    let mut best = Plan { order, base, shift, width: longest, apart, cost: u64::from(longest) * len };
    for width in (0..longest).rev() {
        apart += counts[width as usize + 1];
        upper_bits += apart;
        let cost = u64::from(width) * len + apart * 16 + upper_bits;
        if cost < best.cost {
            best = Plan { width, apart, cost, ..best };
        }
    }
    best
}

fn write_block(plan: Plan, residuals: &[i64], out: &mut Vec<u8>) {
    let Plan { order, base, shift, width, apart, .. } = plan;
    let offset = |x: i64| x.wrapping_sub(base).cast_unsigned() >> shift;
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    out.extend([order | u8::from(apart > 0) << 2, width as u8, shift as u8]);
    write_varint(zigzag(base), out);
    if apart > 0 {
        out.push(apart as u8);
        for (i, x) in residuals.iter().enumerate().filter(|(_, x)| offset(**x) > mask) {
            out.push(i as u8);
            write_varint(offset(*x) >> width, out);
        }
    }
    let mut words = [0u64; BLOCK + 1];
    let (mut at, mut filled) = (0, 0);
    for x in residuals {
        let bits = offset(*x) & mask;
        words[at] |= bits << filled;
        filled += width;
        if filled >= 64 {
            at += 1;
            filled -= 64;
            // What did not fit; in two steps, as a shift by 64 is none.
            words[at] = bits >> (width - filled - 1) >> 1;
        }
    }
    for word in &words[..at] {
        out.extend(word.to_le_bytes());
    }
    out.extend(&words[at].to_le_bytes()[..filled.div_ceil(8) as usize]);
}

/// What stands before the values of a block.
struct Head {
    order: u8,
    width: u32,
    shift: u32,
    base: i64,
    /// Whether some values need more than `width` bits.
    has_apart: bool,
}

fn read_head(rest: &mut &[u8]) -> Result<Head, Error> {
    let ([flags, width, shift], after) = rest.split_first_chunk().ok_or(Error::Truncated)?;
    *rest = after;
    let (order, width, shift, has_apart) = (flags & 3, u32::from(*width), u32::from(*shift), *flags > 3);
    if order > 2 || *flags > 7 || width > 64 || shift > 63 || (width == 64 && has_apart) {
        return Err(Error::Corrupt("a block's head is impossible"));
    }
    let base = unzigzag(read_varint(rest)?);
    Ok(Head { order, width, shift, base, has_apart })
}

fn read_block(rest: &mut &[u8], block: &mut [i64]) -> Result<u8, Error> {
    let Head { order, width, shift, base, has_apart } = read_head(rest)?;
    let mut apart = [(0u8, 0u64); BLOCK];
    let mut apart_count = 0;
    if has_apart {
        apart_count = usize::from(take(rest, 1)?[0]);
        if apart_count > block.len() {
            return Err(Error::Corrupt("a block has more exceptions than values"));
        }
        for slot in &mut apart[..apart_count] {
            *slot = (take(rest, 1)?[0], read_varint(rest)?);
        }
    }
    // Padded, so that a whole word can be loaded at the position of every value.
    let mut packed = [0u8; BLOCK * 8 + 16];
    let bytes = take(rest, (block.len() * width as usize).div_ceil(8))?;
    packed[..bytes.len()].copy_from_slice(bytes);
    unpack_bits(&packed, width, block);
    for (i, upper) in &apart[..apart_count] {
        let x =
            block.get_mut(usize::from(*i)).ok_or(Error::Corrupt("an exception lies outside its block"))?;
        *x |= (upper << width).cast_signed();
    }
    for x in block {
        *x = (*x << shift).wrapping_add(base);
    }
    Ok(order)
}

fn unpack_bits(packed: &[u8; BLOCK * 8 + 16], width: u32, block: &mut [i64]) {
    let mut at = 0;
    if width <= 56 {
        let mask = (1u64 << width) - 1;
        for x in block {
            let word = packed[at / 8..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
            *x = (word >> (at % 8) & mask).cast_signed();
            at += width as usize;
        }
    } else {
        let mask = u64::MAX >> (64 - width);
        for x in block {
            let word = packed[at / 8..].first_chunk().map_or(0, |word| u128::from_le_bytes(*word));
            *x = ((word >> (at % 8)) as u64 & mask).cast_signed();
            at += width as usize;
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], Error> {
    let (taken, after) = rest.split_at_checked(count).ok_or(Error::Truncated)?;
    *rest = after;
    Ok(taken)
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Appends 7 bits a byte, lowest first.
pub(super) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number of [`write_varint`] from the front of `rest`.
pub(super) fn read_varint(rest: &mut &[u8]) -> Result<u64, Error> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        if shift == 63 && byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Error::Corrupt("a number is longer than 64 bits"))
}
