//! Takes charges: waits, decides, writes the journal, answers. What a client does meanwhile, such
//! as leaving, changes nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use http_server::prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};
use http_server::prometheus_client::metrics::counter::Counter;
use http_server::prometheus_client::metrics::family::Family;
use http_server::{Metrics, ReadyCheck};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, sleep_until};

use crate::charge::{Charge, Decision};
use crate::counter;
use crate::draw::Draws;
use crate::journal::{Broken, Journal, Mark};
use crate::line::{Event, Line};
use crate::rate::Rate;
use crate::settings::{Change, Mode, Settings};

/// Charges under way; one more is refused.
const CHARGES_MAX: usize = 16_384;

/// Why a charge has no decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("this key was charged with another amount")]
    AmountDiffers,
    #[error("the network failed; nothing was captured")]
    Failed,
    #[error("too many charges are under way")]
    Busy,
    #[error("more charges than the rate limit allows; nothing was captured")]
    Limited,
    /// Decided, journaled, and not told.
    #[error("the answer is lost")]
    AnswerLost,
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// What is asked of a key that is not decided.
#[derive(Clone, Copy)]
enum Wish {
    Capture,
    Void,
}

/// One key, for ever.
struct Account {
    amount_cents: i64,
    attempts: AtomicU32,
    /// The luck of voids is their own.
    voids: AtomicU32,
    /// The first decision; the others wait for it.
    decision: OnceCell<Decision>,
}

/// The counter of the network.
pub(crate) struct Desk {
    journal: Journal,
    draws: Draws,
    settings: RwLock<Settings>,
    accounts: Mutex<HashMap<String, Arc<Account>>>,
    places: Arc<Semaphore>,
    rate: Mutex<Rate>,
    clerks: Mutex<counter::Counter>,
    events: Family<Label, Counter>,
    limited: Counter,
    answers_lost: Counter,
}

impl Desk {
    /// A desk that remembers this history.
    pub(crate) fn new(
        journal: Journal,
        history: Vec<Line>,
        settings: Settings,
        draws: Draws,
        metrics: &mut Metrics,
    ) -> Arc<Self> {
        let events = Family::default();
        let (limited, answers_lost) = (Counter::default(), Counter::default());
        metrics.registry().register("provider_events", "Lines of the journal", events.clone());
        let help = "Charges that the rate limit refused";
        metrics.registry().register("provider_limited", help, limited.clone());
        let help = "Charges that were decided and not answered";
        metrics.registry().register("provider_answers_lost", help, answers_lost.clone());
        let (accounts, settings) = (Mutex::new(remembered(history)), RwLock::new(settings));
        let places = Arc::new(Semaphore::new(CHARGES_MAX));
        let (rate, clerks) = <_>::default();
        Arc::new(Self {
            journal,
            draws,
            settings,
            accounts,
            places,
            rate,
            clerks,
            events,
            limited,
            answers_lost,
        })
    }

    pub(crate) fn settings(&self) -> Settings {
        *self.settings.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the journal is on the disk.
    pub(crate) fn mark(&self) -> Mark {
        self.journal.mark()
    }

    pub(crate) fn change(&self, change: Change) -> Result<Settings, String> {
        let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        *settings = change.on(*settings)?;
        Ok(*settings)
    }

    /// Decides a charge, in a task of its own: a client that leaves does not undo it.
    pub(crate) async fn charge(self: &Arc<Self>, charge: Charge) -> Result<Decision, Refusal> {
        self.take(charge, Wish::Capture).await
    }

    /// Voids a key, unless it is decided: what stands is told.
    pub(crate) async fn void(self: &Arc<Self>, charge: Charge) -> Result<Decision, Refusal> {
        self.take(charge, Wish::Void).await
    }

    async fn take(self: &Arc<Self>, charge: Charge, wish: Wish) -> Result<Decision, Refusal> {
        self.allow()?;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refusal::Busy)?;
        let desk = Arc::clone(self);
        let task = tokio::spawn(async move {
            let _place = place;
            desk.decide(charge, wish).await
        });
        task.await.unwrap_or(Err(Refusal::Failed))
    }

    /// Not journaled: it moves no money, and a limiter that waits for the disk protects nothing.
    fn allow(&self) -> Result<(), Refusal> {
        let Some(per_second) = self.settings().rate_limit else { return Ok(()) };
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        if rate.allows(Instant::now(), per_second) {
            return Ok(());
        }
        self.limited.inc();
        Err(Refusal::Limited)
    }

