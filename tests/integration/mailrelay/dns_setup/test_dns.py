"""`dns --check` against a name server and a web server on loopback."""

import asyncio
import contextlib
import functools
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from typer.testing import CliRunner
from typing_extensions import override

from services.mailrelay.__main__ import cli
from services.mailrelay.dns_setup.check import PolicyCheck, check, is_all_right, lookup_with, report
from services.mailrelay.dns_setup.mta_sts import check_policy
from services.mailrelay.dns_setup.records import RecordStatus, policy_for, records_for
from tests.integration.mailrelay.certificates import CertificateFiles

DOMAIN, HOST = "relay.example", "mx1.relay.example"
RIGHT = {
    **{(record.name, record.kind): [record.value] for record in records_for(DOMAIN, HOST) if record.value},
    (HOST, "A"): ["192.0.2.25"],
    (HOST, "AAAA"): ["2001:db8::19"],
    (f"mta-sts.{DOMAIN}", "A"): ["127.0.0.1"],
    ("25.2.0.192.in-addr.arpa", "PTR"): [f"{HOST}."],
    (f"9.1.0.0.{'0.' * 20}8.b.d.0.1.0.0.2.ip6.arpa", "PTR"): [f"{HOST}."],
}
Zone = dict[tuple[str, str], list[str]]


class NameServer(asyncio.DatagramProtocol):
    """Answers from a zone; fails for names in `failing`; is silent for names in `silent`."""

    def __init__(self, zone: Zone, failing: set[str], silent: set[str]) -> None:
        self.zone, self.failing, self.silent = zone, failing, silent

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = question.name.to_text(omit_final_dot=True), question.rdtype.name
        if name in self.silent:
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        values = self.zone.get((name, kind))
        if name in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif values is not None:
            words = [f'"{value[:9]}" "{value[9:]}"' if kind == "TXT" else value for value in values]
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *words))
        elif all(name != known for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(response.to_wire(), addr)


@contextlib.asynccontextmanager
async def name_server(
    zone: Zone, *, failing: set[str] | None = None, silent: set[str] | None = None
) -> AsyncIterator[int]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NameServer(zone, failing or set(), silent or set()), local_addr=("127.0.0.1", 0)
    )
    try:
        yield int(transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


def answer(
    body: str, *, status: str = "200 OK", kind: str = "text/plain; charset=utf-8", more: str = ""
) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}".encode()


POLICY = policy_for(HOST)


@contextlib.asynccontextmanager
async def web_server(
    folder: Path,
    content: bytes | None = None,
    *,
    name: str = f"mta-sts.{DOMAIN}",
    at: tuple[str, int] = ("127.0.0.1", 0),
) -> AsyncIterator[PolicyCheck]:
    """Serves these bytes to whoever asks for the policy; gives what looks at it."""
    files = CertificateFiles(folder, name)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(files.certificate_file, files.key_file)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n")
        assert f"\r\nhost: mta-sts.{DOMAIN}\r\n".encode() in head.lower()
        writer.write(answer(POLICY) if content is None else content)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, *at, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield functools.partial(check_policy, port=port, tls=files.client_context())


async def test_a_domain_that_is_set_up_is_all_right(tmp_path: Path):
    async with name_server(RIGHT) as port, web_server(tmp_path) as look:
        checks = await check(DOMAIN, HOST, lookup_with(["127.0.0.1"], port=port), look)

    assert is_all_right(checks), report(checks)
    # The two PTR records of the addresses that were found and the policy among them.
    assert len(checks) == 11


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (answer(POLICY.replace("\n", "\r\n")), RecordStatus.RIGHT, ""),
        (answer(POLICY.replace("testing", "enforce")), RecordStatus.RIGHT, ""),
        (answer(POLICY.replace("testing", "none")), RecordStatus.WRONG, "there is:  mode: none"),
        (
            answer(POLICY.replace(HOST, "mail.elsewhere.example")),
            RecordStatus.WRONG,
            "mx: mail.elsewhere.example",
        ),
        (answer(""), RecordStatus.WRONG, "should be: version: STSv1\n"),
        (answer("", status="404 Not Found"), RecordStatus.MISSING, "should be: version: STSv1\n"),
        (
            answer(POLICY, status="302 Found", more="Location: https://elsewhere.example/\r\n"),
            RecordStatus.WRONG,
            "an answer with status 302",
        ),
        (answer(POLICY, kind="text/html"), RecordStatus.WRONG, "not text/plain"),
        (answer(POLICY + "x" * 70_000), RecordStatus.WRONG, "more than 65536 bytes"),
        (b"nonsense\r\n\r\n", RecordStatus.UNCHECKED, ""),
    ],
)
async def test_the_policy_is_judged_as_senders_see_it(
    tmp_path: Path, content: bytes, status: RecordStatus, words: str
):
    async with web_server(tmp_path, content) as look:
        checked = await look(DOMAIN, HOST, "127.0.0.1")

    assert checked.status is status
    assert words in report([checked])


