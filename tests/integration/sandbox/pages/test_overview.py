"""The overview page."""

import httpx2


async def test_overview_and_readiness(client: httpx2.AsyncClient) -> None:
    overview = await client.get("/", headers={"accept-language": "de"})

    assert 'href="/buyer"' in overview.text
    assert "script" not in overview.headers["content-security-policy"]
    assert (await client.get("/livez")).text == "ok\n"
    assert (await client.get("/buyer")).status_code == 200
    assert (await client.get("/sandbox.css")).headers["content-type"].startswith("text/css")
