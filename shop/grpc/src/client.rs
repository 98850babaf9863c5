//! The payments service as a port, over one connection of HTTP/2.

use std::time::Duration;

use async_trait::async_trait;
use http::uri::PathAndQuery;
use shop::{Charge, Charged, Error, Payments, Result};
use tokio::time::timeout;
use tonic::Request;
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;
use web::client::{CONNECT, Credential, SERVICE_CALL};

use crate::messages::{ChargeRequest, Settlement};
use crate::status::error;
use crate::{CANCEL, CHARGE, MESSAGE_MAX};

/// Asks a payments service.
pub struct GrpcPayments {
    channel: Channel,
    credential: Credential,
}

impl GrpcPayments {
    /// The service at this `HOST:PORT`, which need not be there yet and wants this credential.
    ///
    /// # Errors
    /// If it is no address.
    pub fn new(address: &str, credential: Credential) -> Result<Self> {
        let invalid = |why| Error::Invalid(format!("{address}: expected HOST:PORT ({why})"));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(invalid)?;
        let channel = endpoint.connect_timeout(CONNECT).tcp_nodelay(true).connect_lazy();
        Ok(Self { channel, credential })
    }

    async fn ask(&self, method: &'static str, charge: Charge) -> Result<Charged> {
        let within = http_server::remaining().unwrap_or(SERVICE_CALL).min(SERVICE_CALL);
        let late = || Error::TimedOut(format!("payments: no answer within {within:?}"));
        if within.is_zero() {
            return Err(late());
        }
        let request = self.request(charge, within)?;
        let asked = async {
            let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(MESSAGE_MAX);
            let unavailable = |why| Error::Unavailable(format!("payments: {why}"));
            grpc.ready().await.map_err(unavailable)?;
            let (path, codec) = (PathAndQuery::from_static(method), ProstCodec::default());
            let answer: std::result::Result<tonic::Response<Settlement>, _> =
                grpc.unary(request, path, codec).await;
            answer.map_err(|status| error(&status))?.into_inner().told()
        };
        timeout(within, asked).await.unwrap_or_else(|_| Err(late()))
    }

    fn request(&self, charge: Charge, within: Duration) -> Result<Request<ChargeRequest>> {
        let mut request = Request::new(ChargeRequest::from(charge));
        request.set_timeout(within);
        let strange = |_| Error::Internal("a header that cannot be sent".to_owned());
        let headers = [
            ("authorization", self.credential.header()),
            (http_server::TRACEPARENT_HEADER, http_server::traceparent()),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                let value = MetadataValue::try_from(value.as_bytes()).map_err(strange)?;
                request.metadata_mut().insert(name, value);
            }
        }
        Ok(request)
    }
}

#[async_trait]
impl Payments for GrpcPayments {
    async fn charge(&self, charge: Charge) -> Result<Charged> {
        self.ask(CHARGE, charge).await
    }

    async fn cancel(&self, charge: Charge) -> Result<Charged> {
        self.ask(CANCEL, charge).await
    }
}
