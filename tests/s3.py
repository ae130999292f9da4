"""An S3 server of moto's as a child process on this machine, and settings for a bucket on it."""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import httpx2
from pydantic import SecretStr

from shared.settings import BlobSettings
from tests.processes import command

SECRET = "secret-canary"


@dataclass(frozen=True)
class S3:
    """A running server; it forgets everything when it ends."""

    endpoint: str

    def make_bucket(self) -> str:
        bucket = f"mail-{uuid4().hex}"
        httpx2.put(f"{self.endpoint}/{bucket}").raise_for_status()
        return bucket


def blob_settings(endpoint: str, bucket: str) -> BlobSettings:
    return BlobSettings(
        blob_url=f"s3://{bucket}/some/where",
        blob_endpoint=endpoint,
        blob_region="us-east-1",
        blob_access_key_id="key",
        blob_secret_access_key=SecretStr(SECRET),
    )


@contextmanager
def s3_server(port: int = 0) -> Iterator[S3]:
    process = subprocess.Popen(
        command("moto.server", "-H", "127.0.0.1", "-p", str(port)),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    reading = threading.Thread(target=process.stderr.read, daemon=True)
    try:
        found = None
        while found is None:
            line = process.stderr.readline()
            assert line, "moto did not start"
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
        reading.start()  # it logs each request; a full pipe would stop it
        yield S3(found[0])
    finally:
        process.kill()
        process.wait()
        if reading.is_alive():
            reading.join()
        for pipe in (process.stdin, process.stderr):
            if pipe is not None:
                pipe.close()
