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

# The longest that the description allows, and one less: schemathesis looks a thousand times for one of a length that none here has.
_LONGEST_URIS = (499, 500, 1_999, 2_000)
_LONGEST_EMAILS = (253, 254)
_LONGEST_HOST_NAMES = (252, 253)


def _host_name(length: int) -> str:
    """Of three full labels, and one that fills up what is left."""
    full = f"{'h' * 63}." * 3
    return f"{full}{'h' * (length - len(full) - len('.example'))}.example"


# A few of each, by name.
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

schemathesis.openapi.format(
    "hostname", st.sampled_from([*_HOST_NAMES, *(_host_name(length) for length in _LONGEST_HOST_NAMES)])
)
schemathesis.openapi.format(
    "email",
    st.sampled_from(
        [
            *(f"{label}@{host}" for label in _LABELS for host in _HOST_NAMES),
            *(f"a@{_host_name(length - len('a@'))}" for length in _LONGEST_EMAILS),
        ]
    ),
)
schemathesis.openapi.format(
    "uri",
    st.sampled_from(
        [
            *(f"https://{host}/{label}" for label in _LABELS for host in _HOST_NAMES),
            *("https://a.example/".ljust(length, "u") for length in _LONGEST_URIS),
        ]
    ),
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


# No address of such a form is as short as the description allows: that there is none was found out in half of all the time.
_NONE_IS_SHORT = {"email", "uri", "hostname"}


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Nothing is said of a key's length where its bounds are not tried, nor of a least length that nothing can have."""
    if "--generation-deterministic" not in sys.argv:
        return
    for path, operations in raw_schema["paths"].items():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "Idempotency-Key" and path not in _KEYS_BOUNDS_ARE_TRIED_BY:
                    parameter["schema"] = {"type": "string", "pattern": "^[ -~]+$"}
    _without_least_lengths(raw_schema)


def _without_least_lengths(part: Any) -> None:
    if isinstance(part, dict):
        if part.get("format") in _NONE_IS_SHORT:
            part.pop("minLength", None)
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            _without_least_lengths(each)
