//! Elliptic-curve Diffie-Hellman up to the exchange hash (RFC 5656 section 4, RFC 8731).

use aws_lc_rs::agreement::{self, EphemeralPrivateKey, PublicKey, UnparsedPublicKey, agree_ephemeral};
use aws_lc_rs::digest;
use aws_lc_rs::rand::{self, SystemRandom};

use super::kexinit::Exchange;
use super::read::{push_mpint, push_string, string};

/// SSH_MSG_KEX_ECDH_INIT.
const INIT: u8 = 30;

/// SSH_MSG_KEX_ECDH_REPLY.
pub(super) const REPLY: u8 = 31;

/// Random bytes; `None` when the system has none.
pub(super) fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// What was said before the exchange, and is signed with it.
pub(super) struct Opening<'a> {
    pub(super) client_identification: &'a [u8],
    pub(super) server_identification: &'a [u8],
    pub(super) client_kexinit: &'a [u8],
    pub(super) server_kexinit: &'a [u8],
}

/// The server's answer.
pub(super) struct Reply<'a> {
    /// The host key blob.
    pub(super) host_key: &'a [u8],
    /// The server's half.
    point: &'a [u8],
    /// The signature blob.
    pub(super) signature: &'a [u8],
}

impl<'a> Reply<'a> {
    /// From a message that begins with its number.
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let (host_key, rest) = string(message.get(1..)?)?;
        let (point, rest) = string(rest)?;
        let (signature, rest) = string(rest)?;
        rest.is_empty().then_some(Self { host_key, point, signature })
    }
}

/// Our half of an exchange.
pub(super) struct Half {
    exchange: Exchange,
    private: EphemeralPrivateKey,
    public: PublicKey,
}

impl Half {
    pub(super) fn new(exchange: Exchange) -> Option<Self> {
        let private = EphemeralPrivateKey::generate(curve(exchange), &SystemRandom::new()).ok()?;
        let public = private.compute_public_key().ok()?;
        Some(Self { exchange, private, public })
    }

    /// The message that sends it.
    pub(super) fn message(&self) -> Vec<u8> {
        let mut message = vec![INIT];
        push_string(&mut message, self.public.as_ref());
        message
    }

    /// The exchange hash; `None` when the server's half is no point of the curve.
    pub(super) fn finish(self, opening: &Opening<'_>, reply: &Reply<'_>) -> Option<Vec<u8>> {
        let mut hashed = Vec::new();
        for part in [
            opening.client_identification,
            opening.server_identification,
            opening.client_kexinit,
            opening.server_kexinit,
            reply.host_key,
            self.public.as_ref(),
            reply.point,
        ] {
            push_string(&mut hashed, part);
        }
        let peer = UnparsedPublicKey::new(curve(self.exchange), reply.point);
        agree_ephemeral(self.private, peer, (), |secret| {
            push_mpint(&mut hashed, secret);
            Ok(())
        })
        .ok()?;
        Some(digest::digest(hash(self.exchange), &hashed).as_ref().to_vec())
    }
}

fn curve(exchange: Exchange) -> &'static agreement::Algorithm {
    match exchange {
        Exchange::X25519 => &agreement::X25519,
        Exchange::P256 => &agreement::ECDH_P256,
        Exchange::P384 => &agreement::ECDH_P384,
        Exchange::P521 => &agreement::ECDH_P521,
    }
}

fn hash(exchange: Exchange) -> &'static digest::Algorithm {
    match exchange {
        Exchange::X25519 | Exchange::P256 => &digest::SHA256,
        Exchange::P384 => &digest::SHA384,
        Exchange::P521 => &digest::SHA512,
    }
}
