"""Routes: integrations and their setup steps."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from services.connector.countries import country_name
from services.connector.dependencies import AdminEditor, AdminViewer, LanguageOf, Now, SessionsOf, SettingsOf
from services.connector.integrations import service
from services.connector.integrations.check_texts import text_of
from services.connector.integrations.guide import Step, deep_link
from services.connector.integrations.health import Check, checks_of, consent_expires_at
from services.connector.integrations.queries import Detail, Listed
from services.connector.integrations.schemas import (
    CheckAnswer,
    IntegrationAnswer,
    IntegrationCountry,
    IntegrationItem,
    IntegrationPage,
    LockAnswer,
    NameRequest,
    StepAnswer,
    StepList,
    StepRequest,
    StoreAnswer,
    SyncAnswer,
)
from services.connector.language import Language
from services.connector.paging import DEFAULT_PAGE, MAX_PAGE, decode_cursor, encode_cursor
from services.connector.settings import ConnectorSettings
from shared.tables import SetupStepName

router = APIRouter(tags=["integrations"])


@router.get("/integrations", summary="List integrations")
async def list_integrations(
    caller: AdminViewer,
    sessions: SessionsOf,
    settings: SettingsOf,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> IntegrationPage:
    """The connected stores, oldest first, each with its lock and its dates."""
    after = decode_cursor(cursor)[1] if cursor else None
    rows = await service.list_integrations(sessions, caller.account_id, limit=limit + 1, after=after)
    page = rows[:limit]
    return IntegrationPage(
        items=[IntegrationItem(**_item(row, settings)) for row in page],
        next_cursor=encode_cursor(None, page[-1].id) if len(rows) > limit else None,
    )


@router.get("/integrations/{integration_id}", summary="Read an integration")
async def get_integration(
    *,
    integration_id: UUID,
    caller: AdminViewer,
    sessions: SessionsOf,
    settings: SettingsOf,
    language: LanguageOf,
    now: Now,
) -> IntegrationAnswer:
    """With its countries, the checks behind the lock, and when the consent ends."""
    detail = await service.get_integration(sessions, caller.account_id, integration_id)
    return _answer(detail, settings, language, now)


@router.patch("/integrations/{integration_id}", summary="Name an integration")
async def rename(
    *,
    integration_id: UUID,
    body: NameRequest,
    caller: AdminEditor,
    sessions: SessionsOf,
    settings: SettingsOf,
    language: LanguageOf,
    now: Now,
) -> IntegrationAnswer:
    """The first name brings the relay address; mail to it is accepted from that moment."""
    detail = await service.rename(sessions, caller, integration_id, body.name, now)
    return _answer(detail, settings, language, now)


@router.delete("/integrations/{integration_id}", status_code=204, summary="Disconnect a store")
async def disconnect(integration_id: UUID, caller: AdminEditor, sessions: SessionsOf, now: Now) -> None:
    """The tokens are destroyed and the address is retired at once. Conversations stay readable."""
    await service.disconnect(sessions, caller, integration_id, now)


@router.get("/integrations/{integration_id}/setup-steps", summary="List the setup steps")
async def list_setup_steps(
    integration_id: UUID,
    caller: AdminViewer,
    sessions: SessionsOf,
    settings: SettingsOf,
    language: LanguageOf,
) -> StepList:
    """What the seller does in Seller Central: the report columns once, the other steps for each country he sells in."""
    detail = await service.get_integration(sessions, caller.account_id, integration_id)
    return StepList(items=[_step(step, detail.done.get(step), settings, language) for step in detail.steps])


@router.put("/integrations/{integration_id}/setup-steps/{step}/{country}", summary="Tick a setup step")
async def tick_step(
    *,
    integration_id: UUID,
    step: SetupStepName,
    country: str,
    body: StepRequest,
    caller: AdminEditor,
    sessions: SessionsOf,
    settings: SettingsOf,
    language: LanguageOf,
    now: Now,
) -> StepAnswer:
    """Mark it as done or as open again; twice is the same as once."""
    wanted = Step(step, country)
    done_at = await service.tick_step(sessions, caller, integration_id, wanted, done=body.done, now=now)
    return _step(wanted, done_at, settings, language)


def _item(row: Listed, settings: ConnectorSettings) -> dict[str, Any]:
    return {
        "id": row.id,
        "source": row.source,
        "lock": LockAnswer.model_validate({"state": row.lock, "since": row.lock_since}),
        "sync": SyncAnswer.model_validate({"status": row.sync_status, "at": row.synced_at}),
        "account": StoreAnswer(store_name=row.store_name, seller_id_masked=_masked(row.seller_id)),
        "name": row.name,
        "region": row.region,
        "home_country": row.home_country,
        "address": f"{row.local_part}@{settings.mail_domain}" if row.local_part else None,
        "last_message_at": row.last_message_at,
        "last_order_at": row.last_order_at,
        "created_at": row.created_at,
    }


def _answer(
    detail: Detail, settings: ConnectorSettings, language: Language, now: datetime
) -> IntegrationAnswer:
    consented_at = detail.facts.consented_at
    return IntegrationAnswer(
        **_item(detail.listed, settings),
        countries=[
            IntegrationCountry(
                country=c.country,
                name=country_name(c.country, language),
                is_participating=c.is_participating,
                has_suspended_listings=c.has_suspended_listings,
            )
            for c in detail.countries
        ],
        checks=[_check(check, language) for check in checks_of(detail.facts, now)],
        consented_at=consented_at,
        consent_expires_at=consent_expires_at(consented_at) if consented_at else None,
    )


def _check(check: Check, language: Language) -> CheckAnswer:
    text = text_of(check, language)
    return CheckAnswer(
        code=check.code,
        state=check.state,
        since=check.since,
        who=check.who,
        title=text.title,
        text=text.text,
        cure=text.cure,
    )


def _step(
    step: Step, done_at: datetime | None, settings: ConnectorSettings, language: Language
) -> StepAnswer:
    return StepAnswer(
        step=step.name,
        country=step.country,
        country_name=country_name(step.country, language),
        done=done_at is not None,
        done_at=done_at,
        url=deep_link(step, settings.amazon_base_url),
    )


def _masked(seller_id: str) -> str:
    """Enough to tell one's own stores apart."""
    return f"{seller_id[:2]}…{seller_id[-3:]}"
