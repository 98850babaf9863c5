//! The shop's traffic: jobs become HTTP requests, answers become receipts. Each operation is one file
//! below; what is listed here is which.

mod account;
mod get;
mod login;
mod place;
mod signup;
mod told;

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Judged, Response, Traffic};
use crate::workload::Job;
use record::{Known, Operation, Outcome};

pub use place::order_body;

/// Who answers, as an index of the targets.
const AUTH: usize = 0;
const ORDERS: usize = 1;

/// Somebody who has signed up and in.
#[derive(Clone, Debug, Default)]
pub struct Customer {
    /// The account.
    pub email: String,
    /// Its password.
    pub password: String,
    /// The session.
    pub token: String,
    /// Ids of the newest orders, newest first; at least one.
    pub orders: VecDeque<(Arc<str>, Known)>,
}

/// Requests to the shop.
#[derive(Debug)]
pub struct ShopTraffic {
    customers: Vec<Customer>,
    /// Hosts of auth and orders, as in the Host header.
    hosts: [String; 2],
    key_prefix: String,
}

impl ShopTraffic {
    /// Traffic of these customers to auth (target 0) and orders (target 1).
    #[must_use]
    pub fn new(customers: Vec<Customer>, hosts: [String; 2], key_prefix: String) -> Self {
        Self { customers, hosts, key_prefix }
    }

    fn customer(&self, job: &Job) -> &Customer {
        &self.customers[job.customer as usize]
    }
}

impl Traffic for ShopTraffic {
    fn render(&mut self, job: &Job, out: &mut Vec<u8>) -> usize {
        let target = match job.operation {
            Operation::Place | Operation::Get => ORDERS,
            Operation::Login | Operation::Signup | Operation::Request => AUTH,
        };
        let host = &self.hosts[target];
        match job.operation {
            Operation::Place => place::render(self, job, host, out),
            Operation::Get => get::render(self, job, host, out),
            Operation::Signup => signup::render(self, job, host, out),
            Operation::Login | Operation::Request => login::render(self, job, host, out),
        }
        target
    }

    fn about(&self, job: &Job) -> Option<Known> {
        match job.operation {
            Operation::Get => get::about(self, job),
            Operation::Place | Operation::Login | Operation::Signup | Operation::Request => None,
        }
    }

    fn judge(&mut self, job: &Job, response: &Response<'_>) -> Judged {
        match job.operation {
            Operation::Place => place::judge(self, job, response),
            Operation::Get => get::judge(self, job, response),
            Operation::Signup => signup::judge(response),
            Operation::Login => login::judge(response),
            Operation::Request => Judged::refusal(response),
        }
    }
}

#[cfg(test)]
mod tests;
