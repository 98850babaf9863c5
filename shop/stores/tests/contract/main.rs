//! What every store promises: one suite, run on each adapter. Then what only a file can promise.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod durability;
mod orders;
mod outbox;
mod pages;
mod payments;
mod sample;
mod users;

/// Runs each promise on a fresh store of each adapter.
macro_rules! contract {
    ($($area:ident: $($promise:ident),+;)+) => {
        mod memory {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    crate::$area::$promise(stores::open("memory:").unwrap()).await;
                }
            )+)+
        }
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    let dir = tempfile::tempdir().unwrap();
                    let url = format!("sqlite:{}", dir.path().join("shop.db").display());
                    crate::$area::$promise(stores::open(&url).unwrap()).await;
                }
            )+)+
        }
    };
}

contract! {
    users: an_account_is_found_by_its_address, an_address_has_one_account;
    orders: an_order_is_read_back_as_it_was, a_key_has_one_order,
        a_repetition_finds_the_order_as_it_stands, an_insertion_that_fails_leaves_nothing,
        settling_pays_once_and_forgets_the_card, settling_declines_once_and_forgets_the_card,
        concurrent_settlements_agree, what_was_not_ordered_cannot_settle,
        a_stranger_sees_nothing;
    pages: pages_visit_each_order_once, a_page_begins_after_an_order_of_the_listing,
        a_page_ends_when_its_items_have_so_many_bytes, an_empty_store_has_no_pages,
        pending_orders_come_as_they_were_inserted, pending_orders_have_the_numbers_asked_for,
        settled_orders_are_not_pending;
    payments: a_settlement_is_found_by_its_key, the_first_settlement_stands,
        concurrent_settlements_of_a_key_have_one_winner;
    outbox: only_a_handover_by_outbox_leaves_a_row, a_key_leaves_one_row,
        rows_come_oldest_first, rows_vanish_when_sent, a_number_is_never_given_again,
        a_full_outbox_refuses_what_would_add_to_it, a_backlog_is_as_old_as_its_first_order;
}
