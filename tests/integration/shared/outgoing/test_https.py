"""Requests to webhooks, over real sockets and real TLS."""

import asyncio
import ssl

import pytest

from shared.outgoing.connections import OutgoingConnections, OutgoingFailed
from shared.outgoing.hosts import HostInvalid, UrlInvalid
from tests.integration.shared.outgoing.conftest import HOST, Names, Serve

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
BODY = '{"kind":"integration.changed"}'


class Webhook:
    """Answers every request alike and keeps what it was sent."""

    def __init__(self, answer: bytes = OK) -> None:
        self.answer = answer
        self.requests: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head + await reader.readexactly(len(BODY)))
        writer.write(self.answer)
        await writer.drain()


async def _failure(outgoing: OutgoingConnections, url: str, seconds: float = 10) -> str:
    with pytest.raises(OutgoingFailed) as caught:
        await outgoing.https_post(url, BODY, {}, seconds=seconds)
    assert caught.value.fields == {"reason": caught.value.reason.value}
    return caught.value.reason.value


async def test_a_body_arrives_as_it_is_and_the_status_comes_back(outgoing: OutgoingConnections, serve: Serve):
    webhook = Webhook()
    port = await serve(webhook)

    status = await outgoing.https_post(f"https://{HOST}:{port}/in?a=b", BODY, {"webhook-id": "msg_1"})

    (request,) = webhook.requests
    assert status == 204
    assert request.startswith(b"POST /in?a=b HTTP/1.1\r\n")
    assert f"Host: {HOST}:{port}\r\n".encode() in request
    assert b"webhook-id: msg_1\r\n" in request
    assert request.endswith(b"\r\n\r\n" + BODY.encode())


async def test_a_redirect_is_an_answer_and_is_not_followed(
    outgoing: OutgoingConnections, names: Names, serve: Serve
):
    """# S: redirect to http://169.254.169.254"""
    webhook = Webhook(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\n\r\n")
    port = await serve(webhook)

    assert await outgoing.https_post(f"https://{HOST}:{port}/", BODY, {}) == 302
    assert len(webhook.requests) == 1
    assert names.asked == [HOST]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::a9fe:a9fe"],
        ["2002:7f00:1::"],
        ["100.64.0.1"],
        ["8.8.8.8", "10.0.0.1"],
        ["10.0.0.1", "8.8.8.8"],
    ],
)
async def test_a_name_with_any_address_that_is_not_public_fails_like_one_that_does_not_exist(
    strict: OutgoingConnections, names: Names, addresses: list[str]
):
    """# S: any of the A and AAAA records; names like 127.0.0.1.nip.io"""
    names.say("127.0.0.1.nip.example", addresses)

    refused, missing = await asyncio.gather(
        _failure(strict, "https://127.0.0.1.nip.example/"), _failure(strict, "https://missing.example/")
    )

    assert refused == missing == "dns"


async def test_a_refusal_takes_as_long_as_a_name_that_does_not_exist(
    strict: OutgoingConnections, names: Names
):
    """# S: constant-ish time"""
    loop = asyncio.get_running_loop()
    names.say("inner.example", ["10.0.0.1"])
    took = []
    for name in ("inner.example", "missing.example"):
        began = loop.time()
        assert await _failure(strict, f"https://{name}/") == "dns"
        took.append(loop.time() - began)

    assert min(took) > 0.95
    assert abs(took[0] - took[1]) < 0.3


async def test_what_is_checked_is_what_is_connected_to(
    outgoing: OutgoingConnections, names: Names, serve: Serve
):
    """# S: rebinding resolver: DNS is asked once for a connection, and anew for the next"""
    webhook = Webhook()
    port = await serve(webhook)
    names.say(HOST, ["127.0.0.1"], ["10.0.0.1"])

    assert await outgoing.https_post(f"https://{HOST}:{port}/", BODY, {}) == 204
    assert names.asked == [HOST]
    assert await _failure(outgoing, f"https://{HOST}:{port}/") == "dns"
    assert len(webhook.requests) == 1


async def test_the_certificate_must_be_of_the_name(outgoing: OutgoingConnections, names: Names, serve: Serve):
    """# S: TLS name mismatch"""
    webhook = Webhook()
    port = await serve(webhook)
    names.say("other.seller.example", ["127.0.0.1"])

    assert await _failure(outgoing, f"https://other.seller.example:{port}/") == "tls"
    assert webhook.requests == []


async def test_the_certificate_must_be_of_somebody_whom_we_trust(
    names: Names, serve: Serve, outgoing: OutgoingConnections
):
    port = await serve(Webhook())
    distrusting = OutgoingConnections(allowed=outgoing.allowed, webhook_ports={port}, resolve=names.resolve)

    assert await _failure(distrusting, f"https://{HOST}:{port}/") == "tls"


async def test_tls_1_1_is_not_spoken(outgoing: OutgoingConnections):
    """# S: TLS 1.2 at least"""
    assert outgoing.smtp_tls.minimum_version is ssl.TLSVersion.TLSv1_2


async def test_a_server_without_tls_is_told_nothing(outgoing: OutgoingConnections, serve: Serve):
    got = bytearray()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.extend(await reader.read(1000))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    port = await serve(plain, tls=False)

    assert await _failure(outgoing, f"https://{HOST}:{port}/") == "tls"
    assert b"POST" not in got


async def test_a_server_that_dribbles_is_given_up_in_time(outgoing: OutgoingConnections, serve: Serve):
    """# S: slow loris server"""

    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X")
            await writer.drain()
            await asyncio.sleep(0.05)

    port = await serve(dribble)
    began = asyncio.get_running_loop().time()

    assert await _failure(outgoing, f"https://{HOST}:{port}/", seconds=0.6) == "timeout"
    assert asyncio.get_running_loop().time() - began < 5


async def test_a_huge_answer_is_not_read(outgoing: OutgoingConnections, serve: Serve):
    """# S: 1 GB response body"""
    sent = 0

    async def huge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    port = await serve(huge)

    assert await outgoing.https_post(f"https://{HOST}:{port}/", BODY, {}) == 200
    assert sent < 50_000_000


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-OpenSSH_9.9\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000, b"\0" * 200_000],
)
async def test_an_answer_that_is_none_is_a_failed_connection(
    outgoing: OutgoingConnections, serve: Serve, answer: bytes
):
    port = await serve(Webhook(answer))

    assert await _failure(outgoing, f"https://{HOST}:{port}/") == "connect"


async def test_nobody_listening_is_a_failed_connection(outgoing: OutgoingConnections, serve: Serve):
    assert await _failure(outgoing, f"https://{HOST}:1/") == "connect"


@pytest.mark.parametrize("url", ["http://server.seller.example/", "https://u:p@server.seller.example/"])
async def test_only_plain_https_is_posted_to(outgoing: OutgoingConnections, url: str):
    with pytest.raises(UrlInvalid):
        await outgoing.https_post(url, BODY, {})


@pytest.mark.parametrize("host", ["[::ffff:10.0.0.1]", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1"])
async def test_a_literal_address_is_not_even_looked_up(strict: OutgoingConnections, names: Names, host: str):
    """# S: decimal and octal IP, [::ffff:10.0.0.1]"""
    with pytest.raises(HostInvalid):
        await strict.https_post(f"https://{host}/", BODY, {})
    assert names.asked == []


async def test_proxies_of_the_environment_are_not_asked(
    outgoing: OutgoingConnections, serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    for name in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    port = await serve(Webhook())

    assert await outgoing.https_post(f"https://{HOST}:{port}/", BODY, {}) == 204
