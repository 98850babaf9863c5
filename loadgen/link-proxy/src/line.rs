//! Bytes on their way: each is stamped when it comes and released later, in its order. No I/O.

use std::collections::VecDeque;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tokio::time::Instant;

use super::link_fault::Shape;

/// What may wait on a link without delay: as much as one read of a busy peer.
const HELD_MAX_BYTES: usize = 64 * 1024;
/// What may wait on a delayed link; 4 MiB in 100 ms are 40 MiB/s.
const DELAYED_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Separately stamped arrivals.
const MARKS_MAX: usize = 65_536;
/// A token bucket holds what comes in this time.
const BURST: Duration = Duration::from_millis(20);

/// One way of a connection.
pub(super) struct Line {
    bytes: VecDeque<u8>,
    marks: VecDeque<(Instant, usize)>,
    /// The end of the stream, when it was read, and when it may be told.
    end: Option<Instant>,
    last: Instant,
    shape: Shape,
    tokens: f64,
    filled: Instant,
    next_slice: Instant,
    random: ChaCha8Rng,
}

impl Line {
    pub(super) fn new(shape: Shape, random: ChaCha8Rng, now: Instant) -> Self {
        Self {
            bytes: VecDeque::new(),
            marks: VecDeque::new(),
            end: None,
            last: now,
            shape,
            tokens: 0.0,
            filled: now,
            next_slice: now,
            random,
        }
    }

    /// From now on another shape; what waits is released at once.
    pub(super) fn reshape(&mut self, shape: Shape, now: Instant) {
        self.marks.clear();
        if !self.bytes.is_empty() {
            self.marks.push_back((now, self.bytes.len()));
        }
        self.end = self.end.map(|_| now);
        (self.shape, self.last, self.tokens) = (shape, now, 0.0);
        (self.filled, self.next_slice) = (now, now);
    }

    /// Forgets what waits; whether there was anything.
    pub(super) fn swallow(&mut self) -> usize {
        let swallowed = self.bytes.len();
        self.bytes.clear();
        self.marks.clear();
        swallowed
    }

    /// How many bytes may be added.
    pub(super) fn room(&self) -> usize {
        let most = if self.shape.delay.is_zero() { HELD_MAX_BYTES } else { DELAYED_MAX_BYTES };
        if self.has_ended() || self.marks.len() >= MARKS_MAX {
            return 0;
        }
        most.saturating_sub(self.bytes.len())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Adds bytes that came now.
    pub(super) fn push(&mut self, bytes: &[u8], now: Instant) {
        self.last = self.last.max(now + self.delay());
        self.bytes.extend(bytes);
        match self.marks.back_mut() {
            Some((release, count)) if *release == self.last => *count += bytes.len(),
            _ => self.marks.push_back((self.last, bytes.len())),
        }
    }

    /// The stream ends here.
    pub(super) fn push_end(&mut self, now: Instant) {
        self.last = self.last.max(now + self.delay()) + self.shape.close_delay;
        self.end = Some(self.last);
    }

    fn delay(&mut self) -> Duration {
        let Shape { delay, jitter, .. } = self.shape;
        if jitter.is_zero() {
            return delay;
        }
        let spread = jitter.mul_f64(2.0 * self.random.random::<f64>());
        (delay + spread).saturating_sub(jitter)
    }

    /// The bytes that may be written now.
    pub(super) fn due(&mut self, now: Instant) -> &[u8] {
        let count = self.due_count(now);
        let front = self.bytes.as_slices().0;
        &front[..count.min(front.len())]
    }

    /// Whether anything has to wait.
    pub(super) fn holds(&mut self, now: Instant) -> bool {
        self.due_count(now) < self.bytes.len() || self.end.is_some_and(|at| at > now)
    }

    fn due_count(&mut self, now: Instant) -> usize {
        let released = self.released(now);
        if released == 0 {
            return 0;
        }
        let allowed = self.shape.bytes_per_s.map_or(released, |rate| {
            self.fill(rate, now);
            let enough = self.tokens >= self.batch(rate);
            if enough { (self.tokens as usize).min(released) } else { 0 }
        });
        match self.shape.slice {
            Some(_) if now < self.next_slice => 0,
            Some((size, _)) => allowed.min(size),
            None => allowed,
        }
    }

    /// Counted up to what one write may take.
    fn released(&self, now: Instant) -> usize {
        let mut released = 0;
        for (release, count) in &self.marks {
            if *release > now || released >= HELD_MAX_BYTES {
                break;
            }
            released += count;
        }
        released
    }

    fn fill(&mut self, rate: u64, now: Instant) {
        let most = (rate as f64 * BURST.as_secs_f64()).max(1.0);
        let came = rate as f64 * (now - self.filled).as_secs_f64();
        (self.tokens, self.filled) = ((self.tokens + came).min(most), now);
    }

    /// What is waited for: half a bucket, or what there is if that is less.
    fn batch(&self, rate: u64) -> f64 {
        let half = (rate as f64 * BURST.as_secs_f64() / 2.0).max(1.0);
        half.min(self.bytes.len() as f64)
    }

    /// These were written.
    pub(super) fn advance(&mut self, written: usize, now: Instant) {
        self.bytes.drain(..written);
        self.tokens -= written as f64;
        self.next_slice = now + self.shape.slice.map_or(Duration::ZERO, |(_, pause)| pause);
        let mut left = written;
        while let Some((_, count)) = self.marks.front_mut().filter(|_| left > 0) {
            let taken = left.min(*count);
            (*count, left) = (*count - taken, left - taken);
            if *count == 0 {
                self.marks.pop_front();
            }
        }
    }

    /// When the next bytes, or the end, may pass. None: not before something changes.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let Some((release, _)) = self.marks.front() else { return self.end };
        let mut at = *release;
        match self.shape.bytes_per_s {
            Some(0) => return None,
            Some(rate) => {
                let wanted = (self.batch(rate) - self.tokens).max(0.0) / rate as f64;
                // Rounded up: a timer that is early by a nanosecond would spin.
                at = at
                    .max(self.filled + Duration::from_secs_f64(wanted) + Duration::from_micros(1));
            }
            None => {}
        }
        if self.shape.slice.is_some() {
            at = at.max(self.next_slice);
        }
        Some(at.max(now))
    }

