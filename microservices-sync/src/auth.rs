//! Wiring of the auth service.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use shop::AuthService;
use shop::auth::{Passwords, Tokens};
use web::{Ready, Routes, environment, service, timing};

use crate::Place;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(Arguments { place }: Arguments) -> anyhow::Result<()> {
    let stores = stores::open(&place.store).context("--store")?;
    let kept = stores.clone();
    let ready = Ready::new().needs("the store", timing::LOOK, move || kept.clone().check());
    let passwords = Passwords::new(environment::parallel_hashes())?;
    let tokens = Tokens::new(&environment::token_secret()?)?;
    let auth = Arc::new(AuthService::new(stores.users, passwords, tokens));
    let routes = Routes::new().accounts(Arc::clone(&auth) as _).verify(auth);
    Ok(service::run("auth", place.listen, routes, Arc::new(ready)).await?)
}
