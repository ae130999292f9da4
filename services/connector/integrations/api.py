"""Routes: integrations and their setup steps."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from services.connector.dependencies import (
    AdminEditor,
    AdminViewer,
    Cursor,
    IfMatch,
    LanguageDep,
    Now,
    ReadingDep,
    SessionsDep,
    SettingsDep,
)
from services.connector.http.etags import etag_of
from services.connector.http.language import Language
from services.connector.http.paging import DEFAULT_PAGE, MAX_PAGE, decode_cursor, encode_cursor
from services.connector.http.reading import Reading
from services.connector.http.routers import api_router
from services.connector.integrations import lifecycle_service, service, without_api_service
from services.connector.integrations.check_texts import brief_of, disconnection_text, text_of
from services.connector.integrations.health import (
    ACTIONS,
    Action,
    Check,
    CheckState,
    checks_of,
    consent_expires_at,
    health_of,
    not_checked,
)
from services.connector.integrations.lifecycle_service import IntegrationChanges
from services.connector.integrations.not_checked_texts import NOT_CHECKED
from services.connector.integrations.queries import Detail, Done, Listed
from services.connector.integrations.schemas import (
    AdditionRequest,
    ChangeRequest,
    CheckAnswer,
    CountriesRequest,
    IntegrationAnswer,
    IntegrationCountry,
    IntegrationItem,
    IntegrationPage,
    ListState,
    NotCheckedAnswer,
    OrdersAnswer,
    ReasonAnswer,
    RestAnswer,
    RestorationRequest,
    StepAnswer,
    StepList,
    StepRequest,
    SummaryAnswer,
)
from services.connector.integrations.setup_steps import (
    Step,
    account_health_link,
    deep_link,
    manage_apps_link,
    messaging_permissions_link,
)
from services.connector.integrations.summary_texts import summary_text
from services.connector.integrations.sync_state import (
    orders_late_since,
    orders_status,
    sync_status,
    synced_at,
)
from services.connector.marketplaces.countries import country_name
from services.connector.settings import ConnectorSettings
from shared.tables import AfterGracePeriod, Lock, SetupStepName, Summary

router = api_router("integrations")


@router.get("/integrations", summary="List integrations")
async def list_integrations(
    *,
    caller: AdminViewer,
    sessions: SessionsDep,
    settings: SettingsDep,
    reading: ReadingDep,
    now: Now,
    state: Annotated[
        ListState,
        Query(description="Those that are connected, or those in their grace period after disconnecting."),
    ] = (ListState.CONNECTED),
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> IntegrationPage:
    """The connected stores, oldest first, each with its lock and its dates; or those in their grace period after disconnecting."""
    after = decode_cursor(cursor)[1] if cursor else None
    rows = await service.list_integrations(
        sessions, caller.account_id, in_grace_period=state is ListState.RESTING, limit=limit + 1, after=after
    )
    page = rows[:limit]
    return {
        "items": [_item(row, settings, reading, now) for row in page],
        "next_cursor": encode_cursor(None, page[-1].id) if len(rows) > limit else None,
    }


@router.post("/integrations", status_code=201, summary="Add a store without Amazon's API")
async def add_integration(
    *,
    body: AdditionRequest,
    caller: AdminEditor,
    sessions: SessionsDep,
    settings: SettingsDep,
    reading: ReadingDep,
    response: Response,
    now: Now,
) -> IntegrationAnswer:
    """Its address works at once and its orders stay at Amazon. `POST /authorizations` with its id authorizes it later."""
    detail = await without_api_service.add(
        sessions, caller, name=body.name, country=body.country, countries=body.countries, now=now
    )
    response.headers["ETag"] = etag_of(detail.listed.version)
    return _answer(detail, settings, reading, now)


@router.put("/integrations/{integration_id}/countries", summary="Say in which countries a store sells")
async def change_integration_countries(
    *,
    integration_id: UUID,
    body: CountriesRequest,
    caller: AdminEditor,
    sessions: SessionsDep,
    settings: SettingsDep,
    reading: ReadingDep,
    now: Now,
) -> IntegrationAnswer:
    """Of a store without Amazon's API: the guide and the lock go by them. Of any other, Amazon says it."""
    detail = await without_api_service.change_countries(sessions, caller, integration_id, body.countries, now)
    return _answer(detail, settings, reading, now)


@router.get("/integrations/{integration_id}", summary="Read an integration")
async def read_integration(
    *,
    integration_id: UUID,
    caller: AdminViewer,
    sessions: SessionsDep,
    settings: SettingsDep,
    reading: ReadingDep,
    response: Response,
    now: Now,
) -> IntegrationAnswer:
    """The integration with its countries, the checks behind the lock, and when the consent ends. ETag: the version for If-Match."""
    detail = await service.get_integration(sessions, caller.account_id, integration_id)
    response.headers["ETag"] = etag_of(detail.listed.version)
    return _answer(detail, settings, reading, now)


