"""What no installation is run with: settings that would let others read along, or in. They stop the start, each with its cure.

On a machine where somebody develops there is nothing to protect: REPLYCO_DEVELOPMENT=true lets them pass, and says so at each start.
"""

import os
import pwd
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic_settings import BaseSettings

from shared.settings import PREFIX, SettingsWrong

# What `prefer`, the default, and `allow` leave to chance.
_ENCRYPTED: Final = frozenset({"require", "verify-ca", "verify-full"})
# Whoever connects to "no address" reaches this machine, too.
_THIS_MACHINE: Final = tuple(ip_address(text) for text in ("127.0.0.1", "::1", "0.0.0.0", "::"))  # noqa: S104 - no listener
_KEY_FILE: Final = (
    "others than its owner may read this file, or somebody else owns it. `chmod 600` it, owned by the user that this runs as; "
    "a file of root's may be readable by a group (640)"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A setting, when it is unsafe, and why with the cure. It holds for the settings that have the fields; the first one is named."""

    fields: tuple[str, ...]
    is_unsafe: Callable[[Any], bool]
    text: str

    @property
    def name(self) -> str:
        return f"{PREFIX}{self.fields[0]}".upper()


RULES: Final = (
    Rule(
        ("database_url",),
        lambda settings: _may_travel_in_the_clear(settings.database_url.get_secret_value()),
        "what is said to a database on another host may go unencrypted. Add ?sslmode=verify-full to the URL, or require "
        "where its certificate cannot be checked",
    ),
    Rule(
        ("blob_endpoint",),
        lambda settings: _is_plain_http_elsewhere(settings.blob_endpoint),
        "what is said to a store on another host goes unencrypted. Set it to an address that begins with https://",
    ),
    Rule(
        ("amazon_base_url",),
        lambda settings: settings.amazon_base_url is not None,
        "the sandbox stands in for Amazon. Unset it to reach Amazon itself",
    ),
    Rule(
        ("tls_certificate_file",),
        lambda settings: settings.tls_certificate_file is None,
        "without a certificate mail comes unencrypted. Set it and REPLYCO_TLS_KEY_FILE to a certificate chain and its key",
    ),
    Rule(
        ("tls_required",),
        lambda settings: not settings.tls_required,
        "mail may come unencrypted, if somebody on its way takes STARTTLS out. Set it to true",
    ),
    Rule(("key_file",), lambda settings: _others_can_read(settings.key_file, settings), _KEY_FILE),
    Rule(
        ("mail_private_key_file",),
        lambda settings: _others_can_read(settings.mail_private_key_file, settings),
        _KEY_FILE,
    ),
    Rule(
        ("kms_endpoint",),
        lambda settings: (
            (settings.kms_endpoint or "").startswith("http://")
            and not _is_here(urlsplit(settings.kms_endpoint).hostname or "")
        ),
        "data keys go unencrypted to it. Set it to an address that begins with https://",
    ),
    Rule(("dkim_key_file",), lambda settings: _others_can_read(settings.dkim_key_file, settings), _KEY_FILE),
    Rule(("tls_key_file",), lambda settings: _others_can_read(settings.tls_key_file, settings), _KEY_FILE),
    Rule(
        ("side_host", "side_ports_filtered"),
        lambda settings: not settings.side_ports_filtered and _is_public(settings.side_host),
        "the internet may reach /metrics. Set it to an address of this machine or of a private network; where that cannot be "
        "named, as in a container, let a firewall or a network policy keep strangers away and set "
        "REPLYCO_SIDE_PORTS_FILTERED to true",
    ),
    Rule(
        ("smarthost_tls", "smarthost_host"),
        lambda settings: (
            settings.smarthost_tls == "none"
            and settings.smarthost_host is not None
            and not _is_here(settings.smarthost_host)
        ),
        "replies to buyers and the password go unencrypted to another host. Set it to starttls or tls",
    ),
    Rule(
        ("outgoing_allowed_networks",),
        lambda settings: _has_this_machine(settings.outgoing_allowed_networks),
        "whoever names a webhook or an SMTP server reaches what listens on this machine alone. Leave out 127.0.0.0/8, "
        "0.0.0.0, ::1, :: and what holds them",
    ),
)


class SettingsUnsafe(SettingsWrong):
    """Settings with which others could read along, or get in. The text names all of them, each with its cure."""


def unsafe(settings: BaseSettings) -> Iterator[Rule]:
    """The rules that these settings break, whether this is development or not."""
    known = type(settings).model_fields.keys()
    return (rule for rule in RULES if known >= set(rule.fields) and rule.is_unsafe(settings))


def refuse_unsafe(settings: BaseSettings) -> None:
    """Raises SettingsUnsafe, unless this is development."""
    broken = list(unsafe(settings))
    if broken and not getattr(settings, "development", False):
        lines = [f"  {rule.name}: {rule.text}." for rule in broken]
        raise SettingsUnsafe(
            "These settings are not safe:\n"
            + "\n".join(lines)
            + f"\nOn a machine where you develop, set {PREFIX}DEVELOPMENT=true instead."
        )


def _may_travel_in_the_clear(database_url: str) -> bool:
    parts = urlsplit(database_url)
    options = dict(parse_qsl(parts.query))
    if options.get("sslmode") in _ENCRYPTED:
        return False
    # There may be several, separated by commas, and they may be given as an option, or by whoever set the environment of PostgreSQL's
    # clients. None, and a folder: a socket.
    named = unquote(parts.netloc.rpartition("@")[2]).split(",") + options.get("host", "").split(",")
    if not any(named):
        named = os.environ.get("PGHOST", "").split(",")  # noqa: TID251 - asyncpg's
    # Which host a service is stands in a file that is not read here.
    is_service = "service" in options or "PGSERVICE" in os.environ  # noqa: TID251 - asyncpg's
    return is_service or any(
        host and not host.startswith("/") and not _is_here(_without_port(host)) for host in named
    )


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def _is_plain_http_elsewhere(url: str | None) -> bool:
    if url is None:
        return False
    parts = urlsplit(url)
    return parts.scheme == "http" and not _is_here(parts.hostname or "")


def _is_here(host: str) -> bool:
    """Whether a name or an address can only be this machine's."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_public(host: str) -> bool:
    """Whether what listens there may be reached from the internet: at all addresses, or at one of the internet."""
    try:
        address = ip_address(host)
    except ValueError:
        return not _is_here(host)
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_unspecified or address.is_global


def _has_this_machine(networks: str) -> bool:
    """Whether any of these networks lies within those of this machine, or holds them."""
    named = [ip_network(each.strip()) for each in networks.split(",") if each.strip()]
    return any(one.is_loopback or any(here in one for here in _THIS_MACHINE) for one in named)


def _others_can_read(path: Path | None, settings: BaseSettings) -> bool:
    """As PostgreSQL asks of its own key. A file that cannot be looked at is refused by whoever reads it, with the reason."""
    try:
        found = path.stat() if path is not None else None
    except OSError:
        found = None
    if found is None:
        return False
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid == 0:
        return bool(mode & 0o037)
    return found.st_uid not in _own_users(settings) or bool(mode & 0o077)


def _own_users(settings: BaseSettings) -> set[int]:
    """Who this process is, and who it becomes."""
    users = {os.geteuid()}
    run_as = getattr(settings, "run_as", None)
    # If there is none of that name, whoever becomes them says so.
    with suppress(KeyError):
        users |= {pwd.getpwnam(run_as).pw_uid} if run_as is not None else set()
    return users
