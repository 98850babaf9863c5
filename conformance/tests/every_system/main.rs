//! Every system as real processes: the same script, the same ledger, the same survival.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod crash;
mod programs;
mod script;
mod shop;
mod stand;
mod stop;

include!(concat!(env!("OUT_DIR"), "/each_system.rs"));

mod every_customer_gets_the_answers_of_the_contract {
    each_system!(crate::script::follow);
}

mod killed_processes_lose_and_double_nothing {
    each_system!(crate::crash::survive);
}

mod a_stop_finishes_what_is_in_flight {
    each_system!(crate::stop::finish);
}

fn run(check: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(check)
}