@router.patch("/integrations/{integration_id}", summary="Change an integration")
async def change_integration(
    *,
    integration_id: UUID,
    body: ChangeRequest,
    caller: AdminEditor,
    sessions: SessionsDep,
    settings: SettingsDep,
    reading: ReadingDep,
    response: Response,
    now: Now,
    if_match: IfMatch = None,
) -> IntegrationAnswer:
    """Name it, pause or resume it, give it to another owner.

    The first name brings the relay address; mail to it is accepted from that moment. If-Match guards against overwriting
    somebody else's change; without it the last change wins.
    """
    given = body.model_fields_set
    changes = IntegrationChanges(
        name=body.name if "name" in given else None,
        is_paused=body.paused if "paused" in given else None,
        owner_id=body.owner_id if "owner_id" in given else None,
    )
    detail = await lifecycle_service.change(
        sessions, caller, integration_id, changes, if_match=if_match, now=now
    )
    response.headers["ETag"] = etag_of(detail.listed.version)
    return _answer(detail, settings, reading, now)


@router.delete("/integrations/{integration_id}", summary="Disconnect a store")
async def disconnect_integration(
    *,
    integration_id: UUID,
    caller: AdminEditor,
    sessions: SessionsDep,
    settings: SettingsDep,
    language: LanguageDep,
    now: Now,
    data: Annotated[
        AfterGracePeriod,
        Query(description="What becomes of its conversations when the grace period is over."),
    ] = AfterGracePeriod.KEEP,
) -> RestAnswer:
    """The tokens are destroyed at once. For 30 days, its grace period, its mail is still accepted, and it can be restored.

    Then its address is retired for ever. Conversations stay readable unless they are to be deleted.
    """
    detail = await service.get_integration(sessions, caller.account_id, integration_id)
    rests_until = await lifecycle_service.disconnect(sessions, caller, integration_id, data, now)
    return RestAnswer(
        rests_until=rests_until,
        data_after_rest=data,
        text=disconnection_text(language, uses_api=detail.listed.uses_api),
        link=manage_apps_link(detail.listed.home_country, settings.amazon_base_url)
        if detail.listed.uses_api
        else None,
    )


@router.post("/integrations/{integration_id}/restoration", summary="Restore a disconnected store")
async def restore_integration(
    *,
    integration_id: UUID,
    body: RestorationRequest,
    caller: AdminEditor,
    sessions: SessionsDep,
    settings: SettingsDep,
    reading: ReadingDep,
    response: Response,
    now: Now,
) -> IntegrationAnswer:
    """Within its grace period. Name and address are as before, and mail that came meanwhile is delivered. Amazon has to be asked again."""
    detail = await lifecycle_service.restore(sessions, caller, integration_id, new_name=body.name, now=now)
    response.headers["ETag"] = etag_of(detail.listed.version)
    return _answer(detail, settings, reading, now)


@router.get("/integrations/{integration_id}/setup-steps", summary="List the setup steps")
async def list_setup_steps(
    integration_id: UUID,
    caller: AdminViewer,
    sessions: SessionsDep,
    settings: SettingsDep,
    language: LanguageDep,
) -> StepList:
    """What the seller does in Seller Central: the report columns once, the other steps for each country they sell in."""
    detail = await service.get_integration(sessions, caller.account_id, integration_id)
    return StepList(
        items=[
            _step(step, detail.done.get(step), settings, language, selling_country=detail.selling_country)
            for step in detail.steps
        ]
    )


@router.put("/integrations/{integration_id}/setup-steps/{step}/{country}", summary="Tick a setup step")
async def tick_setup_step(
    *,
    integration_id: UUID,
    step: SetupStepName,
    country: str,
    body: StepRequest,
    caller: AdminEditor,
    sessions: SessionsDep,
    settings: SettingsDep,
    language: LanguageDep,
    now: Now,
) -> StepAnswer:
    """Mark it as done or as open again; twice is the same as once."""
    wanted = Step(step, country)
    await service.tick_step(sessions, caller, integration_id, wanted, done=body.done, now=now)
    detail = await service.get_integration(sessions, caller.account_id, integration_id)
    selling_country = detail.selling_country
    return _step(wanted, detail.done.get(wanted), settings, language, selling_country=selling_country)


def _item(row: Listed, settings: ConnectorSettings, reading: Reading, now: datetime) -> IntegrationItem:
    return {
        "id": row.id,
        "source": row.source,
        "lock": {"state": row.lock, "since": row.lock_since},
        "summary": _summary(row.summary, row.summary_countries, row.worst_check, reading),
        "reason": _reason(row, settings, reading.language),
        "sync": {
            "status": sync_status(row, now),
            "at": synced_at(row, now),
            "orders": _orders(row, now),
        },
        "account": {"store_name": row.store_name, "seller_id_masked": _masked(row.seller_id)},
        "name": row.name,
        "region": row.region,
        "home_country": row.home_country,
        "uses_api": row.uses_api,
        "address": f"{row.local_part}@{settings.mail_domain}" if row.local_part else None,
        "last_message_at": row.last_message_at,
        "last_order_at": row.last_order_at,
        "created_at": row.created_at,
        "owner_id": row.owner_id,
        "paused_since": row.paused_at,
        "rests_until": row.rests_until,
        "data_after_rest": row.data_after_rest,
    }


