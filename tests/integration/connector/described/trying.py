"""schemathesis over the whole API: the real application on a socket, and a run of its command for each kind of caller."""

import asyncio
import dataclasses
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import uvicorn
from pydantic import SecretStr
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.demo.postgres import CONNECTOR, OWNER
from services.connector.accounts.credentials import csrf_token
from services.connector.accounts.passwords import Passwords
from services.connector.app import create_app
from services.connector.dependencies import CSRF_HEADER
from services.connector.http.paths import API_PREFIX
from services.connector.http.server import Server
from services.connector.settings import ConnectorSettings
from services.connector.smtp.checker import SmtpChecker
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions
from shared.keyring import Keyring
from shared.listening import listening_socket
from shared.outgoing.addresses import Address, networks
from shared.outgoing.connections import OutgoingConnections
from tests.conftest import Database, Keys
from tests.integration.connector.conftest import CHEAP_HASHER
from tests.integration.connector.described.callers import Caller, Kind, make_caller

CONFIGURATION: Final = Path(__file__).with_name("schemathesis.toml")
HOOKS: Final = Path(__file__).with_name("hooks.py")
# As the connector describes itself (tests/unit/connector/test_api_docs.py): to put it together anew takes a process two seconds.
_DESCRIPTION: Final = Path(__file__).parents[4] / "docs" / "openapi.json"
# Where Hypothesis keeps what it knows in the tests' own process, too.
_HYPOTHESIS: Final = Path(__file__).parents[4] / ".hypothesis"
# Neither is what is tested here, and all callers come from one address.
_NO_LIMIT: Final = 1_000_000
# What ends the caller himself is tried apart from the rest, each by a caller of its own: whoever has succeeded with it is nobody, or in
# an account that is closed, or lacks the second factor that his account demands from then on, or the rights that he has taken from himself.
_ENDS: Final[Mapping[Kind, Sequence[str]]] = {
    Kind.ADMIN: (
        f"DELETE {API_PREFIX}/sessions/current",
        f"DELETE {API_PREFIX}/sessions/{{session_id}}",
        f"PATCH {API_PREFIX}/users/{{user_id}}",
        f"PATCH {API_PREFIX}/account/security",
        f"POST {API_PREFIX}/account/closure",
    ),
    Kind.AGENT: (
        f"DELETE {API_PREFIX}/sessions/current",
        f"DELETE {API_PREFIX}/sessions/{{session_id}}",
    ),
    Kind.EDIT_KEY: (f"DELETE {API_PREFIX}/api-keys/{{api_key_id}}",),
}


@dataclass(frozen=True)
class Connector:
    """The API at its address."""

    url: str
    database: Database
    keys: Keys
    # With what each operation, by method and path, has answered, and how often.
    answers: Mapping[str, Counter[int]]

    async def caller(self, kind: Kind) -> Caller:
        engine = create_engine(self.database.url(OWNER), application_name="tests-owner")
        async with create_sessions(engine).begin() as session:
            caller = await make_caller(
                session, Keyring(KeyFile.load(self.keys.key_file)), self.keys.mail_public_key, kind
            )
        await engine.dispose()
        return caller


@asynccontextmanager
async def served(database: Database, keys: Keys) -> AsyncIterator[Connector]:
    listener = listening_socket("127.0.0.1", 0)
    app = create_app(
        ConnectorSettings(
            database_url=SecretStr(database.url(CONNECTOR)),
            key_file=keys.key_file,
            blob_url=keys.blob_url,
            amazon_application_id="amzn1.sp.solution.test",
            amazon_client_id="amzn1.application-oa2-client.test",
            amazon_client_secret=SecretStr("canary-client-secret"),
            # Nobody answers there: whoever asked Amazon would fail.
            amazon_base_url="http://127.0.0.1:9",
            requests_per_minute=_NO_LIMIT,
            anonymous_requests_per_minute=_NO_LIMIT,
        ),
        Passwords(CHEAP_HASHER),
    )
    # Every name is one on which nobody listens: a test of an SMTP server asks nobody else.
    outgoing = OutgoingConnections(allowed=networks("127.99.99.99/32"), resolve=_nowhere)
    app.state.connector = dataclasses.replace(
        app.state.connector, outgoing=outgoing, smtp_checker=SmtpChecker(outgoing, "replyco.example")
    )
    answers: defaultdict[str, Counter[int]] = defaultdict(Counter)
    config = uvicorn.Config(_counted(app, answers), log_config=None, access_log=False, lifespan="on")
    server = Server(config, end_streams=app.state.connector.hub.end_streams)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield Connector(f"http://127.0.0.1:{listener.getsockname()[1]}", database, keys, answers)
    finally:
        server.should_exit = True
        await serving
        listener.close()


