"""The image, built and run by podman as compose runs it: `make image-test`. It takes minutes, so `make test` leaves it out.

The base comes from Debian's packages (deploy/image/debian-base.sh), because a registry of images is not reached everywhere. Images and
containers lie in a folder of the test's own, which goes when it ends.
"""

import asyncio
import json
import os
import resource
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from deploy.demo.postgres import OWNER, EmbeddedPostgres
from deploy.image.healthcheck import PORTS
from tests.integration.mailrelay.certificates import CertificateFiles
from tests.processes import free_ports
from tests.unit.deploy.roles import ROOT, Role, compose_roles

_BASE = os.environ.get("REPLYCO_IMAGE_BASE")  # noqa: TID251 - `make image-test` sets it
pytestmark = [
    pytest.mark.skipif(_BASE is None, reason="`make image-test` builds and tries the image"),
    pytest.mark.timeout(1800),
]
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_NUMBER = 10001
_DATABASE = "replyco_image"
_DATABASE_ROLES = {
    "connector": "replyco_connector",
    "connector-worker": "replyco_connector",
    "doctor": "replyco_connector",
    "relay": "replyco_relay",
    "mail-worker": "replyco_mail_worker",
}


class Podman:
    """podman with storage of its own, on whatever machine: in a container itself, and without an overlay file system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        storage = f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n'
        (folder / "storage.conf").write_text(storage)
        self._environment = {
            **os.environ,  # noqa: TID251 - podman's own, and a proxy's
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "BUILDAH_ISOLATION": "chroot",
        }
        self._runtime = ["--runtime", "runc"] if shutil.which("runc") else []

    async def __call__(self, *arguments: str, may_fail: bool = False) -> str:
        """What the command prints, errors included. It has to go well, unless it may fail."""
        return await self.command("podman", *self._runtime, *arguments, may_fail=may_fail)

    async def command(self, *command: str, may_fail: bool = False, **more: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *command, env=self._environment | more, cwd=ROOT, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output = (await process.communicate())[0].decode()
        assert may_fail or process.returncode == 0, f"{' '.join(command)}\n{output[-4000:]}"
        return output

    def hardened(self) -> list[str]:
        """What compose.yaml gives each role."""
        # More than is allowed to whoever starts it, a container in a container does not get.
        limits = []
        for name, which in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
            hard = resource.getrlimit(which)[1]
            limit = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
            limits += ["--ulimit", f"{name}={limit}:{limit}"]
        return [
            "--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp", "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges", "--no-healthcheck", "--network", "host", *limits,
        ]  # fmt: skip

    async def remove_all(self) -> None:
        await self("rm", "--all", "--force", "--time", "0", may_fail=True)
        await self("rmi", "--all", "--force", may_fail=True)


@pytest.fixture
async def podman(tmp_path: Path) -> AsyncIterator[Podman]:
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    if os.geteuid() != 0:
        pytest.skip("the folders of the containers belong to other users: root is needed")
    podman = Podman(tmp_path)
    try:
        yield podman
    finally:
        await podman.remove_all()


async def _built(podman: Podman, folder: Path) -> str:
    """The image's name. Its packages come from where this machine's do."""
    assert _BASE is not None
    await podman("import", _BASE, "localhost/replyco-base")
    base = await podman("inspect", "--format", "{{index .RepoDigests 0}}", "localhost/replyco-base")
    (folder / "pip.conf").write_text("[global]\ncert = /run/secrets/ca.pem\n")
    name = "localhost/replyco:test"
    await podman.command(
        "deploy/image/build.sh", name, "--layers=false",
        "--secret", f"id=pip.conf,src={folder}/pip.conf", "--secret", f"id=ca.pem,src={_AUTHORITIES}",
        BASE=base.strip(),
    )  # fmt: skip
    return name


async def test_the_image_is_built_and_every_role_runs_in_it(
    podman: Podman, postgres: EmbeddedPostgres, tmp_path: Path
):
    image = await _built(podman, tmp_path)
    await _says_what_it_is(podman, image)
    await _holds_nothing_that_helps_an_intruder(podman, image)

    async with AsyncExitStack() as stack:
        socket_folder = await _open_to_containers(stack, postgres, tmp_path)
        await postgres.create_database(_DATABASE)
        stack.push_async_callback(postgres.drop_database, _DATABASE)
        # Before the database goes, nobody uses it any more.
        stack.push_async_callback(podman, "rm", "--all", "--force", "--time", "0", may_fail=True)
        installation = Installation(podman, image, tmp_path, socket_folder)
        await installation.prepare()
        roles = {role.name: role for role in compose_roles() if role.name in _DATABASE_ROLES}
        doctor = roles.pop("doctor")

        told = await installation.run(doctor, "replyco-connector", "doctor", may_fail=True)
        assert "atabase" in told
        assert "Traceback" not in told
        for role in roles.values():
            await installation.start(role)
        for name in roles:
            await installation.becomes_healthy(name)
        for name in roles:
            await podman("stop", "--time", "60", name)
            # The first process of a container is its role. Killed, it would be 137.
            assert (await podman("wait", name)).split()[-1] in {"0", "143"}, await podman("logs", name)


async def _says_what_it_is(podman: Podman, image: str) -> None:
    [told] = json.loads(await podman("inspect", image))
    config = told["Config"]
    labels = config["Labels"]
    version = await podman("run", "--rm", *podman.hardened(), image, "replyco-connector", "--version")
    commit = (await podman.command("git", "rev-parse", "HEAD")).strip()

    assert labels["org.opencontainers.image.version"] == version.split()[-1]
    assert labels["org.opencontainers.image.revision"].removesuffix("-dirty") == commit
    assert "@sha256:" in labels["org.opencontainers.image.base.name"]
    assert config["User"] == f"{_NUMBER}:{_NUMBER}"
    assert told["Healthcheck"]["Test"][0] == "CMD"
    # Two layers: the base, and what is ours.
    assert len(told["RootFS"]["Layers"]) == 2
    print(f"The image has {told['Size'] / 1e6:.0f} MB.")  # noqa: T201 - for docs


_LOOK = r"""
id -u
for command in connector mailrelay migrations; do replyco-$command --version; done
for program in apt as cc g++ gcc git ld make pip pip3; do command -v $program; done
python -c 'import pip' 2>/dev/null && echo pip
find / -xdev -type f -perm /6000 2>/dev/null
find / -xdev -writable -not -path '/proc/*' -not -path '/dev/*' -not -path '/tmp' -not -type l -not -path '/var/lib/replyco*' 2>/dev/null
find / -xdev \( -name 'pip.conf' -o -name 'ca.pem' -o -name '.env' -o -name '.git' -o -name '*.key' -o -name ensurepip -o -name sandbox \) 2>/dev/null
grep -rIlE -e '^-----BEGIN [A-Z ]*PRIVATE KEY-----' /etc /opt /var /home /root 2>/dev/null
for file in /x /var/lib/replyco/x /opt/replyco/x; do touch $file 2>/dev/null && echo "wrote $file"; done
test -s /opt/replyco/share/doc/replyco/sbom.cdx.json || echo "no bill of materials"
grep -E '^Cap(Eff|Bnd):' /proc/self/status | cut -f 2 | sort -u
exit 0
"""


async def _holds_nothing_that_helps_an_intruder(podman: Podman, image: str) -> None:
    told = await podman("run", "--rm", *podman.hardened(), image, "sh", "-c", _LOOK)

    number, *lines = told.splitlines()
    version = lines[0]
    assert number == str(_NUMBER)
    assert lines == [version] * 3 + ["0000000000000000"]


async def _open_to_containers(stack: AsyncExitStack, postgres: EmbeddedPostgres, folder: Path) -> Path:
    """A folder with a socket of the database server's, which lies where no other user gets."""
    server = Path(str(postgres.server.get_postmaster_info().socket_dir)) / ".s.PGSQL.5432"

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to_server = await asyncio.open_unix_connection(server)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, to_server[1]), copy(to_server[0], writer))

    path = folder / "postgresql"
    path.mkdir()
    listening = await asyncio.start_unix_server(connected, path / ".s.PGSQL.5432")
    stack.callback(listening.close)
    (path / ".s.PGSQL.5432").chmod(0o777)
    return path


