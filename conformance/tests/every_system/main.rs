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

use anyhow::bail;

use stand::Stand;

include!(concat!(env!("OUT_DIR"), "/each_system.rs"));

mod every_customer_gets_the_answers_of_the_contract {
    each_system!(crate::script::follow);
}

mod the_contract_says_what_is_done {
    each_but_clusters!(crate::stranger::test);
}

mod the_schema_accepts_what_the_shop_accepts {
    each_but_clusters!(crate::schema::agree);
}

mod killed_processes_lose_and_double_nothing {
    each_system!(crate::crash::survive);
}

mod a_stop_finishes_what_is_in_flight {
    each_system!(crate::stop::finish);
}

mod a_network_that_refuses_or_goes_silent_costs_no_order {
    each_but_clusters!(crate::outside::endure);
}

mod customers_who_ask_for_it_are_notified_of_what_is_final {
    each_but_clusters!(crate::notices::arrive);
}

mod what_is_taken_back_in_time_is_never_charged {
    each_but_clusters!(crate::cancel::race);
}

mod what_is_out_of_stock_is_declined_and_not_charged {
    each_but_clusters!(crate::lacking::decline);
}

mod readiness_is_what_a_request_would_meet {
    each_but_clusters!(crate::readiness::tell);
}

mod processes_say_what_settings_they_run_with {
    each_system!(crate::settings::tell);
}

mod troubles_are_written_down_without_secrets {
    each_but_clusters!(crate::troubles::tell);
}

mod customers_who_hang_up_are_charged_once {
    each_but_clusters!(crate::hang_up::leave);
}

mod a_poisonous_order_harms_no_other {
    each_but_clusters!(crate::poison::spread);
}

mod charges_that_hang_keep_nobody_waiting {
    each_but_clusters!(crate::hanging::wait);
}

mod only_tokens_of_its_own_are_taken {
    each_but_clusters!(crate::security::tokens::judge);
}

mod long_bodies_and_slow_heads_are_cut_off {
    each_but_clusters!(crate::security::patience::lose);
}

mod ten_thousand_idle_connections_are_bounded {
    each_but_clusters!(crate::security::idlers::bear);
}

mod who_is_signed_in_stays_so_without_auth {
    each_but_clusters!(crate::signed_in::stay);
}

mod each_process_knows_the_secrets_of_its_roles {
    each_system!(crate::security::secrets::spread);
}

mod a_card_is_forgotten_and_files_are_nobody_elses {
    each_but_clusters!(crate::security::files::forget);
}

mod side_doors_open_to_the_token_alone {
    each_but_clusters!(crate::security::doors::knock);
}

/// Checks a system, unless a server that it starts is missing here. What its file says that it breaks must be broken.
fn run(
    system: &str,
    promise: &str,
    check: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    if let Some(missing) = programs::missing(system)? {
        println!("skipped: {missing} is not installed (scripts/install-servers)");
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let promise = promise.rsplit("::").next().unwrap_or(promise);
    let label = programs::system(system)?.breaks.get(promise).cloned();
    if label.is_some() {
        // Whoever does not even start has broken nothing yet.
        runtime.block_on(async {
            Stand::start(system).await?.stop().await;
            anyhow::Ok(())
        })?;
    }
    match (runtime.block_on(check), label) {
        (Err(error), Some(why)) => {
            println!("{system} breaks it, as its file says ({why}): {error:#}");
            Ok(())
        }
        (Ok(()), Some(_)) => bail!("{system} keeps it: take it out of the file's [breaks]"),
        (kept, None) => kept,
    }
}

#[test]
fn what_is_broken_is_a_promise_of_this_suite() {
    let text = include_str!("main.rs");
    for system in SYSTEMS {
        for promise in programs::system(system).unwrap().breaks.keys() {
            assert!(text.contains(&format!("mod {promise} {{")), "{system} breaks {promise}");
        }
    }
}
