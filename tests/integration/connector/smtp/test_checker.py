"""Tests of sellers' SMTP servers, against real ones, good and bad."""

import asyncio
from uuid import uuid4

import pytest
from pydantic import SecretStr

from services.connector.smtp.checker import SmtpChecker, SmtpTestsBusy
from shared.outgoing.connections import OutgoingConnections
from shared.tables import SmtpCheck, TlsMode
from tests.integration.connector.smtp.conftest import PASSWORD, SENDER, SellersServer
from tests.integration.shared.outgoing.conftest import HOST, Names, Serve

_ACCOUNT = uuid4()
GREETING = b"220 server.seller.example ESMTP canary-banner\r\n"


async def test_a_server_with_starttls_works_and_gets_no_mail(
    checker: SmtpChecker, sellers_server: SellersServer
):
    assert await checker.check(_ACCOUNT, *sellers_server.configuration()) is SmtpCheck.OK

    assert sellers_server.senders == [SENDER]
    assert set(sellers_server.hellos) == {"replyco.example"}
    assert sellers_server.mails == 0


async def test_a_server_with_tls_from_the_first_byte_works(
    checker: SmtpChecker, sellers_tls_server: SellersServer
):
    configuration = sellers_tls_server.configuration(tls_mode=TlsMode.TLS)

    assert await checker.check(_ACCOUNT, *configuration) is SmtpCheck.OK


async def test_a_wrong_password_is_told(checker: SmtpChecker, sellers_server: SellersServer):
    configuration = sellers_server.configuration(password=SecretStr("other"))

    assert await checker.check(_ACCOUNT, *configuration) is SmtpCheck.AUTH
    assert sellers_server.senders == []


async def test_a_sender_that_the_server_does_not_want_is_told(
    checker: SmtpChecker, sellers_server: SellersServer
):
    configuration = sellers_server.configuration(sender_address="other@seller.example")

    assert await checker.check(_ACCOUNT, *configuration) is SmtpCheck.REJECTED


async def test_the_wrong_tls_mode_is_told(
    checker: SmtpChecker, sellers_server: SellersServer, sellers_tls_server: SellersServer
):
    assert await checker.check(_ACCOUNT, *sellers_server.configuration(tls_mode=TlsMode.TLS)) is SmtpCheck.TLS
    # The server waits for a handshake, and we for its greeting.
    assert await checker.check(_ACCOUNT, *sellers_tls_server.configuration()) is SmtpCheck.TIMEOUT


@pytest.mark.parametrize("mode", list(TlsMode))
async def test_the_certificate_must_be_of_the_name(
    checker: SmtpChecker,
    names: Names,
    sellers_server: SellersServer,
    sellers_tls_server: SellersServer,
    mode: TlsMode,
):
    """# S: SMTP server whose certificate is of another name"""
    names.say("other.seller.example", ["127.0.0.1"])
    server = sellers_tls_server if mode is TlsMode.TLS else sellers_server

    result = await checker.check(_ACCOUNT, *server.configuration(host="other.seller.example", tls_mode=mode))

    assert result is SmtpCheck.TLS
    assert server.senders == []


async def test_starttls_that_was_stripped_ends_the_test_and_no_password_is_sent(
    checker: SmtpChecker, serve: Serve, sellers_server: SellersServer
):
    """# S: STARTTLS stripping"""
    heard = bytearray()

    async def stripped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        while line := await reader.readline():
            heard.extend(line)
            is_hello = line.upper().startswith((b"EHLO", b"HELO"))
            writer.write(b"250-server\r\n250 AUTH PLAIN LOGIN\r\n" if is_hello else b"250 OK\r\n")

    port = await serve(stripped, tls=False)

    assert await checker.check(_ACCOUNT, *sellers_server.configuration(port=port)) is SmtpCheck.TLS
    assert b"AUTH" not in heard
    assert b"MAIL" not in heard


async def test_what_is_slipped_in_before_tls_is_not_believed(
    checker: SmtpChecker, serve: Serve, sellers_server: SellersServer
):
    """# S: answers injected before the TLS handshake"""

    async def injecting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        await reader.readline()
        writer.write(b"250-server\r\n250 STARTTLS\r\n")
        await reader.readline()
        writer.write(b"220 go\r\n250-server\r\n250 AUTH PLAIN\r\n235 welcome\r\n250 OK\r\n")
        await reader.read(10_000)

    port = await serve(injecting, tls=False)

    result = await checker.check(_ACCOUNT, *sellers_server.configuration(port=port))

    assert result in {SmtpCheck.TLS, SmtpCheck.TIMEOUT}


