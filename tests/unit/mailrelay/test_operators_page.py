"""What docs/operations/smtp.md promises to hold."""

import inspect
import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from services.mailrelay.metrics import RelayMetrics
from services.mailrelay.settings import DnsSettings, RelaySettings
from services.mailrelay.smtp import limits, replies
from services.mailrelay.smtp.replies import Reply

PAGE = (Path(__file__).parents[3] / "docs" / "operations" / "smtp.md").read_text("utf-8")


def test_the_page_explains_every_reply_and_none_that_is_not_given():
    given = {
        f"{reply.code} {reply.status} {reply.text}"
        for _name, reply in inspect.getmembers(replies)
        if isinstance(reply, Reply)
    } | {replies.START_MAIL}
    rows = [line for line in PAGE.partition("## Replies")[2].splitlines() if line.startswith("| `")]
    explained = {line.split("`")[1] for line in rows}

    assert explained == given | {"220 … ESMTP Replyco …"}


def test_the_page_names_every_setting():
    assert [name for name in RelaySettings.model_fields if f"`{name.upper()}`" not in PAGE] == []


def test_the_page_names_every_limit_as_the_metric_does():
    assert [hit for hit in limits.LimitHit if f"`{hit}`" not in PAGE] == []


def test_the_page_names_each_default_as_the_settings_have_it():
    rows = [re.match(r"\| ((?:`(?!SIG)[A-Z_]+`(?:, )?)+) \|([^|]*)\|", line) for line in PAGE.splitlines()]
    written = {
        name: value
        for row in rows
        if row is not None
        for name, value in zip(re.findall(r"[A-Z_]+", row[1]), _defaults(row[2]), strict=False)
    }

    assert len(written) > 25
    assert written == {name: _FIELDS[name.lower()].default for name in written} | _WITHOUT_DEFAULT | _UNSET


_FIELDS = DnsSettings.model_fields | RelaySettings.model_fields
# Both have to be set, and then nothing is said of a default.
_WITHOUT_DEFAULT = {"DATABASE_URL": None, "MAIL_PUBLIC_KEY_FILE": None}
# Not set, it comes to this in production.
_UNSET = {"DRAIN_SECONDS": RelaySettings.model_construct(development=False).seconds_to_drain}


def _defaults(cell: str) -> list[object]:
    """`512 MiB`, `2,000`, `127.0.0.1`, none: one value for each name of the row."""
    if cell.strip() in {"", "none"}:
        return [() if cell.strip() else None] * 2
    if words := re.findall(r"`([^`]+)`", cell):
        return [_value(word) for word in words]
    number, _, unit = cell.replace(",", "").strip().partition(" ")
    return [int(number) * {"": 1, "KiB": 1024, "MiB": 1024 * 1024}[unit]]


def _value(word: str) -> object:
    if word in {"true", "false"}:
        return word == "true"
    return int(word) if word.isdecimal() else word


def test_the_page_names_every_metric_of_the_relay_and_none_that_is_not_there():
    registry = CollectorRegistry()
    RelayMetrics(registry)
    there = {
        f"{family.name}_total" if family.type == "counter" else family.name for family in registry.collect()
    }
    named = set(re.findall(r"replyco_(?:smtp|journal|blob|recipients)_\w+", PAGE))

    assert named == there
