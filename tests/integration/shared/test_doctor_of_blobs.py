"""What `doctor` says of the store of large mail, which may be no store at all."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from shared.doctor.blob_store import blob_findings
from shared.doctor.findings import Severity
from shared.settings import BlobSettings
from tests.processes import free_port

_MEMORY = Path("/dev/shm")


async def test_a_folder_that_is_not_there_is_never_all_right(tmp_path: Path):
    missing, found = tmp_path / "missing", tmp_path / "found"
    found.mkdir()

    [wrong] = await blob_findings(BlobSettings(blob_url=missing.as_uri()), in_development=True)
    [right] = await blob_findings(BlobSettings(blob_url=found.as_uri()), in_development=True)

    assert (wrong.severity, right.severity == Severity.WRONG) == (Severity.WRONG, False)
    assert f"{missing}, is not there" in wrong.text
    assert not missing.exists()


@pytest.mark.skipif(not _MEMORY.is_dir(), reason="this system has no folder in memory")
@pytest.mark.parametrize(("in_development", "severity"), [(False, Severity.WRONG), (True, Severity.WARNING)])
async def test_a_folder_in_memory_is_told(in_development: bool, severity: Severity):
    with TemporaryDirectory(dir=_MEMORY) as folder:
        found = await blob_findings(
            BlobSettings(blob_url=Path(folder).as_uri()), in_development=in_development
        )

    assert [each.severity for each in found] == [severity]
    assert "lies in memory" in found[0].text


async def test_a_bucket_that_cannot_be_listed_is_wrong_only_for_who_lists():
    bucket = BlobSettings(
        blob_url="s3://bucket",
        blob_endpoint=f"http://127.0.0.1:{free_port()}",
        blob_region="us-east-1",
        blob_access_key_id="x",
        blob_secret_access_key="canary",  # type: ignore[arg-type]  # as the environment has it
    )
    [lists] = await blob_findings(bucket, in_development=True)
    [writes] = await blob_findings(bucket, in_development=True, lists=False)

    assert (lists.severity, writes.severity) == (Severity.WRONG, Severity.WARNING)
    assert "canary" not in lists.text + writes.text