async def test_a_policy_with_another_names_certificate_is_wrong(tmp_path: Path):
    async with web_server(tmp_path, name="elsewhere.example") as look:
        checked = await look(DOMAIN, HOST, "127.0.0.1")

    assert checked.status is RecordStatus.WRONG
    assert f"no valid certificate for mta-sts.{DOMAIN}" in report([checked])


async def test_a_web_server_that_does_not_answer_leaves_the_policy_unchecked():
    # Nobody listens at port 1.
    checked = await check_policy(DOMAIN, HOST, "127.0.0.1", port=1)

    assert checked.status is RecordStatus.UNCHECKED


async def test_each_record_gets_its_verdict(tmp_path: Path):
    zone = {**RIGHT, (DOMAIN, "MX"): ["10 mail.elsewhere.example."], (DOMAIN, "TXT"): ["v=spf1 +all\x1b"]}
    del zone[f"_smtp._tls.{DOMAIN}", "TXT"]
    silent, failing = {f"_dmarc.{DOMAIN}"}, {f"_mta-sts.{DOMAIN}"}
    async with (
        name_server(zone, failing=failing, silent=silent) as port,
        web_server(tmp_path) as look,
    ):
        checks = await check(DOMAIN, HOST, lookup_with(["127.0.0.1"], port=port, timeout_seconds=2), look)

    verdicts = {(checked.record.name, checked.record.kind): checked.status for checked in checks}
    assert {key: status for key, status in verdicts.items() if status is not RecordStatus.RIGHT} == {
        (DOMAIN, "MX"): RecordStatus.WRONG,
        (DOMAIN, "TXT"): RecordStatus.WRONG,
        (f"_dmarc.{DOMAIN}", "TXT"): RecordStatus.UNCHECKED,
        (f"_mta-sts.{DOMAIN}", "TXT"): RecordStatus.UNCHECKED,
        (f"_smtp._tls.{DOMAIN}", "TXT"): RecordStatus.MISSING,
    }
    words = report(checks)
    assert "there is:  10 mail.elsewhere.example." in words
    assert "should be: 10 mx1.relay.example." in words
    assert "\x1b" not in words
    assert not is_all_right(checks)


async def test_a_domain_with_nothing_lacks_all_but_what_nobody_needs():
    async with name_server({}) as port:
        checks = await check(DOMAIN, HOST, lookup_with(["127.0.0.1"], port=port))

    assert {checked.record.kind for checked in checks if checked.status is RecordStatus.RIGHT} == {"AAAA"}
    assert {checked.status for checked in checks} == {RecordStatus.RIGHT, RecordStatus.MISSING}


_ENVIRONMENT = {"REPLYCO_MAIL_DOMAIN": DOMAIN, "REPLYCO_SMTP_HOSTNAME": HOST}


async def command(port: int | str) -> tuple[int, str]:
    arguments = ["dns", "--check", "--resolver", f"127.0.0.1#{port}"]
    done = await asyncio.to_thread(CliRunner(env=_ENVIRONMENT).invoke, cli, arguments)
    return done.exit_code, done.output


async def process_of_the_command(port: int, **environment: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.mailrelay", "dns", "--check", "--resolver", f"127.0.0.1#{port}"),
        cwd=Path(__file__).parents[4],
        env=_ENVIRONMENT | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_the_command_ends_with_1_when_something_is_missing():
    zone = {key: values for key, values in RIGHT.items() if key != (f"mta-sts.{DOMAIN}", "A")}
    async with name_server(zone) as port:
        code, output = await command(port)

    assert code == 1
    lines = [line.split() for line in output.splitlines()]
    assert ["right", "MX", DOMAIN] in lines
    assert ["missing", "A", f"mta-sts.{DOMAIN}"] in lines
    assert ["missing", "HTTPS", f"https://mta-sts.{DOMAIN}/.well-known/mta-sts.txt"] in lines


async def test_the_command_ends_with_0_when_all_is_right(tmp_path: Path):
    address = "127.0.4.43"
    zone = {**RIGHT, (f"mta-sts.{DOMAIN}", "A"): [address]}
    try:
        async with name_server(zone) as port, web_server(tmp_path, at=(address, 443)):
            code, output = await process_of_the_command(port, SSL_CERT_FILE=str(tmp_path / "certificate.pem"))
    except OSError as error:
        pytest.skip(f"port 443 of {address} cannot be used here: {error.strerror}")

    assert (code, "wrong" in output) == (0, False), output


async def test_the_command_names_a_resolver_that_is_none():
    code, output = await command("x")

    assert code == 2
    assert "--resolver" in output
