//! Distance: what is sent to somebody far away arrives later, and so does what comes back.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// Pieces on their way at once.
const ON_THE_WAY: usize = 256;

/// Passes everything on, each byte this much later, from the address that stands in for the far one. The connection itself
/// is accepted by the system at once: the round trip of a TCP handshake is not simulated.
pub(crate) async fn pass_on(stream: TcpStream, target: SocketAddr, own: IpAddr, one_way: Duration) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(own, 0))?;
    let onward = socket.connect(target).await?;
    onward.set_nodelay(true)?;
    stream.set_nodelay(true)?;
    let (near_reader, near_writer) = stream.into_split();
    let (far_reader, far_writer) = onward.into_split();
    tokio::try_join!(late(near_reader, far_writer, one_way), late(far_reader, near_writer, one_way)).map(drop)
}

async fn late(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, one_way: Duration) -> io::Result<()> {
    let (sender, mut on_the_way) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let sent = async move {
        let mut piece = vec![0; 16 * 1024];
        loop {
            let length = from.read(&mut piece).await?;
            let bytes = piece.get(..length).unwrap_or_default().to_vec();
            if bytes.is_empty() || sender.send((Instant::now() + one_way, bytes)).await.is_err() {
                return Ok(());
            }
        }
    };
    let arrives = async move {
        while let Some((at, bytes)) = on_the_way.recv().await {
            sleep_until(at).await;
            to.write_all(&bytes).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(sent, arrives).map(drop)
}
