"""`keys rotate-data-keys` with short times, which says on its output how far it is, and may be killed at any line."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

from services.connector.keys.data_key_service import Times, change_data_keys
from shared.blobs import FolderBlobs
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions


def _say(told: str) -> None:
    print(told, flush=True)  # noqa: T201


async def run() -> None:
    engine = create_engine(os.environ["DATABASE_URL"], application_name="data-key-changer")  # noqa: TID251 - no role's
    learned_after = timedelta(seconds=float(os.environ["LEARNED_AFTER_SECONDS"]))  # noqa: TID251
    changed = await change_data_keys(
        create_sessions(engine),
        KeyFile.load(Path(os.environ["KEY_FILE"])),  # noqa: TID251
        FolderBlobs(Path(os.environ["BLOBS"])),  # noqa: TID251
        older_than=timedelta(days=300),
        rows_per_second=1_000,
        say=_say,
        times=Times(learned_after, timedelta(seconds=2), timedelta(days=1), 0.1),
    )
    _say(f"done {changed}")


if __name__ == "__main__":
    asyncio.run(run())
