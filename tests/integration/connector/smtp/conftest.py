"""A seller's SMTP server with aiosmtpd, and the connector that finds it by name."""

import asyncio
import dataclasses
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from fastapi import FastAPI
from pydantic import SecretStr

from services.connector.http.paths import API_PREFIX
from services.connector.settings import ConnectorSettings
from services.connector.smtp.checker import SmtpChecker
from shared.database import Sessions
from shared.outgoing.connections import OutgoingConnections
from shared.outgoing.smtp import SmtpServer
from shared.tables import Account, Integration, TlsMode
from tests.factories import make_integration
from tests.integration.mailrelay.certificates import CertificateFiles
from tests.integration.shared.outgoing.conftest import (
    HOST,
    certificate,
    names,
    outgoing,
    serve,
    server_context,
    strict,
)

__all__ = ["certificate", "names", "outgoing", "serve", "strict"]

USER, PASSWORD, SENDER = "shop", "canary-smtp-password", "shop@seller.example"


class SellersServer:
    """Takes mail from one user and one sender; keeps what it was told, and the mail that it should never get."""

    def __init__(self) -> None:
        self.port = 0
        self.hellos: list[str] = []
        self.senders: list[str] = []
        self.mails = 0

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.hellos.append(hostname)
        session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.senders.append(address)
        if address != SENDER:
            return "550 5.7.1 canary-banner you may not"
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.mails += 1
        return "250 OK"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        is_right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=is_right, handled=is_right)

    def configuration(
        self, *, tls_mode: TlsMode = TlsMode.STARTTLS, sender_address: str = SENDER, **other: Any
    ) -> tuple[SmtpServer, str]:
        values: dict[str, Any] = {
            "host": HOST,
            "port": self.port,
            "tls": tls_mode.value,
            "username": USER,
            "password": SecretStr(PASSWORD),
        }
        return SmtpServer(**values | other), sender_address

    def body(self, **other: Any) -> dict[str, Any]:
        return {
            "host": HOST,
            "port": self.port,
            "tls_mode": "starttls",
            "username": USER,
            "password": PASSWORD,
            "sender_address": SENDER,
        } | other


async def _started(certificate: CertificateFiles, *, mode: TlsMode) -> tuple[SellersServer, asyncio.Server]:
    handler, context = SellersServer(), server_context(certificate)
    loop = asyncio.get_running_loop()
    is_tls = mode is TlsMode.TLS

    def talk() -> SMTP:
        with warnings.catch_warnings():
            # aiosmtpd does not know of the TLS that it is wrapped in.
            warnings.simplefilter("ignore", UserWarning)
            return SMTP(
                handler,
                hostname=HOST,
                tls_context=None if is_tls else context,
                require_starttls=not is_tls,
                auth_required=True,
                auth_require_tls=not is_tls,
                authenticator=handler.authenticate,
                loop=loop,
            )

    server = await loop.create_server(talk, "127.0.0.1", 0, ssl=context if is_tls else None)
    handler.port = server.sockets[0].getsockname()[1]
    return handler, server


@pytest.fixture
async def sellers_server(certificate: CertificateFiles) -> AsyncIterator[SellersServer]:
    handler, server = await _started(certificate, mode=TlsMode.STARTTLS)
    yield handler
    server.close()


@pytest.fixture
async def sellers_tls_server(certificate: CertificateFiles) -> AsyncIterator[SellersServer]:
    handler, server = await _started(certificate, mode=TlsMode.TLS)
    yield handler
    server.close()


@pytest.fixture
def checker(outgoing: OutgoingConnections) -> SmtpChecker:
    return SmtpChecker(outgoing, "replyco.example", seconds=2)


@pytest.fixture
def settings(settings: ConnectorSettings, sellers_server: SellersServer) -> ConnectorSettings:
    return settings.model_copy(update={"outgoing_smtp_ports": f"465,587,2525,{sellers_server.port}"})


@pytest.fixture
def app(app: FastAPI, checker: SmtpChecker) -> FastAPI:
    app.state.connector = dataclasses.replace(app.state.connector, smtp_checker=checker)
    return app


@pytest.fixture
async def integration(sessions: Sessions, account: Account) -> Integration:
    async with sessions.begin() as session:
        return await make_integration(session, account.id)


@pytest.fixture
def url(integration: Integration) -> str:
    return f"{API_PREFIX}/integrations/{integration.id}/smtp-configuration"
