"""Mails that are nearly right: samples with bytes flipped, cut, nested, repeated, parts swapped. A number makes the same mail again."""

import os
import re
import resource
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random  # noqa: TID251 - with a seed: what it makes can be made again

from services.mailrelay.delivery.parser_pool import PARSING_MEMORY_BYTES
from services.mailrelay.parsing.mail import parse_unguarded
from tests.contract.test_mail_samples import SAMPLES
from tests.faults.mailrelay.crowd import peak_mb
from tests.unit.mailrelay.parsing.test_any_bytes import check_bounds, check_shown

_OURS = Path(__file__).parents[3] / "mails"
_PROCESSES = 2
_MAX_BYTES = 1024 * 1024
# Of a process that parses, with all that tests import on top (some 200 MB, in a soak 300).
MAX_MB = 512
# Of the processor's time, whatever else the machine does; a few milliseconds are usual.
MAX_SECONDS = 5.0

# Each means something to a parser.
_SNIPPETS = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\x00", b"\xff\xfe", b"=\r\n", b"=?utf-8?B?", b"?=", b"=?x?Q?=C3?=", b"(", b")", b'"', b"<", b">",
    b"\r\nFrom: kim@marketplace.amazon.de\r\n", b"\r\nFrom: \xd0\xb0mazon <a@b>\r\n", b"\r\nSubject: ", b"\r\nDate: Mon, 99 Foo 2026 +9999\r\n",
    b"\r\nContent-Type: multipart/mixed; boundary=b1\r\n", b"\r\n--b1\r\n", b"\r\n--b1--\r\n", b"\r\nContent-Type: message/rfc822\r\n\r\n",
    b"\r\nContent-Type: text/html; charset=utf-16\r\n", b"; charset=iso-2022-jp", b"; name*0*=utf-8''%E2", b"; filename*=x'", b"\x1b$B",
    b"\r\nContent-Transfer-Encoding: base64\r\n", b"\r\nContent-Transfer-Encoding: quoted-printable\r\n", b"\r\nContent-Transfer-Encoding: 7bit\r\n",
    b"<pre>", b"</pre>", b"<script>", b"<svg><style>", b"<!--", b"&#x0;", b"<table>", b"-------------", b"302-1234567-7654321", b"ASIN: B0TEST0001",
    b"\r\n------------- Message: -------------\r\n", b"\r\n------------- End message -------------\r\n", b"\r\n> ", b"\r\nOn x wrote:\r\n>",
    "\u202e".encode(), "\U0001f600".encode(), "İ".encode(), b"\xe2\x80", b"Auto-Submitted: auto-replied\r\n", b"Action: failed\r\n", b"Status: 5.1.1\r\n",
]  # fmt: skip


def samples() -> list[bytes]:
    """Our own mails, and those of the folder `mail-samples` where there is one."""
    return [path.read_bytes() for folder in (_OURS, SAMPLES) for path in sorted(folder.glob("*.eml"))]


def mutated(seed: int, mails: Sequence[bytes]) -> bytes:
    """One mail, changed one to eight times."""
    random = Random(seed)
    mail = random.choice(mails)
    for _ in range(random.randint(1, 8)):
        mail = random.choice(_CHANGES)(random, mail, mails)[:_MAX_BYTES]
    return mail


def _flip(random: Random, mail: bytes, _mails: Sequence[bytes]) -> bytes:
    flipped = bytearray(mail)
    for _ in range(random.randint(1, 20) if flipped else 0):
        flipped[random.randrange(len(flipped))] ^= 1 << random.randrange(8)
    return bytes(flipped)


def _cut(random: Random, mail: bytes, _mails: Sequence[bytes]) -> bytes:
    start, end = _slice(random, mail)
    return random.choice((mail[:start], mail[end:], mail[:start] + mail[end:]))


def _repeat(random: Random, mail: bytes, _mails: Sequence[bytes]) -> bytes:
    start, end = _slice(random, mail)
    end = min(end, start + 2_000)
    return mail[:start] + mail[start:end] * random.choice((2, 3, 50)) + mail[end:]


