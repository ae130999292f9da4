"""The wheel of this working copy, built as for a release."""

import subprocess
from pathlib import Path

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the uv of the development environment, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [find_uv_bin(), "build", "--quiet", "--offline", "--wheel", "--out-dir", folder, ROOT], check=True
    )
    (built,) = folder.glob("*.whl")
    return built
