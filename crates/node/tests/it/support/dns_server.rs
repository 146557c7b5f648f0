//! A DNS server on loopback with one answer for everything: an address and a time to live.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::net::UdpSocket;

/// Answers questions for A with `127.0.0.1` and a time to live of an hour; has nothing else.
pub(crate) struct DnsServer {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl DnsServer {
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                count.fetch_add(1, Ordering::SeqCst);
                let reply = answer(&buffer[..length]);
                let _ = socket.send_to(&reply, from).await;
            }
        });
        Self { address, asked, task }
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(question: &[u8]) -> Vec<u8> {
    let mut message = Message::from_vec(question).unwrap();
    message.metadata.message_type = MessageType::Response;
    message.metadata.authoritative = true;
    message.metadata.recursion_available = true;
    let query = message.queries.first().cloned().unwrap();
    if query.query_type() == RecordType::A {
        let record = Record::from_rdata(query.name().clone(), 3600, RData::A(A(Ipv4Addr::LOCALHOST)));
        message.add_answer(record);
    }
    message.to_vec().unwrap()
}
