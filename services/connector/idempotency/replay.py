"""The answer of a request that has been done before."""

from collections.abc import Sequence

Headers = Sequence[tuple[bytes, bytes]]


class Replay(Exception):
    """The request has been done before: this was its answer."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        super().__init__("answered before")
        self.status, self.headers, self.body = status, headers, body
