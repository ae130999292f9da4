"""What docs/operations/smtp.md promises to hold."""

import inspect
from pathlib import Path

from services.mailrelay.settings import RelaySettings
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
