"""Who is believed about a client's address, and who is only named in the log."""

from ipaddress import ip_network
from typing import Any

from structlog.testing import capture_logs

from services.connector.http.forwarded_addresses import ForwardedAddresses


async def _seen(application: ForwardedAddresses, peer: str, *, forwarded: bytes | None = b"192.0.2.7") -> Any:
    """The address that the application behind it sees."""
    headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded)]
    scope = {"type": "http", "headers": headers, "client": (peer, 4711), "scheme": "http"}
    await application(scope, None, None)
    return scope["client"][0]


def _application(*proxies: str) -> ForwardedAddresses:
    async def answer(_scope: Any, _receive: Any, _send: Any) -> None:
        return

    return ForwardedAddresses(answer, [ip_network(proxy) for proxy in proxies])


async def test_a_trusted_proxy_tells_the_address_and_is_not_logged():
    application = _application("10.0.0.5")
    with capture_logs() as logs:
        seen = await _seen(application, "10.0.0.5")

    assert (seen, logs) == ("192.0.2.7", [])


async def test_a_forgotten_proxy_changes_nothing_and_is_logged_once():
    for application in (_application("10.0.0.5"), _application()):
        with capture_logs() as logs:
            seen = [await _seen(application, peer) for peer in ("10.0.0.6", "10.0.0.6", "10.0.0.7")]

        assert seen == ["10.0.0.6", "10.0.0.6", "10.0.0.7"]
        assert [(each["event"], each["peer"]) for each in logs] == [("forwarded_address_ignored", "private")]


async def test_a_crowd_of_strangers_fills_no_log_and_hides_no_proxy():
    application = _application("10.0.0.5")
    with capture_logs() as logs:
        for number in range(200):
            await _seen(application, f"198.51.{number}.1" if number % 2 else f"2a00:{number:x}::1")
        await _seen(application, "127.0.0.1")

    # The addresses of documentation are private to Python.
    assert sorted(each["peer"] for each in logs) == ["private", "public"]
    assert "2a00" not in str(logs)


async def test_without_the_header_nothing_is_logged():
    with capture_logs() as logs:
        assert await _seen(_application(), "10.0.0.6", forwarded=None) == "10.0.0.6"

    assert logs == []
