//! Encryption of a connection: rustls over the engine's own non-blocking socket. It knows neither HTTP nor when something
//! is due.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// What is spoken within: no other protocol is offered.
const HTTP: &[u8] = b"http/1.1";

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those that this machine trusts.
    System,
    /// Those of this PEM file, and no other.
    File(PathBuf),
    /// Anybody's: who answers is not asked.
    Anybody,
}

/// How connections to a host are encrypted.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// Of this host, by its name or its address.
    ///
    /// # Errors
    /// If it can have no certificate, or those to be trusted cannot be read.
    pub fn new(host: &str, trust: &Trust) -> anyhow::Result<Self> {
        // A URL has brackets around an IPv6 address.
        let plain = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(plain);
        let name = name.with_context(|| format!("{host:?} can have no certificate"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions()?;
        let mut config = match roots(trust)? {
            Some(roots) => builder.with_root_certificates(roots).with_no_client_auth(),
            None => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
                .with_no_client_auth(),
        };
        config.alpn_protocols = vec![HTTP.to_vec()];
        Ok(Self { config: Arc::new(config), name })
    }

    /// Makes one connection, to see that it can be had, and says how it is encrypted: "TLSv1_3,
    /// TLS13_AES_256_GCM_SHA384".
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn try_once(&self, address: SocketAddr, within: Duration) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, within)?;
        stream.set_read_timeout(Some(within))?;
        stream.set_write_timeout(Some(within))?;
        let mut connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone())?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        let version = connection.protocol_version().and_then(|version| version.as_str());
        let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        Ok(format!("{}, {}", version.unwrap_or("TLS"), suite.unwrap_or("unknown cipher")))
    }

    pub(super) fn begin(&self) -> io::Result<Session> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone());
        let mut connection = connection.map_err(io::Error::other)?;
        // A request is encrypted as a whole; its size is bounded by who asks for it.
        connection.set_buffer_limit(None);
        Ok(Session { connection: Box::new(connection), plain: Vec::new() })
    }
}

/// The certificates that are believed; `None` if all are.
fn roots(trust: &Trust) -> anyhow::Result<Option<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::Anybody => return Ok(None),
        Trust::File(path) => add(&mut roots, path)?,
        Trust::System => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
                bail!(
                    "this machine trusts no certificate ({}); give --cacert FILE",
                    if why.is_empty() { "none found".to_owned() } else { why.join("; ") }
                );
            }
        }
    }
    Ok(Some(roots))
}

fn add(roots: &mut RootCertStore, path: &Path) -> anyhow::Result<()> {
    let cannot = || format!("--cacert {}: expected certificates in PEM", path.display());
    for certificate in CertificateDer::pem_file_iter(path).with_context(cannot)? {
        roots.add(certificate.with_context(cannot)?).with_context(cannot)?;
    }
    ensure!(!roots.is_empty(), "{}; found none", cannot());
    Ok(())
}

/// Asks for no proof of who answers, but for proof that the certificate is his.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The state of one connection's encryption.
pub(super) struct Session {
    connection: Box<ClientConnection>,
    /// What was decrypted last; its memory is used again.
    plain: Vec<u8>,
}

impl Session {
    /// Goes on with the handshake as far as it gets without waiting; true when it is over.
    pub(super) fn greet(&mut self, mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<bool> {
        loop {
            let is_sent = self.flush(stream, &mut |_| ())?;
            if !self.connection.is_handshaking() {
                return Ok(is_sent);
            }
            match stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => drop(self.open(&buffer[..count])?),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Encrypts what is to be sent.
    pub(super) fn seal(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.connection.writer().write_all(bytes)
    }

    /// Writes what is encrypted, as much as the kernel takes; true when all of it is written.
    pub(super) fn flush(
        &mut self,
        mut stream: &TcpStream,
        wrote: &mut dyn FnMut(usize),
    ) -> io::Result<bool> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut stream) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => wrote(count),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    /// Decrypts what was received: all that is whole of it.
    pub(super) fn open(&mut self, mut sealed: &[u8]) -> io::Result<&[u8]> {
        self.plain.clear();
        while !sealed.is_empty() && self.connection.read_tls(&mut sealed)? > 0 {
            let state = self.connection.process_new_packets().map_err(io::Error::other)?;
            let begin = self.plain.len();
            self.plain.resize(begin + state.plaintext_bytes_to_read(), 0);
            self.connection.reader().read_exact(&mut self.plain[begin..])?;
        }
        Ok(&self.plain)
    }
}
