//! Where a process listens: on loopback, unless told otherwise.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

const BACKLOG: u32 = 4_096;

/// The flags that say where to listen.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Listen {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Allow an address that other machines can reach
    #[arg(long)]
    pub any_address: bool,
}

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is not a loopback one and the flag is not there.
    #[error(
        "--listen {0}: expected a loopback address such as 127.0.0.1:{port}; \
         to be reachable from other machines, add --any-address", port = .0.port()
    )]
    NotLoopback(SocketAddr),
    /// Another process has the port.
    #[error(
        "--listen {0}: port {port} is in use; stop the process that holds it, choose another port, \
         or take a free one with port 0", port = .0.port()
    )]
    InUse(SocketAddr),
    /// The system refuses.
    #[error("--listen {0}: cannot listen there ({1}); choose another address")]
    Refused(SocketAddr, io::Error),
}

impl Listen {
    /// A listener on the address.
    ///
    /// # Errors
    /// One line that says what to do.
    pub fn bind(&self) -> Result<TcpListener, ListenError> {
        let address = self.listen;
        if !address.ip().is_loopback() && !self.any_address {
            return Err(ListenError::NotLoopback(address));
        }
        bound(address).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse(address),
            _ => ListenError::Refused(address, error),
        })
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restarted process gets its port back while old connections linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(address: &str, any_address: bool) -> Result<TcpListener, ListenError> {
        Listen { listen: address.parse().unwrap(), any_address }.bind()
    }

    #[tokio::test]
    async fn only_loopback_without_the_flag() {
        assert!(matches!(listen("0.0.0.0:0", false), Err(ListenError::NotLoopback(_))));
        assert!(listen("0.0.0.0:0", true).is_ok());
        assert!(listen("127.0.0.1:0", false).is_ok());
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_what_to_do() {
        let first = listen("127.0.0.1:0", false).unwrap();
        let address = first.local_addr().unwrap();
        let error = listen(&address.to_string(), false).unwrap_err().to_string();
        assert!(error.contains(&format!("port {} is in use", address.port())), "{error}");
        assert!(!error.contains('\n'));
    }
}
