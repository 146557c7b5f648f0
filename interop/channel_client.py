#!/usr/bin/env python3
"""A client of Parallax channels in another language, written from docs/protocols/channel.md alone.

    channel_client.py vectors FILE              checks the recorded exchange
    channel_client.py key FILE                  makes a key, prints its id
    channel_client.py talk URL ID KEYFILE       opens a channel and speaks over it

HPKE (RFC 9180, base mode) is put together here from X25519 and HMAC, so nothing is shared with what is tested.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
import urllib.error
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw
SPKI = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
AEADS = {"CHACHA20-POLY1305": ChaCha20Poly1305, "AES-256-GCM": AESGCM}
REQUEST, ANSWER, PUSH = 1, 2, 3


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def lp(data):
    return len(data).to_bytes(4, "big") + data


def take_lp(data):
    length = int.from_bytes(data[:4], "big")
    assert len(data) >= 4 + length, "a length beyond the end"
    return data[4 : 4 + length], data[4 + length :]


def sha256(data):
    return hashlib.sha256(data).digest()


# HPKE: RFC 9180 sections 4 and 5.

KEM = b"KEM" + (0x0020).to_bytes(2, "big")
SUITE = b"HPKE" + b"".join(n.to_bytes(2, "big") for n in (0x0020, 0x0001, 0x0003))


def extract(salt, ikm):
    return hmac.new(salt or bytes(32), ikm, hashlib.sha256).digest()


def expand(prk, info, length):
    out, block = b"", b""
    for counter in range(1, 256):
        block = hmac.new(prk, block + info + bytes([counter]), hashlib.sha256).digest()
        out += block
        if len(out) >= length:
            return out[:length]


def labeled_extract(suite, salt, label, ikm):
    return extract(salt, b"HPKE-v1" + suite + label + ikm)


def labeled_expand(suite, prk, label, info, length):
    return expand(prk, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


class Receiver:
    """The receiver's context in base mode."""

    def __init__(self, secret, enc, info):
        shared = secret.exchange(X25519PublicKey.from_public_bytes(enc))
        assert shared != bytes(32), "an all-zero X25519 result is refused"
        kem_context = enc + secret.public_key().public_bytes(*RAW)
        prk = labeled_extract(KEM, b"", b"eae_prk", shared)
        shared = labeled_expand(KEM, prk, b"shared_secret", kem_context, 32)
        context = b"\0" + labeled_extract(SUITE, b"", b"psk_id_hash", b"")
        context += labeled_extract(SUITE, b"", b"info_hash", info)
        secret = labeled_extract(SUITE, shared, b"secret", b"")
        self.key = labeled_expand(SUITE, secret, b"key", context, 32)
        self.nonce = labeled_expand(SUITE, secret, b"base_nonce", context, 12)
        self.exporter = labeled_expand(SUITE, secret, b"exp", context, 32)

    def open(self, sealed, aad):
        return ChaCha20Poly1305(self.key).decrypt(self.nonce, sealed, aad)

    def export(self, context, length):
        return labeled_expand(SUITE, self.exporter, b"sec", context, length)


# Channels: docs/protocols/channel.md.


def key_id(key):
    return hashlib.sha256(key.public_bytes(*SPKI)).hexdigest()


class Opening:
    """A request for a channel under way."""

    def __init__(self, key, source, statement_key, now_ms=None, secret=None, salt=None, replaces=None):
        self.data = key.public_key().public_bytes(*RAW)
        self.source, self.statement_key = source, statement_key
        self.secret = secret or X25519PrivateKey.generate()
        body = {
            "channel_types": ["CHACHA20-POLY1305", "AES-256-GCM"],
            "request_salt": b64(salt or os.urandom(32)),
            "kex": {"type": "X25519", "data": b64(self.secret.public_key().public_bytes(*RAW))},
            "source": source,
            "server": b64(sha256(statement_key)),
            "time": now_ms or int(time.time() * 1000),
        }
        if replaces:
            body["replaces"] = b64(replaces)
        body = json.dumps(body).encode()
        signature = key.sign(b"parallax channel create 1\0" + lp(b"Ed25519") + lp(self.data) + lp(body))
        self.request = lp(body) + signature

    def message(self):
        return {"public_key": {"type": "Ed25519", "data": b64(self.data)}, "request": b64(self.request)}

    def created(self, created):
        assert created["source"] == self.source, "another source"
        response = unb64(created["response"])
        enc, rest = response[:32], response[32:]
        shown, sealed = take_lp(rest)
        assert shown == self.statement_key, "another statement key"
        self.th = sha256(
            b"parallax channel transcript 1\0"
            + lp(b"Ed25519")
            + lp(self.data)
            + lp(self.request)
            + lp(shown)
            + lp(self.source.encode())
            + lp(enc)
        )
        context = Receiver(self.secret, enc, b"parallax channel created 1")
        self.opened = context.open(sealed, self.th)
        body, signature = take_lp(self.opened)
        signed = b"parallax channel created 1\0" + self.th + lp(body)
        Ed25519PublicKey.from_public_bytes(shown).verify(signature, signed)
        digest = sha256(self.opened)
        label = lambda way: b"parallax channel keys 1\0" + bytes([way]) + self.th + digest
        keys = {way: context.export(label(way), 44) for way in (REQUEST, ANSWER, PUSH)}
        return Channel(self.source, shown, json.loads(body), keys)


