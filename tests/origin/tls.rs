//! A front that speaks TLS for one of the hosts, with an authority of its own that nobody knows.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The front; it ends when dropped.
pub struct Tls {
    /// `https://127.0.0.1:port`.
    pub url: String,
    /// The authority's certificate, for `SSL_CERT_FILE`.
    pub authority: PathBuf,
    _dir: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Tls {
    /// A front before what listens in the clear at `plain` (`http://127.0.0.1:port`).
    pub fn before(plain: &str) -> Tls {
        let plain: SocketAddr = plain.strip_prefix("http://").unwrap().parse().unwrap();
        let (config, pem) = certificates();
        let dir = tempfile::tempdir().unwrap();
        let authority = dir.path().join("authority.pem");
        std::fs::write(&authority, pem).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(relay(acceptor.clone(), stream, plain));
            }
        });
        Tls {
            url,
            authority,
            _dir: dir,
            _runtime: runtime,
        }
    }
}

/// A client that refuses the certificate, or goes, is no fault of the front.
async fn relay(acceptor: TlsAcceptor, stream: TcpStream, plain: SocketAddr) {
    if let Ok(mut secret) = acceptor.accept(stream).await
        && let Ok(mut clear) = TcpStream::connect(plain).await
    {
        let _ = tokio::io::copy_bidirectional(&mut secret, &mut clear).await;
    }
}

/// A server's configuration for 127.0.0.1, and the certificate of the authority that vouches for it.
fn certificates() -> (ServerConfig, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    (
        config
            .with_no_client_auth()
            .with_single_cert(vec![server.der().clone()], key)
            .unwrap(),
        pem,
    )
}