    async fn decide(&self, charge: Charge, wish: Wish) -> Result<Decision, Refusal> {
        let Charge { key, amount_cents, .. } = &charge;
        let settings = self.settings();
        let account = self.account(key, *amount_cents);
        if account.amount_cents != *amount_cents && settings.mode == Mode::Dedupe {
            return Err(Refusal::AmountDiffers);
        }
        let attempt = match wish {
            Wish::Capture => account.attempts.fetch_add(1, Ordering::Relaxed) + 1,
            Wish::Void => u32::MAX - account.voids.fetch_add(1, Ordering::Relaxed),
        };
        let latency = settings.latency.draw(&mut self.draws.latency(key, attempt));
        let done = self.done_at(&settings, latency)?;
        if done > Instant::now() {
            sleep_until(done).await;
        }
        if self.draws.fails(key, attempt, settings.error_rate) {
            if matches!(wish, Wish::Capture) {
                self.record(Event::Error, &charge, None).await?;
            }
            return Err(Refusal::Failed);
        }
        let rate = settings.decline_rate;
        let decision = match (wish, settings.mode) {
            // What stands is told, and no line more: nothing is asked for.
            (Wish::Void, _) => {
                account.decision.get_or_try_init(|| self.voided(&charge)).await?.clone()
            }
            (Wish::Capture, Mode::Raw) => {
                let decision = self.capture(&charge, attempt, rate).await?;
                // Should the mode change, the first decision of the key stands.
                let _ = account.decision.set(decision.clone());
                decision
            }
            (Wish::Capture, Mode::Dedupe) => {
                self.once(&account, &charge, self.capture(&charge, attempt, rate)).await?
            }
        };
        if self.draws.loses(key, attempt, settings.lost_answers) {
            self.answers_lost.inc();
            return Err(Refusal::AnswerLost);
        }
        Ok(decision)
    }

    /// When a charge that comes now is worked off.
    fn done_at(&self, settings: &Settings, takes: Duration) -> Result<Instant, Refusal> {
        let now = Instant::now();
        let Some(at_once) = settings.at_once else { return Ok(now + takes) };
        let mut clerks = self.clerks.lock().unwrap_or_else(PoisonError::into_inner);
        clerks.done_at(now, (at_once, settings.queue), takes).ok_or(Refusal::Busy)
    }

    async fn once(
        &self,
        account: &Account,
        charge: &Charge,
        decision: impl Future<Output = Result<Decision, Broken>>,
    ) -> Result<Decision, Refusal> {
        let mut first = false;
        let deciding = || {
            first = true;
            decision
        };
        let decision = account.decision.get_or_try_init(deciding).await?.clone();
        if !first {
            let id = match &decision {
                Decision::Captured { charge_id } => Some(charge_id.clone()),
                Decision::Declined | Decision::Voided => None,
            };
            self.record(Event::Repeated, charge, id).await?;
        }
        Ok(decision)
    }

    async fn capture(
        &self,
        charge: &Charge,
        attempt: u32,
        decline_rate: f64,
    ) -> Result<Decision, Broken> {
        if self.draws.declines(&charge.key, decline_rate) {
            self.record(Event::Declined, charge, None).await?;
            return Ok(Decision::Declined);
        }
        let charge_id = self.draws.charge_id(&charge.key, attempt);
        self.record(Event::Captured, charge, Some(charge_id.clone())).await?;
        Ok(Decision::Captured { charge_id })
    }

    async fn voided(&self, charge: &Charge) -> Result<Decision, Broken> {
        self.record(Event::Voided, charge, None).await?;
        Ok(Decision::Voided)
    }

    async fn record(
        &self,
        event: Event,
        charge: &Charge,
        charge_id: Option<String>,
    ) -> Result<(), Broken> {
        self.write(Line::now(event, &charge.key, charge.amount_cents, charge_id)).await
    }

    /// Returns when the line is on disk.
    pub(crate) async fn write(&self, line: Line) -> Result<(), Broken> {
        let event = line.event;
        self.journal.append(line).await?;
        self.events.get_or_create(&Label(event)).inc();
        Ok(())
    }

    fn account(&self, key: &str, amount_cents: i64) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(key) {
            return Arc::clone(account);
        }
        let account = Arc::new(Account::new(amount_cents));
        accounts.insert(key.to_owned(), Arc::clone(&account));
        account
    }
}

impl Account {
    fn new(amount_cents: i64) -> Self {
        let (attempts, voids) = <_>::default();
        Self { amount_cents, attempts, voids, decision: OnceCell::new() }
    }
}

/// The accounts as a journal left them.
fn remembered(history: Vec<Line>) -> HashMap<String, Arc<Account>> {
    let mut accounts = HashMap::new();
    for Line { event, key, amount_cents, charge_id, .. } in history {
        if matches!(event, Event::NotifiedPaid | Event::NotifiedDeclined) {
            continue;
        }
        let account = accounts.entry(key).or_insert_with(|| Arc::new(Account::new(amount_cents)));
        if event != Event::Voided {
            account.attempts.fetch_add(1, Ordering::Relaxed);
        }
        let decision = match (event, charge_id) {
            (Event::Captured, Some(charge_id)) => Decision::Captured { charge_id },
            (Event::Declined, _) => Decision::Declined,
            (Event::Voided, _) => Decision::Voided,
            (Event::Captured | Event::Repeated | Event::Error, _)
            | (Event::NotifiedPaid | Event::NotifiedDeclined, _) => continue,
        };
        // A raw network decides again and again; the first stands.
        let _ = account.decision.set(decision);
    }
    accounts
}

#[async_trait]
impl ReadyCheck for Desk {
    async fn ready(&self) -> Result<(), String> {
        if self.journal.works() { Ok(()) } else { Err(Broken.to_string()) }
    }
}

/// The label of an event's counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Label(Event);

impl EncodeLabelSet for Label {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        let event = self.0.as_str();
        EncodeLabel::encode(&("event", event), encoder.encode_label())
    }
}
