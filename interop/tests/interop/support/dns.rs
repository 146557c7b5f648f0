//! A resolver that knows nothing, so that what is asked stays here.

use std::net::UdpSocket;

/// Says that no name exists (RFC 1035 section 4.1.1, RCODE 3).
pub(super) struct EmptyDns(String);

impl EmptyDns {
    pub(super) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap().to_string();
        // It ends with the process of the test.
        std::thread::spawn(move || {
            let mut question = [0; 1024];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let mut answer = question[..length].to_vec();
                answer[2] |= 0x80;
                answer[3] = 0x83;
                let _ = socket.send_to(&answer, from);
            }
        });
        Self(address)
    }

    pub(super) fn address(&self) -> &str {
        &self.0
    }
}
