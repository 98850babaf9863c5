//! Which path belongs to which operation, and who answers it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_server::{Guard, Handler};
use shop::{Auth, Follower, GivenUpStore, Orders, Payments, Spread, Stock, StockStore, Verify};

use crate::request::Refused;
use crate::{accounts, charges, orders, problem, settlements, shards, stock};

/// The routes that a process plays. What it does not play is 404.
#[derive(Default)]
pub struct Routes {
    accounts: Option<Arc<dyn Auth>>,
    orders: Option<Arc<dyn Orders>>,
    verify: Option<Arc<dyn Verify>>,
    charges: Option<(Arc<dyn Payments>, Guard)>,
    settlements: Option<(Arc<dyn Follower>, Guard)>,
    given_up: Option<Arc<dyn GivenUpStore>>,
    reservations: Option<(Arc<dyn Stock>, Guard)>,
    stock: Option<(Arc<dyn StockStore>, Option<u32>)>,
    spread: Option<(Arc<dyn Spread>, Guard)>,
}

impl Routes {
    /// No routes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `POST /signup`, `POST /login`: for customers.
    #[must_use]
    pub fn accounts(self, auth: Arc<dyn Auth>) -> Self {
        Self { accounts: Some(auth), ..self }
    }

    /// `POST /orders`, `GET /orders`, `GET /orders/{id}`, `POST /orders/{id}/cancel`: for customers.
    #[must_use]
    pub fn orders(self, orders: Arc<dyn Orders>) -> Self {
        Self { orders: Some(orders), ..self }
    }

    /// `GET /verify`: for other services.
    #[must_use]
    pub fn verify(self, customers: Arc<dyn Verify>) -> Self {
        Self { verify: Some(customers), ..self }
    }

    /// `POST /charges`, `POST /cancellations`: for other services, which this guard lets in.
    #[must_use]
    pub fn charges(self, payments: Arc<dyn Payments>, guard: Guard) -> Self {
        Self { charges: Some((payments, guard)), ..self }
    }

    /// `POST /settlements`: for other services, which this guard lets in.
    #[must_use]
    pub fn settlements(self, follower: Arc<dyn Follower>, guard: Guard) -> Self {
        Self { settlements: Some((follower, guard)), ..self }
    }

    /// `GET /dead/notices`: notifications that were given up, for whoever runs this process.
    #[must_use]
    pub fn given_up(self, store: Arc<dyn GivenUpStore>) -> Self {
        Self { given_up: Some(store), ..self }
    }

    /// `POST /reservations`: for other services, which this guard lets in.
    #[must_use]
    pub fn reservations(self, stock: Arc<dyn Stock>, guard: Guard) -> Self {
        Self { reservations: Some((stock, guard)), ..self }
    }

    /// `GET /stock/shelves` and `/stock/reservations`: for whoever runs this process. Of each article there were
    /// `stock`; none: without end.
    #[must_use]
    pub fn stock(self, store: Arc<dyn StockStore>, stock: Option<u32>) -> Self {
        Self { stock: Some((store, stock)), ..self }
    }

    /// `GET /shards`, `POST /shards`: for whoever runs this process, whom this guard lets in.
    #[must_use]
    pub fn spread(self, spread: Arc<dyn Spread>, guard: Guard) -> Self {
        Self { spread: Some((spread, guard)), ..self }
    }

    async fn look(
        &self,
        resource: Resource<'_>,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, Refused> {
        match (resource, self) {
            (Resource::GivenUp, Self { given_up: Some(store), .. }) => {
                settlements::dead(&**store, request).await
            }
            (Resource::Shelves, Self { stock: Some((store, stock)), .. }) => {
                stock::shelves(&**store, *stock, request).await
            }
            (_, Self { stock: Some((store, _)), .. }) => {
                stock::reservations(&**store, request).await
            }
            _ => Ok(problem::nowhere()),
        }
    }

    fn plays(&self, resource: Resource<'_>) -> bool {
        match resource {
            Resource::Signup | Resource::Login => self.accounts.is_some(),
            Resource::Orders | Resource::Order(_) | Resource::Cancel(_) => self.orders.is_some(),
            Resource::Verify => self.verify.is_some(),
            Resource::Charges | Resource::Cancellations => self.charges.is_some(),
            Resource::Settlements => self.settlements.is_some(),
            Resource::GivenUp => self.given_up.is_some(),
            Resource::Reserve => self.reservations.is_some(),
            Resource::Shelves | Resource::Reservations => self.stock.is_some(),
            Resource::Shards => self.spread.is_some(),
        }
    }
}

