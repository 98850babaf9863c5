//! Accounts.

use shop::{Error, User};
use stores::Stores;

use crate::sample::{RACERS, race, user};

fn fields(user: &User) -> (shop::UserId, &str, &str) {
    (user.id, &user.email, &user.password_hash)
}

pub(crate) async fn an_account_is_found_by_its_address(stores: Stores) {
    let (ann, bob) = (user(1, "ann@example.com"), user(2, "bob@example.com"));
    stores.users.insert(ann.clone()).await.unwrap();
    stores.users.insert(bob.clone()).await.unwrap();
    for wanted in [&ann, &bob] {
        let found = stores.users.find(&wanted.email).await.unwrap().unwrap();
        assert_eq!(fields(&found), fields(wanted));
    }
    assert!(stores.users.find("carl@example.com").await.unwrap().is_none());
    assert!(stores.users.find("").await.unwrap().is_none());
}

pub(crate) async fn an_address_has_one_account(stores: Stores) {
    let email = "ann@example.com";
    let results = race(|n| {
        let users = stores.users.clone();
        async move { users.insert(user(n as u128, email)).await.map(|()| n) }
    })
    .await;
    let won: Vec<_> = results.iter().filter_map(|r| r.as_ref().ok()).collect();
    let taken = results.iter().filter(|r| **r == Err(Error::EmailTaken)).count();
    assert_eq!((won.len(), taken), (1, RACERS - 1), "{results:?}");
    let found = stores.users.find(email).await.unwrap().unwrap();
    assert_eq!(fields(&found), fields(&user(*won[0] as u128, email)));
}
