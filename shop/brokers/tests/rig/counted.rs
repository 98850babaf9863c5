//! A way to a server on which connections are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Counted {
    pub(crate) address: String,
    made: Arc<AtomicUsize>,
}

impl Counted {
    /// To the server at this address; it lasts as long as the test.
    pub(crate) async fn new(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (server, made) = (server.to_owned(), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(carry(listener, server, Arc::clone(&made)));
        Self { address, made }
    }

    /// How many there have been.
    pub(crate) fn connections(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }
}

async fn carry(listener: TcpListener, server: String, made: Arc<AtomicUsize>) {
    while let Ok((mut client, _)) = listener.accept().await {
        made.fetch_add(1, Ordering::Relaxed);
        let server = server.clone();
        tokio::spawn(async move {
            // Who breaks off tells it the other.
            let mut server = TcpStream::connect(server).await?;
            copy_bidirectional(&mut client, &mut server).await
        });
    }
}
