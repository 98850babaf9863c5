//! Every system as real processes: the same script, the same ledger, the same survival.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test tells what it saw")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod cancel;
mod crash;
mod hang_up;
mod hanging;
mod lacking;
mod notices;
mod outside;
mod poison;
mod programs;
mod readiness;
mod schema;
mod script;
mod security;
mod settings;
mod shop;
mod signed_in;
mod stand;
mod stop;
mod stranger;
mod troubles;
mod turns;

use std::pin::Pin;

use anyhow::{bail, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use scenario::system::SystemSpec;

use stand::Stand;

/// Tests at once: most of a test is waiting, and `turns` sees to it that not too much runs.
const AT_ONCE: usize = 8;

/// Whether it was kept, in the end.
type Kept<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;

/// What is asked of a system by its name, or of one that runs.
struct Promise<T: ?Sized> {
    name: &'static str,
    /// Whom else than all.
    concerns: fn(&SystemSpec) -> anyhow::Result<bool>,
    check: for<'a> fn(&'a T) -> Kept<'a>,
}

macro_rules! promise {
    ($name:ident, $check:path) => {
        promise!($name, $check, |_| Ok(true))
    };
    ($name:ident, $check:path, $concerns:expr) => {
        Promise {
            name: stringify!($name),
            concerns: $concerns,
            check: |system| Box::pin($check(system)),
        }
    };
}

/// Asked of every system, each time of a new one.
const OF_EVERY: &[Promise<str>] = &[
    promise!(every_customer_gets_the_answers_of_the_contract, script::follow),
    promise!(killed_processes_lose_and_double_nothing, crash::survive),
    promise!(a_stop_finishes_what_is_in_flight, stop::finish),
];
/// And of those that are not asked less.
const OF_MOST: &[Promise<str>] = &[
    promise!(the_contract_says_what_is_done, stranger::test, stranger::concerns),
    promise!(a_network_that_refuses_or_goes_silent_costs_no_order, outside::endure),
    promise!(
        customers_who_ask_for_it_are_notified_of_what_is_final,
        notices::arrive,
        notices::concerns
    ),
    promise!(what_is_taken_back_in_time_is_never_charged, cancel::race),
    promise!(what_is_out_of_stock_is_declined_and_not_charged, lacking::decline, lacking::concerns),
    promise!(readiness_is_what_a_request_would_meet, readiness::tell),
    promise!(troubles_are_written_down_without_secrets, troubles::tell),
    promise!(customers_who_hang_up_are_charged_once, hang_up::leave),
    promise!(a_poisonous_order_harms_no_other, poison::spread),
    promise!(charges_that_hang_keep_nobody_waiting, hanging::wait),
    promise!(ten_thousand_idle_connections_are_bounded, security::idlers::bear),
    promise!(who_is_signed_in_stays_so_without_auth, signed_in::stay),
];
/// Asked of every system while it runs, one after the other.
const OF_RUNNING: &[Promise<Stand>] = &[
    promise!(processes_say_what_settings_they_run_with, settings::tell),
    promise!(each_process_knows_the_secrets_of_its_roles, security::secrets::spread),
    promise!(a_card_is_forgotten_and_files_are_nobody_elses, security::files::forget),
    promise!(only_tokens_of_its_own_are_taken, security::tokens::judge),
    promise!(the_schema_accepts_what_the_shop_accepts, schema::agree),
    promise!(side_doors_open_to_the_token_alone, security::doors::knock),
    promise!(long_bodies_and_slow_heads_are_cut_off, security::patience::lose),
];

/// A test of each promise for each file in `systems/`, in no order, so that those which wait and those which compute are side
/// by side.
fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let labels = || Ok(labels()?);
    let mut trials = vec![Trial::test("what_is_broken_is_a_promise_of_this_suite", labels)];
    for system in programs::systems()? {
        let missing = programs::missing(&system).unwrap_or(None);
        if let Some(missing) = missing {
            eprintln!(
                "skipped: {system}, for {missing} is not installed (scripts/install-servers)"
            );
        }
        for promise in asked_of(&programs::read(&system)?)?.into_iter().map(Some).chain([None]) {
            let system = system.clone();
            let name = promise.map_or("what_is_asked_of_it_while_it_runs", |promise| promise.name);
            let name = format!("{}::{name}", system.replace('-', "_"));
            let test = move || run(&system, promise).map_err(|e| Failed::from(format!("{e:?}")));
            trials.push(Trial::test(name, test).with_ignored_flag(missing.is_some()));
        }
    }
    trials.sort_by_key(|trial| crc32fast::hash(trial.name().as_bytes()));
    libtest_mimic::run(&arguments, trials).exit()
}

/// What is asked of a system that is started for it.
fn asked_of(spec: &SystemSpec) -> anyhow::Result<Vec<&'static Promise<str>>> {
    let most = if programs::is_asked_less(&spec.name) { &[] } else { OF_MOST };
    let mut asked = Vec::new();
    for promise in OF_EVERY.iter().chain(most) {
        asked.extend((promise.concerns)(spec)?.then_some(promise));
    }
    Ok(asked)
}

/// Asks a system, when there is room for it: for this promise, or else for all that it keeps while it runs.
fn run(system: &str, promise: Option<&Promise<str>>) -> anyhow::Result<()> {
    programs::missing(system)?;
    let spec = programs::system(system)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let _room = turns::to_run(&spec).await?;
        let Some(promise) = promise else { return while_it_runs(&spec).await };
        if spec.breaks.contains_key(promise.name) {
            // Whoever does not even start has broken nothing yet.
            Stand::start(system).await?.stop().await;
        }
        as_labelled(&spec, promise.name, (promise.check)(system).await)
    })
}

async fn while_it_runs(spec: &SystemSpec) -> anyhow::Result<()> {
    let stand = Stand::start(&spec.name).await?;
    let mut broken = Vec::new();
    for promise in OF_RUNNING {
        let kept = as_labelled(spec, promise.name, (promise.check)(&stand).await);
        if let Err(error) = kept {
            eprintln!("{} broke {}", spec.name, promise.name);
            broken.push(format!("{}: {error:?}", promise.name));
        }
    }
    stand.stop().await;
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

/// What a system's file says that it breaks must be broken.
fn as_labelled(spec: &SystemSpec, promise: &str, kept: anyhow::Result<()>) -> anyhow::Result<()> {
    let system = &spec.name;
    match (kept, spec.breaks.get(promise)) {
        (Err(error), Some(why)) => {
            println!("{system} breaks it, as its file says ({why}): {error:#}");
            Ok(())
        }
        (Ok(()), Some(_)) => bail!("{system} keeps it: take it out of the file's [breaks]"),
        (kept, None) => kept,
    }
}

/// A label on what is not asked would excuse nothing.
fn labels() -> anyhow::Result<()> {
    for system in programs::systems()? {
        let spec = programs::read(&system)?;
        let alone = asked_of(&spec)?.into_iter().map(|promise| promise.name);
        let asked: Vec<_> = alone.chain(OF_RUNNING.iter().map(|promise| promise.name)).collect();
        for broken in spec.breaks.keys() {
            ensure!(
                asked.contains(&broken.as_str()),
                "{system} breaks {broken}, which it is not asked"
            );
        }
    }
    Ok(())
}
