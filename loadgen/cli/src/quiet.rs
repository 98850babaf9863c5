//! Whether the machine is quiet enough to measure on: looked at before each trial, waited for, and told. What is
//! done about a trial that was disturbed is not known here.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::terminal::{Terminal, folded, spoken};
use supervise::cores::Cores;
use supervise::foreign::{Foreign, Look};

/// How long others are watched.
const LOOK: Duration = Duration::from_millis(500);

/// How long a trial waits for a quiet machine at most; not at all, and without a look, if for no time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet {
    /// At most so long.
    pub within: Duration,
}

/// What the looks of a run have found.
#[derive(Debug, Default)]
pub(crate) struct Disturbances {
    trials: u32,
    waited: u32,
    waited_s: f64,
    /// How many trials began although it was not quiet, and who was busiest of all then.
    in_vain: u32,
    busiest: Option<Foreign>,
}

impl Quiet {
    /// Waits until others leave the machine alone, the time is up, or the run is stopped.
    pub(crate) async fn wait(
        self,
        cores: &Cores,
        terminal: &Terminal,
        interrupt: &mut watch::Receiver<bool>,
        found: &mut Disturbances,
    ) {
        if self.within.is_zero() {
            return;
        }
        let begun = Instant::now();
        let mut told = false;
        found.trials += 1;
        loop {
            let look = Look::begin(cores);
            tokio::select! {
                () = sleep(LOOK) => {}
                Ok(_) = interrupt.wait_for(|stop| *stop) => return,
            }
            let foreign = look.end();
            let is_over = begun.elapsed() >= self.within;
            if foreign.is_quiet() || is_over {
                found.add(begun.elapsed(), told, foreign);
                return;
            }
            if !told {
                let within = spoken(self.within.as_secs_f64());
                let line = format!("waiting up to {within} for a quiet machine: {foreign}");
                terminal.note(&folded(&line));
                told = true;
            }
        }
    }
}

impl Disturbances {
    fn add(&mut self, took: Duration, waited: bool, foreign: Foreign) {
        if waited {
            self.waited += 1;
            self.waited_s += took.as_secs_f64();
        }
        if !foreign.is_quiet() {
            self.in_vain += 1;
            let before = self.busiest.as_ref().map_or(0.0, |busiest| busiest.cores);
            if foreign.cores > before {
                self.busiest = Some(foreign);
            }
        }
    }

    /// A fact of the run; nothing if nobody looked.
    pub(crate) fn fact(&self) -> Option<(String, String)> {
        let said = match (self.waited, &self.busiest) {
            (0, None) => format!("none before {} trials", self.trials),
            (waited, None) => {
                format!("{waited} of {} trials waited, {}", self.trials, spoken(self.waited_s))
            }
            (_, Some(busiest)) => format!(
                "{} of {} trials began beside others, after waiting for {} in all; at most {busiest}",
                self.in_vain,
                self.trials,
                spoken(self.waited_s)
            ),
        };
        (self.trials > 0).then(|| ("other load before trials".to_owned(), said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(cores: f64) -> Foreign {
        Foreign { rivals: 0.0, cores, busiest: None }
    }

    #[test]
    fn what_was_found_is_a_fact_of_the_run() {
        let mut found = Disturbances::default();
        assert_eq!(found.fact(), None);
        found.trials = 2;
        found.add(LOOK, false, foreign(0.01));
        let said = |found: &Disturbances| found.fact().unwrap().1;
        assert_eq!(said(&found), "none before 2 trials");
        found.add(Duration::from_secs(4), true, foreign(0.02));
        assert_eq!(said(&found), "1 of 2 trials waited, 4 s");
        found.trials = 3;
        found.add(Duration::from_secs(30), true, foreign(1.5));
        assert_eq!(
            said(&found),
            "1 of 3 trials began beside others, after waiting for 34 s in all; at most other \
             processes use 150 % of a core"
        );
    }

    #[tokio::test]
    async fn who_does_not_wait_does_not_look_and_who_is_stopped_does_not_wait() {
        let (cores, terminal) = (Cores::divide().unwrap(), Terminal::open(true).unwrap());
        let mut found = Disturbances::default();
        let (stop, mut stopped) = watch::channel(false);
        Quiet::default().wait(&cores, &terminal, &mut stopped, &mut found).await;
        assert_eq!(found.fact(), None);
        stop.send(true).unwrap();
        let long = Quiet { within: Duration::from_secs(3_600) };
        long.wait(&cores, &terminal, &mut stopped, &mut found).await;
        assert_eq!(found.waited, 0);
    }
}
