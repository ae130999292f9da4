"""A collector on this machine: what it is sent, as bytes and as spans."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


@dataclass(frozen=True)
class Seen:
    """A span as the collector reads it."""

    role: str
    span: Span

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def facts(self) -> dict[str, str | int]:
        return {
            fact.key: fact.value.string_value if fact.value.HasField("string_value") else fact.value.int_value
            for fact in self.span.attributes
        }

    @property
    def is_error(self) -> bool:
        return self.span.status.code == Status.STATUS_CODE_ERROR


@dataclass
class Collector:
    """Takes what comes to /v1/traces; `status` is what it answers."""

    endpoint: str = ""
    status: str = "200 OK"
    bodies: list[bytes] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)

    def spans(self) -> list[Seen]:
        found = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                [role] = [
                    fact.value.string_value
                    for fact in resource.resource.attributes
                    if fact.key == "service.name"
                ]
                found += [Seen(role, span) for scope in resource.scope_spans for span in scope.spans]
        return found


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    """Until the block ends."""
    taken = Collector()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {
                    name.lower(): value
                    for name, _, value in (each.partition(": ") for each in fields if each)
                }
                body = await reader.readexactly(int(headers["content-length"]))
                taken.paths.add(line)
                taken.bodies.append(
                    gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
                )
                writer.write(f"HTTP/1.1 {taken.status}\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    taken.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield taken
    finally:
        server.close()
