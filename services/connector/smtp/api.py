"""Routes: a seller's own SMTP server."""

from datetime import datetime
from uuid import UUID

from fastapi import Response

from services.connector.dependencies import (
    AdminEditor,
    AdminViewer,
    IfMatch,
    KeyringDep,
    LanguageDep,
    Now,
    SessionsDep,
    SettingsDep,
    SmtpCheckerDep,
)
from services.connector.http.etags import etag_of
from services.connector.http.language import Language
from services.connector.http.routers import api_router
from services.connector.settings import ConnectorSettings
from services.connector.smtp import service
from services.connector.smtp.check_texts import text_of
from services.connector.smtp.schemas import SmtpAnswer, SmtpCheckAnswer, SmtpRequest
from shared.outgoing.addresses import networks
from shared.tables import SmtpCheck, SmtpConfiguration, TlsMode

router = api_router("integrations")

_PATH = "/integrations/{integration_id}/smtp-configuration"


@router.get(_PATH, summary="Read the SMTP configuration")
async def read_smtp_configuration(
    *,
    integration_id: UUID,
    caller: AdminViewer,
    response: Response,
    sessions: SessionsDep,
    language: LanguageDep,
) -> SmtpAnswer:
    """The seller's own server for replies, without its password; 404 if replies go through ours."""
    return _shown(await service.get(sessions, caller.account_id, integration_id), response, language)


@router.put(_PATH, summary="Store an SMTP configuration")
async def store_smtp_configuration(
    *,
    integration_id: UUID,
    body: SmtpRequest,
    caller: AdminEditor,
    response: Response,
    sessions: SessionsDep,
    keyring: KeyringDep,
    settings: SettingsDep,
    language: LanguageDep,
    now: Now,
    if_match: IfMatch = None,
) -> SmtpAnswer:
    """For advanced users: Amazon must know the sender address, too, and without the server replies are lost. Test it first.

    A new host, port or user name needs the password again (422 `password_required`).
    """
    stored = await service.put(
        sessions,
        keyring,
        caller,
        integration_id,
        _entered(body),
        rules=_rules(settings),
        if_match=if_match,
        now=now,
    )
    return _shown(stored, response, language)


@router.delete(_PATH, status_code=204, summary="Delete the SMTP configuration")
async def delete_smtp_configuration(
    integration_id: UUID, caller: AdminEditor, sessions: SessionsDep, if_match: IfMatch = None
) -> None:
    """The password is destroyed; replies go through our server."""
    await service.delete(sessions, caller, integration_id, if_match=if_match)


@router.post(f"{_PATH}/test", summary="Test an SMTP configuration")
async def check_smtp_configuration(
    *,
    integration_id: UUID,
    caller: AdminEditor,
    sessions: SessionsDep,
    keyring: KeyringDep,
    checker: SmtpCheckerDep,
    settings: SettingsDep,
    language: LanguageDep,
    now: Now,
    body: SmtpRequest | None = None,
) -> SmtpCheckAnswer:
    """Connects, checks TLS, signs in and names the sender, within ten seconds; sends no mail.

    Without a body the stored configuration is tested and the result kept with it; with one, that one, before it is stored.
    """
    result = await service.check_server(
        sessions,
        keyring,
        checker,
        caller,
        integration_id,
        entered=_entered(body) if body else None,
        rules=_rules(settings),
        now=now,
    )
    return _check(result, now, language)


def _entered(body: SmtpRequest) -> service.EnteredConfiguration:
    return service.EnteredConfiguration(
        body.host, body.port, body.tls_mode, body.username, body.password, body.sender_address
    )


def _rules(settings: ConnectorSettings) -> service.SmtpRules:
    return service.SmtpRules(settings.smtp_ports, networks(settings.outgoing_allowed_networks))


def _shown(stored: SmtpConfiguration, response: Response, language: Language) -> SmtpAnswer:
    response.headers["ETag"] = etag_of(stored.version)
    return SmtpAnswer(
        host=stored.host,
        port=stored.port,
        tls_mode=TlsMode(stored.tls_mode),
        username=stored.username,
        sender_address=stored.sender_address,
        check=_check(SmtpCheck(stored.check_result), stored.checked_at, language)
        if stored.check_result and stored.checked_at
        else None,
        updated_at=stored.updated_at,
    )


def _check(result: SmtpCheck, at: datetime, language: Language) -> SmtpCheckAnswer:
    text = text_of(result, language)
    return SmtpCheckAnswer(result=result, at=at, title=text.title, cure=text.cure)
