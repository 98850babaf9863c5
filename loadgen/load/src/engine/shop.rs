//! The shop's traffic: jobs become HTTP requests, answers become receipts. Each operation is one file
//! below; what is listed here is which.

mod account;
mod cancel;
mod get;
mod known;
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
    /// Hosts of auth and orders, as in the Host header; one or several of each.
    hosts: [Vec<String>; 2],
    key_prefix: String,
    /// Where customers want to be notified of their orders.
    callback_url: Option<String>,
}

impl ShopTraffic {
    /// Traffic of these customers to auth (the first targets) and orders (those behind them).
    #[must_use]
    pub fn new(customers: Vec<Customer>, hosts: [Vec<String>; 2], key_prefix: String) -> Self {
        Self { customers, hosts, key_prefix, callback_url: None }
    }

    /// Every order asks for a notification at this URL.
    #[must_use]
    pub fn notified_at(self, callback_url: Option<String>) -> Self {
        Self { callback_url, ..self }
    }

    /// Where a job goes: around those that serve it, by its place in the plan. An attempt that is made again
    /// goes to the same.
    fn target(&self, job: &Job) -> (usize, &str) {
        let [auth, orders] = &self.hosts;
        let (before, hosts) = match job.operation {
            Operation::Place | Operation::Get | Operation::Cancel => (auth.len(), orders),
            Operation::Login | Operation::Signup | Operation::Request => (0, auth),
        };
        let turn = usize::try_from(job.seq).unwrap_or_default() % hosts.len();
        (before + turn, &hosts[turn])
    }

    fn customer(&self, job: &Job) -> &Customer {
        &self.customers[job.customer as usize]
    }
}

impl Traffic for ShopTraffic {
    fn render(&mut self, job: &Job, out: &mut Vec<u8>) -> usize {
        let (target, host) = self.target(job);
        match job.operation {
            Operation::Place => place::render(self, job, host, out),
            Operation::Get => get::render(self, job, host, out),
            Operation::Cancel => cancel::render(self, job, host, out),
            Operation::Signup => signup::render(self, job, host, out),
            Operation::Login | Operation::Request => login::render(self, job, host, out),
        }
        target
    }

    fn about(&self, job: &Job) -> Option<Known> {
        match job.operation {
            Operation::Get | Operation::Cancel => known::about(self, job),
            Operation::Place | Operation::Login | Operation::Signup | Operation::Request => None,
        }
    }

    fn judge(&mut self, job: &Job, response: &Response<'_>) -> Judged {
        match job.operation {
            Operation::Place => place::judge(self, job, response),
            Operation::Get => get::judge(self, job, response),
            Operation::Cancel => cancel::judge(self, job, response),
            Operation::Signup => signup::judge(response),
            Operation::Login => login::judge(response),
            Operation::Request => Judged::refusal(response),
        }
    }
}

#[cfg(test)]
mod tests;
