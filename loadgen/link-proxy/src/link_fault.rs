//! What can be done to a link, as data; which way and which connections it concerns.

use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use scenario::config::Span;

/// Which bytes are concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Both.
    #[default]
    Both,
    /// Requests.
    ToUpstream,
    /// Replies.
    ToClient,
}

/// One of the two streams of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    ToUpstream,
    ToClient,
}

impl Direction {
    fn has(self, way: Way) -> bool {
        match self {
            Self::Both => true,
            Self::ToUpstream => way == Way::ToUpstream,
            Self::ToClient => way == Way::ToClient,
        }
    }

    /// How many of the two ways of a round trip are concerned.
    #[must_use]
    pub fn ways(self) -> u32 {
        if self == Self::Both { 2 } else { 1 }
    }
}

/// What is done to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum LinkFault {
    /// Bytes arrive `delay` ± `jitter` later each way, in their order; the throughput stays.
    Latency {
        /// The mean.
        delay: Span,
        /// At most this much earlier or later; uniform.
        jitter: Span,
        /// Which way.
        direction: Direction,
    },
    /// A token bucket; 0 holds everything until the heal.
    Bandwidth {
        /// Bytes per second and way.
        bytes_per_s: u64,
        /// Which way.
        direction: Direction,
    },
    /// Connections are accepted, bytes are swallowed, nothing is answered.
    #[serde(rename = "blackhole")]
    BlackHole {
        /// Which way.
        direction: Direction,
    },
    /// Live connections are reset now, new ones as soon as they are accepted.
    Reset,
    /// The request passes; at the reply's first byte the client is reset instead.
    ReplyLost,
    /// Of live connections the upstream's side is closed and the client not told; new ones pass.
    HalfOpen,
    /// The end of a stream arrives later.
    SlowClose {
        /// By this.
        delay: Span,
        /// Which way.
        direction: Direction,
    },
    /// Small writes with pauses between.
    Slice {
        /// Bytes per write.
        size_bytes: u32,
        /// The pause after each.
        delay: Span,
        /// Which way.
        direction: Direction,
    },
}

/// How a stream is slowed down; the default does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    pub(super) bytes_per_s: Option<u64>,
    pub(super) close_delay: Duration,
    pub(super) slice: Option<(usize, Duration)>,
}

/// What becomes of one stream's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    Pass(Shape),
    Swallow,
}

/// What a link suffers now. Each change has a new generation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct State {
    pub(super) generation: u64,
    pub(super) fault: Option<(LinkFault, f64)>,
}

impl State {
    /// The fault, if this connection is one of the share that it concerns. A lost reply is drawn
    /// for each reply instead.
    pub(super) fn concerns(&self, who: Who) -> Option<LinkFault> {
        let (fault, share) = self.fault?;
        (fault == LinkFault::ReplyLost || who.draws(self.generation, share)).then_some(fault)
    }

    /// The share of replies that are lost.
    pub(super) fn replies_lost(&self) -> Option<f64> {
        self.fault.filter(|(fault, _)| *fault == LinkFault::ReplyLost).map(|(_, share)| share)
    }

    pub(super) fn course(&self, who: Who, way: Way) -> Course {
        self.concerns(who).map_or(Course::Pass(Shape::default()), |fault| fault.course(way))
    }
}

impl LinkFault {
    fn course(self, way: Way) -> Course {
        let none = Shape::default();
        let shape = |direction: Direction, shape| {
            Course::Pass(if direction.has(way) { shape } else { Shape::default() })
        };
        match self {
            Self::Latency { delay, jitter, direction } => {
                shape(direction, Shape { delay: delay.0, jitter: jitter.0, ..none })
            }
            Self::Bandwidth { bytes_per_s, direction } => {
                shape(direction, Shape { bytes_per_s: Some(bytes_per_s), ..none })
            }
            Self::BlackHole { direction } if direction.has(way) => Course::Swallow,
            Self::SlowClose { delay, direction } => {
                shape(direction, Shape { close_delay: delay.0, ..none })
            }
            Self::Slice { size_bytes, delay, direction } => {
                shape(direction, Shape { slice: Some((size_bytes as usize, delay.0)), ..none })
            }
            Self::BlackHole { .. } | Self::Reset | Self::ReplyLost | Self::HalfOpen => {
                Course::Pass(none)
            }
        }
    }
}

/// A connection, for its draws: the same in every run with the same seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Who {
    /// The link's seed.
    pub(super) seed: u64,
    /// The connection's number on its link, in the order of acceptance.
    pub(super) connection: u64,
}

impl Who {
    pub(super) fn random(self, salt: u64) -> ChaCha8Rng {
        let mut key = [0; 32];
        for (place, word) in key.chunks_exact_mut(8).zip([self.seed, self.connection, salt, 0]) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }

    fn draws(self, generation: u64, share: f64) -> bool {
        share >= 1.0 || self.random(generation).random::<f64>() < share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: Who = Who { seed: 7, connection: 3 };

    #[track_caller]
    fn check(fault: LinkFault, way: Way, expected: Course) {
        let state = State { generation: 1, fault: Some((fault, 1.0)) };
        assert_eq!(state.course(WHO, way), expected);
    }

    #[test]
    fn each_fault_concerns_its_way() {
        let none = Course::Pass(Shape::default());
        let direction = Direction::ToClient;
        check(LinkFault::BlackHole { direction }, Way::ToClient, Course::Swallow);
        check(LinkFault::BlackHole { direction }, Way::ToUpstream, none);
        check(
            LinkFault::BlackHole { direction: Direction::Both },
            Way::ToUpstream,
            Course::Swallow,
        );
        let limited = Shape { bytes_per_s: Some(9), ..Shape::default() };
        check(
            LinkFault::Bandwidth { bytes_per_s: 9, direction },
            Way::ToClient,
            Course::Pass(limited),
        );
        check(LinkFault::Bandwidth { bytes_per_s: 9, direction }, Way::ToUpstream, none);
        check(LinkFault::Reset, Way::ToClient, none);
        assert_eq!(State::default().course(WHO, Way::ToClient), none);
    }

    #[test]
    fn a_share_is_kept_and_drawn_anew_for_each_fault() {
        let hit = |generation| {
            let state = State { generation, fault: Some((LinkFault::Reset, 0.3)) };
            let hit = |n: &u64| state.concerns(Who { seed: 7, connection: *n }).is_some();
            (0..2_000).filter(hit).collect::<Vec<u64>>()
        };
        assert!((500..700).contains(&hit(1).len()), "{}", hit(1).len());
        assert_eq!(hit(1), hit(1));
        assert_ne!(hit(1), hit(2));
        let none = State { generation: 1, fault: Some((LinkFault::Reset, 0.0)) };
        assert!(none.concerns(WHO).is_none());
    }

    #[test]
    fn the_words_of_a_fault() {
        let json = r#"{"kind":"slow-close","delay":"2s","direction":"to-upstream"}"#;
        let fault: LinkFault = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&fault).unwrap(), json);
    }
}