class Channel:
    """A channel that stands."""

    def __init__(self, source, statement_key, body, keys):
        self.source, self.statement_key, self.body, self.keys = source, statement_key, body, keys
        self.id = unb64(body["channel"])
        assert len(self.id) == 16 and len(unb64(body["key"]["data"])) == 32
        self.aead = AEADS[body["key"]["type"]]
        self.next = 0

    def cipher(self, way, counter, request=None):
        count = counter.to_bytes(8, "big")
        key, iv = self.keys[way][:32], self.keys[way][32:]
        nonce = bytes(a ^ b for a, b in zip(iv, bytes(4) + count))
        aad = b"parallax channel message 1\0" + self.id + bytes([way]) + count
        if way == ANSWER:
            aad += sha256(request)
        return self.aead(key), nonce, aad

    def seal(self, plaintext):
        aead, nonce, aad = self.cipher(REQUEST, self.next)
        sealed = self.next.to_bytes(8, "big") + aead.encrypt(nonce, json.dumps(plaintext).encode(), aad)
        self.next += 1
        return sealed, {"channel": b64(self.id), "request": b64(sealed)}

    def open(self, way, message, request=None):
        counter = int.from_bytes(message[:8], "big")
        aead, nonce, aad = self.cipher(way, counter, request)
        return counter, json.loads(aead.decrypt(nonce, message[8:], aad))


def check_status(statement_key, status, request):
    """A status counts when it is signed, for this very request."""
    assert unb64(status["request_hash"]) == sha256(request), "about another request"
    signed = b"parallax channel status 1\0"
    signed += b"".join(lp(status[name].encode()) for name in ("source", "status", "reason"))
    signed += status["retry_after"].to_bytes(8, "big") + sha256(request)
    Ed25519PublicKey.from_public_bytes(statement_key).verify(unb64(status["signature"]), signed)


def vectors(path):
    with open(path) as file:
        kept = json.load(file)
    key = Ed25519PrivateKey.from_private_bytes(unb64(kept["client_key_seed"]))
    server = Ed25519PrivateKey.from_private_bytes(unb64(kept["statement_key_seed"]))
    statement_key = unb64(kept["statement_key"])
    assert server.public_key().public_bytes(*RAW) == statement_key
    assert key_id(key.public_key()) == kept["key_id"]
    creation = kept["creation"]
    create = json.loads(creation["create"])
    secret = X25519PrivateKey.from_private_bytes(unb64(creation["client_ephemeral_secret"]))
    opening = Opening(key, kept["source"], statement_key, kept["now_unix_ms"], secret)
    opening.request = unb64(create["request"])
    body, signature = take_lp(opening.request)
    signed = b"parallax channel create 1\0" + lp(b"Ed25519") + lp(unb64(create["public_key"]["data"])) + lp(body)
    key.public_key().verify(signature, signed)
    body = json.loads(body)
    assert unb64(body["kex"]["data"]) == secret.public_key().public_bytes(*RAW)
    assert unb64(body["server"]) == sha256(statement_key)
    channel = opening.created(json.loads(creation["created"]))
    assert opening.th == unb64(creation["transcript"])
    assert opening.opened == unb64(creation["opened_response"])
    for way, name in ((REQUEST, "request"), (ANSWER, "answer"), (PUSH, "push")):
        assert channel.keys[way] == unb64(creation["key_iv_" + name]), name
    for count, pair in enumerate(kept["messages"]):
        request = json.loads(pair["request"])
        sealed = unb64(request["request"])
        assert unb64(request["channel"]) == channel.id
        counter, asked = channel.open(REQUEST, sealed)
        answer = json.loads(pair["answer"])
        assert answer["source"] == kept["source"] and unb64(answer["channel"]) == channel.id
        answered, said = channel.open(ANSWER, unb64(answer["response"]), sealed)
        assert counter == answered == count
        if "run" in asked:
            assert said["request_id"] == asked["request_id"]
            assert said["return"] == {"did": asked["run"]["type"]} and said["warnings"] == []
        else:
            assert asked == {"control": "ping"} and said == {"control": "pong"}
    push = json.loads(kept["push"])
    assert channel.open(PUSH, unb64(push["push"])) == (0, {"run": {"type": "look", "look_id": "AAAA"}})
    replacing, _ = take_lp(unb64(json.loads(kept["replacing"])["request"]))
    assert unb64(json.loads(replacing)["replaces"]) == channel.id
    status = json.loads(kept["status"])
    assert (status["status"], status["retry_after"]) == ("too_many_requests", 30)
    check_status(statement_key, status, unb64(json.loads(kept["refused"])["request"]))
    print("the recorded exchange holds")


