"""What `/status` tells an operator: of all roles, on their side ports alone, and nothing personal."""

import asyncio
import re
from datetime import UTC, datetime
from html import unescape

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from structlog.testing import capture_logs
from typer.testing import CliRunner

from deploy.demo.postgres import MAIL_WORKER, RELAY
from services.mailrelay.__main__ import cli
from shared.database import Sessions, create_engine, create_sessions, database_problem
from shared.keyring import Keyring
from shared.schema_revision import packaged_revisions
from shared.side_port import side_port
from shared.status.of_sessions import read_state, status_of
from shared.status.queries import EVERYTHING, OF_MAIL
from shared.status.report import StatusReport
from shared.version import version
from tests.conftest import Database, Keys
from tests.factories import make_accepted_mail, make_account, make_integration, make_relay_address
from tests.integration.mailrelay.accepting import running_relay
from tests.kept_database import KeptDatabase
from tests.no_tls import NO_AUTHORITIES
from tests.statements import sent_statements


@pytest.fixture
async def waiting_mail(owner_sessions: Sessions, keyring: Keyring, keys: Keys) -> list[str]:
    """Three mails wait, and one of them was put off. What no status may hold."""
    async with owner_sessions.begin() as session:
        account = await make_account(session, keyring, name="Canary GmbH")
        address = await make_relay_address(session, await make_integration(session, account.id))
        for _ in range(2):
            await make_accepted_mail(session, address, keys.mail_public_key)
        mail, _ = await make_accepted_mail(session, address, keys.mail_public_key)
        mail.is_put_off, mail.failure_code = True, "blobs_unavailable"
    return ["Canary", address.local_part, str(account.id), "marketplace.amazon", "192.0.2.1"]


async def asked(report: StatusReport, sessions: Sessions, accept: str | None) -> httpx2.Response:
    """The answer of a side port at /status."""
    port = side_port(
        "127.0.0.1",
        0,
        setting="PORT",
        registry=CollectorRegistry(),
        database_problem=lambda: database_problem(sessions),
        status=report,
    )
    async with (
        port as number,
        httpx2.AsyncClient(verify=NO_AUTHORITIES, base_url=f"http://127.0.0.1:{number}") as client,
    ):
        return await client.get("/status", headers={"accept": accept} if accept else {})


async def test_a_program_gets_json_and_a_browser_a_page_and_neither_gets_anything_personal(
    sessions: Sessions, waiting_mail: list[str]
):
    report = status_of("connector-worker", sessions, EVERYTHING)

    for_program = await asked(report, sessions, "*/*")
    for_browser = await asked(report, sessions, "text/html,application/xhtml+xml,*/*;q=0.8")

    assert for_program.headers["content-type"] == "application/json"
    told = for_program.json()
    assert (told["role"], told["version"]) == ("connector-worker", version())
    assert (told["is_ready"], told["problem"]) == (True, None)
    assert told["tables"] == told["tables_needed"] == packaged_revisions().head
    queues = {queue["queue"]: queue for queue in told["queues"]}
    assert queues.keys() == set(EVERYTHING.queues)
    assert (queues["mail"]["count"], queues["mail"]["is_capped"]) == (3, False)
    assert queues["mail"]["oldest_seconds"] >= 0
    assert queues["replies"] == {
        "queue": "replies",
        "count": 0,
        "is_capped": False,
        "oldest_seconds": None,
    }
    assert told["troubles"] == [{"what": "mail", "code": "blobs_unavailable", "count": 1}]
    assert datetime.fromisoformat(told["started_at"]) <= datetime.now(UTC)
    assert for_browser.headers["content-type"].startswith("text/html")
    words = unescape(re.sub(r"<[^>]+>", " ", for_browser.text))
    assert re.search(r"mail +3 +no", words)
    assert re.search(r"mail +blobs_unavailable +1", words)
    for canary in waiting_mail:
        assert canary not in for_program.text + for_browser.text


async def test_each_role_tells_what_its_database_role_may_read(
    sessions: Sessions, kept_database: KeptDatabase, waiting_mail: list[str]
):
    of_mail = await read_state(kept_database.sessions(MAIL_WORKER), OF_MAIL)
    of_all = await read_state(sessions, EVERYTHING)

    assert isinstance(of_mail["queues"], list)
    assert isinstance(of_all["queues"], list)
    assert [queue["count"] for queue in of_mail["queues"]] == [3, 1, 0, 0]
    assert len(of_all["queues"]) == len(EVERYTHING.queues)
    assert of_mail["troubles"] == of_all["troubles"]


