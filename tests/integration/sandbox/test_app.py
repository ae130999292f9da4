"""The bound of a body."""

import httpx2


async def test_large_body_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/control/mails", content=b"x" * (16 * 1024 * 1024 + 1))

    assert answer.status_code == 413
