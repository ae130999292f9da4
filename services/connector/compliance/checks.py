"""What the running installation shows of a line: one look for each check that requirements.toml names.

Each says only what it has seen itself, in counts and times. What it cannot see it leaves to the operator to show.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from sqlalchemy import Row, text
from sqlalchemy.exc import SQLAlchemyError

from services.connector.doctor.findings import end_of_client_secret
from services.connector.keys import service as keys
from services.connector.keys.key_uses import is_any_overdue
from services.connector.privacy.limits import OVERDUE_AFTER
from services.connector.privacy.over import Ending
from services.connector.privacy.purge_service import Due, due
from services.connector.settings import ConnectorSettings
from shared.crypto.key_provider import KeyFileUnusable, KeyServiceUnavailable
from shared.crypto.key_source import KeySource
from shared.database import Sessions, is_unavailable
from shared.doctor.findings import Severity
from shared.process import key_file_cure
from shared.secure_defaults import unsafe


class State(StrEnum):
    """How a point stands. docs/compliance.md says what each word means."""

    OK = "ok"
    BUILT_IN = "built in"
    TO_DO = "to do"
    TO_SHOW = "to show"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen, and what it means."""

    state: State
    text: str


@dataclass(frozen=True, slots=True)
class Installation:
    """What the looks have before them: settings, database, the database's time, and what is over by then."""

    settings: ConnectorSettings
    sessions: Sessions
    now: datetime
    due: Mapping[Ending, Due]

    async def row(self, statement: str, **parameters: object) -> Row[Any]:
        """The one row of a SELECT."""
        async with self.sessions.reading() as reader:
            return (await reader.execute(text(statement), parameters)).one()


async def installation(settings: ConnectorSettings, sessions: Sessions) -> Installation:
    """Everything that several looks need, asked once. Raises what the database raises."""
    async with sessions.reading() as reader:
        now = (await reader.execute(text("SELECT now()"))).scalar_one()
    over = await due(sessions, now, messages_end_with_orders=settings.messages_end_with_orders)
    return Installation(settings, sessions, now, over)


def _ok(words: str) -> Evidence:
    return Evidence(State.OK, words)


def _to_do(words: str) -> Evidence:
    return Evidence(State.TO_DO, words)


def _to_show(words: str) -> Evidence:
    return Evidence(State.TO_SHOW, words)


# Who may sign in at present.
_PEOPLE: Final = (
    " FROM users u JOIN accounts a ON a.id = u.account_id"
    " WHERE u.disabled_at IS NULL AND u.removed_at IS NULL AND a.closed_at IS NULL"
)
# Whose password lets them in: where a provider of single sign-on is the only way, it asks for everything itself.
_WITH_PASSWORD: Final = (
    f"{_PEOPLE} AND u.password_hash IS NOT NULL"
    " AND NOT EXISTS (SELECT FROM oidc_providers o WHERE o.account_id = u.account_id AND o.is_only)"
)
_YEAR: Final = "now() - interval '12 months'"


async def people(at: Installation) -> Evidence:
    found = await at.row(f"SELECT count(*) AS people, count(DISTINCT u.account_id) AS accounts{_PEOPLE}")
    return _to_show(
        f"{found.people} people may sign in, in {found.accounts} accounts. Nothing here tells who has left."
    )


async def database_role(at: Installation) -> Evidence:
    found = await at.row(
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication AS may_too_much,"
        " pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = 'accounts'::regclass), 'USAGE') AS owns"
        " FROM pg_roles WHERE rolname = current_user"
    )
    if found.may_too_much or found.owns:
        return _to_do(
            "The user of REPLYCO_DATABASE_URL owns the tables or has rights over the server. Name the connector's own, replyco_connector."
        )
    return _ok(
        "The connector's database user owns no table and has no rights over the server. Other roles were not looked at."
    )


