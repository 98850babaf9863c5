//! The auth service as a process of its own: the same wherever orders and payments are.

use std::sync::Arc;

use anyhow::Context;
use shop::AuthService;
use shop::auth::{Passwords, Tokens};
use stores::Stores;
use web::{Ready, Routes};

use crate::{ServiceArgs, environment, metrics, settings, timing};

/// The accounts of this store.
///
/// # Errors
/// If the secret that signs tokens is too short.
pub fn accounts(stores: &Stores) -> anyhow::Result<Arc<AuthService>> {
    let passwords = Passwords::new(environment::parallel_hashes())?;
    let tokens = Tokens::new(&environment::token_secret()?)?;
    Ok(Arc::new(AuthService::new(Arc::clone(&stores.users), passwords, tokens)))
}

/// Serves accounts and tells whose a token is, until a signal.
///
/// # Errors
/// If its store, its secret or its address is not to be had.
pub async fn run(arguments: ServiceArgs) -> anyhow::Result<()> {
    let stores = stores::open(&arguments.store).context("--store")?;
    let (kept, settings) = (stores.clone(), settings::kept(&stores).and(settings::hashing()));
    let ready = Ready::new().needs("the store", timing::LOOK, move || kept.clone().check());
    let counted = metrics::of_store(&stores);
    let auth = accounts(&stores)?;
    let routes = Routes::new().accounts(Arc::clone(&auth) as _).verify(auth);
    let (listen, ready) = (arguments.listen, Arc::new(ready));
    Ok(crate::run("auth", listen, routes, ready, settings, counted).await?)
}