def fetch(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def descriptor(url, vantage):
    """The node's descriptor; the vantage id alone verifies it."""
    status, headers, body = fetch(url + "/v1/vantage")
    assert status == 200, status
    header, payload, signature = headers["parallax-signature"].split(".")
    assert payload == ""
    certificate = x509.load_der_x509_certificate(base64.b64decode(json.loads(unb64(header))["x5c"][0]))
    key = certificate.public_key()
    assert key_id(key) == vantage, "another vantage point"
    signature = unb64(signature)
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    der = utils.encode_dss_signature(r, s)
    key.verify(der, header.encode() + b"." + body, ec.ECDSA(hashes.SHA256()))
    return json.loads(body)


def talk(url, vantage, key_file):
    with open(key_file, "rb") as file:
        key = serialization.load_pem_private_key(file.read(), None)
    about = descriptor(url, vantage)
    source, statement_key = about["addresses"][0], unb64(about["statement_key"])

    opening = Opening(key, source, statement_key)
    status, _, created = fetch(url + "/v1/channels", opening.message())
    assert status == 200, (status, created)
    channel = opening.created(json.loads(created))

    def ask(plaintext):
        sealed, message = channel.seal(plaintext)
        status, _, body = fetch(url + "/v1/messages", message)
        return status, (json.loads(body) if body else None), sealed, message

    status, answer, sealed, message = ask({"request_id": "1", "run": {"type": "health"}})
    assert status == 200, (status, answer)
    _, said = channel.open(ANSWER, unb64(answer["response"]), sealed)
    assert said["request_id"] == "1" and said["return"]["ready"] is True, said
    # The test node gives channels of 60 s: they end soon from their first moment.
    assert said["warnings"] == [{"type": "expiring"}], said
    assert said["valid_until"] == channel.body["valid_until"], said

    status, _, body = fetch(url + "/v1/messages", message)
    assert (status, json.loads(body)["status"]) == (401, "unauthorised"), "replayed"
    status, answer, sealed, _ = ask({"request_id": "1", "run": {"type": "health"}})
    assert channel.open(ANSWER, unb64(answer["response"]), sealed)[1] == said, "the kept answer"
    status, answer, sealed, _ = ask({"request_id": "1", "run": {"type": "view"}})
    assert (status, answer["status"]) == (400, "bad_message"), answer
    check_status(statement_key, answer, sealed)
    status, answer, sealed, _ = ask({"control": "ping"})
    assert channel.open(ANSWER, unb64(answer["response"]), sealed)[1] == {"control": "pong"}
    assert ask({"run": {"type": "health"}})[:2] == (204, None), "without an id there is no answer"

    status, _, again = fetch(url + "/v1/channels", opening.message())
    assert (status, json.loads(again)["status"]) == (401, "unauthorised"), "a request counts once"
    replacing = Opening(key, source, statement_key, replaces=channel.id)
    status, _, created = fetch(url + "/v1/channels", replacing.message())
    assert status == 200, (status, created)
    fresh = replacing.created(json.loads(created))
    assert fresh.id != channel.id
    status, answer, sealed, _ = ask({"request_id": "2", "run": {"type": "health"}})
    assert "return" in channel.open(ANSWER, unb64(answer["response"]), sealed)[1], "the old one goes on for a moment"
    channel = fresh
    assert ask({"control": "close"})[0] == 204
    assert ask({"control": "ping"})[0] == 401, "closed"
    print("spoke with", vantage)


def new_key(path):
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(pem)
    print(key_id(key.public_key()))


if __name__ == "__main__":
    {"vectors": vectors, "talk": talk, "key": new_key}[sys.argv[1]](*sys.argv[2:])
