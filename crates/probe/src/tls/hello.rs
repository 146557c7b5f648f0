//! A ClientHello of old, for servers that rustls does not talk to (RFC 5246 section 7.4.1.2).

use aws_lc_rs::rand;
use parallax_core::ServiceId;

/// Cipher suites that show a certificate in the clear, strongest first; none of them is ever used.
const SUITES: [u16; 42] = [
    0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc023, 0xc027, 0xc009, 0xc013, 0xc024, 0xc028, 0xc00a, 0xc014,
    0x009e, 0x009f, 0xccaa, 0x0067, 0x006b, 0x0033, 0x0039, 0x009c, 0x009d, 0x003c, 0x003d, 0x002f, 0x0035, 0x0041,
    0x0084, 0x0045, 0x0088, 0x0032, 0x0038, 0xc008, 0xc012, 0x0016, 0x0013, 0x000a, 0xc007, 0xc011, 0x0005, 0x0004,
];

/// Groups that a server may want to see listed, and the curves of keys that it may have (RFC 8422 section 5.1): P-256,
/// P-384, P-521, X25519, X448, secp256k1, and Brainpool's three.
const GROUPS: [u16; 9] = [0x0017, 0x0018, 0x0019, 0x001d, 0x001e, 0x0016, 0x001a, 0x001b, 0x001c];

/// Signature schemes of every kind of key, the weak ones included: nothing is concluded from a signature that is not
/// checked.
const SCHEMES: [u16; 19] = [
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401, 0x0501, 0x0601,
    0x0402, 0x0203, 0x0201, 0x0202, 0x0301,
];

/// TLS 1.2 at most, in a TLS 1.0 record, as clients of that time wrote it. `None` when no randomness is to be had.
pub(super) fn client_hello(service: &ServiceId) -> Option<Vec<u8>> {
    let mut random = [0; 32];
    rand::fill(&mut random).ok()?;
    let extensions = [
        service
            .host()
            .name()
            .map(|name| extension(0, &prefixed(&[&[0], prefixed(name.as_bytes()).as_slice()].concat()))),
        Some(extension(10, &prefixed(&numbers(&GROUPS)))),
        Some(extension(11, &[1, 0])),
        Some(extension(13, &prefixed(&numbers(&SCHEMES)))),
        Some(extension(0xff01, &[0])),
    ];
    let extensions: Vec<u8> = extensions.into_iter().flatten().flatten().collect();
    let body =
        [[3, 3].as_slice(), &random, &[0], &prefixed(&numbers(&SUITES)), &[1, 0], &prefixed(&extensions)].concat();
    let message = [[1, 0].as_slice(), &prefixed(&body)].concat();
    Some([[22, 3, 1].as_slice(), &prefixed(&message)].concat())
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().as_slice(), &prefixed(body)].concat()
}

/// With its length in two octets before it. Everything here is far shorter than that.
fn prefixed(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    [length.to_be_bytes().as_slice(), body].concat()
}

fn numbers(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_that_rustls_reads() {
        let hello = client_hello(&"tls://old.example:443".parse().unwrap()).unwrap();
        let mut acceptor = rustls::server::Acceptor::default();
        acceptor.read_tls(&mut hello.as_slice()).unwrap();
        let accepted = acceptor.accept().map_err(|(error, _)| error).unwrap().expect("a whole ClientHello");
        assert_eq!(accepted.client_hello().server_name(), Some("old.example"));
        assert_eq!(accepted.client_hello().cipher_suites().len(), SUITES.len());
    }

    #[test]
    fn an_address_has_no_server_name() {
        let hello = client_hello(&"tls://192.0.2.7:443".parse().unwrap()).unwrap();
        let mut acceptor = rustls::server::Acceptor::default();
        acceptor.read_tls(&mut hello.as_slice()).unwrap();
        let accepted = acceptor.accept().map_err(|(error, _)| error).unwrap().expect("a whole ClientHello");
        assert_eq!(accepted.client_hello().server_name(), None);
    }
}