async def test_while_the_database_is_away_what_is_not_known_is_not_told():
    engine = create_engine("postgresql://nobody@127.0.0.1:9/none", application_name="tests")
    sessions = create_sessions(engine)
    report = status_of("mail-worker", sessions, OF_MAIL)

    told = (await asked(report, sessions, None)).json()
    page = await asked(report, sessions, "text/html")
    await engine.dispose()

    assert (told["queues"], told["troubles"], told["tables"]) == (None, None, None)
    assert told["is_ready"] is False
    assert told["problem"]
    assert told["version"] == version()
    assert page.status_code == 200


async def test_tables_that_do_not_suit_are_named_and_not_asked(sessions: Sessions, owner_sessions: Sessions):
    known, head = packaged_revisions()
    older = min(known - {head})

    async def set_revision(revision: str) -> None:
        async with owner_sessions.begin() as session:
            await session.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})

    await set_revision(older)
    try:
        told = await status_of("connector", sessions, EVERYTHING)()
    finally:
        await set_revision(head)

    assert told["queues"] is None
    assert older in str(told["problem"])


async def test_however_many_ask_at_once_the_database_is_asked_once(sessions: Sessions):
    report = status_of("connector", sessions, EVERYTHING)
    async with sent_statements(sessions.kw["bind"].sync_engine) as sent:
        answers = await asyncio.gather(*(report() for _ in range(50)))

    assert all(answer is answers[0] for answer in answers)
    assert len([sql for sql in sent if "FROM events " in sql]) == 1


async def test_whoever_asks_while_somebody_else_is_asking_gets_the_same_answer_however_long_it_takes():
    asked_database, may_answer, looks = asyncio.Event(), asyncio.Event(), 0

    async def slow() -> str | None:
        nonlocal looks
        looks += 1
        asked_database.set()
        await may_answer.wait()
        return None

    report = StatusReport("mailrelay", database_problem=slow, fresh_seconds=0)
    impatient = asyncio.create_task(report())
    await asked_database.wait()
    asking = [asyncio.create_task(report()) for _ in range(20)]
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    may_answer.set()

    assert len({id(facts) for facts in await asyncio.gather(*asking)}) == 1
    assert looks == 1


async def test_what_a_role_may_not_read_is_said_and_not_guessed(kept_database: KeptDatabase):
    with capture_logs() as logs:
        told = await status_of("mail-worker", kept_database.sessions(MAIL_WORKER), EVERYTHING)()

    assert (told["is_ready"], told["queues"]) == (False, None)
    assert "status_not_read" in str(told["problem"])
    assert [entry["event"] for entry in logs] == ["status_not_read"]


async def test_a_problem_of_the_process_is_told_beside_what_waits(sessions: Sessions):
    told = await status_of("mail-worker", sessions, EVERYTHING, lambda: "a task has ended")()

    assert (told["is_ready"], told["problem"]) == (False, "a task has ended")
    assert told["queues"]


async def test_a_process_that_accepts_mail_tells_its_own(database: Database, keys: Keys):
    async with (
        running_relay(database, keys) as relay,
        httpx2.AsyncClient(verify=NO_AUTHORITIES, base_url=f"http://127.0.0.1:{relay.side_port}") as client,
    ):
        told = (await client.get("/status")).json()

    assert (told["role"], told["is_ready"], told["tables_needed"]) == (
        "mailrelay",
        True,
        packaged_revisions().head,
    )
    assert "queues" not in told


async def test_the_mailrelays_command_says_what_its_worker_may_read_and_nobody_else(
    database: Database, waiting_mail: list[str]
):
    def run(role: str) -> tuple[int, str]:
        result = CliRunner(env={"REPLYCO_DATABASE_URL": database.url(role)}).invoke(cli, ["status"])
        return result.exit_code, result.output

    code, output = await asyncio.to_thread(run, MAIL_WORKER)
    assert code == 0, output
    lines = output.splitlines()
    assert lines[0] == f"version {version()}, tables {packaged_revisions().head}"
    assert [line.split()[:2] for line in lines[1:5]] == [
        ["mail", "3"],
        ["mail_put_off", "1"],
        ["mail_held", "0"],
        ["replies", "0"],
    ]
    assert lines[5:] == ["failing: mail blobs_unavailable (1)"]
    code, output = await asyncio.to_thread(run, RELAY)
    assert (code, "REPLYCO_DATABASE_URL" in output) == (1, True), output
