"""Every web server of ours names its event loop and its parser (docs/adr/0014)."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_server_takes_what_happens_to_be_installed():
    calls = [
        (path, {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords})
        for room in ("services", "shared")
        for path in (ROOT / room).rglob("*.py")
        # To parse all files takes a second.
        if "uvicorn" in (source := path.read_text("utf-8"))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"uvicorn.Config", "uvicorn.run"}
    ]

    assert len(calls) == 3
    assert [path for path, given in calls if not {"loop", "http"} <= given.keys()] == []
    assert {path.relative_to(ROOT).as_posix(): (given["loop"], given["http"]) for path, given in calls} == {
        # h11 with bounds (`http/connections.py`).
        "services/connector/serving.py": ("'uvloop'", "connections.protocol()"),
        "services/sandbox/__main__.py": ("'asyncio'", "'h11'"),
        "shared/side_port.py": ("'asyncio'", "'h11'"),
    }
