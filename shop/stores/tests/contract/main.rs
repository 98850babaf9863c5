//! What every store promises: one suite, run on each adapter. Then what only a file can promise.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "a test tells what it could not do")]

mod durability;
#[cfg(feature = "postgres")]
mod far;
mod following;
mod one_commit;
mod orders;
mod outbox;
mod pages;
mod payments;
mod sample;
mod server;
mod spread;
mod steps;
mod stock;
mod users;

use server::Server;
use stores::{Stores, adapters};
use tempfile::TempDir;

/// Asks these adapters for each promise, on a fresh store.
macro_rules! asked {
    ($($scheme:ident)+) => {
        const ASKED: &[&str] = &[$(stringify!($scheme)),+];
        $(mod $scheme { contract!($scheme); })+
    };
}

/// Asks for what every store promises, and for what those promise that others may follow.
macro_rules! contract {
    ($scheme:ident) => {
        storage!($scheme);
        following!($scheme);
    };
}

macro_rules! storage {
    ($scheme:ident) => {
        promises! { $scheme;
            users: an_account_is_found_by_its_address, an_address_has_one_account;
            orders: an_order_is_read_back_as_it_was, a_key_has_one_order,
                a_repetition_finds_the_order_as_it_stands, an_insertion_that_fails_leaves_nothing,
                settling_pays_once_and_forgets_the_card,
                settling_declines_once_and_forgets_the_card,
                what_is_out_of_stock_is_declined_for_it, several_settle_as_each_alone, concurrent_settlements_agree,
                what_was_not_ordered_cannot_settle, a_stranger_sees_nothing;
            pages: pages_visit_each_order_once, a_page_begins_after_an_order_of_the_listing,
                a_page_ends_when_its_items_have_so_many_bytes, an_empty_store_has_no_pages,
                pending_orders_come_as_they_were_inserted,
                pending_orders_have_the_numbers_asked_for, settled_orders_are_not_pending,
                what_a_sweep_has_claimed_is_read_and_settled_as_any_other;
            payments: a_settlement_is_found_by_its_key, the_first_settlement_stands,
                concurrent_settlements_of_a_key_have_one_winner,
                who_begins_a_charge_that_is_decided_is_told;
            steps: the_first_result_of_a_step_stands, concurrent_results_of_a_step_have_one_winner;
            outbox: only_a_handover_by_outbox_leaves_a_row, a_key_leaves_one_row,
                rows_come_oldest_first, rows_vanish_when_sent, what_was_let_go_is_claimed_again, a_number_is_never_given_again,
                a_full_outbox_refuses_what_would_add_to_it,
                a_backlog_is_as_old_as_its_first_order;
        }
    };
}

macro_rules! following {
    ($scheme:ident) => {
        promises! { $scheme;
            following: a_final_order_owes_its_event_until_it_is_told,
                what_nobody_follows_owes_nothing,
                an_insertion_that_others_follow_is_as_any_other,
                concurrent_settlements_owe_one_event, events_have_the_numbers_asked_for,
                several_that_settle_owe_an_event_each, what_is_given_up_is_listed_once;
            stock: a_reservation_is_held_once_and_ends_once, concurrent_reservations_lose_nothing,
                stock_is_listed_page_by_page, what_is_not_there_is_lacking_once_and_for_all,
                who_races_for_the_last_gets_it_once,
                several_are_reserved_and_ended_as_each_alone;
        }
    };
}

macro_rules! promises {
    ($scheme:ident; $($area:ident: $($promise:ident),+;)+) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                if let Some((stores, _kept)) = crate::fresh(stringify!($scheme)).await {
                    crate::$area::$promise(stores).await;
                }
            }
        )+)+
    };
}

asked!(memory postgres sqlite);

/// Databases of one process, a module's each.
mod apart {
    contract!(apart);
}

/// One whose charges are recorded with their orders.
mod together {
    storage!(together);
}

/// Orders over several databases.
mod shards {
    storage!(shards);
}

/// The same, of a server of others.
mod far_shards {
    storage!(far_shards);
}

/// Where a store keeps what it keeps, until it is dropped.
enum Kept {
    Files(#[expect(dead_code, reason = "dropped last")] TempDir),
    Server(#[expect(dead_code, reason = "dropped last")] Box<Server>),
}

/// An empty store of this kind; none if it is not in this build, or its server not installed.
async fn fresh(scheme: &str) -> Option<(Stores, Kept)> {
    let database = match scheme {
        "apart" | "together" => "sqlite",
        "far_shards" => "postgres",
        scheme => scheme,
    };
    if scheme == "shards" {
        let folder = tempfile::tempdir().unwrap();
        return Some((spread::open(folder.path(), 3, 4), Kept::Files(folder)));
    }
    let adapter = adapters().iter().find(|adapter| adapter.scheme == database)?;
    if database == "postgres" {
        let mut server = Server::away()?;
        server.start().await;
        let stores = server.stores();
        server.serves(&stores).await;
        #[cfg(feature = "postgres")]
        let stores = if scheme == "far_shards" { server.shards(2, 3).await } else { stores };
        return Some((stores, Kept::Server(Box::new(server))));
    }
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let path = folder.path().join(name);
        stores::open(&adapter.form.replace("PATH", &path.display().to_string())).unwrap()
    };
    let stores = match scheme {
        "apart" => open("shop.db").apart(open("accounts.db"), open("charges.db")),
        "together" => open("shop.db").together().unwrap(),
        _ => open("shop.db"),
    };
    Some((stores, Kept::Files(folder)))
}

#[test]
fn every_adapter_is_asked() {
    for adapter in adapters() {
        let is_asked = ASKED.contains(&adapter.scheme) || adapter.scheme == "shards";
        assert!(is_asked, "asked! lacks {}", adapter.scheme);
    }
}
