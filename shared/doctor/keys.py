"""The file with the accounts' keys, as `doctor` finds it."""

from pathlib import Path
from uuid import UUID

from shared.crypto.envelope import SealBroken
from shared.crypto.key_provider import KeyFile, KeyFileUnusable
from shared.database import create_engine, create_sessions
from shared.doctor.findings import Finding, ok, wrong
from shared.keyring import Keyring


def key_file(path: Path) -> tuple[KeyFile | None, Finding]:
    """The keys, if they can be used."""
    try:
        keys = KeyFile.load(path)
    except KeyFileUnusable:
        return None, wrong(
            f"{path} is missing, unreadable or not a key file. Set REPLYCO_KEY_FILE to the file "
            "that `keys create` has written.",
        )
    return keys, ok("The key file is readable.")


async def opens_keys_of(database_url: str, keys: KeyFile, account_id: UUID) -> Finding:
    """Whether the file is the one of this database. The caller has found the database to answer."""
    engine = create_engine(database_url, application_name="doctor", pool_size=1)
    try:
        await Keyring(keys).of(create_sessions(engine), account_id)
    except SealBroken:
        return wrong(
            "The key file does not open the keys of the accounts in this database: it belongs to another "
            "installation, or a key was removed from it.",
        )
    finally:
        await engine.dispose()
    return ok("The key file opens the accounts' keys.")