    /// Whether all has passed and the end may be told.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.bytes.is_empty() && self.end.is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn line(shape: Shape) -> (Line, Instant) {
        let now = Instant::now();
        (Line::new(shape, ChaCha8Rng::seed_from_u64(1), now), now)
    }

    #[test]
    fn a_line_without_fault_releases_at_once() {
        let (mut line, now) = line(Shape::default());
        line.push(b"abc", now);
        line.push_end(now);
        assert_eq!(line.due(now), b"abc");
        assert!(!line.is_over(now));
        line.advance(3, now);
        assert!(line.is_over(now));
    }

    #[test]
    fn a_delay_holds_bytes_and_end_but_not_the_throughput() {
        let (mut line, now) = line(Shape { delay: 100 * MS, ..Shape::default() });
        line.push(b"ab", now);
        line.push(b"c", now + 50 * MS);
        assert!(line.room() > 1_000_000);
        line.push_end(now + 60 * MS);
        assert_eq!(line.due(now + 99 * MS), b"");
        assert_eq!(line.next(now), Some(now + 100 * MS));
        assert_eq!(line.due(now + 100 * MS), b"ab");
        assert_eq!(line.due(now + 150 * MS), b"abc");
        line.advance(3, now + 150 * MS);
        assert!(!line.is_over(now + 159 * MS) && line.is_over(now + 160 * MS));
    }

    #[test]
    fn a_heal_releases_what_waits() {
        let (mut line, now) = line(Shape { delay: 9_000 * MS, ..Shape::default() });
        line.push(b"abc", now);
        line.push_end(now);
        line.reshape(Shape::default(), now + MS);
        assert_eq!(line.due(now + MS), b"abc");
        line.advance(3, now + MS);
        assert!(line.is_over(now + MS));
    }

    #[test]
    fn a_bucket_passes_its_rate() {
        let (mut line, start) = line(Shape { bytes_per_s: Some(10_000), ..Shape::default() });
        let (mut now, mut passed) = (start, 0);
        line.push(&[7; 10_000], now);
        while passed < 10_000 {
            now = line.next(now).unwrap();
            let count = line.due(now).len();
            assert!(count <= 200, "a burst of {count}");
            line.advance(count, now);
            passed += count;
        }
        let took_s = (now - start).as_secs_f64();
        assert!((0.9..1.1).contains(&took_s), "{took_s} s");
        line.reshape(Shape { bytes_per_s: Some(0), ..Shape::default() }, now);
        line.push(b"x", now);
        assert_eq!((line.next(now), line.due(now + 9_000 * MS)), (None, &b""[..]));
    }

    #[test]
    fn slices_are_small_and_apart() {
        let (mut line, now) = line(Shape { slice: Some((2, 10 * MS)), ..Shape::default() });
        line.push(b"abcde", now);
        assert_eq!(line.due(now), b"ab");
        line.advance(2, now);
        assert_eq!(line.due(now + 9 * MS), b"");
        assert_eq!(line.next(now), Some(now + 10 * MS));
        assert_eq!(line.due(now + 10 * MS), b"cd");
    }

    proptest! {
        /// Whatever the shape and the chunks: the bytes come out as they went in, each within its time.
        #[test]
        fn nothing_is_lost_or_reordered(
            chunks in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..50), 0_u64..30), 1..40),
            delay in 0_u32..20, jitter in 0_u32..20, rate in prop::option::of(500_u64..100_000),
            slice in prop::option::of((1_usize..20, 0_u32..5)),
        ) {
            let shape = Shape {
                delay: delay * MS,
                jitter: jitter.min(delay) * MS,
                bytes_per_s: rate,
                close_delay: Duration::ZERO,
                slice: slice.map(|(size, pause)| (size, pause * MS)),
            };
            let (mut line, mut now) = line(shape);
            let (mut sent, mut got) = (Vec::new(), Vec::new());
            for (chunk, pause) in chunks {
                now += Duration::from_millis(pause);
                line.push(&chunk, now);
                sent.extend(chunk);
                let due = line.due(now).to_vec();
                line.advance(due.len(), now);
                got.extend(due);
            }
            line.push_end(now);
            while !line.is_over(now) {
                now = line.next(now).unwrap();
                let due = line.due(now).to_vec();
                line.advance(due.len(), now);
                got.extend(due);
            }
            prop_assert_eq!(sent, got);
        }
    }
}