async def password_ages(at: Installation) -> Evidence:
    # A password is as old as its user, unless the audit log, which goes back for as long, tells of another one since.
    found = await at.row(
        f"SELECT count(*) AS people, count(*) FILTER (WHERE u.created_at < {_YEAR} AND NOT EXISTS (SELECT FROM audit_log l"  # noqa: S608 - our own words
        " WHERE l.account_id = u.account_id AND l.subject_id = u.id AND l.action IN ('password_changed', 'password_reset')"
        f" AND l.at >= {_YEAR})) AS old{_WITH_PASSWORD}"
    )
    if found.old:
        return _to_do(
            f"{found.old} of {found.people} passwords are older than 12 months. `users reset-password` makes a link for a new one."
        )
    return _ok(f"None of {found.people} passwords is older than 12 months.")


async def second_factors(at: Installation) -> Evidence:
    found = await at.row(
        "SELECT count(*) AS people, count(*) FILTER (WHERE u.totp_confirmed_at IS NULL"  # noqa: S608 - our own words
        " AND NOT EXISTS (SELECT FROM passkeys p WHERE p.user_id = u.id)) AS without,"
        " count(DISTINCT u.account_id) FILTER (WHERE a.second_factor <> 'everybody') AS lax"
        f"{_WITH_PASSWORD}"
    )
    if found.without:
        return _to_do(
            f"{found.without} of {found.people} people with a password have no second factor. Accounts demand one of everybody under "
            "*Einstellungen → Anmeldung*."
        )
    more = f" {found.lax} accounts do not demand it of everybody." if found.lax else ""
    return _ok(f"All {found.people} people with a password have a second factor.{more}")


async def api_keys(at: Installation) -> Evidence:
    found = await at.row(
        f"SELECT count(*) AS keys, count(*) FILTER (WHERE k.created_at < {_YEAR}) AS old FROM api_keys k"  # noqa: S608 - our own words
        " JOIN accounts a ON a.id = k.account_id"
        " WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()) AND a.closed_at IS NULL"
    )
    if found.old:
        return _to_do(
            f"{found.old} of {found.keys} API keys are older than 12 months. `api-keys list` shows them; have them replaced, then revoke them."
        )
    return _ok(f"None of {found.keys} API keys is older than 12 months. Their hashes alone are stored.")


async def client_secret(at: Installation) -> Evidence:
    found = await at.row(
        "SELECT greatest((SELECT max(expires_at) FROM application_secrets WHERE client_id = :client_id),"
        " (SELECT max(secret_ends_at) FROM application_notices WHERE client_id = :client_id)) AS ends_at",
        client_id=at.settings.amazon_client_id,
    )
    told = end_of_client_secret(found.ends_at, at.now)
    if found.ends_at is None:
        return _to_show(told.text)
    return Evidence(State.OK if told.severity in {Severity.OK, Severity.NOTE} else State.TO_DO, told.text)


async def encryption_keys(at: Installation) -> Evidence:
    try:
        source = KeySource.open(at.settings)
    except KeyFileUnusable as unusable:
        return _to_do(key_file_cure(unusable))
    try:
        uses = await keys.uses(at.sessions, source)
    except KeyServiceUnavailable as away:
        return _to_do(f"AWS KMS does not do what it is asked ({away.fields['reason']}).")
    finally:
        await source.close()
    ages = await keys.data_key_ages(at.sessions, at.now)
    if any(use.is_missing for use in uses):
        return _to_do(
            "The key file does not open everything that is sealed. `keys status` says what is missing."
        )
    if is_any_overdue(uses, ages, at.now):
        return _to_do(
            "Keys in use are older than 12 months, or nothing says how old they are. `keys status` names them with what to do."
        )
    made_at = source.made_at(source.current_id)
    wraps = "is kept by AWS KMS" if made_at is None else f"was made {made_at:%Y-%m-%d}"
    return _ok(
        f"The key that wraps {wraps}. Data keys of accounts: {ages.told}. Keys of other roles were not looked at."
    )


