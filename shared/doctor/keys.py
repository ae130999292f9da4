"""The file with the accounts' keys, as `doctor` finds it."""

from uuid import UUID

from shared.crypto.envelope import SealBroken
from shared.crypto.key_provider import KeyFileUnusable, KeyServiceUnavailable
from shared.crypto.key_source import KeySource
from shared.database import create_engine, create_sessions
from shared.doctor.findings import Finding, note, ok, wrong
from shared.keyring import Keyring
from shared.process import key_file_cure
from shared.settings import KeySourceSettings


def key_source(settings: KeySourceSettings) -> tuple[KeySource | None, Finding]:
    """The keys, if they can be used."""
    try:
        keys = KeySource.open(settings)
    except KeyFileUnusable as unusable:
        if "needs" in unusable.fields:
            return None, wrong(key_file_cure(unusable))
        return None, wrong(
            f"{settings.key_file} is missing, unreadable or not a key file. Set REPLYCO_KEY_FILE to the file "
            "that `keys create` has written.",
        )
    if settings.key_file is None:
        return keys, note("There is no key file: AWS KMS holds the key-encryption keys.")
    return keys, ok("The key file is readable.")


async def opens_keys_of(database_url: str, keys: KeySource, account_id: UUID) -> Finding:
    """Whether the file is the one of this database. The caller has found the database to answer."""
    engine = create_engine(database_url, application_name="doctor", pool_size=1)
    try:
        await Keyring(keys).of(create_sessions(engine), account_id)
    except KeyServiceUnavailable as away:
        return wrong(
            f"AWS KMS does not do what it is asked ({away.fields['reason']}). Is it reachable from here, and may REPLYCO_KMS_ACCESS_KEY_ID use "
            "the key of REPLYCO_KMS_KEY?"
        )
    except SealBroken:
        return wrong(
            "The key file does not open the keys of the accounts in this database: it belongs to another "
            "installation, or a key was removed from it.",
        )
    finally:
        await engine.dispose()
        await keys.close()
    return ok(
        "The key file opens the accounts' keys." if keys.has_file else "AWS KMS opens the accounts' keys."
    )
