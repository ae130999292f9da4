"""The key that mails are signed with is kept in the state file."""

from pathlib import Path

from services.sandbox.app import create_app
from services.sandbox.settings import SandboxSettings
from tests.integration.sandbox.conftest import fixed_clock


async def test_the_key_outlives_a_restart(settings: SandboxSettings, tmp_path: Path) -> None:
    kept = settings.model_copy(update={"state_file": tmp_path / "sandbox.json"})
    first = create_app(kept, fixed_clock).state.sandbox.signing_key

    again = create_app(kept, fixed_clock).state.sandbox.signing_key

    assert again.to_pem() == first.to_pem()
