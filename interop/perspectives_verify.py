#!/usr/bin/env python3
"""Asks a Perspectives notary and verifies what it answers, with the standard library alone.

    perspectives_verify.py http://HOST:PORT KEY.pem < questions

Each line of standard input is a question in JSON: {"host": "example.com", "port": 443}, and if it is to be compared,
"rows": [["aa:bb:...", START, END], ...]. Every second question goes out as a form. Prints how many replies were accepted;
each reply that is not has a line on standard error. Exit status: 0 all accepted, 1 not, 2 usage.

Written from the description of the format alone (docs/protocols/perspectives.md), not from the notary's code.
"""

import base64
import hashlib
import hmac
import http.client
import json
import re
import struct
import sys
import urllib.parse

# DER of DigestInfo with MD5 (RFC 8017 section 9.2, note 1).
DIGEST_INFO = bytes.fromhex("3020300c06082a864886f70d020505000410")

HEAD = re.compile(r'<notary_reply sig="([A-Za-z0-9+/]+={0,2})" sig_type="rsa-md5" version="1">')
KEY = re.compile(r'\t<key fp="([0-9a-f]{2}(?::[0-9a-f]{2}){15})" type="(ssl|ssh)">')
SPAN = re.compile(r'\t\t<timestamp end="(0|[1-9][0-9]*)" start="(0|[1-9][0-9]*)"/>')


class Refused(Exception):
    """Why a reply is not believed."""


def tlv(der):
    """The first element of DER: its tag, its content, and what follows."""
    length, start = der[1], 2
    if length & 0x80:
        count = length & 0x7F
        start += count
        length = int.from_bytes(der[2:start], "big")
    return der[0], der[start:start + length], der[start + length:]


def read_key(path):
    """Modulus and exponent of an RSA SubjectPublicKeyInfo in PEM."""
    with open(path, encoding="ascii") as file:
        text = file.read()
    body = text.split("-----BEGIN PUBLIC KEY-----")[1].split("-----END PUBLIC KEY-----")[0]
    _, info, _ = tlv(base64.b64decode("".join(body.split()), validate=True))
    _, _, rest = tlv(info)
    _, bits, _ = tlv(rest)
    _, pair, _ = tlv(bits[1:])
    _, modulus, rest = tlv(pair)
    _, exponent, _ = tlv(rest)
    return int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")


def rsa_md5_holds(key, message, signature):
    """RSASSA-PKCS1-v1_5 verification (RFC 8017 section 8.2.2): the whole encoded block is compared."""
    modulus, exponent = key
    size = (modulus.bit_length() + 7) // 8
    number = int.from_bytes(signature, "big")
    if len(signature) != size or number >= modulus:
        return False
    found = pow(number, exponent, modulus).to_bytes(size, "big")
    info = DIGEST_INFO + hashlib.md5(message).digest()
    wanted = b"\x00\x01" + b"\xff" * (size - len(info) - 3) + b"\x00" + info
    return hmac.compare_digest(found, wanted)


def parse(text, kind):
    """Signature and keys of a reply, which has to be spelt exactly as the format says."""
    lines = text.split("\n")
    if lines[-2:] != ["</notary_reply>", ""]:
        raise Refused("it does not end as it should")
    head = HEAD.fullmatch(lines[0])
    if not head:
        raise Refused("its first line is not that of a reply")
    keys, spans = [], None
    for line in lines[1:-2]:
        key, span = KEY.fullmatch(line), SPAN.fullmatch(line)
        if key and spans is None:
            if key[2] != kind:
                raise Refused("a key is of another type")
            spans = []
            keys.append((bytes.fromhex(key[1].replace(":", "")), spans))
        elif span and spans is not None:
            spans.append((int(span[2]), int(span[1])))
        elif line == "\t</key>" and spans:
            spans = None
        else:
            raise Refused(f"a line is not as it should be: {line!r}")
    if spans is not None or not keys:
        raise Refused("a key does not end, or there is none")
    return base64.b64decode(head[1], validate=True), keys


def signed_bytes(service, keys):
    """What the signature is over: the service id, a zero byte, and the keys, the last of the document first."""
    blocks = [service.encode() + b"\x00"]
    for print_, spans in reversed(keys):
        blocks.append(struct.pack(">HHB", len(spans), 16, 3) + print_)
        blocks += [struct.pack(">II", start, end) for start, end in spans]
    return b"".join(blocks)


def check(question, reply, key):
    """Raises Refused unless the reply is what it should be."""
    status, content_type, body = reply
    if (status, content_type) != (200, "text/xml"):
        raise Refused(f"status {status}, {content_type}")
    kind = {1: "ssh", 2: "ssl"}[question.get("service_type", 2)]
    signature, keys = parse(body.decode(), kind)
    prints = [print_ for print_, _ in keys]
    if prints != sorted(set(prints)):
        raise Refused("its keys do not ascend")
    for _, spans in keys:
        if spans != sorted(spans) or any(start > end for start, end in spans):
            raise Refused("its spans do not ascend")
    service = f"{question['host']}:{question['port']},{question.get('service_type', 2)}"
    if not rsa_md5_holds(key, signed_bytes(service, keys), signature):
        raise Refused("its signature is not that of this key over this service and history")
    if "rows" in question:
        found = sorted((print_.hex(":"), start, end) for print_, spans in keys for start, end in spans)
        if found != sorted(map(tuple, question["rows"])):
            raise Refused(f"it tells {found}")


class Notary:
    """One connection, opened again when the notary closes it."""

    def __init__(self, url):
        self.url = urllib.parse.urlsplit(url)
        self.connection = None

    def ask(self, question, as_form):
        fields = {name: question[name] for name in ("host", "port", "service_type") if name in question}
        encoded = urllib.parse.urlencode(fields)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        request = ("POST", "/", encoded, form) if as_form else ("GET", f"/?{encoded}&", None, {})
        for attempt in (1, 2):
            self.connection = self.connection or http.client.HTTPConnection(self.url.netloc, timeout=60)
            try:
                self.connection.request(*request)
                response = self.connection.getresponse()
                return response.status, response.headers.get("Content-Type"), response.read()
            except (http.client.HTTPException, ConnectionError):
                self.connection.close()
                self.connection = None
                if attempt == 2:
                    raise


def self_test():
    """The vector of the description."""
    up, down = bytes(range(16)), bytes(255 - i for i in range(16))
    message = signed_bytes("example.test:443,2", [(up, [(1, 2), (256, 65536)]), (down, [(1000000000, 1000000500)])])
    assert len(message) == 85 and hashlib.md5(message).hexdigest() == "9476a8d3fcf5556b6df16b37ad04c96f"


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    self_test()
    notary, key = Notary(arguments[0]), read_key(arguments[1])
    bits = key[0].bit_length()
    if not 1369 <= bits <= 1376:
        print(f"the key has {bits} bits, which old clients can't use", file=sys.stderr)
        return 1
    accepted = asked = 0
    for number, line in enumerate(sys.stdin):
        question = json.loads(line)
        asked += 1
        try:
            check(question, notary.ask(question, as_form=number % 2 == 1), key)
            accepted += 1
        except Refused as why:
            print(f"{question['host']}:{question['port']}: {why}", file=sys.stderr)
    print(f"{accepted} of {asked} replies accepted")
    return 0 if accepted == asked else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
