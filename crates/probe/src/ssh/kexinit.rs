//! What a server offers, and our answer to it (RFC 4253 section 7.1).

use parallax_core::HostKeyKind;

use super::read::{push_string, string};

/// SSH_MSG_KEXINIT.
pub(super) const KEXINIT: u8 = 20;

/// Name lists in a KEXINIT: key exchange, host key, then ciphers, MACs, compression and languages both ways.
const LISTS: usize = 10;

const COOKIE: usize = 16;

/// A key exchange that we can do. A server with finite-field Diffie-Hellman alone is `unsupported`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    /// RFC 8731.
    X25519,
    /// RFC 5656.
    P256,
    /// RFC 5656.
    P384,
    /// RFC 5656.
    P521,
}

const EXCHANGES: [(&str, Exchange); 5] = [
    ("curve25519-sha256", Exchange::X25519),
    ("curve25519-sha256@libssh.org", Exchange::X25519),
    ("ecdh-sha2-nistp256", Exchange::P256),
    ("ecdh-sha2-nistp384", Exchange::P384),
    ("ecdh-sha2-nistp521", Exchange::P521),
];

/// A way to prove a host key: the signature algorithm that the server signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Ed25519,
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    /// RFC 8332.
    RsaSha512,
    /// RFC 8332.
    RsaSha256,
    /// `ssh-rsa`, for servers that know nothing newer: SHA-1, over a hash of which a colliding one would have to be found
    /// within the look.
    RsaSha1,
}

impl Proof {
    /// All, the preferred first; of those for one kind of key the first that a server offers is used.
    const ALL: [Proof; 7] = [
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::RsaSha512,
        Self::RsaSha256,
        Self::RsaSha1,
    ];

    /// The kind of key that it proves.
    pub(super) fn kind(self) -> HostKeyKind {
        match self {
            Self::Ed25519 => HostKeyKind::Ed25519,
            Self::EcdsaP256 => HostKeyKind::EcdsaP256,
            Self::EcdsaP384 => HostKeyKind::EcdsaP384,
            Self::EcdsaP521 => HostKeyKind::EcdsaP521,
            Self::RsaSha512 | Self::RsaSha256 | Self::RsaSha1 => HostKeyKind::Rsa,
        }
    }

    /// As it stands in the name list and at the head of the signature.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::RsaSha512 => "rsa-sha2-512",
            Self::RsaSha256 => "rsa-sha2-256",
            other => other.kind().as_str(),
        }
    }
}

/// A server's KEXINIT.
#[derive(Debug)]
pub(super) struct KexInit {
    bytes: Vec<u8>,
    lists: Vec<Vec<u8>>,
    proofs: Vec<Proof>,
}

impl KexInit {
    /// From a message that begins with its number.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.get(1 + COOKIE..)?;
        let mut lists = Vec::with_capacity(LISTS);
        for _ in 0..LISTS {
            let (list, after) = string(rest)?;
            lists.push(list.to_vec());
            rest = after;
        }
        // first_kex_packet_follows and four reserved bytes. No exchange of ours has a first packet of the server's.
        let [0, _, _, _, _] = rest else { return None };
        let mut parsed = Self { bytes: bytes.to_vec(), lists, proofs: Vec::new() };
        for proof in Proof::ALL {
            let is_new = parsed.proofs.iter().all(|known| known.kind() != proof.kind());
            if is_new && parsed.offers(1, proof.name()) {
                parsed.proofs.push(proof);
            }
        }
        Some(parsed)
    }

    /// The message.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How its host keys can be proved: one proof for each kind, the preferred first.
    pub(super) fn proofs(&self) -> &[Proof] {
        &self.proofs
    }

    /// The key exchange to do with it.
    pub(super) fn exchange(&self) -> Option<Exchange> {
        EXCHANGES.iter().find(|(name, _)| self.offers(0, name)).map(|(_, exchange)| *exchange)
    }

    /// Our KEXINIT: one key exchange, one host key algorithm, and of all else what the server said itself, because it is
    /// never used and must have something in common.
    pub(super) fn answer(&self, cookie: &[u8; COOKIE], exchange: Exchange, proof: Proof) -> Vec<u8> {
        let mut message = vec![KEXINIT];
        message.extend_from_slice(cookie);
        let name = EXCHANGES.iter().find(|(name, known)| *known == exchange && self.offers(0, name));
        push_string(&mut message, name.map_or("", |(name, _)| name).as_bytes());
        push_string(&mut message, proof.name().as_bytes());
        self.lists.iter().skip(2).for_each(|list| push_string(&mut message, list));
        message.extend_from_slice(&[0; 5]);
        message
    }

    fn offers(&self, list: usize, name: &str) -> bool {
        self.lists.get(list).is_some_and(|list| list.split(|byte| *byte == b',').any(|one| one == name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offering(exchanges: &str, keys: &str) -> Vec<u8> {
        let mut message = vec![KEXINIT];
        message.extend_from_slice(&[7; COOKIE]);
        for list in [exchanges, keys, "aes128-ctr", "aes256-ctr", "hmac-sha1", "hmac-sha2-256", "none", "none", "", ""]
        {
            push_string(&mut message, list.as_bytes());
        }
        message.extend_from_slice(&[0; 5]);
        message
    }

    #[test]
    fn one_proof_for_each_kind_the_preferred_first() {
        let keys = "ssh-rsa,rsa-sha2-256,ssh-dss,ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256,ssh-ed25519";
        let server = KexInit::parse(&offering("ecdh-sha2-nistp256,curve25519-sha256@libssh.org", keys)).unwrap();
        assert_eq!(server.proofs(), [Proof::Ed25519, Proof::EcdsaP256, Proof::RsaSha256]);
        assert_eq!(server.exchange(), Some(Exchange::X25519));
        let old = KexInit::parse(&offering("diffie-hellman-group14-sha1", "ssh-dss")).unwrap();
        assert_eq!((old.proofs(), old.exchange()), (&[][..], None));
    }

    #[test]
    fn the_answer_has_one_choice_and_what_the_server_said() {
        let server = KexInit::parse(&offering("curve25519-sha256@libssh.org", "ssh-ed25519,rsa-sha2-512")).unwrap();
        let answer = KexInit::parse(&server.answer(&[1; COOKIE], Exchange::X25519, Proof::RsaSha512)).unwrap();
        assert_eq!(answer.lists[0], b"curve25519-sha256@libssh.org");
        assert_eq!(answer.lists[1], b"rsa-sha2-512");
        assert_eq!(answer.lists[2..], server.lists[2..]);
    }

    #[test]
    fn what_is_no_kexinit() {
        let good = offering("curve25519-sha256", "ssh-ed25519");
        for end in 0..good.len() {
            assert!(KexInit::parse(&good[..end]).is_none(), "{end}");
        }
        assert!(KexInit::parse(&[good.as_slice(), &[0]].concat()).is_none());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, at: proptest::sample::Index, by: u8) {
            let mut damaged = offering("curve25519-sha256", "ssh-ed25519");
            let place = at.index(damaged.len());
            damaged[place] ^= by;
            let _ = (KexInit::parse(&bytes), KexInit::parse(&damaged));
        }
    }
}
