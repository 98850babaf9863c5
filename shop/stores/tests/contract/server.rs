//! A database server that others wrote, started as system files start it, again and again on the same data and
//! port.

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use servers::{Output, Place, Recipe, Running};
use stores::Stores;
use tempfile::TempDir;

/// What no condition of these tests takes, even on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    recipe: &'static Recipe,
    place: Place,
    pub(crate) running: Option<Running>,
    _folder: TempDir,
}

impl Server {
    /// One that is not started yet; none, with a word, if it is not installed.
    pub(crate) fn away() -> Option<Self> {
        let recipe = servers::recipe("postgres").unwrap();
        if !recipe.is_installed() {
            assert!(std::env::var_os("CI").is_none(), "CI runs scripts/install-servers first");
            println!("skipped: {} is not installed ({})", recipe.name, recipe.install);
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        // Free for now: whoever takes it meanwhile fails this test.
        let port = servers::free_port().unwrap();
        let place = Place::durable(port, folder.path().to_owned());
        Some(Self { recipe, place, running: None, _folder: folder })
    }

    /// Another that copies this one, which is there, and is not started yet.
    #[cfg(feature = "postgres")]
    pub(crate) fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut place = Place::durable(servers::free_port().unwrap(), folder.path().to_owned());
        place.follows = Some(([127, 0, 0, 1], self.place.port).into());
        place.also =
            vec![format!("primary_conninfo=host=127.0.0.1 port={} user=shop", self.place.port)];
        Self { recipe: self.recipe, place, running: None, _folder: folder }
    }

    /// The port where it serves its clients.
    #[cfg(feature = "postgres")]
    pub(crate) fn port(&self) -> u16 {
        self.place.port
    }

    /// Starts it, on what it kept.
    pub(crate) async fn start(&mut self) {
        let started = self.recipe.start(&self.place, Output::Kept).await;
        self.running = Some(started.unwrap());
    }

    /// Its address, and how to come in.
    #[cfg(feature = "postgres")]
    pub(crate) fn address(&self) -> String {
        format!("shop@127.0.0.1:{}/postgres", self.place.port)
    }

    /// The URL of a database of it for each of so many, and orders over the first of these.
    #[cfg(feature = "postgres")]
    pub(crate) fn url_of_shards(&self, first: usize, databases: usize) -> String {
        let url = |n| format!("postgres://shop@127.0.0.1:{}/orders_{n}?pool=8", self.place.port);
        let urls: Vec<_> = (1..=databases).map(url).collect();
        format!("shards:{first};{}", urls.join(";"))
    }

    /// Orders over so many new databases of it, which is there.
    #[cfg(feature = "postgres")]
    pub(crate) async fn shards(&self, first: usize, databases: usize) -> Stores {
        let target = postgres_pool::Target::parse(&self.address()).unwrap();
        let pool = postgres_pool::Pool::new(target, None);
        for n in 1..=databases {
            pool.run(&format!("create database orders_{n}")).await.unwrap();
        }
        stores::open(&self.url_of_shards(first, databases)).unwrap()
    }

    /// A client of its own.
    pub(crate) fn stores(&self) -> Stores {
        let port = self.place.port;
        stores::open(&format!("postgres://shop@127.0.0.1:{port}/postgres?pool=8")).unwrap()
    }

    /// Waits until it keeps what it is given.
    pub(crate) async fn serves(&self, stores: &Stores) {
        within(async {
            while stores.clone().check().await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[track_caller]
pub(crate) fn within<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = Location::caller();
    async move {
        match tokio::time::timeout(DEADLINE, future).await {
            Ok(value) => value,
            Err(_) => panic!("{place}: not within {DEADLINE:?}"),
        }
    }
}