def _counted(app: ASGIApp, answers: defaultdict[str, Counter[int]]) -> ASGIApp:
    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and (route := scope.get("route")) is not None:
                answers[f"{scope['method']} {route.path}"][message["status"]] += 1
            await send(message)

        await app(scope, receive, sending)

    return counting


async def _nowhere(_name: str) -> Sequence[Address]:
    return [ip_address("127.99.99.99")]


async def tried(
    connector: Connector, kind: Kind, folder: Path, *arguments: str, ends_himself: bool = True
) -> str:
    """All operations with all checks, as this caller; without what ends the caller, which takes a process and callers of their own, if he is
    not to end himself. What schemathesis has found, or nothing."""
    caller = await connector.caller(kind)
    ends = _ENDS.get(kind, ())
    found = await _run(
        connector, caller, {}, folder, *(f"--exclude-name={operation}" for operation in ends), *arguments
    )
    if ends_himself and ends:
        others = {operation: await connector.caller(kind) for operation in ends}
        included = [f"--include-name={operation}" for operation in ends]
        found += await _run(connector, caller, others, folder, *included, *arguments)
    return found


async def _run(
    connector: Connector, caller: Caller, others: Mapping[str, Caller], folder: Path, *arguments: str
) -> str:
    """As this caller, but the operations that `others` names as another one of his kind."""
    (folder / "schemathesis.toml").write_text(_configuration(caller, others))
    (folder / "others.json").write_text(
        json.dumps({operation: caller.replaced_by(other) for operation, other in others.items()})
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", "run", str(_DESCRIPTION), "--url", connector.url, "--no-color", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=folder,
        # What Hypothesis works out of Unicode is the same for all: it takes almost two seconds, in each new folder anew.
        env={"PATH": os.defpath, "HYPOTHESIS_STORAGE_DIRECTORY": str(_HYPOTHESIS)},
    )  # fmt: skip
    said, _ = await process.communicate()
    return said.decode() if process.returncode else ""


def _configuration(caller: Caller, others: Mapping[str, Caller]) -> str:
    """The rules of all callers, and what is this one's own, or that of the others for their operations."""
    lines = [f'hooks = "{HOOKS}"', CONFIGURATION.read_text()]
    if caller.session is not None:
        lines += ["[auth.openapi.session]", f'api_key = "{caller.session}"']
        lines += ["[headers]", f'{CSRF_HEADER} = "{csrf_token(caller.session)}"']
    if caller.api_key is not None:
        lines += ["[auth.openapi.api_key]", f'bearer = "{caller.api_key}"']
    for name, ids in caller.ids.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps([str(i) for i in ids])}"]
        lines += ["[parameters." + name + "]", f'dictionary = "{name}"', "probability = 0.7"]
    # Made-up credentials beside true ones would hide what the true ones can do.
    lines += [
        "[generation]",
        f"with-security-parameters = {json.dumps(caller.is_nobody)}",
    ]
    for operation, other in others.items():
        if other.session is not None:
            lines += ["[[operations]]", f'include-name = "{operation}"']
            lines += [f'headers = {{ {CSRF_HEADER} = "{csrf_token(other.session)}" }}']
    return "\n".join(lines)
