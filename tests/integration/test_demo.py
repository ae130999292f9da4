"""`make demo` on a machine where something is in the way."""

import asyncio
import socket
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]


async def test_a_taken_port_is_named_with_the_setting_that_moves_it(tmp_path: Path):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]

        code, output = await _demo(
            {"REPLYCO_SMTP_PORT": str(port), "REPLYCO_DATA_FOLDER": str(tmp_path / "data")}
        )

    assert code == 1
    assert f"Port {port} is taken. Set REPLYCO_SMTP_PORT to a free one." in output
    assert not (tmp_path / "data").exists()


async def test_every_wrong_setting_is_named_at_once(tmp_path: Path):
    code, output = await _demo(
        {
            "REPLYCO_PORT": "notaport",
            "REPLYCO_DEMO_PASSWORD": "short",
            "REPLYCO_DATA_FOLDER": str(tmp_path / "data"),
        }
    )

    assert code == 1
    assert "REPLYCO_PORT" in output
    assert "REPLYCO_DEMO_PASSWORD" in output
    assert "at least 12 characters" in output


async def _demo(environment: dict[str, str]) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.demo",
        cwd=_ROOT, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode, output.decode()
