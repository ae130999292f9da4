"""An operator's command that asks the database. Whoever asks none need not load what does: it takes longer than all the rest."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from shared.clock import ClocksDiffer
from shared.crypto.key_provider import KeyServiceUnavailable
from shared.database import STATEMENT_SECONDS, Sessions, create_engine, create_sessions, is_unavailable
from shared.database_cures import database_cure
from shared.process import FAILED, give_up
from shared.settings import CommonSettings

_Result = TypeVar("_Result")


def run_with_database(
    settings: CommonSettings,
    application_name: str,
    run: Callable[[Sessions], Awaitable[_Result]],
    *,
    statement_seconds: float = STATEMENT_SECONDS,
) -> _Result:
    """What `run(sessions)` returns, for an operator's command. If the database is away, or its clock another one, the process ends and says so."""

    async def connected() -> _Result:
        engine = create_engine(
            settings.database_url.get_secret_value(),
            application_name=application_name,
            statement_seconds=statement_seconds,
        )
        try:
            return await run(create_sessions(engine))
        finally:
            await engine.dispose()

    try:
        return asyncio.run(connected())
    except ClocksDiffer:
        give_up(
            "This machine's clock and PostgreSQL's are more than a minute apart, so nothing is destroyed because of its age. Set both by "
            "NTP, and run it once more.",
            code=FAILED,
        )
    except KeyServiceUnavailable as away:
        give_up(
            f"AWS KMS does not do what it is asked ({away.fields['reason']}). Is it reachable, and may the access key use the key? What was done "
            "until then stays done.",
            code=FAILED,
        )
    except Exception as error:
        cure = database_cure(error)
        if cure is None and not is_unavailable(error):
            raise
        give_up(cure or "The database cannot be reached. `doctor` says more.", code=FAILED)
