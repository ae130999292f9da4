"""A process that parses mails for ParserPool, which starts it: `python -m services.mailrelay.delivery.parser_process`, a socket, a limit, a niceness.

It reads what strangers wrote, so it is a program of its own and no copy of the mail worker: it has neither its settings nor its keys, nor any
file of its but that socket, and loads nothing but the parser.
"""

from shared.loading import loading

with loading():
    import os
    import resource
    import signal
    import sys
    import time
    from contextlib import suppress
    from multiprocessing.connection import Connection

    from services.mailrelay.parsing.mail import parse_mail


def serve(connection: Connection, memory_bytes: int, niceness: int) -> None:
    """Say that it is there, then answer batches until the worker is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # these are for the worker, which ends us
    os.nice(niceness)
    # What is asked for beyond is refused: Python raises MemoryError, and only the mail's header is read; a library may abort.
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    with suppress(EOFError, ConnectionError):  # the worker is gone, however it went
        connection.send("ready")
        while True:
            mails, turn_seconds = connection.recv()
            ends_at = time.monotonic() + turn_seconds
            for place, mail in enumerate(mails, 1):
                began = time.process_time()
                parsed = parse_mail(mail)
                is_last = place == len(mails) or time.monotonic() >= ends_at
                connection.send((parsed, time.process_time() - began, is_last))
                if is_last:
                    break


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), memory_bytes=int(sys.argv[2]), niceness=int(sys.argv[3]))
