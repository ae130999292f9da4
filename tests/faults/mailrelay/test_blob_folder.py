"""The folder of large mail is full, or may not be written to: the sender keeps its mail until it can be."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import Database, Keys
from tests.faults.mailrelay.counting import assert_nothing_lost
from tests.faults.mailrelay.load import Load, running


async def mount(*arguments: str) -> bool:
    done = await asyncio.to_thread(
        subprocess.run, ["/bin/mount", *arguments], capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.fixture
async def small_folder(tmp_path: Path) -> AsyncIterator[Keys]:
    """Keys whose blobs have a file system of their own, with room for some fifty mails."""
    keys = Keys.make(tmp_path)
    folder = str(keys.blob_folder)
    await asyncio.to_thread(keys.blob_folder.mkdir)
    if not await mount("-t", "tmpfs", "-o", "size=256k", "tmpfs", folder):
        pytest.skip("only root may mount a small file system")
    yield keys
    await asyncio.to_thread(subprocess.run, ["/bin/umount", "--lazy", folder], check=True)


async def test_a_full_folder_is_told_as_452_until_there_is_room_and_a_read_only_one_as_451_until_it_is_not(
    database: Database, small_folder: Keys, tmp_path: Path
):
    folder = str(small_folder.blob_folder)
    async with (
        running(database, small_folder, tmp_path / "log", inline_limit_bytes="1000") as relay,
        Load(relay.port, clients=10, pause_seconds=0.02) as load,
    ):
        await load.more("data 452", 20)
        assert await mount("-o", "remount,size=100m", folder)
        await load.more("data 250", 30)
        assert load.codes["data 451"] == 0
        async with asyncio.timeout(20):
            while not await mount("-o", "remount,ro", folder):
                pass  # refused while a file is being written
        await load.more("data 451", 20)
        assert await mount("-o", "remount,rw", folder)
        await load.more("data 250", 30)

    await assert_nothing_lost("blob folder full, then read-only", database, small_folder, load)
