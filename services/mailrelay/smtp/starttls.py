"""STARTTLS (RFC 3207): the certificate, renewed while the relay runs, and the handshake."""

import asyncio
import math
import ssl
from asyncio.sslproto import SSLProtocol
from pathlib import Path
from typing import Final, Self

import structlog

from services.mailrelay.metrics import RelayMetrics
from services.mailrelay.settings import RelaySettings
from shared.crypto.certificate_chains import end_of_chain
from shared.errors import CannotStart

log = structlog.get_logger()

# How often the certificate files are checked for changes: two calls of stat.
_CHECK_SECONDS: Final = 1.0
# How long a client may take for TLS's close_notify at the end of an encrypted session.
_TLS_SHUTDOWN_SECONDS: Final = 5.0

# asyncio's read buffer for each encrypted connection, 256 KB by default: a thousand idle sessions would take 280 MB
# instead of 90. A TLS record has 16 KB.
SSLProtocol.max_size = 65_536


class CertificateUnusable(CannotStart):
    """The files that the settings name are no certificate chain with its private key."""


class HandshakeFailed(Exception):
    """The client broke off, took too long, or has no TLS in common with us; the connection is closed."""


class Certificate:
    """The certificate that handshakes use at the moment. Files that cannot be used change nothing, and are reported."""

    def __init__(self, certificate_file: Path, key_file: Path, metrics: RelayMetrics) -> None:
        self._certificate_file = certificate_file
        self._key_file = key_file
        self._metrics = metrics
        self._state = self._refused_state = self._state_of_files()
        try:
            self.context = self._load()
        except OSError as error:
            raise CertificateUnusable(
                "REPLYCO_TLS_CERTIFICATE_FILE and REPLYCO_TLS_KEY_FILE cannot be used together. "
                "Set them to a readable certificate chain and its private key, both PEM, the key without a password."
            ) from error

    @classmethod
    def configured(cls, settings: RelaySettings, metrics: RelayMetrics) -> Self | None:
        """The certificate that the settings name, or None where they name none. Raises CertificateUnusable."""
        if settings.tls_certificate_file is not None and settings.tls_key_file is not None:
            return cls(settings.tls_certificate_file, settings.tls_key_file, metrics)
        if settings.tls_certificate_file or settings.tls_key_file or settings.tls_required:
            raise CertificateUnusable("TLS needs both REPLYCO_TLS_CERTIFICATE_FILE and REPLYCO_TLS_KEY_FILE.")
        return None

    async def run(self) -> None:
        """Take new files into use as they appear, for ever."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            await asyncio.to_thread(self._renew)

    def _renew(self) -> None:
        # The state is taken before the files are read: what is written meanwhile is seen the next time.
        state = self._state_of_files()
        if state == self._state:
            # The old files may have been put back.
            self._refused_state = state
            self._metrics.certificate_broken.set(0)
            return
        try:
            self.context = self._load()
        except OSError as error:
            # Tried again every time (the process may have been short of files), reported once.
            if state != self._refused_state:
                self._refused_state = state
                self._metrics.certificate_broken.set(1)
                self._metrics.certificate_reloads.labels("failed").inc()
                log.warning("certificate_reload_failed", problem=type(error).__name__)
        else:
            self._state = self._refused_state = state
            self._metrics.certificate_broken.set(0)
            self._metrics.certificate_reloads.labels("done").inc()
            log.info("certificate_reloaded")

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # RFC 9325 §3.4: nothing needs it, and it makes us do work for nothing.
        context.options |= ssl.OP_NO_RENEGOTIATION
        # The password: OpenSSL would ask for it on the terminal.
        context.load_cert_chain(self._certificate_file, self._key_file, password="")
        end = end_of_chain(self._certificate_file.read_bytes())
        self._metrics.certificate_ends.set(math.nan if end is None else end.timestamp())
        return context

    def _state_of_files(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_state_of(path) for path in (self._certificate_file, self._key_file))


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


async def perform_handshake(
    protocol: asyncio.StreamReaderProtocol,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    context: ssl.SSLContext,
    *,
    timeout_seconds: float,
) -> str:
    """Encrypt the connection from here on, and return the TLS version. Raises HandshakeFailed."""
    loop = asyncio.get_running_loop()
    # What a man in the middle has put behind STARTTLS in plain text (CVE-2024-34083). Up to the moment where start_tls
    # takes the connection over nothing is awaited, so that nothing can come between.
    reader._buffer.clear()  # type: ignore[attr-defined]  # noqa: SLF001
    try:
        transport = await loop.start_tls(
            writer.transport,
            protocol,
            context,
            server_side=True,
            ssl_handshake_timeout=timeout_seconds,
            ssl_shutdown_timeout=_TLS_SHUTDOWN_SECONDS,
        )
    except OSError as error:
        raise HandshakeFailed from error
    if transport is None:  # closed by us meanwhile
        raise HandshakeFailed
    # There is no public way to give a stream another transport on the server's side.
    reader._transport = transport  # type: ignore[attr-defined]  # noqa: SLF001
    writer._transport = transport  # type: ignore[attr-defined]  # noqa: SLF001
    protocol._over_ssl = True  # type: ignore[attr-defined]  # noqa: SLF001
    return str(transport.get_extra_info("ssl_object").version())
