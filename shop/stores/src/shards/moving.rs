//! How orders move when a further database is taken into use. A customer moves as a whole: who asks for him meanwhile
//! waits, or moves him first. What is known of it survives a crash: the plan in the first database, and in each who has
//! arrived. A copy counts once it has arrived; then what was copied is forgotten.

use std::collections::HashSet;
use std::sync::{Arc, Mutex as Lock, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use shop::{Error, Move, Number, Result, Spread, Spreading, UserId, Wider};
use tokio::time::{Instant, sleep};

use super::layout::{Layout, Map};
use super::numbers::Numbers;
use super::{Shards, lock};

/// Under which names databases keep what they are.
const PLAN: &str = "plan";
const SEAT: &str = "seat";
/// Customers that are looked for at once, and orders that are copied in one commit.
const CUSTOMERS: u32 = 256;
const ORDERS: u32 = 256;
/// Before a move that stood still goes on.
const PAUSE: Duration = Duration::from_secs(1);

/// How orders are spread, as the first database keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    /// Tells these databases from others.
    group: String,
    /// Entries lie in the first so many databases.
    entries: usize,
    now: Layout,
    /// Where they move to.
    next: Option<Layout>,
}

impl Plan {
    /// How many databases are in use, or will be.
    fn used(&self) -> usize {
        self.next.as_ref().unwrap_or(&self.now).used()
    }

    /// What a database knows its place by.
    fn seat(&self, number: usize) -> String {
        format!("{} {number}", self.group)
    }
}

/// What is known once the databases have been asked.
pub(super) struct State {
    pub(super) numbers: Numbers,
    pub(super) entries: usize,
    group: String,
    maps: RwLock<Maps>,
    /// Customers that have moved.
    moved: Lock<HashSet<UserId>>,
    told: Lock<Option<Move>>,
}

struct Maps {
    now: Map,
    next: Option<Map>,
}

/// Where a customer's orders are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Here {
    In(usize),
    /// He is to be moved before he is asked for.
    Moves {
        from: usize,
        to: usize,
    },
}

impl State {
    pub(super) fn place(&self, customer: UserId) -> Here {
        let maps = self.maps.read().unwrap_or_else(PoisonError::into_inner);
        let from = maps.now.owner(customer);
        let to = maps.next.as_ref().map_or(from, |next| next.owner(customer));
        if to == from || lock(&self.moved).contains(&customer) {
            return Here::In(to);
        }
        Here::Moves { from, to }
    }

    fn used(&self) -> usize {
        let maps = self.maps.read().unwrap_or_else(PoisonError::into_inner);
        maps.next.as_ref().unwrap_or(&maps.now).layout.used()
    }

    fn plan(&self) -> Plan {
        let maps = self.maps.read().unwrap_or_else(PoisonError::into_inner);
        Plan {
            group: self.group.clone(),
            entries: self.entries,
            now: maps.now.layout.clone(),
            next: maps.next.as_ref().map(|next| next.layout.clone()),
        }
    }

    fn count(&self, count: impl FnOnce(&mut Move)) {
        count(lock(&self.told).get_or_insert_default());
    }
}

impl Shards {
    /// What the databases know. Whoever is first asks them, and goes on with a move that a crash has cut off.
    pub(super) async fn state(&self) -> Result<&State> {
        let me = self.me.upgrade().ok_or_else(|| Error::Internal("closed".to_owned()))?;
        let begun = async {
            // To the end, whoever stops waiting for it.
            let begun = tokio::spawn(me.beginning()).await;
            begun.map_err(|error| Error::Internal(format!("the databases: {error}")))?
        };
        self.state.get_or_try_init(|| begun).await
    }

