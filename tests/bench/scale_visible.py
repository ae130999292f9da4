"""Whether mail is visible as fast after two years and ten million mails as on the first day: `visible`, once on each."""

import asyncio
from typing import Final

import asyncpg

from deploy.demo.postgres import OWNER
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.bench import visible
from tests.bench.figures import Figure
from tests.bench.installation import installation
from tests.bench.scale_queue import MONTHS, load_mails
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address

DELIVERED: Final = 10_000_000
FIGURES: Final = ("visible_p50_ms", "visible_p99_ms", "pipeline_rate")


def measure() -> list[Figure]:
    """About ten minutes, and five gigabytes meanwhile."""
    first_day = _measure(delivered=0)
    after_years = _measure(delivered=DELIVERED)
    return [
        Figure(
            f"scale_{name}",
            after_years[name].unit,
            after_years[name].ours_runs,
            "an empty installation",
            first_day[name].ours_runs,
        )
        for name in FIGURES
    ]


def _measure(*, delivered: int) -> dict[str, Figure]:
    with installation() as (database, keys):
        if delivered:
            asyncio.run(_load(database, keys, delivered))
        return {figure.name: figure for figure in asyncio.run(visible.measure_on(database, keys))}


async def _load(database: Database, keys: Keys, delivered: int) -> None:
    engine = create_engine(database.url(OWNER), application_name="bench")
    async with create_sessions(engine).begin() as session:
        account = await make_account(session, Keyring(KeyFile.load(keys.key_file)))
        await make_relay_address(session, await make_integration(session, account.id), local_part="years")
    await engine.dispose()
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await load_mails(owner, delivered, months=MONTHS, due=0)
    await owner.close()
