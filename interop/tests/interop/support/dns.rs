//! A resolver for which every name is this machine, so that no question leaves it.

use std::net::UdpSocket;

/// RFC 1035 section 4.1.3: the name of the question, type A, class IN, a minute, 127.0.0.1.
const HERE: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1];

/// Answers with 127.0.0.1 when asked for an IPv4 address, and that there is nothing when asked for anything else.
pub(super) struct LoopbackDns(String);

impl LoopbackDns {
    pub(super) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap().to_string();
        // It ends with the process of the test.
        std::thread::spawn(move || {
            let mut question = [0; 1024];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                if let Some(answer) = answer(&question[..length]) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Self(address)
    }

    pub(super) fn address(&self) -> &str {
        &self.0
    }
}

fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let name = question.get(12..)?.iter().position(|byte| *byte == 0)?;
    let end = 12 + name + 5;
    let wants_address = question.get(end - 4..end)? == [0, 1, 0, 1];
    let header = [question[0], question[1], 0x81, 0x80, 0, 1, 0, u8::from(wants_address), 0, 0, 0, 0];
    let found = if wants_address { &HERE[..] } else { &[] };
    Some([&header, &question[12..end], found].concat())
}
