//! What workflows have done.

use stores::Stores;

use crate::sample::race;

pub(crate) async fn the_first_result_of_a_step_stands(stores: Stores) {
    let steps = stores.steps;
    assert_eq!(steps.result("a", "charge").await, Ok(None));
    let result = |text: &str| Ok(text.to_owned());
    assert_eq!(steps.record("a", "charge", "1 \"ü\"".to_owned()).await, result("1 \"ü\""));
    assert_eq!(steps.record("a", "charge", "2".to_owned()).await, result("1 \"ü\""));
    assert_eq!(steps.record("a", "settle", "3".to_owned()).await, result("3"));
    assert_eq!(steps.record("b", "charge", "4".to_owned()).await, result("4"));
    assert_eq!(steps.result("a", "charge").await, Ok(Some("1 \"ü\"".to_owned())));
    assert_eq!(steps.result("b", "settle").await, Ok(None));
}

pub(crate) async fn concurrent_results_of_a_step_have_one_winner(stores: Stores) {
    let results = race(|n| {
        let steps = stores.steps.clone();
        async move { steps.record("a", "charge", n.to_string()).await.unwrap() }
    })
    .await;
    let stands = stores.steps.result("a", "charge").await.unwrap().unwrap();
    assert!(results.iter().all(|result| *result == stands), "{results:?}");
}
