"""What is for operators is not to be had where browsers come."""

import httpx2
import pytest


@pytest.mark.parametrize("path", ["/status", "/status.html", "/metrics"])
async def test_the_public_port_tells_nothing_of_the_process(nobody: httpx2.AsyncClient, path: str):
    for accept in ("*/*", "text/html"):
        answer = await nobody.get(path, headers={"accept": accept})

        assert answer.status_code == 404
        assert "last_errors" not in answer.text
