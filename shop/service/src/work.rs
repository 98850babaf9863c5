//! Work: CPU time that each charge takes, for experiments on what an architecture costs as requests grow heavier.
//! Nothing unless it is asked for, and the same wherever charges are made.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clap::Args;
use http_server::Settings;
use rustix::time::{ClockId, clock_gettime};
use shop::{CardNetwork, Charge, Error, Result, Verdict};
use tokio::sync::Semaphore;

use crate::environment;

/// More would outlive the calls that wait for it.
const MOST_MS: i64 = 1_000;
/// Rounds of arithmetic between two looks at the clock, which is a system call.
const ROUNDS: u64 = 2_000;

/// How much each charge works.
#[derive(Args, Clone, Copy)]
pub struct Work {
    /// CPU time that each charge takes before the card network is asked
    #[arg(long = "work-ms", value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=MOST_MS))]
    ms: u16,
}

impl Work {
    /// The network itself, if there is no work; else one that works before it asks, beside the threads that serve.
    #[must_use]
    pub fn network(self, network: Arc<dyn CardNetwork>) -> Arc<dyn CardNetwork> {
        if self.ms == 0 {
            return network;
        }
        let places = Arc::new(Semaphore::new(environment::parallel_hashes()));
        Arc::new(Working { work: self, network, places })
    }

    /// What a process says of it: nothing if there is none.
    #[must_use]
    pub fn settings(self) -> Settings {
        let none = Settings::default();
        if self.ms == 0 { none } else { none.time("CPU time of work for each charge", self.time()) }
    }

    fn time(self) -> Duration {
        Duration::from_millis(self.ms.into())
    }
}

struct Working {
    work: Work,
    network: Arc<dyn CardNetwork>,
    /// As many work at once as there are processors: more would take them from who serves.
    places: Arc<Semaphore>,
}

#[async_trait]
impl CardNetwork for Working {
    async fn capture(&self, charge: &Charge) -> Result<Verdict> {
        let time = self.work.time();
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|error| Error::Internal(error.to_string()))?;
        let work = move || {
            let _place = place;
            work(time);
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| Error::Internal(error.to_string()))?;
        self.network.capture(charge).await
    }

    /// No work: nothing is computed of what is not charged.
    async fn void(&self, charge: &Charge) -> Result<Verdict> {
        self.network.void(charge).await
    }
}

/// Works until this thread has spent so much: CPU time, not time on a clock, so that it is as much on a busy machine.
fn work(time: Duration) {
    let until = spent() + time;
    let mut number = 0_u64;
    while spent() < until {
        number = (0..ROUNDS).fold(number, |sum, n| black_box(sum.rotate_left(5) ^ n));
    }
}

/// CPU time of this thread.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (s, ns) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(s.unwrap_or(0), ns.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Spent(std::sync::Mutex<Vec<String>>);

    #[async_trait]
    impl CardNetwork for Spent {
        async fn capture(&self, charge: &Charge) -> Result<Verdict> {
            self.0.lock().unwrap().push(charge.key.clone());
            Ok(Verdict::Declined)
        }
    }

    #[test]
    fn work_takes_cpu_time() {
        let before = spent();
        work(Duration::from_millis(20));
        assert!(spent() - before >= Duration::from_millis(20));
    }

    #[tokio::test]
    async fn who_works_asks_once_and_says_so_and_who_does_not_is_the_network_itself() {
        let network: Arc<dyn CardNetwork> = Arc::new(Spent(std::sync::Mutex::default()));
        assert!(Arc::ptr_eq(&Work { ms: 0 }.network(Arc::clone(&network)), &network));
        let told = |ms| format!("{:?}", Work { ms }.settings());
        assert_eq!(told(0), format!("{:?}", Settings::default()));
        assert!(told(10).contains("0.01 s"), "{}", told(10));
        let spent = Arc::new(Spent(std::sync::Mutex::default()));
        let working = Work { ms: 1 }.network(Arc::clone(&spent) as _);
        let charge = Charge { key: "k".to_owned(), amount_cents: 1, card: "c".to_owned() };
        assert_eq!(working.capture(&charge).await, Ok(Verdict::Declined));
        assert_eq!(*spent.0.lock().unwrap(), ["k"]);
    }
}