def _summary(
    summary: Summary, countries: Sequence[str], worst_check: str | None, reading: Reading
) -> SummaryAnswer:
    text = summary_text(Summary(summary), tuple(countries), worst_check, reading)
    return {"code": summary, "text": text, "countries": list(countries)}


def _reason(row: Listed, settings: ConnectorSettings, language: Language) -> ReasonAnswer | None:
    code = row.worst_check
    if code is None:
        return None
    state = CheckState.RED if row.lock == Lock.RED else CheckState.AMBER
    text, action = brief_of(code, language, state), ACTIONS.get(code)
    return {
        "code": code,
        "state": state,
        "title": text.title,
        "cure": text.cure,
        "action": action,
        "link": _link(code, action, row.id, row.home_country, settings),
    }


def _orders(row: Listed, now: datetime) -> OrdersAnswer | None:
    if row.orders_known_until is None or row.history_until is None or row.order_count is None:
        return None
    return {
        "status": orders_status(row, now),
        "completed_at": row.orders_completed_at,
        "late_since": orders_late_since(row, now),
        "history": {
            "until": row.history_until,
            "count": row.order_count,
            "done": row.history_done_at is not None,
        },
    }


def _answer(
    detail: Detail, settings: ConnectorSettings, reading: Reading, now: datetime
) -> IntegrationAnswer:
    facts = detail.facts
    consented_at = facts.consented_at
    # Decided at this moment, as the checks are: of one answer no part contradicts another.
    health = health_of(facts, now)
    worst = health.worst.code if health.worst is not None else None
    listed = detail.listed._replace(
        lock=health.lock, summary=health.summary, summary_countries=list(health.countries), worst_check=worst
    )
    return {
        **_item(listed, settings, reading, now),
        "countries": [
            IntegrationCountry(
                country=c.country,
                name=country_name(c.country, reading.language),
                is_participating=c.is_participating,
                has_suspended_listings=c.has_suspended_listings,
            )
            for c in detail.countries
        ],
        "checks": [_check(check, detail, settings, reading) for check in checks_of(detail.facts, now)],
        "not_checked": [
            NotCheckedAnswer(code=code, title=NOT_CHECKED[code][reading.language])
            for code in not_checked(detail.facts, now)
        ],
        "consented_at": consented_at,
        "consent_expires_at": consent_expires_at(consented_at) if consented_at else None,
        "consent_withdrawn_at": (facts.refused_at or facts.revoked_at) if facts.revoked_at else None,
    }


def _check(check: Check, detail: Detail, settings: ConnectorSettings, reading: Reading) -> CheckAnswer:
    text = text_of(check, reading, address=detail.reply_address(settings.mail_domain))
    country = check.countries[0] if check.countries else detail.selling_country
    return CheckAnswer(
        code=check.code,
        state=check.state,
        since=check.since,
        who=check.who,
        title=text.title,
        text=text.text,
        cure=text.cure,
        action=check.action,
        link=_link(check.code, check.action, detail.listed.id, country, settings),
    )


def _link(
    code: str, action: Action | None, integration_id: UUID, country: str, settings: ConnectorSettings
) -> str | None:
    """Where the seller mends what a check has found: a page of ours, or of that country's Seller Central."""
    if code == "report_columns_missing":
        return deep_link(Step(SetupStepName.ORDER_REPORT_COLUMNS, country), settings.amazon_base_url)
    if action is Action.OPEN_SELLER_CENTRAL:
        return account_health_link(country, settings.amazon_base_url)
    if action is Action.APPROVE_SENDER:
        return messaging_permissions_link(country, settings.amazon_base_url)
    return f"{settings.public_url}/integrations/{integration_id}" if action is not None else None


def _step(
    step: Step, done: Done | None, settings: ConnectorSettings, language: Language, *, selling_country: str
) -> StepAnswer:
    # The columns are chosen once, wherever the seller may sign in; every other step is a country's own.
    is_once = step.name is SetupStepName.ORDER_REPORT_COLUMNS
    place = Step(step.name, selling_country) if is_once else step
    return StepAnswer(
        step=step.name,
        country=step.country,
        country_name=country_name(step.country, language),
        done=done is not None,
        done_at=done.at if done is not None else None,
        by_itself=done is not None and done.by_itself,
        url=deep_link(place, settings.amazon_base_url),
    )


def _masked(seller_id: str | None) -> str | None:
    """The seller id with its middle left out: enough to tell one's own stores apart."""
    return None if seller_id is None else f"{seller_id[:2]}…{seller_id[-3:]}"
