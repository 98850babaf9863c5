//! When a copy is said to have what it must have to take over.

/// After so many looks in a row at which a copy kept up, what had been written by then must be there before it is said to
/// follow: a second, in which PostgreSQL has come to know that commits wait for it. From then on nothing is answered that
/// it lacks.
const STEADY: u32 = 10;
/// And so many in a row at which it did not, before it is said to follow no more.
const MISSES: u32 = 5;

/// What was seen of a copy, look by look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Following {
    is_so: bool,
    steady: u32,
    misses: u32,
}

/// What is to be done after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Nothing.
    Nothing,
    /// What is written now is what it must have.
    Mark,
}

impl Following {
    /// Whether it has what it must have.
    #[must_use]
    pub fn is_so(&self) -> bool {
        self.is_so
    }

    /// A look at which it kept up or not, and had what had been written at the mark or not.
    pub fn count(&mut self, keeps_up: bool, has: bool) -> Counted {
        self.steady = if keeps_up { self.steady.saturating_add(1) } else { 0 };
        self.misses = if keeps_up { 0 } else { self.misses.saturating_add(1) };
        let follows = self.steady > STEADY && has;
        self.is_so = follows || self.is_so && self.misses < MISSES;
        if self.steady == STEADY && !self.is_so { Counted::Mark } else { Counted::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at one that always keeps up, until it is to be marked; how many it took.
    fn marked(following: &mut Following) -> u32 {
        (1..).find(|_| following.count(true, true) == Counted::Mark).unwrap()
    }

    #[test]
    fn it_follows_once_it_has_what_was_written_after_it_kept_up_for_a_while() {
        let mut following = Following::default();
        assert_eq!(marked(&mut following), STEADY);
        assert!(!following.is_so(), "what it had before the mark says nothing");
        for _ in 0..30 {
            assert_eq!(following.count(true, false), Counted::Nothing);
            assert!(!following.is_so(), "it lags behind the mark");
        }
        assert_eq!(following.count(true, true), Counted::Nothing);
        assert!(following.is_so());
    }

    #[test]
    fn a_few_misses_end_nothing_and_many_begin_it_anew() {
        let mut following = Following::default();
        marked(&mut following);
        let mut seen = |keeps_up, times: u32| {
            let marks = (0..times).filter(|_| following.count(keeps_up, true) == Counted::Mark);
            (marks.count(), following.is_so())
        };
        assert_eq!(seen(true, 1), (0, true));
        assert_eq!(seen(false, MISSES - 1), (0, true));
        assert_eq!(seen(true, 30), (0, true), "it has been waited for all the time");
        assert_eq!(seen(false, MISSES), (0, false));
        assert_eq!(seen(true, STEADY), (1, false), "there is another mark");
        assert_eq!(seen(true, 1), (0, true));
    }
}
