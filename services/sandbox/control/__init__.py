"""The control API, `/control/…`: what tests turn and read, as JSON; docs/sandbox.md has examples.

There must be no way to consent here: tests go through the pages, as sellers do.
"""