#[derive(Clone, Copy)]
enum Resource<'a> {
    Signup,
    Login,
    Orders,
    Order(&'a str),
    Cancel(&'a str),
    Verify,
    Charges,
    Cancellations,
    Settlements,
    GivenUp,
    Reserve,
    Shelves,
    Reservations,
    Shards,
}

impl<'a> Resource<'a> {
    fn of(path: &'a str) -> Option<Self> {
        Some(match path {
            "/orders" => Self::Orders,
            "/signup" => Self::Signup,
            "/login" => Self::Login,
            "/verify" => Self::Verify,
            "/charges" => Self::Charges,
            "/cancellations" => Self::Cancellations,
            "/settlements" => Self::Settlements,
            "/dead/notices" => Self::GivenUp,
            "/reservations" => Self::Reserve,
            "/stock/shelves" => Self::Shelves,
            "/stock/reservations" => Self::Reservations,
            "/shards" => Self::Shards,
            _ => match path.strip_prefix("/orders/")?.split_once('/') {
                None => Self::Order(path.strip_prefix("/orders/")?),
                Some((id, "cancel")) => Self::Cancel(id),
                Some(_) => return None,
            },
        })
    }

    fn is_for_operators(self) -> bool {
        matches!(self, Self::GivenUp | Self::Shelves | Self::Reservations)
    }

    fn template(self) -> &'static str {
        match self {
            Self::Signup => "/signup",
            Self::Login => "/login",
            Self::Orders => "/orders",
            Self::Order(_) => "/orders/{id}",
            Self::Cancel(_) => "/orders/{id}/cancel",
            Self::Verify => "/verify",
            Self::Charges => "/charges",
            Self::Cancellations => "/cancellations",
            Self::Settlements => "/settlements",
            Self::GivenUp => "/dead/notices",
            Self::Reserve => "/reservations",
            Self::Shelves => "/stock/shelves",
            Self::Reservations => "/stock/reservations",
            Self::Shards => "/shards",
        }
    }

    fn allowed(self) -> &'static str {
        match self {
            Self::Signup
            | Self::Login
            | Self::Cancel(_)
            | Self::Charges
            | Self::Cancellations
            | Self::Settlements
            | Self::Reserve => "POST",
            Self::Orders | Self::Shards => "GET, POST",
            Self::Order(_) | Self::Verify | Self::GivenUp | Self::Shelves | Self::Reservations => {
                "GET"
            }
        }
    }
}

#[async_trait]
impl Handler for Routes {
    async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let resource = Resource::of(request.uri().path()).filter(|r| self.plays(*r));
        let Some(resource) = resource else { return problem::nowhere() };
        let answer = match (resource, request.method(), self) {
            (Resource::Signup, &Method::POST, Self { accounts: Some(auth), .. }) => {
                accounts::signup(&**auth, &request).await
            }
            (Resource::Login, &Method::POST, Self { accounts: Some(auth), .. }) => {
                accounts::login(&**auth, &request).await
            }
            (Resource::Orders, &Method::POST, Self { orders: Some(orders), .. }) => {
                orders::place(&**orders, &request).await
            }
            (Resource::Orders, &Method::GET, Self { orders: Some(orders), .. }) => {
                orders::list(&**orders, &request).await
            }
            (Resource::Cancel(id), &Method::POST, Self { orders: Some(orders), .. }) => {
                orders::cancel(&**orders, &request, id).await
            }
            (Resource::Order(id), &Method::GET, Self { orders: Some(orders), .. }) => {
                orders::get(&**orders, &request, id).await
            }
            (Resource::Verify, &Method::GET, Self { verify: Some(customers), .. }) => {
                accounts::verify(&**customers, &request).await
            }
            (
                Resource::Charges | Resource::Cancellations,
                &Method::POST,
                Self { charges: Some((payments, guard)), .. },
            ) => match (guard.no_service(&request), resource) {
                (Some(refused), _) => Ok(refused),
                (None, Resource::Charges) => charges::charge(&**payments, &request).await,
                (None, _) => charges::cancel(&**payments, &request).await,
            },
            (
                Resource::Settlements,
                &Method::POST,
                Self { settlements: Some((follower, guard)), .. },
            ) => match guard.no_service(&request) {
                None => settlements::tell(&**follower, &request).await,
                Some(refused) => Ok(refused),
            },
            (Resource::Reserve, &Method::POST, Self { reservations: Some((stock, guard)), .. }) => {
                match guard.no_service(&request) {
                    None => stock::reserve(&**stock, &request).await,
                    Some(refused) => Ok(refused),
                }
            }
            (
                Resource::Shards,
                &Method::GET | &Method::POST,
                Self { spread: Some((spread, guard)), .. },
            ) => match guard.refusal(&request) {
                None => shards::look_or_widen(&**spread, &request).await,
                Some(refused) => Ok(refused),
            },
            (resource, &Method::GET, routes) if resource.is_for_operators() => {
                // Nobody needs a token to look, but no page in a browser may.
                match Guard::new(None).stranger(&request) {
                    None => routes.look(resource, &request).await,
                    Some(refused) => Ok(refused),
                }
            }
            _ => Err(Refused::NotAllowed(resource.allowed())),
        };
        answer.unwrap_or_else(Refused::answer)
    }

    fn route(&self, _: &Method, path: &str) -> &'static str {
        Resource::of(path).filter(|r| self.plays(*r)).map_or("other", Resource::template)
    }
}
