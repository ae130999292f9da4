"""The whole product on one machine: a database, the processes of both services, and the sandbox in Amazon's place.

`make demo` shows it to a person, tests and benchmarks run on it. Each process gets the settings of its role and
nothing else: the relay never learns where a key lies that opens something.
"""

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx2

from deploy.demo.keeping import NotKept, keep_running
from deploy.demo.postgres import CONNECTOR, MAIL_WORKER, OWNER, RELAY, EmbeddedPostgres
from deploy.demo.settings import DemoSettings
from migrations.upgrade import upgrade

DEMO_EMAIL: Final = "admin@demo.example"
_ROOT: Final = Path(__file__).resolve().parents[2]
_DATABASE: Final = "replyco"
_READY_SECONDS: Final = 45.0
_STOP_SECONDS: Final = 15.0


class DemoFailed(Exception):
    """The demo cannot start or go on; the text says why and what to do."""


@dataclass(slots=True)
class Running:
    """One process of the stack."""

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str]
    ready_url: str
    process: asyncio.subprocess.Process


class Stack:
    """Starts everything, keeps it together, and stops it in the reverse order."""

    def __init__(self, settings: DemoSettings) -> None:
        self.settings = settings
        self.data = settings.data_folder.resolve()
        self.running: dict[str, Running] = {}
        self.password = ""
        self._postgres: EmbeddedPostgres | None = None

    @property
    def postgres(self) -> EmbeddedPostgres:
        assert self._postgres is not None
        return self._postgres

    @property
    def url(self) -> str:
        """Where the pages and the REST API are."""
        return f"http://localhost:{self.settings.port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://localhost:{self.settings.sandbox_port}"

    def database_url(self, role: str) -> str:
        """A URL of the embedded database for this role. A database of the operator's is used as its owner, whose roles we do not set up."""
        if self.settings.database_url is not None:
            return self.settings.database_url.get_secret_value()
        return self.postgres.url(role, _DATABASE)

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def keep_running(self, say: Callable[[str], None]) -> None:
        """Start each process again that ends by itself, for ever, and say so. Raises DemoFailed if one ends again and again."""
        keeping = [asyncio.create_task(self._keep(name, say)) for name in self.running]
        if self._postgres is not None:
            keeping.append(asyncio.create_task(self._keep_database(self._postgres, say)))
        try:
            done, _ = await asyncio.wait(keeping, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
        for task in done:
            task.result()

    async def _keep(self, name: str, say: Callable[[str], None]) -> None:
        async def start() -> None:
            old = self.running[name]
            await self._spawn(name, old.arguments, old.environment, old.ready_url)

        async def ended() -> int:
            return await self.running[name].process.wait()

        try:
            await keep_running(name, ended=ended, start=start, say=say)
        except NotKept as failure:
            raise DemoFailed(f"{failure}:\n{self.log_tail(name)}") from None

    @staticmethod
    async def _keep_database(postgres: EmbeddedPostgres, say: Callable[[str], None]) -> None:
        async def start() -> None:
            # What is left of one that was killed may be in the way a moment longer: then that is one more death.
            with suppress(subprocess.SubprocessError):
                await asyncio.to_thread(postgres.start_again)

        try:
            await keep_running("postgres", ended=postgres.ended, start=start, say=say)
        except NotKept as failure:
            raise DemoFailed(str(failure)) from None

    def log_file(self, name: str) -> Path:
        return self.data / "logs" / f"{name}.log"

    async def _start(self) -> None:
        self._require_free_ports()
        for folder in (self.data, self.data / "logs", self.data / "keys"):
            folder.mkdir(parents=True, exist_ok=True)
        (self.data / "keys").chmod(0o700)
        await self._start_database()
        environments = self._environments()
        await self._prepare(environments["connector"], environments["mail-worker"])
        settings = self.settings
        for name, arguments, port in (
            ("sandbox", ("services.sandbox",), settings.sandbox_port),
            ("mailrelay", ("services.mailrelay", "serve"), settings.side_port),
            ("mail-worker", ("services.mailrelay", "worker"), settings.mail_worker_port),
            ("connector", ("services.connector", "serve"), settings.port),
            ("connector-worker", ("services.connector", "worker"), settings.worker_port),
        ):
            path = "livez" if name == "sandbox" else "readyz"
            await self._spawn(name, arguments, environments[name], f"http://127.0.0.1:{port}/{path}")
        await asyncio.gather(*(self._ready(process) for process in self.running.values()))

    async def _start_database(self) -> None:
        if self.settings.database_url is None:
            self._postgres = await asyncio.to_thread(EmbeddedPostgres.start, self.data / "postgres")
            if not await self.postgres.has_database(_DATABASE):
                await self.postgres.create_database(_DATABASE)
        await upgrade(self.database_url(OWNER))
        if self._postgres is not None:
            await self._postgres.allow_logins()

    def _environments(self) -> dict[str, dict[str, str]]:
        """The settings of each process."""
        settings, keys = self.settings, self.data / "keys"
        application = {
            "APPLICATION_ID": "amzn1.sp.solution.demo",
            "CLIENT_ID": "amzn1.application-oa2-client.demo",
        }
        application["CLIENT_SECRET"] = f"amzn1.oa2-cs.v1.{secrets.token_hex(16)}"
        common = {"REPLYCO_DEVELOPMENT": "true", "REPLYCO_BLOB_URL": (self.data / "blobs").as_uri()}
        connector = (
            common
            | {
                "REPLYCO_DATABASE_URL": self.database_url(CONNECTOR),
                "REPLYCO_PORT": str(settings.port),
                "REPLYCO_SIDE_PORT": str(settings.connector_side_port),
                "REPLYCO_WORKER_PORT": str(settings.worker_port),
                "REPLYCO_PUBLIC_URL": self.url,
                "REPLYCO_KEY_FILE": str(keys / "account-keys.json"),
                "REPLYCO_AMAZON_BASE_URL": self.sandbox_url,
                # The sandbox also plays the queue into which Amazon puts its notices.
                "REPLYCO_AMAZON_NOTICE_QUEUE_URL": f"{self.sandbox_url}/123456789012/notices",
                "REPLYCO_AMAZON_NOTICE_QUEUE_REGION": "eu-central-1",
                "REPLYCO_AMAZON_NOTICE_ACCESS_KEY_ID": "demo",
                "REPLYCO_AMAZON_NOTICE_SECRET_ACCESS_KEY": secrets.token_hex(16),
                # The sandbox takes our mails to sellers, and shows them.
                "REPLYCO_NOTICE_SMTP_HOST": "127.0.0.1",
                "REPLYCO_NOTICE_SMTP_PORT": str(settings.sandbox_smtp_port),
                "REPLYCO_NOTICE_SMTP_TLS": "none",
            }
            | {f"REPLYCO_AMAZON_{name}": value for name, value in application.items()}
        )
        return {
            "connector": connector,
            "connector-worker": connector,
            "mailrelay": common
            | {
                "REPLYCO_DATABASE_URL": self.database_url(RELAY),
                "REPLYCO_SMTP_PORT": str(settings.smtp_port),
                "REPLYCO_SIDE_PORT": str(settings.side_port),
                # The sandbox has no certificate to check: its mails come as they are.
                "REPLYCO_TLS_REQUIRED": "false",
                "REPLYCO_MAIL_PUBLIC_KEY_FILE": str(keys / "mail-public.json"),
            },
            "mail-worker": common
            | {
                "REPLYCO_DATABASE_URL": self.database_url(MAIL_WORKER),
                "REPLYCO_WORKER_PORT": str(settings.mail_worker_port),
                "REPLYCO_KEY_FILE": str(keys / "account-keys.json"),
                "REPLYCO_MAIL_PRIVATE_KEY_FILE": str(keys / "mail-private.json"),
                "REPLYCO_DKIM_KEY_FILE": str(keys / "dkim-keys.json"),
                # The sandbox signs as Amazon's domains do, and publishes its keys on a name server of its own.
                "REPLYCO_NAMESERVERS": f"127.0.0.1:{settings.sandbox_dns_port}",
                # Amazon's own way in: what buyers are answered goes to the sandbox.
                "REPLYCO_SMARTHOST_HOST": "127.0.0.1",
                "REPLYCO_SMARTHOST_PORT": str(settings.sandbox_smtp_port),
                "REPLYCO_SMARTHOST_TLS": "none",
            },
            "sandbox": {
                "REPLYCO_SANDBOX_PORT": str(settings.sandbox_port),
                "REPLYCO_SANDBOX_SMTP_PORT": str(settings.sandbox_smtp_port),
                "REPLYCO_SANDBOX_DNS_PORT": str(settings.sandbox_dns_port),
                "REPLYCO_SANDBOX_RELAY_PORT": str(settings.smtp_port),
                "REPLYCO_SANDBOX_REDIRECT_URIS": f"{self.url}/amazon/callback",
                "REPLYCO_SANDBOX_LOGIN_URI": f"{self.url}/amazon/login",
                # As an application that has passed Amazon's audit; the page /scenarios takes the role away.
                "REPLYCO_SANDBOX_RESTRICTED_ROLES": "direct_to_consumer_shipping",
                "REPLYCO_SANDBOX_STATE_FILE": str(self.data / "sandbox.json"),
            }
            | {f"REPLYCO_SANDBOX_{name}": value for name, value in application.items()},
        }

    async def _prepare(self, connector: dict[str, str], mail_worker: dict[str, str]) -> None:
        """Make the key files, the demo's account and its user, if this is the first start."""
        if not (self.data / "keys" / "dkim-keys.json").exists():
            await self._command(mail_worker, "services.mailrelay", "keys", "dkim", "create")
        if not (self.data / "keys" / "account-keys.json").exists():
            await self._command(
                connector, "services.connector", "keys", "create", "--directory", str(self.data / "keys")
            )
        password_file = self.data / "demo-password"
        if password_file.exists():
            self.password = password_file.read_text()
            return
        chosen = self.settings.demo_password
        self.password = chosen.get_secret_value() if chosen else secrets.token_urlsafe(12)
        await self._command(
            connector | {"REPLYCO_ADMIN_PASSWORD": self.password},
            *("services.connector", "accounts", "create", "--name", "Demo", "--admin-email", DEMO_EMAIL),
            *("--language", "de", "--time-zone", "Europe/Berlin"),
            # Whoever looks around shall not need an authenticator app first.
            *("--second-factor", "optional"),
        )
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)

    def _require_free_ports(self) -> None:
        taken = []
        names = ("port", "connector_side_port", "worker_port", "smtp_port", "side_port", "mail_worker_port")
        for name in (*names, "sandbox_port", "sandbox_smtp_port", "sandbox_dns_port"):
            port = getattr(self.settings, name)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    taken.append(f"Port {port} is taken. Set REPLYCO_{name.upper()} to a free one.")
        if taken:
            raise DemoFailed("\n".join(taken))

    async def _command(self, environment: dict[str, str], *module_and_arguments: str) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *module_and_arguments,
            cwd=_ROOT, env=_base_environment() | environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        if process.returncode != 0:
            raise DemoFailed(f"`python -m {' '.join(module_and_arguments[:3])}` failed:\n{output.decode()}")

    async def _spawn(
        self, name: str, arguments: tuple[str, ...], environment: dict[str, str], ready_url: str
    ) -> None:
        with self.log_file(name).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *arguments,
                cwd=_ROOT, env=_base_environment() | environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.running[name] = Running(name, arguments, environment, ready_url, process)

    async def _ready(self, running: Running) -> None:
        """Wait until the process is ready. It is asked again and again: there is no event to await across processes."""
        deadline = asyncio.get_running_loop().time() + _READY_SECONDS
        async with httpx2.AsyncClient(timeout=2, trust_env=False) as client:
            while True:
                if running.process.returncode is not None:
                    raise DemoFailed(f"{running.name} has stopped:\n{self.log_tail(running.name)}")
                try:
                    if (await client.get(running.ready_url)).status_code == httpx2.codes.OK:
                        return
                except httpx2.TransportError:
                    pass
                if asyncio.get_running_loop().time() > deadline:
                    raise DemoFailed(
                        f"{running.name} is not ready after {_READY_SECONDS:.0f} s:\n{self.log_tail(running.name)}"
                    )
                await asyncio.sleep(0.1)

    def log_tail(self, name: str) -> str:
        """The last lines that a process has written."""
        return "\n".join(self.log_file(name).read_text(errors="replace").splitlines()[-15:])

    async def _stop(self) -> None:
        for running in reversed(self.running.values()):
            if running.process.returncode is None:
                running.process.send_signal(signal.SIGTERM)
        for running in self.running.values():
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await running.process.wait()
            except TimeoutError:
                running.process.kill()
                await running.process.wait()
        if self._postgres is not None:
            await asyncio.to_thread(self._postgres.close)


def _base_environment() -> dict[str, str]:
    """The variables that every process inherits. Settings of ours are passed on by name only."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV")
    inherited = {name: value for name in kept if (value := os.environ.get(name)) is not None}  # noqa: TID251
    return inherited | {"PYTHONUNBUFFERED": "1"}
