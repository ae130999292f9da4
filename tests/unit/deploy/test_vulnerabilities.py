"""`make scan`, with a service of the test's own in OSV's place."""

import json
import socket
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from deploy.dependencies import vulnerabilities

KNOWN: dict[str, Any] = {
    "vulns": [
        {
            "id": "GHSA-test",
            "summary": "It opens every door",
            "affected": [
                {
                    "package": {"name": "jinja2", "ecosystem": "PyPI"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.5"}]}],
                }
            ],
        }
    ]
}


class Service(BaseHTTPRequestHandler):
    """Knows of one vulnerability, in jinja2."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps(KNOWN if asked.get("package", {}).get("name") == "jinja2" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    @override
    def log_message(self, *_: object) -> None:
        """Nothing is told."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()
        thread.join()


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    file = tmp_path / "requirements.txt"
    file.write_text("jinja2==3.1.4\nmarkupsafe==3.0.2\n")
    return file


def test_a_known_vulnerability_is_named_and_fails(
    url: str, requirements: Path, capsys: pytest.CaptureFixture[str]
):
    assert vulnerabilities.main(["--osv-url", url, "--requirements", str(requirements)]) == 1

    told = capsys.readouterr().out
    assert "jinja2 3.1.4 (for development): GHSA-test, mended in 3.1.5. It opens every door" in told
    assert "2 packages asked for: 1 known vulnerabilities." in told


def test_what_was_accepted_counts_again_after_its_last_day(capsys: pytest.CaptureFixture[str]):
    vulnerability: dict[str, Any] = {
        "id": "PYSEC-1",
        "aliases": ["CVE-1"],
        "fix_versions": [],
        "description": "x",
    }
    report: list[dict[str, Any]] = [
        {"name": "httpx2", "version": "1", "vulns": [vulnerability]},
        {"name": "idna", "version": "1", "vulns": []},
    ]
    accepted = [{"id": "CVE-1", "why": "it reaches nobody", "until": date(2026, 12, 31)}]

    assert vulnerabilities.outcome(report, accepted, date(2026, 12, 31)) == 0
    assert "httpx2 1 (at run time): PYSEC-1, not mended yet, accepted. x" in capsys.readouterr().out
    assert vulnerabilities.outcome(report, accepted, date(2027, 1, 1)) == 1
    assert vulnerabilities.outcome(report[1:], [], date(2027, 1, 1)) == 0


def test_where_nobody_can_be_asked_it_says_so(requirements: Path, capsys: pytest.CaptureFixture[str]):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    scan = ["--osv-url", f"http://127.0.0.1:{port}/v1/query", "--requirements", str(requirements)]

    assert vulnerabilities.main(scan) == 0
    assert "Could not ask" in capsys.readouterr().out
    assert vulnerabilities.main([*scan, "--must-answer"]) == 2