async def database_tls(at: Installation) -> Evidence:
    found = await at.row(
        "SELECT s.ssl, s.version, inet_server_addr() IS NULL OR inet_client_addr() = inet_server_addr() AS is_here"
        " FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()"
    )
    url = at.settings.database_url.get_secret_value()
    asked = dict(parse_qsl(urlsplit(url).query)).get("sslmode")
    is_unsafe = any("database_url" in rule.fields for rule in unsafe(at.settings))
    return database_transit(
        found.version if found.ssl else None, asked, is_here=found.is_here, is_unsafe=is_unsafe
    )


def database_transit(version: str | None, asked: str | None, *, is_here: bool, is_unsafe: bool) -> Evidence:
    """What a connection to PostgreSQL is worth. `version` of TLS and `is_here`: as PostgreSQL sees it; `asked`, `is_unsafe`: as the settings do."""
    if version in {"TLSv1.2", "TLSv1.3"}:
        return _ok(f"This connection to PostgreSQL uses {version}.")
    if version is not None:
        return _to_do(f"This connection to PostgreSQL uses {version}. Set ssl_min_protocol_version there.")
    if is_unsafe:
        return _to_do(
            "This connection to PostgreSQL is not encrypted. Add sslmode=verify-full to REPLYCO_DATABASE_URL."
        )
    if is_here and asked is None:
        return _ok(
            "REPLYCO_DATABASE_URL names this machine, and PostgreSQL sees this connection come from its own. A tunnel in between was not looked for."
        )
    return _to_show(
        "PostgreSQL itself sees no TLS on this connection. Whatever is in between, and how it goes on from there, was not looked at."
    )


async def public_tls(at: Installation) -> Evidence:
    if urlsplit(at.settings.public_url).scheme != "https":
        return _to_do("REPLYCO_PUBLIC_URL does not begin with https://.")
    return _to_show(
        "REPLYCO_PUBLIC_URL begins with https://. Which versions of TLS the proxy takes was not looked at."
    )


async def ended_orders(at: Installation) -> Evidence:
    return _ended(at, Ending.AUTHORIZATIONS, Ending.ORDERS, Ending.ORDER_REPORTS)


async def ended_personal(at: Installation) -> Evidence:
    evidence = _ended(at, Ending.ORDER_PERSONAL)
    found = await at.row(
        "SELECT count(*) AS longer FROM accounts WHERE longer_kept_days IS NOT NULL AND erased_at IS NULL"
    )
    if evidence.state is State.OK and found.longer:
        return _to_show(
            f"{evidence.text} {found.longer} accounts keep it longer, because a law demands it: have their reasons at hand."
        )
    return evidence


def _ended(at: Installation, *endings: Ending) -> Evidence:
    """Whether anything is still there more than a day after its end."""
    found = sum((at.due[each] for each in endings), Due())
    if found.oldest is not None and found.oldest < at.now - OVERDUE_AFTER:
        return _to_do(
            f"{found.count} are over and not gone, the oldest since {found.oldest:%Y-%m-%d}. See `privacy report`, then run `privacy purge`."
        )
    return _ok(
        f"Nothing is over for more than a day; {found.count} end with the next purge."
        if found.count
        else "Nothing is over."
    )


async def messages(at: Installation) -> Evidence:
    ended = _ended(
        at,
        Ending.CONVERSATIONS,
        Ending.MESSAGES,
        Ending.REPLIES,
        Ending.NOTES,
        Ending.DRAFTS,
        Ending.RAW_MAIL,
    )
    if ended.state is State.TO_DO:
        return ended
    found = await at.row("SELECT max(messages_kept_days) AS days FROM accounts WHERE erased_at IS NULL")
    if at.settings.messages_end_with_orders:
        return _ok(
            f"{ended.text} Mail about orders ends with them; other mail after {found.days or 0} days at most."
        )
    return Evidence(
        State.DIFFERS,
        f"{ended.text} Accounts keep mail for up to {found.days or 0} days after a conversation's last message, because it came to the seller's own address.",
    )


