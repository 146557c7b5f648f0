//! What stands before a node and hears its questions first: it ends TLS with the node's own certificate, passes questions on,
//! and leaves some of them without any answer, as a network does that loses them.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::error::LabError;

/// The longest head of a request that is passed on.
const LONGEST_HEAD: usize = 16 * 1024;

/// The questions about a service that nobody answers. First questions, which take what a node has, are never among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unheard {
    /// To look anew (`max_age=0`).
    pub again: bool,
    /// To look at an address that is named.
    pub there: bool,
}

impl Unheard {
    /// Whether this question, as the first line of a request has it, is one of them.
    fn holds(self, line: &str) -> bool {
        let target = line.split(' ').nth(1).unwrap_or_default();
        let Some(query) = target.strip_prefix("/v1/view?") else { return false };
        let names_address = query.split('&').any(|pair| pair.starts_with("address="));
        let is_anew = query.split('&').any(|pair| pair == "max_age=0");
        if names_address { self.there } else { self.again && is_anew }
    }
}

/// The front of one node.
#[derive(Clone)]
pub struct Front {
    tls: Arc<ServerConfig>,
    node: SocketAddr,
    unheard: Unheard,
}

impl Front {
    /// Before the node that serves plain HTTP there and keeps its identity in this data directory.
    pub(crate) fn before(node: SocketAddr, data: &Path, unheard: Unheard) -> Result<Self, LabError> {
        let read = |file: &str| std::fs::read(data.join("identity").join(file)).map_err(LabError::Identity);
        let bad =
            |error: rustls_pki_types::pem::Error| LabError::Identity(io::Error::new(ErrorKind::InvalidData, error));
        let (server, ca) = (read("server.pem")?, read("ca.pem")?);
        let chain = [&server, &ca].map(|pem| CertificateDer::from_pem_slice(pem).map_err(bad));
        let chain = chain.into_iter().collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(&server).map_err(bad)?;
        let mut tls = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_protocol_versions(rustls::ALL_VERSIONS)?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: Arc::new(tls), node, unheard })
    }

    pub(crate) async fn serve(self, stream: TcpStream) -> io::Result<()> {
        let (mut asker, mut to_asker) = tokio::io::split(TlsAcceptor::from(self.tls).accept(stream).await?);
        let (mut node, mut to_node) = TcpStream::connect(self.node).await?.into_split();
        let questions = async {
            loop {
                let head = read_head(&mut asker).await?;
                if self.unheard.holds(&String::from_utf8_lossy(&head)) {
                    return io::Result::Ok(());
                }
                to_node.write_all(&head).await?;
            }
        };
        tokio::select! {
            unheard = questions => unheard?,
            answers = tokio::io::copy(&mut node, &mut to_asker) => return answers.map(drop),
        }
        // Silence lasts for as long as somebody waits.
        while asker.read(&mut [0; 1024]).await? > 0 {}
        Ok(())
    }
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").field("node", &self.node).field("unheard", &self.unheard).finish_non_exhaustive()
    }
}

/// The head of a request without a body, up to its empty line.
async fn read_head(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == LONGEST_HEAD {
            return Err(ErrorKind::InvalidData.into());
        }
        head.push(from.read_u8().await?);
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use parallax_core::ServiceId;
    use parallax_proto::Question;

    use super::*;

    #[test]
    fn first_questions_are_told_from_second_ones() {
        let service: ServiceId = "shop.example".parse().unwrap();
        let first = Question { nonce: Some("max_age=0&address=".into()), ..Question::about(service) };
        let again = Question { max_age: Duration::ZERO, ..first.clone() };
        let there = Question { address: Some([127, 0, 0, 1].into()), ..again.clone() };
        let line = |question: &Question| format!("GET {} HTTP/1.1\r\n", question.to_path());
        for (unheard, wanted) in [
            (Unheard::default(), [false, false, false]),
            (Unheard { again: true, there: false }, [false, true, false]),
            (Unheard { again: false, there: true }, [false, false, true]),
            (Unheard { again: true, there: true }, [false, true, true]),
        ] {
            assert_eq!([&first, &again, &there].map(|question| unheard.holds(&line(question))), wanted, "{unheard:?}");
        }
        assert!(!Unheard { again: true, there: true }.holds("GET /v1/vantage HTTP/1.1\r\n"));
    }
}
