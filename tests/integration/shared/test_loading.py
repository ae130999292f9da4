"""What a command does not need is not loaded: a process that is started anew, at night after a crash for one, is there sooner."""

import os
import subprocess
import sys

import pytest

# Without the garbage collector, as a command loads its code.
_LOADED = """
import gc, importlib, sys
gc.disable()
importlib.import_module(sys.argv[1])
print("\\n".join(sys.modules))
"""
_WEB = {"fastapi", "starlette", "services.connector.web", "services.connector.app"}
_DATABASE = {"sqlalchemy", "asyncpg", "shared.tables"}
# Only for who wants spans.
_TRACES = {"opentelemetry"}
# By the module that a command loads first, or that holds its work.
NOT_NEEDED = {
    "services.connector.__main__": _WEB
    | _DATABASE
    | {"services.connector.settings", "zxcvbn", "dns", "rich"},
    "services.connector.worker": _WEB | _TRACES | {"webauthn", "phonenumbers"},
    "services.connector.keys.commands": _WEB | {"zxcvbn"},
    # Its reason is another one: what strangers wrote is read without the code that holds keys.
    "services.mailrelay.delivery.parser_process": _WEB
    | _DATABASE
    | {
        "services.mailrelay.__main__",
        "services.mailrelay.settings",
        "pydantic",
        "cryptography",
        "structlog",
        "dns",
        "requests",
    },
    "services.mailrelay.__main__": _DATABASE | {"aiosmtpd", "services.mailrelay.parsing", "dns", "rich"},
    "services.sandbox.__main__": _DATABASE | {"rich"},
    "services.mailrelay.worker": _WEB | _TRACES,
    "services.mailrelay.process.child": _WEB
    | _TRACES
    | {
        "aiosmtplib",
        "requests",
        "services.mailrelay.parsing",
        "sqlalchemy",
        "shared.tables",
        "shared.database",
    },
}


@pytest.mark.parametrize("module", NOT_NEEDED)
def test_a_command_loads_only_what_it_needs(module: str):
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, module],
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())

    assert module in loaded
    assert loaded & NOT_NEEDED[module] == set()
    assert [name for name in loaded if name.startswith("services.") and name.endswith(".api")] == []
