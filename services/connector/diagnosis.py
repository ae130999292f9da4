"""What `doctor` looks at, and how it says what is wrong. It changes nothing and shows no value of a secret."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg
from alembic.config import Config
from alembic.script import ScriptDirectory

from services.connector.settings import ConnectorSettings
from shared.crypto.envelope import SealBroken
from shared.crypto.key_provider import KeyFile, KeyFileUnusable
from shared.database import asyncpg_dsn, create_engine, create_sessions
from shared.keyring import Keyring

_MIGRATIONS: Final = Path(__file__).parents[2] / "migrations"
_AMAZON_TOKENS: Final = "https://api.amazon.com"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    is_ok: bool
    text: str


async def examine(settings: ConnectorSettings) -> list[Finding]:
    """Everything that `serve` and `worker` need, in the order in which one would repair it."""
    findings = [Finding(is_ok=True, text="The settings are complete.")]
    keys, finding = _key_file(settings)
    findings += [finding, *await _database(settings, keys), await _amazon(settings)]
    return findings


def _key_file(settings: ConnectorSettings) -> tuple[KeyFile | None, Finding]:
    try:
        keys = KeyFile.load(settings.key_file)
    except KeyFileUnusable:
        return None, Finding(
            is_ok=False,
            text=f"{settings.key_file} is missing, unreadable or not a key file. Set REPLYCO_KEY_FILE to the file "
            "that `keys create` has written.",
        )
    return keys, Finding(is_ok=True, text="The key file is readable.")


async def _database(settings: ConnectorSettings, keys: KeyFile | None) -> list[Finding]:
    url = settings.database_url.get_secret_value()
    try:
        connection = await asyncpg.connect(asyncpg_dsn(url), timeout=5, command_timeout=5)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        return [
            Finding(
                is_ok=False,
                text=f"The database cannot be reached ({type(error).__name__}). Is PostgreSQL running, and does "
                "REPLYCO_DATABASE_URL name the right host, database, user and password?",
            )
        ]
    try:
        findings = [Finding(is_ok=True, text="The database answers."), await _migrated(connection)]
        account_id = (
            await connection.fetchval("SELECT id FROM accounts ORDER BY id DESC LIMIT 1")
            if findings[-1].is_ok
            else None
        )
    except (asyncpg.PostgresError, OSError, TimeoutError) as error:
        return [
            Finding(
                is_ok=False,
                text=f"The database refuses us its tables ({type(error).__name__}). Run `python -m migrations upgrade`.",
            )
        ]
    finally:
        connection.terminate()
    if keys is None or account_id is None:
        return findings

    engine = create_engine(url, application_name="connector-doctor", pool_size=1)
    try:
        async with create_sessions(engine).begin() as session:
            await Keyring(keys).of(session, account_id)
    except SealBroken:
        findings.append(
            Finding(
                is_ok=False,
                text="The key file does not open the keys of the accounts in this database: it belongs to another "
                "installation, or a key was removed from it.",
            )
        )
    else:
        findings.append(Finding(is_ok=True, text="The key file opens the accounts' keys."))
    finally:
        await engine.dispose()
    return findings


async def _migrated(connection: "asyncpg.Connection[asyncpg.Record]") -> Finding:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    newest = ScriptDirectory.from_config(config).get_current_head()
    try:
        current = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.InsufficientPrivilegeError:
        return Finding(
            is_ok=False,
            text="This role may not see the version of the tables. Run `python -m migrations upgrade`.",
        )
    except asyncpg.UndefinedTableError:
        current = None
    if current == newest:
        return Finding(is_ok=True, text="The tables are up to date.")
    return Finding(
        is_ok=False,
        text=f"The tables are at {current or 'nothing'}, this version needs {newest}. Run `python -m migrations upgrade`.",
    )


async def _amazon(settings: ConnectorSettings) -> Finding:
    """Only whether somebody listens there: no credential leaves this machine."""
    parts = urlsplit(settings.amazon_base_url or _AMAZON_TOKENS)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(5):
            _, writer = await asyncio.open_connection(host, port, ssl=parts.scheme == "https" or None)
    except (OSError, TimeoutError) as error:
        return Finding(
            is_ok=False,
            text=f"{host}:{port} cannot be reached ({type(error).__name__}). Is there a way out to it, and is its name resolved?",
        )
    writer.close()
    return Finding(is_ok=True, text=f"{host}:{port} can be reached.")
