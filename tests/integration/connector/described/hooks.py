"""What schemathesis cannot know from the description: how our own formats look, and that a key is for one request.

Loaded by its command; it imports nothing of ours.
"""

from itertools import count
from typing import Any

import schemathesis
from hypothesis import strategies as st

_keys = count(1)

# A few of each: of lengths that none has, schemathesis would else look for one a thousand times, which took most of its time.
_LABELS = st.sampled_from(["a", "anna.schmidt", "lampen-laden", "n" * 40])
_HOSTS = st.sampled_from(
    ["a.example", "mail.seller.example", "xn--bcher-kva.example", f"{'h' * 63}.1.example"]
)
# Letters, marks, digits, punctuation and symbols of several scripts: to work out all of Unicode takes seconds.
_LINES = st.text(
    "abcXYZ019äßÉñłжДяעبپ日本한é\u0301٣²¼€§©😀'\"<>&%+-_.,;:!?()[]{}|\\/@#$^`~", min_size=1, max_size=40
)

schemathesis.openapi.format("hostname", _HOSTS)
schemathesis.openapi.format("email", st.builds("{}@{}".format, _LABELS, _HOSTS))
schemathesis.openapi.format("uri", st.builds("https://{}/{}".format, _HOSTS, _LABELS))
schemathesis.openapi.format("time-zone", st.sampled_from(["Europe/Berlin", "America/New_York", "UTC"]))
# Every list takes it: the time of the last row, and its id.
schemathesis.openapi.format(
    "cursor",
    st.just("WyIyMDI2LTExLTIzVDA4OjU5OjAxKzAwOjAwIiwiMDE5YWFiYmJjY2NjN2NjY2JiYmIwMTk5YWFiYmNjZGQiXQ"),
)
schemathesis.openapi.format(
    "search", st.sampled_from(["Lampe", "303-1234567-1234567", "k3x9@marketplace.amazon.de"])
)
schemathesis.openapi.format("etag", st.just("*"))
schemathesis.openapi.format("line", _LINES)
schemathesis.openapi.format("lines", _LINES)
schemathesis.openapi.format("integration-name", _LINES)


@schemathesis.hook
def before_call(
    context: schemathesis.HookContext, case: "schemathesis.Case[Any]", kwargs: dict[str, Any]
) -> None:
    """Valid keys are given to one request each; those that are not valid stay as they are."""
    key = case.headers.get("Idempotency-Key")
    if key and len(key) <= 255 and key.isascii() and key.isprintable():
        case.headers["Idempotency-Key"] = f"key-{next(_keys)}"
