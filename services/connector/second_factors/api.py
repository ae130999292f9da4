"""Routes: one's own second factors, and what an account demands of those who sign in."""

from uuid import UUID

from services.connector.dependencies import (
    AdminPerson,
    AdminViewer,
    KeyringDep,
    Now,
    SessionsDep,
    SettingsDep,
    SettingUpPerson,
)
from services.connector.http.routers import api_router
from services.connector.second_factors import security_service, service
from services.connector.second_factors.passkeys import RelyingParty
from services.connector.second_factors.schemas import (
    CodeRequest,
    NewAuthenticatorAnswer,
    NewPasskeyAnswer,
    OptionsAnswer,
    PasskeyAnswer,
    PasskeyNameRequest,
    PasskeyRequest,
    RecoveryCodesAnswer,
    SecondFactorAnswer,
    SecurityAnswer,
    SecurityRequest,
)
from shared.tables import Passkey

router = api_router("accounts")


@router.get("/me/second-factor", summary="One's own second factors")
async def read_second_factor(caller: SettingUpPerson, sessions: SessionsDep) -> SecondFactorAnswer:
    """What one has beside the password. Neither keys nor codes are told again."""
    found = await service.overview(sessions, caller)
    return SecondFactorAnswer(
        is_required=found.is_required,
        has_password=found.has_password,
        has_company_account=found.has_company_account,
        is_company_account_only=found.is_company_account_only,
        authenticator_since=found.factors.totp_confirmed_at,
        passkeys=[_passkey(row) for row in found.factors.passkeys],
        recovery_codes_left=found.factors.recovery_codes,
    )


@router.post("/me/authenticator", status_code=201, summary="Begin to set up an authenticator app")
async def begin_authenticator(
    caller: SettingUpPerson, sessions: SessionsDep, keyring: KeyringDep, now: Now
) -> NewAuthenticatorAnswer:
    """The key is good when a first code of it was sent, within ten minutes. An app from before goes on until then."""
    made = await service.begin_app(sessions, keyring, caller, now)
    return NewAuthenticatorAnswer(key=made.text, uri=made.uri, picture=made.picture)


@router.put("/me/authenticator", summary="Confirm an authenticator app")
async def confirm_authenticator(
    body: CodeRequest, caller: SettingUpPerson, sessions: SessionsDep, keyring: KeyringDep, now: Now
) -> RecoveryCodesAnswer:
    """With its first code. Whoever has no recovery codes gets them now."""
    return RecoveryCodesAnswer(
        recovery_codes=await service.confirm_app(sessions, keyring, caller, body.code, now)
    )


@router.delete("/me/authenticator", status_code=204, summary="Remove an authenticator app")
async def remove_authenticator(caller: SettingUpPerson, sessions: SessionsDep, now: Now) -> None:
    """Its codes are good no more."""
    await service.remove_app(sessions, caller, now)


@router.post("/me/passkeys/options", summary="Begin to add a passkey")
async def begin_passkey(
    caller: SettingUpPerson, sessions: SessionsDep, settings: SettingsDep, now: Now
) -> OptionsAnswer:
    """What the browser makes a passkey of, within ten minutes."""
    party = RelyingParty.at(settings.public_url)
    return OptionsAnswer(options=await service.begin_passkey(sessions, party, caller, now))


@router.post("/me/passkeys", status_code=201, summary="Add a passkey")
async def add_passkey(
    body: PasskeyRequest, caller: SettingUpPerson, sessions: SessionsDep, settings: SettingsDep, now: Now
) -> NewPasskeyAnswer:
    """It is a second factor, and where the device knows its owner, a whole sign-in. Whoever has no recovery codes gets them now."""
    row, codes = await service.add_passkey(
        sessions,
        RelyingParty.at(settings.public_url),
        caller,
        name=body.name,
        credential=body.credential,
        now=now,
    )
    return NewPasskeyAnswer(passkey=_passkey(row), recovery_codes=codes)


@router.patch("/me/passkeys/{passkey_id}", summary="Rename a passkey")
async def rename_passkey(
    passkey_id: UUID, body: PasskeyNameRequest, caller: SettingUpPerson, sessions: SessionsDep
) -> PasskeyAnswer:
    """By its name somebody knows which device it is."""
    return _passkey(await service.rename_passkey(sessions, caller, passkey_id, body.name))


@router.delete("/me/passkeys/{passkey_id}", status_code=204, summary="Remove a passkey")
async def remove_passkey(passkey_id: UUID, caller: SettingUpPerson, sessions: SessionsDep, now: Now) -> None:
    """It lets nobody in any more."""
    await service.remove_passkey(sessions, caller, passkey_id, now)


@router.post("/me/recovery-codes", status_code=201, summary="Make recovery codes anew")
async def renew_recovery_codes(
    caller: SettingUpPerson, sessions: SessionsDep, now: Now
) -> RecoveryCodesAnswer:
    """Ten codes, each good once. Those from before are good no more."""
    return RecoveryCodesAnswer(recovery_codes=await service.renew_recovery_codes(sessions, caller, now))


@router.get("/account/security", summary="What the account demands of those who sign in")
async def read_account_security(caller: AdminViewer, sessions: SessionsDep) -> SecurityAnswer:
    """Who has to have a second factor, and how long admins stay signed in."""
    return _security(await security_service.read_rules(sessions, caller))


@router.patch("/account/security", summary="Change what the account demands of those who sign in")
async def change_account_security(
    body: SecurityRequest, caller: AdminPerson, sessions: SessionsDep, now: Now
) -> SecurityAnswer:
    """It holds at once, for sessions that have begun already, too: whoever lacks a second factor now may do nothing but set one up."""
    rules = await security_service.change_rules(
        sessions,
        caller,
        second_factor=body.second_factor,
        admin_session_hours=body.admin_session_hours,
        admin_idle_minutes=body.admin_idle_minutes,
        now=now,
    )
    return _security(rules)


@router.delete("/users/{user_id}/second-factor", status_code=204, summary="Reset a colleague's second factor")
async def reset_second_factor(user_id: UUID, caller: AdminPerson, sessions: SessionsDep, now: Now) -> None:
    """For whoever has lost it: their app, passkeys and recovery codes go, and their sessions end. They are told by mail."""
    await security_service.reset(sessions, caller, user_id, now)


def _passkey(row: Passkey) -> PasskeyAnswer:
    return PasskeyAnswer(id=row.id, name=row.name, created_at=row.created_at, last_used_at=row.last_used_at)


def _security(rules: security_service.SecurityRules) -> SecurityAnswer:
    return SecurityAnswer(
        second_factor=rules.second_factor,
        admin_session_hours=rules.admin_session_hours,
        admin_idle_minutes=rules.admin_idle_minutes,
    )