    fn beginning(self: Arc<Self>) -> BoxFuture<'static, Result<State>> {
        Box::pin(async move { self.begin().await })
    }

    async fn begin(&self) -> Result<State> {
        let kept = self.database(0)?.noted(PLAN).await?;
        let plan = match &kept {
            Some(kept) => self.understood(kept)?,
            None => Plan {
                group: uuid::Uuid::new_v4().to_string(),
                entries: self.first,
                now: Layout::over(self.first),
                next: None,
            },
        };
        // All are looked at before anything is written to one.
        let newest = self.look_through(&plan, kept.is_some()).await?;
        let stands = self.database(0)?.note(PLAN, text(&plan)?).await?;
        let plan = self.understood(&stands)?;
        for (number, database) in self.databases.iter().enumerate() {
            let seat = plan.seat(number);
            if database.note(SEAT, seat.clone()).await? != seat {
                return Err(Error::Unavailable(format!(
                    "database {number} was just taken by another"
                )));
            }
        }
        let goes_on = plan.next.is_some();
        let maps = Maps { now: Map::of(plan.now), next: plan.next.map(Map::of) };
        if goes_on && let Some(me) = self.me.upgrade() {
            tokio::spawn(me.going_on());
        }
        Ok(State {
            numbers: Numbers::after(newest),
            entries: plan.entries,
            group: plan.group,
            maps: RwLock::new(maps),
            moved: Lock::default(),
            told: Lock::default(),
        })
    }

    /// The newest order, if each database is in its place.
    async fn look_through(&self, plan: &Plan, is_kept: bool) -> Result<Number> {
        let (mut newest, mut unknown) = (0, None);
        for (number, database) in self.databases.iter().enumerate() {
            let last = database.newest().await?;
            newest = newest.max(last);
            let (seat, found) = (plan.seat(number), database.noted(SEAT).await?);
            let why = match found {
                Some(found) if found == seat => continue,
                Some(found) => {
                    format!("belongs elsewhere, by name or place: expected {seat}, found {found}")
                }
                None if last > 0 => {
                    "has orders of its own: it cannot become one of several".to_owned()
                }
                None => {
                    unknown = unknown.or(Some(number).filter(|number| *number < plan.used()));
                    continue;
                }
            };
            return Err(Error::Unavailable(format!("database {number} {why}")));
        }
        match unknown {
            // A file that is not the one that was named before would be an empty one.
            Some(number) if is_kept && newest > 0 => {
                let text = format!("database {number} is empty, and orders are spread over it");
                Err(Error::Unavailable(text))
            }
            _ => Ok(newest),
        }
    }

    /// A plan that can be ours, and for which there are databases.
    fn understood(&self, kept: &str) -> Result<Plan> {
        let plan: Plan = serde_json::from_str(kept).map_err(|error| strange(kept, &error))?;
        let used = plan.used();
        let mut layouts = std::iter::once(&plan.now).chain(&plan.next);
        if !layouts.all(Layout::is_whole) || !(1..=used).contains(&plan.entries) {
            return Err(strange(kept, &"no plan of ours"));
        }
        if used > self.databases.len() {
            let named = self.databases.len();
            let text =
                format!("the orders are spread over {used} databases, and {named} are named");
            return Err(Error::Unavailable(text));
        }
        Ok(plan)
    }

    /// Moves what is to be moved, until all is where it belongs.
    fn going_on(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let turn = self.moving.lock().await;
            if let Ok(state) = self.state().await {
                self.finish(state).await;
                drop(turn);
                state.count(|told| told.done = true);
            }
        })
    }

    async fn finish(&self, state: &State) {
        let begun = Instant::now();
        loop {
            let moved = self.move_all(state).await;
            let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            state.count(|told| told.took_ms = took_ms);
            let Err(error) = moved else { break };
            state.count(|told| told.error = Some(error.to_string()));
            process_log::tell("move-stands-still", || [("error", error.to_string().into())]);
            sleep(PAUSE).await;
        }
    }

    /// Waits until whoever has asked for a customer is done.
    async fn let_all_end(&self) {
        for stripe in &self.customers {
            drop(stripe.write().await);
        }
    }

    async fn move_all(&self, state: &State) -> Result<()> {
        // Whoever began before the plan was known asked where customers were then.
        self.let_all_end().await;
        let used = state.plan().now.used();
        let mut stayed = 0;
        for from in 0..used {
            let mut after = None;
            loop {
                let found = self.database(from)?.customers(after, CUSTOMERS).await?;
                let Some(last) = found.last() else { break };
                after = Some(*last);
                for customer in found {
                    if state.place(customer) == Here::In(from) {
                        stayed += 1;
                    } else {
                        self.move_one(state, customer).await?;
                    }
                }
            }
        }
        state.count(|told| told.stayed = stayed);
        let plan = state.plan();
        let Some(now) = plan.next.clone() else { return Ok(()) };
        let plan = Plan { now: now.clone(), next: None, ..plan };
        self.database(0)?.note_anew(PLAN, text(&plan)?).await?;
        let mut maps = state.maps.write().unwrap_or_else(PoisonError::into_inner);
        *maps = Maps { now: Map::of(now), next: None };
        Ok(())
    }

    /// Moves a customer who is asked for: to the end, whoever stops waiting for it.
    pub(super) async fn relocate(&self, customer: UserId) -> Result<()> {
        let me = self.me.upgrade().ok_or_else(|| Error::Internal("closed".to_owned()))?;
        let moved = tokio::spawn(async move {
            let state = me.state().await?;
            me.move_one(state, customer).await
        });
        moved.await.map_err(|error| Error::Internal(format!("a move: {error}")))?
    }

    /// Moves a customer, unless somebody has meanwhile. Never cut off: what was queued would come after what follows.
    async fn move_one(&self, state: &State, customer: UserId) -> Result<()> {
        let _alone = self.customer(customer).write().await;
        let Here::Moves { from, to } = state.place(customer) else { return Ok(()) };
        let (from, to) = (self.database(from)?, self.database(to)?);
        let _unseen = self.all.write().await;
        let mut orders = 0;
        if !to.has_arrived(customer).await? {
            // What an earlier attempt has copied.
            to.let_out(customer).await?;
            let mut after: Number = 0;
            loop {
                let luggage = from.part(customer, after, ORDERS).await?;
                let Some((last, _)) = luggage.orders.last() else { break };
                after = *last;
                orders += luggage.orders.len() as u64;
                to.take_in(luggage).await?;
            }
            to.arrived(customer).await?;
        }
        // Before he is served there: a copy that is left would be an older one.
        from.let_out(customer).await?;
        lock(&state.moved).insert(customer);
        if orders > 0 {
            state.count(|told| {
                told.customers += 1;
                told.orders += orders;
            });
        }
        Ok(())
    }

    /// Decides on a move and begins it.
    async fn begin_move(self: Arc<Self>, how: Wider) -> Result<()> {
        let state = self.state().await?;
        let busy = || Error::Busy("orders are being moved already".to_owned());
        let turn = self.moving.try_lock().map_err(|_| busy())?;
        let plan = state.plan();
        if plan.next.is_some() {
            return Err(busy());
        }
        let next = plan.now.wider(how);
        let next = next.filter(|next| next.used() <= self.databases.len()).ok_or_else(|| {
            let (used, named) = (plan.now.used(), self.databases.len());
            let text = format!(
                "{used} of {named} databases are in use; {how:?} needs another, and what it splits"
            );
            Error::Invalid(text)
        })?;
        // Somebody who moves late, in the last move, would be taken for one who has moved in this.
        self.let_all_end().await;
        for database in &self.databases {
            database.forget_arrivals().await?;
        }
        lock(&state.moved).clear();
        let plan = Plan { next: Some(next.clone()), ..plan };
        self.database(0)?.note_anew(PLAN, text(&plan)?).await?;
        *lock(&state.told) = Some(Move::default());
        state.maps.write().unwrap_or_else(PoisonError::into_inner).next = Some(Map::of(next));
        drop(turn);
        tokio::spawn(Arc::clone(&self).going_on());
        Ok(())
    }
}

#[async_trait]
impl Spread for Shards {
    async fn widen(&self, how: Wider) -> Result<()> {
        let me = self.me.upgrade().ok_or_else(|| Error::Internal("closed".to_owned()))?;
        // To the end, whoever stops waiting for it.
        let begun = tokio::spawn(me.begin_move(how));
        begun.await.map_err(|error| Error::Internal(format!("a move: {error}")))?
    }

    async fn told(&self) -> Result<Spreading> {
        let state = self.state().await?;
        let mut orders = Vec::new();
        for database in &self.databases {
            orders.push(database.count().await?);
        }
        let moving = lock(&state.told).clone();
        Ok(Spreading { orders, used: state.used(), moving })
    }
}

fn text(plan: &Plan) -> Result<String> {
    serde_json::to_string(plan).map_err(|error| Error::Internal(format!("the plan: {error}")))
}

fn strange(text: &str, why: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("the plan {text:?} of the first database: {why}"))
}
