"""The MTA-STS policy file, fetched as senders fetch it (RFC 8461 §3.3): over HTTPS, and no redirect is followed."""

import asyncio
import ssl
from typing import Final

import httpx2

from services.mailrelay.dns_setup.records import RecordCheck, RecordStatus, policy_file, policy_host

# RFC 8461 §3.3 suggests 64 KB, and a minute; here a person waits.
_SIZE_LIMIT_BYTES: Final = 65_536
_TIMEOUT_SECONDS: Final = 10


class _NoPolicy(Exception):
    """A policy that senders ignore; the text says why."""


async def check_policy(
    domain: str, hostname: str, address: str, *, port: int = 443, tls: ssl.SSLContext | None = None
) -> RecordCheck:
    """What a sender finds at the web server's address. `tls` names whom to trust in place of the machine's authorities."""
    record = policy_file(domain, hostname)
    name = policy_host(domain)
    url = record.name.replace(name, f"{address}:{port}", 1)
    try:
        async with (
            asyncio.timeout(_TIMEOUT_SECONDS),
            httpx2.AsyncClient(
                verify=tls or ssl.create_default_context(), trust_env=False, timeout=_TIMEOUT_SECONDS
            ) as client,
            client.stream(
                "GET",
                url,
                headers={"host": name, "accept-encoding": "identity"},
                extensions={"sni_hostname": name},
            ) as answer,
        ):
            if answer.status_code == httpx2.codes.NOT_FOUND:
                return RecordCheck(record, RecordStatus.MISSING)
            lines = (await _text(answer)).splitlines()
    except _NoPolicy as reason:
        return RecordCheck(record, RecordStatus.WRONG, (str(reason),))
    except (httpx2.HTTPError, OSError) as error:
        if _is_of_tls(error):
            return RecordCheck(record, RecordStatus.WRONG, (f"no valid certificate for {name}",))
        return RecordCheck(record, RecordStatus.UNCHECKED)
    return RecordCheck(
        record, RecordStatus.RIGHT if record.is_satisfied_by(lines) else RecordStatus.WRONG, tuple(lines)
    )


async def _text(answer: httpx2.Response) -> str:
    if answer.status_code != httpx2.codes.OK:
        raise _NoPolicy(f"an answer with status {answer.status_code}")
    if answer.headers.get("content-type", "").partition(";")[0].strip().lower() != "text/plain":
        raise _NoPolicy("an answer that is not text/plain")
    content = b""
    async for piece in answer.aiter_raw():
        content += piece
        if len(content) > _SIZE_LIMIT_BYTES:
            raise _NoPolicy(f"an answer of more than {_SIZE_LIMIT_BYTES} bytes")
    return content.decode("utf-8", "replace")


def _is_of_tls(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None
