//! Which path belongs to which operation, and who answers it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_server::{Guard, Handler};
use shop::{Auth, Orders, Payments, Verify};

use crate::request::Refused;
use crate::{accounts, charges, orders, problem};

/// The routes that a process plays. What it does not play is 404.
#[derive(Default)]
pub struct Routes {
    accounts: Option<Arc<dyn Auth>>,
    orders: Option<Arc<dyn Orders>>,
    verify: Option<Arc<dyn Verify>>,
    charges: Option<(Arc<dyn Payments>, Guard)>,
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

    /// `POST /orders`, `GET /orders`, `GET /orders/{id}`: for customers.
    #[must_use]
    pub fn orders(self, orders: Arc<dyn Orders>) -> Self {
        Self { orders: Some(orders), ..self }
    }

    /// `GET /verify`: for other services.
    #[must_use]
    pub fn verify(self, customers: Arc<dyn Verify>) -> Self {
        Self { verify: Some(customers), ..self }
    }

    /// `POST /charges`: for other services, which this guard lets in.
    #[must_use]
    pub fn charges(self, payments: Arc<dyn Payments>, guard: Guard) -> Self {
        Self { charges: Some((payments, guard)), ..self }
    }

    fn plays(&self, resource: Resource<'_>) -> bool {
        match resource {
            Resource::Signup | Resource::Login => self.accounts.is_some(),
            Resource::Orders | Resource::Order(_) => self.orders.is_some(),
            Resource::Verify => self.verify.is_some(),
            Resource::Charges => self.charges.is_some(),
        }
    }
}

#[derive(Clone, Copy)]
enum Resource<'a> {
    Signup,
    Login,
    Orders,
    Order(&'a str),
    Verify,
    Charges,
}

impl<'a> Resource<'a> {
    fn of(path: &'a str) -> Option<Self> {
        Some(match path {
            "/orders" => Self::Orders,
            "/signup" => Self::Signup,
            "/login" => Self::Login,
            "/verify" => Self::Verify,
            "/charges" => Self::Charges,
            _ => Self::Order(path.strip_prefix("/orders/").filter(|id| !id.contains('/'))?),
        })
    }

    fn template(self) -> &'static str {
        match self {
            Self::Signup => "/signup",
            Self::Login => "/login",
            Self::Orders => "/orders",
            Self::Order(_) => "/orders/{id}",
            Self::Verify => "/verify",
            Self::Charges => "/charges",
        }
    }

    fn allowed(self) -> &'static str {
        match self {
            Self::Signup | Self::Login | Self::Charges => "POST",
            Self::Orders => "GET, POST",
            Self::Order(_) | Self::Verify => "GET",
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
            (Resource::Order(id), &Method::GET, Self { orders: Some(orders), .. }) => {
                orders::get(&**orders, &request, id).await
            }
            (Resource::Verify, &Method::GET, Self { verify: Some(customers), .. }) => {
                accounts::verify(&**customers, &request).await
            }
            (Resource::Charges, &Method::POST, Self { charges: Some((payments, guard)), .. }) => {
                match guard.no_service(&request) {
                    None => charges::charge(&**payments, &request).await,
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