def _insert(random: Random, mail: bytes, _mails: Sequence[bytes]) -> bytes:
    at = random.randint(0, len(mail))
    return mail[:at] + random.choice(_SNIPPETS) * random.choice((1, 1, 1, 2, 200)) + mail[at:]


def _nest(random: Random, mail: bytes, _mails: Sequence[bytes]) -> bytes:
    for level in range(random.choice((1, 2, 60))):
        kind = random.choice((b"mixed", b"alternative", b"related", b"report; report-type=delivery-status"))
        boundary = b"n%d" % level
        mail = (
            b"From: Kim <kim@marketplace.amazon.de>\r\nContent-Type: multipart/%s; boundary=%s\r\n\r\n--%s\r\n%s\r\n"
            % (kind, boundary, boundary, mail)
            + random.choice((b"", b"--%s--\r\n" % boundary))
        )
    return mail


def _splice(random: Random, mail: bytes, mails: Sequence[bytes]) -> bytes:
    other = random.choice(mails)
    return mail[: random.randint(0, len(mail))] + other[random.randint(0, len(other)) :]


def _swap_lines(random: Random, mail: bytes, _mails: Sequence[bytes]) -> bytes:
    lines = mail.split(b"\r\n")
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\r\n".join(lines)


def _swap_parts(random: Random, mail: bytes, _mails: Sequence[bytes]) -> bytes:
    parts = re.split(rb"(?<=\n)(?=--)", mail)
    random.shuffle(parts)
    return b"".join(parts)


def _mislabel(random: Random, mail: bytes, _mails: Sequence[bytes]) -> bytes:
    labels = [b"utf-8", b"iso-2022-jp", b"utf-16", b"base64", b"quoted-printable", b"text/html", b"text/plain", b"7bit", b"multipart/mixed"]  # fmt: skip
    return mail.replace(random.choice(labels), random.choice(labels), random.randint(1, 3))


_CHANGES: Sequence[Callable[[Random, bytes, Sequence[bytes]], bytes]] = (
    _flip,
    _cut,
    _repeat,
    _insert,
    _insert,
    _nest,
    _splice,
    _swap_lines,
    _swap_parts,
    _mislabel,
)


def _slice(random: Random, mail: bytes) -> tuple[int, int]:
    start = random.randint(0, len(mail))
    return start, min(len(mail), start + random.choice((1, 10, 100, 1_000)))


@dataclass(frozen=True)
class Tried:
    """What became of the mails, the longest time that one took (of the processor), and the memory at its highest."""

    kinds: Mapping[str, int]
    seconds: float
    mb: int


def try_mutations(first: int, count: int) -> Tried:
    """Parse mails number `first` and following under the parser's limit of memory. Raises AssertionError with the number of
    one that is not answered as it must be."""
    share = -(-count // _PROCESSES)
    with ProcessPoolExecutor(_PROCESSES, mp_context=get_context("spawn"), initializer=_limit_memory) as pool:
        parts = [
            pool.submit(_try, start, min(share, first + count - start))
            for start in range(first, first + count, share)
        ]
        tried = [part.result() for part in parts]
    kinds: Counter[str] = Counter()
    for part in tried:
        kinds.update(part.kinds)
    return Tried(kinds, max(part.seconds for part in tried), max(part.mb for part in tried))


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (PARSING_MEMORY_BYTES, PARSING_MEMORY_BYTES))


def _try(first: int, count: int) -> Tried:
    mails = samples()
    kinds: Counter[str] = Counter()
    slowest = 0.0
    for seed in range(first, first + count):
        raw = mutated(seed, mails)
        started = time.process_time()
        try:
            mail = parse_unguarded(raw)
            check_bounds(mail)
            check_shown(mail, raw)
        except Exception as error:
            raise AssertionError(f"mutated mail {seed}: {type(error).__name__}") from error
        seconds = time.process_time() - started
        assert seconds < MAX_SECONDS, f"mutated mail {seed} took {seconds:.1f} s"
        slowest = max(slowest, seconds)
        kinds[mail.kind.value] += 1
    # Not what getrusage says: that also remembers the process that started this one.
    return Tried(kinds, slowest, round(peak_mb(os.getpid())))