@pytest.mark.parametrize(
    "greeting",
    [
        b"554 5.7.1 canary-banner go away\r\n",
        b"HTTP/1.1 400 canary-banner\r\n\r\n",
        b"",
        b"220-" + b"x" * 100_000,
        b"220-x\r\n" * 20_000,
        b"\0\xff" * 50 + b"\r\n",
    ],
)
async def test_a_server_that_is_none_is_told_as_a_class(
    checker: SmtpChecker,
    serve: Serve,
    sellers_server: SellersServer,
    greeting: bytes,
    capsys: pytest.CaptureFixture[str],
):
    """# S: no banner text: neither in the answer nor in the logs"""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await writer.drain()

    port = await serve(talk, tls=False)

    result = await checker.check(_ACCOUNT, *sellers_server.configuration(port=port))

    assert result is (SmtpCheck.REJECTED if greeting.startswith(b"554") else SmtpCheck.CONNECT)
    seen = "".join(capsys.readouterr())
    assert "canary" not in seen
    assert PASSWORD not in seen


async def test_a_server_that_dribbles_is_given_up_in_time(
    outgoing: OutgoingConnections, serve: Serve, sellers_server: SellersServer
):
    """# S: slow loris SMTP server; a limit for the whole, not for each answer"""

    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Each answer comes within the time that there is for one, both together do not.
        for answer in (b"220 mail.example\r\n", b"250 mail.example\r\n"):
            await asyncio.sleep(0.4)
            writer.write(answer)
            await reader.readline()

    port = await serve(dribble, tls=False)
    began = asyncio.get_running_loop().time()

    result = await SmtpChecker(outgoing, "replyco.example", seconds=0.5).check(
        _ACCOUNT, *sellers_server.configuration(port=port)
    )

    assert result is SmtpCheck.TIMEOUT
    assert asyncio.get_running_loop().time() - began < 5


async def test_nobody_listening_is_told(checker: SmtpChecker, sellers_server: SellersServer):
    assert await checker.check(_ACCOUNT, *sellers_server.configuration(port=1)) is SmtpCheck.CONNECT


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "100.64.0.1"]
)
async def test_a_name_that_leads_inside_is_told_like_one_that_does_not_exist(
    strict: OutgoingConnections, names: Names, sellers_server: SellersServer, address: str
):
    """# S: SMTP hosts like 127.0.0.1.nip.io, mapped, NAT64, 6to4, CGNAT"""
    names.say("127.0.0.1.nip.example", ["8.8.8.8", address])
    checker = SmtpChecker(strict, "replyco.example")

    inside, missing = await asyncio.gather(
        checker.check(_ACCOUNT, *sellers_server.configuration(host="127.0.0.1.nip.example")),
        checker.check(_ACCOUNT, *sellers_server.configuration(host="missing.example")),
    )

    assert inside is SmtpCheck.DNS
    assert missing is SmtpCheck.DNS
    assert sellers_server.hellos == []


async def test_every_test_looks_the_name_up_once_and_anew(
    checker: SmtpChecker, names: Names, sellers_server: SellersServer
):
    """# S: validated again at every use (DNS rebinding)"""
    names.say(HOST, ["127.0.0.1"], ["10.0.0.1"])

    assert await checker.check(_ACCOUNT, *sellers_server.configuration()) is SmtpCheck.OK
    assert names.asked == [HOST]
    assert await checker.check(_ACCOUNT, *sellers_server.configuration()) is SmtpCheck.DNS


async def test_a_process_tests_only_so_many_servers_at_once(
    outgoing: OutgoingConnections,
    serve: Serve,
    sellers_server: SellersServer,
):
    """# S: bounded concurrency"""
    checker = SmtpChecker(outgoing, "replyco.example", seconds=5, max_at_a_time=2)
    arrived, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.release()
        await go_on.wait()

    configuration = sellers_server.configuration(port=await serve(slow, tls=False))
    running = [asyncio.create_task(checker.check(uuid4(), *configuration)) for _ in range(2)]
    for _ in range(2):
        await arrived.acquire()

    with pytest.raises(SmtpTestsBusy):
        await checker.check(_ACCOUNT, *configuration)
    go_on.set()
    assert await asyncio.gather(*running) == [SmtpCheck.CONNECT] * 2


def test_a_configuration_does_not_show_its_password(sellers_server: SellersServer):
    assert PASSWORD not in repr(sellers_server.configuration())
