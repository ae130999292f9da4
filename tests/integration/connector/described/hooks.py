"""What schemathesis cannot know from the description: how our own formats look, and that a key is for one request.

Loaded by its command; it imports nothing of ours.
"""

import json
import sys
from itertools import count
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import strategies as st

_keys = count(1)
# By operation what stands for another caller in place of the one of the whole run: what ends a caller is tried once with each.
_OTHERS = json.loads(Path("others.json").read_text("utf-8"))

# A few of each, by name: of lengths that none of them has, schemathesis would look for one a thousand times among what is put together
# anew each time, which took most of its time. Among what is listed it sees at once that there is none.
_LABELS = ["a", "anna.schmidt", "lampen-laden", "n" * 40]
_HOST_NAMES = ["a.example", "mail.seller.example", "xn--bcher-kva.example", f"{'h' * 63}.1.example"]
# Of every length at which a line ends: what is described is tried at its bounds.
_BOUNDS = (
    1, 2, 59, 60, 99, 100, 199, 200, 253, 254, 255, 256, 499, 500, 599, 600, 3_999, 4_000, 9_999, 10_000, 11_999, 12_000,
)  # fmt: skip
# Letters, marks, digits, punctuation and symbols of several scripts: to work out all of Unicode takes seconds.
_CHARACTERS = "abcXYZ019äßÉñłжДяעبپ日本한é\u0301٣²¼€§©😀'\"<>&%+-_.,;:!?()[]{}|\\/@#$^`~"
_LINES = st.sampled_from([(_CHARACTERS * (bound // len(_CHARACTERS) + 1))[:bound] for bound in _BOUNDS])
# Where examples are to differ from run to run, in `make soak`, others beside them: for each bound, texts are put together in vain.
if "--generation-deterministic" not in sys.argv:
    _LINES |= st.text(_CHARACTERS, min_size=1, max_size=40)

schemathesis.openapi.format("hostname", st.sampled_from(_HOST_NAMES))
schemathesis.openapi.format(
    "email", st.sampled_from([f"{label}@{host}" for label in _LABELS for host in _HOST_NAMES])
)
schemathesis.openapi.format(
    "uri", st.sampled_from([f"https://{host}/{label}" for label in _LABELS for host in _HOST_NAMES])
)
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
    """Valid keys are given to one request each; those that are not valid stay as they are. Some operations have another caller."""
    key = case.headers.get("Idempotency-Key")
    if key and len(key) <= 255 and key.isascii() and key.isprintable():
        case.headers["Idempotency-Key"] = f"key-{next(_keys)}"
    if other := _OTHERS.get(case.operation.label):
        for values in (case.headers, case.cookies, case.path_parameters):
            for name, value in values.items():
                values[name] = other.get(value, value)


# All operations take the same key and describe it alike (tests/unit/connector/test_api_docs.py). Where examples are the same in each run its
# bounds are tried with some of them, and keys with all: bounds with all were a fifth of the requests. `make soak` tries all with all.
_KEYS_BOUNDS_ARE_TRIED_BY = {
    "/api/v1/tags",
    "/api/v1/webhooks",
    "/api/v1/conversations/{conversation_id}/replies",
}


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Nothing is said of a key's length where its bounds are not tried."""
    if "--generation-deterministic" not in sys.argv:
        return
    for path, operations in raw_schema["paths"].items():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "Idempotency-Key" and path not in _KEYS_BOUNDS_ARE_TRIED_BY:
                    parameter["schema"] = {"type": "string", "pattern": "^[ -~]+$"}
