"""Servers that a role needs, as `doctor` finds them from here."""

import asyncio

from shared.doctor.findings import Finding, ok, wrong

_SECONDS = 5.0


async def reachable(host: str, port: int, *, tls: bool) -> Finding:
    """Only whether somebody listens there: no credential leaves this machine."""
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=tls or None)
    except (OSError, TimeoutError) as error:
        return wrong(
            f"{host}:{port} cannot be reached ({type(error).__name__}). Is there a way out to it, and is its name resolved?",
        )
    writer.close()
    return ok(f"{host}:{port} can be reached.")