class Installation:
    """Secrets, folders and ports of one, as compose.yaml lays them out; ports are free ones, because containers share this machine's."""

    def __init__(self, podman: Podman, image: str, folder: Path, socket_folder: Path) -> None:
        self._podman = podman
        self._image = image
        self._folder = folder
        self._socket_folder = socket_folder
        self._keys = folder / "keys"
        self._blobs = folder / "blobs"
        self._data = folder / "data"

    async def prepare(self) -> None:
        """The tables, the keys and a certificate, made by the image's own commands where it has them."""
        for made in (self._keys, self._blobs):
            made.mkdir()
            os.chown(made, _NUMBER, _NUMBER)
        upgraded = await self._podman(
            "run", "--rm", *self._podman.hardened(), "--volume", f"{self._socket_folder}:/run/postgresql",
            "--env", f"REPLYCO_DATABASE_URL={self._url(OWNER)}", self._image, "replyco-migrations", "upgrade",
        )  # fmt: skip
        assert "The database is up to date." in upgraded
        for command in (
            ("replyco-connector", "keys", "create", "--directory", "/keys"),
            ("replyco-mailrelay", "keys", "dkim", "create"),
        ):
            await self._podman(
                "run", "--rm", *self._podman.hardened(), "--volume", f"{self._keys}:/keys",
                "--env", "REPLYCO_DKIM_KEY_FILE=/keys/dkim-keys.json",
                "--env", "REPLYCO_MAIL_DOMAIN=mail.example.com", "--env", "REPLYCO_SMTP_HOSTNAME=mx1.example.com",
                self._image, *command,
            )  # fmt: skip
        (self._keys / "replyco_amazon_client_secret").write_text("a secret of nobody's")
        host = "mx1.example.com"
        certificates = self._data / "caddy/certificates/acme-v02.api.letsencrypt.org-directory" / host
        certificates.mkdir(parents=True)
        files = CertificateFiles(certificates, host)
        files.certificate_file.rename(certificates / f"{host}.crt")
        files.key_file.rename(certificates / f"{host}.key")
        for path in (*self._keys.iterdir(), *certificates.iterdir()):
            os.chown(path, _NUMBER, _NUMBER)
            path.chmod(0o600)

    async def run(self, role: Role, *command: str, may_fail: bool = False) -> str:
        return await self._podman(
            "run", "--rm", *self._options(role, role.environment), self._image, *command, may_fail=may_fail
        )

    async def start(self, role: Role) -> None:
        """A container with the role's name, command and settings."""
        command = next(command for command in PORTS if role.name in _names(command))
        ports = dict(
            zip(("REPLYCO_PORT", "REPLYCO_SMTP_PORT", "REPLYCO_SIDE_PORT", "REPLYCO_WORKER_PORT"), free_ports(4), strict=True)
        )  # fmt: skip
        known = {f"REPLYCO_{field}".upper() for field in role.settings.model_fields}
        free = {name: str(port) for name, port in ports.items() if name in known}
        environment = (
            role.environment | free | {"REPLYCO_HOST": "127.0.0.1", "REPLYCO_SMTP_HOST": "127.0.0.1"}
        )
        await self._podman(
            "run", "--detach", "--name", role.name,
            *self._options(role, {name: value for name, value in environment.items() if name in known | role.environment.keys()}),
            self._image, *command,
        )  # fmt: skip

    async def becomes_healthy(self, name: str) -> None:
        """By the image's own health check. There is no event to await across containers."""
        [told] = json.loads(await self._podman("inspect", self._image))
        check = told["Healthcheck"]["Test"][1:]
        said = ""
        for _ in range(60):
            said = await self._podman("exec", name, *check, may_fail=True)
            if said.strip() == "ready":
                return
            await asyncio.sleep(0.5)
        raise AssertionError(f"{name}: {said}\n{await self._podman('logs', name)}")

    def _options(self, role: Role, environment: Mapping[str, str]) -> list[str]:
        secrets = self._folder / f"secrets-{role.name}"
        shutil.copytree(self._keys, secrets, dirs_exist_ok=True)
        (secrets / "replyco_database_url").write_text(self._url(_DATABASE_ROLES[role.name]))
        for path in (secrets, *secrets.iterdir()):
            os.chown(path, _NUMBER, _NUMBER)
        variables = [option for name, value in environment.items() for option in ("--env", f"{name}={value}")]
        return [
            *self._podman.hardened(), *variables,
            "--volume", f"{self._socket_folder}:/run/postgresql", "--volume", f"{secrets}:/run/secrets:ro",
            "--volume", f"{self._blobs}:/var/lib/replyco/blobs", "--volume", f"{self._data}:/data:ro",
        ]  # fmt: skip

    @staticmethod
    def _url(role: str) -> str:
        return f"postgresql://{role}@/{_DATABASE}?host=/run/postgresql"


def _names(command: tuple[str, str]) -> tuple[str, ...]:
    """What compose.yaml calls the role with this command."""
    return {
        ("replyco-connector", "serve"): ("connector",),
        ("replyco-connector", "worker"): ("connector-worker",),
        ("replyco-mailrelay", "serve"): ("relay",),
        ("replyco-mailrelay", "worker"): ("mail-worker",),
    }[command]
