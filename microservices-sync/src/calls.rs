//! Payments over HTTP, or over gRPC in builds with `engines`.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use http_server::Guard;
use service::environment;
use shop::Payments;
use tokio::task::JoinHandle;
use web::client::{Base, Credential, Http, RemotePayments};

/// What serves ends with the process, or says why it did not begin.
type Begun = anyhow::Result<JoinHandle<anyhow::Result<()>>>;

#[derive(Args)]
pub(crate) struct Served {
    /// Charges are taken over gRPC, too: at this address of loopback
    #[arg(long, value_name = "ADDRESS:PORT")]
    grpc: Option<SocketAddr>,
}

#[derive(Args)]
pub(crate) struct Asked {
    /// The payments service
    #[arg(long, value_name = "http://HOST:PORT")]
    pub(crate) payments: Base,
    /// It is asked over gRPC, at this HOST:PORT; --payments tells whether it is ready
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "calls")]
    payments_grpc: Option<String>,
}

impl Served {
    /// Begins; what is returned ends when the process is told to.
    pub(crate) fn begin(&self, payments: Arc<dyn Payments>) -> Begun {
        match self.grpc {
            Some(listen) => serve(listen, payments, environment::payments_guard()?),
            None => Ok(tokio::spawn(async { Ok(()) })),
        }
    }
}

impl Asked {
    /// Who takes money.
    pub(crate) fn service(&self, http: Http) -> anyhow::Result<Arc<dyn Payments>> {
        let credential = environment::payments_credential()?;
        match &self.payments_grpc {
            Some(address) => ask(address, credential),
            None => Ok(Arc::new(RemotePayments::new(http, &self.payments, credential))),
        }
    }
}

#[cfg(feature = "engines")]
fn serve(listen: SocketAddr, payments: Arc<dyn Payments>, guard: Guard) -> Begun {
    let listener = http_server::Listen { listen, any_address: false }.bind()?;
    let served = grpc::serve(listener, payments, guard, http_server::shutdown_signal()?);
    Ok(tokio::spawn(async { Ok(served.await?) }))
}

#[cfg(feature = "engines")]
fn ask(address: &str, credential: Credential) -> anyhow::Result<Arc<dyn Payments>> {
    Ok(Arc::new(grpc::GrpcPayments::new(address, credential)?))
}

#[cfg(not(feature = "engines"))]
const LACKING: &str = "this build has no gRPC; build with `cargo build --release --workspace --bins --features engines`";

#[cfg(not(feature = "engines"))]
fn serve(_: SocketAddr, _: Arc<dyn Payments>, _: Guard) -> Begun {
    anyhow::bail!("--grpc: {LACKING}")
}

#[cfg(not(feature = "engines"))]
fn ask(_: &str, _: Credential) -> anyhow::Result<Arc<dyn Payments>> {
    anyhow::bail!("--payments-grpc: {LACKING}")
}