async def key_file(at: Installation) -> Evidence:
    for rule in unsafe(at.settings):
        if "key_file" in rule.fields:
            return _to_do(f"{rule.name}: {rule.text}.")
    try:
        source = KeySource.open(at.settings)
    except KeyFileUnusable as unusable:
        return _to_do(key_file_cure(unusable))
    await source.close()
    if at.settings.key_file is None:
        return _ok("There is no key file: AWS KMS wraps. Who may use its key there was not looked at.")
    return _ok(
        "The key file on this machine is its owner's alone, or root's and its group's. Other machines and copies were not looked at."
    )


async def key_service(at: Installation) -> Evidence:
    try:
        source = KeySource.open(at.settings)
    except KeyFileUnusable as unusable:
        return _to_do(key_file_cure(unusable))
    await source.close()
    if source.is_in_kms(source.current_id):
        return _ok("The key that wraps is one of AWS KMS. Who may use it there was not looked at.")
    return _to_show(
        "The keys that wrap are in a key file. How it is kept, who may read it, and where its copies are, was not looked at."
    )


async def production(at: Installation) -> Evidence:
    if at.settings.development or at.settings.amazon_base_url is not None:
        return _to_do(
            "This is an installation for development (REPLYCO_DEVELOPMENT, or the sandbox in Amazon's place): no real store belongs here."
        )
    return _ok("This installation speaks to Amazon itself, and refuses unsafe settings.")


async def logs_only_grow(at: Installation) -> Evidence:
    found = await at.row(
        "SELECT has_table_privilege('audit_log', 'UPDATE, DELETE, TRUNCATE') OR has_table_privilege('read_log', 'UPDATE, DELETE, TRUNCATE')"
        # By their ids, which begin with their time: no log is read through.
        " AS may_change, (SELECT at FROM audit_log ORDER BY id LIMIT 1) AS audit_since,"
        " (SELECT at FROM read_log ORDER BY id LIMIT 1) AS read_since"
    )
    if found.may_change:
        return _to_do(
            "The user of REPLYCO_DATABASE_URL may change the audit log or the read log. Name the connector's own, replyco_connector."
        )
    since = [
        f"the {name} log's first entry is from {at_:%Y-%m-%d}" if at_ else f"the {name} log is empty"
        for name, at_ in (("audit", found.audit_since), ("read", found.read_since))
    ]
    return _ok(f"The connector's database user can only add to both; {' and '.join(since)}.")


async def backups(at: Installation) -> Evidence:
    found = await at.row(
        "SELECT current_setting('archive_mode') <> 'off' AS archives, last_archived_time AS last,"
        " last_failed_time > coalesce(last_archived_time, '-infinity') AS fails FROM pg_stat_archiver"
    )
    if not found.archives:
        return _to_show(
            "PostgreSQL archives no log. Whether backups are made in another way is not known here."
        )
    if found.fails:
        return _to_do("PostgreSQL's last try to archive its log failed. See its log, and `backup.sh status`.")
    last = f"last at {found.last:%Y-%m-%d %H:%M} UTC" if found.last else "but has not yet"
    return _to_show(
        f"PostgreSQL archives its log, {last}. When a base backup was made, and whether one was restored, is not known here."
    )


CHECKS: Final[Mapping[str, Callable[[Installation], Awaitable[Evidence]]]] = {
    check.__name__: check
    for check in (
        people,
        database_role,
        password_ages,
        second_factors,
        api_keys,
        client_secret,
        encryption_keys,
        database_tls,
        public_tls,
        ended_orders,
        ended_personal,
        messages,
        key_file,
        key_service,
        production,
        logs_only_grow,
        backups,
    )
}


async def look(check: str, at: Installation) -> Evidence:
    """What one look has seen. If it fails, it says so, and the others go on. Raises what is in shared.database.UNAVAILABLE."""
    try:
        return await CHECKS[check](at)
    except SQLAlchemyError as error:
        if is_unavailable(error):
            raise
        return _to_do(
            f"It could not be looked at ({type(error).__name__}). `doctor` says whether tables and rights are as they must be."
        )
