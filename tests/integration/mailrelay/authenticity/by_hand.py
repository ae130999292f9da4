"""Signatures written by hand, so that each of their tags can be what no signer would write."""

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RSA_KEY = generate_private_key(65_537, 1024)
ED25519_KEY = Ed25519PrivateKey.generate()


def key_record(key: RSAPrivateKey | Ed25519PrivateKey, **tags: str) -> str:
    """What the signer publishes."""
    if isinstance(key, Ed25519PrivateKey):
        material = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    else:
        material = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    kind = "ed25519" if isinstance(key, Ed25519PrivateKey) else "rsa"
    all_tags = {"v": "DKIM1", "k": kind, "p": base64.b64encode(material).decode(), **tags}
    return "; ".join(f"{name}={value}" for name, value in all_tags.items())


def sign_by_hand(
    raw: bytes, key: RSAPrivateKey | Ed25519PrivateKey = RSA_KEY, *, without: str = "", **tags: str
) -> bytes:
    """The mail with a simple/simple signature above it; `tags` go over what would be right, `without` leaves one out."""
    header, _, body = raw.partition(b"\r\n\r\n")
    while body.endswith(b"\r\n"):
        body = body[:-2]
    all_tags = {
        "v": "1",
        "a": "ed25519-sha256" if isinstance(key, Ed25519PrivateKey) else "rsa-sha256",
        "d": "amazon.de",
        "s": "hand",
        "h": "from:to:subject:date:content-type",
        "bh": base64.b64encode(hashlib.sha256(body + b"\r\n").digest()).decode(),
        **tags,
        "b": "",
    }
    all_tags.pop(without, None)
    own = "DKIM-Signature: " + "; ".join(f"{name}={value}" for name, value in all_tags.items())
    signed = b"".join(line + b"\r\n" for line in _lines(header, all_tags["h"].split(":"))) + own.encode()
    if isinstance(key, Ed25519PrivateKey):
        value = key.sign(hashlib.sha256(signed).digest())
    else:
        value = key.sign(signed, PKCS1v15(), SHA1() if all_tags["a"] == "rsa-sha1" else SHA256())
    return own.encode() + base64.b64encode(value) + b"\r\n" + raw


def _lines(header: bytes, names: list[str]) -> list[bytes]:
    """The lines that are signed; these mails fold none."""
    left = header.split(b"\r\n")
    chosen: list[bytes] = []
    for name in names:
        of_name = [line for line in left if line.lower().startswith(name.strip().encode() + b":")]
        if of_name:
            chosen.append(of_name[-1])
            left.remove(of_name[-1])
    return chosen
