"""Metrics say which version a process runs, so that an upgrade is seen to be over."""

from shared.metrics import process_registry, render
from shared.version import version


def test_the_version_is_among_the_metrics():
    assert f'replyco_build_info{{version="{version()}"}} 1.0\n' in render(process_registry()).decode()
