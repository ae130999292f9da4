"""A mail in the form in which it is signed (RFC 6376 §3.4): the same after what relays on the way may do to it.

Written so that no form of a mail of 40 MB holds the interpreter for long: whole-buffer operations whose cost does not depend on
what is in the buffer, and hashing, which lets others run.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, Self

from services.mailrelay.parsing.structure import Field, read_head

Form = Literal["simple", "relaxed"]

_BLANKS = re.compile(rb"[ \t]+")
_SIGNATURE_VALUE = re.compile(rb"((?:^|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")
_END: Final = b"\r\n"


@dataclass(frozen=True, slots=True)
class SignedMail:
    """The same header fields that the parser sees, and the body as it stands."""

    fields: list[Field]
    body: memoryview
    _hashed: dict[Form, tuple[bytes, int]] = field(default_factory=dict)

    @classmethod
    def read(cls, raw: bytes) -> Self:
        head = read_head(raw)
        return cls(head.fields, memoryview(raw)[head.body_start :])

    def named(self, name: str) -> list[Field]:
        return [item for item in self.fields if item.name == name]

    def body_hash(self, form: Form) -> tuple[bytes, int]:
        """SHA-256 of the body in this form, and how many bytes that form has."""
        if form not in self._hashed:
            body = _relaxed_body(bytes(self.body)) if form == "relaxed" else _simple_body(bytes(self.body))
            self._hashed[form] = hashlib.sha256(body).digest(), len(body)
        return self._hashed[form]

    def chosen(self, names: Iterable[str]) -> list[Field]:
        """The fields that a signature names, each name from the last such field upwards (RFC 6376 §5.4.2)."""
        left: dict[str, list[Field]] = {}
        for item in self.fields:
            left.setdefault(item.name, []).append(item)
        return [left[name].pop() for name in names if left.get(name)]

    def in_their_order(self, chosen: Iterable[Field]) -> tuple[Field, ...]:
        """These fields of the mail in the order in which they stand there."""
        wanted = {id(item) for item in chosen}
        return tuple(item for item in self.fields if id(item) in wanted)


def canonical_field(item: Field, form: Form) -> bytes:
    """One field with its line end."""
    if form == "simple":
        return item.raw.removesuffix(b"\r") + _END
    name, _, value = item.raw.partition(b":")
    value = _BLANKS.sub(b" ", value.replace(b"\r\n", b"").replace(b"\n", b"").removesuffix(b"\r"))
    return name.strip().lower() + b":" + value.strip(b" ") + _END


def without_signature(item: Field) -> Field:
    """The signature's own field as it was signed: without the value of `b=`."""
    name, colon, value = item.raw.partition(b":")
    return Field(item.name, item.value, name + colon + _SIGNATURE_VALUE.sub(rb"\1", value, count=1))


def digest_of(signed: Iterable[Field], own: Field, form: Form) -> bytes:
    """SHA-256 of what a signature signs: the fields, and last its own field without its line end (RFC 6376 §3.7)."""
    digest = hashlib.sha256()
    for item in signed:
        digest.update(canonical_field(item, form))
    digest.update(canonical_field(without_signature(own), form).removesuffix(_END))
    return digest.digest()


def _simple_body(body: bytes) -> bytes:
    return _without_empty_lines_at_end(body) + _END


def _relaxed_body(body: bytes) -> bytes:
    body = body.replace(b"\t", b" ")
    while b"  " in body:
        body = body.replace(b"  ", b" ")
    body = _without_empty_lines_at_end(body.replace(b" \r\n", _END).removesuffix(b" "))
    return body + _END if body else b""


def _without_empty_lines_at_end(body: bytes) -> bytes:
    words = len(body.rstrip(_END))
    # Of the line ends at the end only whole ones are cut; a lone CR or LF is a character like any other.
    end = body[words:].replace(_END, b"\0\0").rstrip(b"\0")
    return body[: words + len(end)]
