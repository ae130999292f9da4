"""Why a database could not be used, in one sentence with the cure. Never with a value: neither host, user nor password is told."""

import ssl
from collections.abc import Iterator, Sequence
from socket import gaierror
from typing import Final

import asyncpg

OLDEST_POSTGRESQL: Final = 16
# With these, COMMIT waits for the disk of the primary at least. `off` and `local` promise less than an operator asks for.
DURABLE_COMMITS: Final = frozenset({"on", "remote_write", "remote_apply"})


def database_cure(error: BaseException) -> str | None:
    """What an operator does about this error, however it is wrapped; None if it is no matter of reaching the database or of its rights."""
    return next((cure for cause in _causes(error) if (cure := _cure(cause)) is not None), None)


def version_problem(major: int) -> str | None:
    """Why this code does not work on a PostgreSQL of this version."""
    if major >= OLDEST_POSTGRESQL:
        return None
    return f"The database server is PostgreSQL {major}, and {OLDEST_POSTGRESQL} or newer is needed. Debian has newer ones at apt.postgresql.org."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error that was first, then what was made of it. What asyncpg says of the URL tells more than the file that it did not find."""
    if isinstance(error, asyncpg.ClientConfigurationError):
        yield error
        return
    inner = getattr(error, "orig", None) or error.__cause__ or error.__context__
    if isinstance(error, BaseExceptionGroup):
        inner = error.exceptions[0]
    if inner is not None:
        yield from _causes(inner)
    yield error


def _cure(error: BaseException) -> str | None:
    return next(
        (cure for kind, said, cure in _CURES if isinstance(error, kind) and said in str(error)),
        None,
    )


# An error of this kind, or of one of these, that says this, and what to do; the first that fits counts.
_CURES: Final[Sequence[tuple[type[BaseException] | tuple[type[BaseException], ...], str, str]]] = (
    (
        asyncpg.InvalidPasswordError,
        "",
        "The database refuses the password in REPLYCO_DATABASE_URL. Set it to the one that `ALTER ROLE … PASSWORD` gave this user.",
    ),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "no encryption",
        "The database takes nobody without TLS. Add ?sslmode=verify-full&sslrootcert=… to REPLYCO_DATABASE_URL.",
    ),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "",
        (
            "The database does not let the user of REPLYCO_DATABASE_URL in: there is none of this name, it may not log in (`ALTER ROLE … "
            "LOGIN`), or pg_hba.conf has no line for it."
        ),
    ),
    (
        asyncpg.InvalidCatalogNameError,
        "",
        "The server has no database of the name in REPLYCO_DATABASE_URL. Correct it, or make the database with `createdb`.",
    ),
    (
        asyncpg.InsufficientPrivilegeError,
        "",
        (
            "The user of REPLYCO_DATABASE_URL may not do this. `python -m migrations` needs the owner of the database, with CREATEROLE "
            "(`ALTER ROLE … CREATEROLE`); everything else the user of its own role, and a database that `python -m migrations upgrade` made."
        ),
    ),
    (
        (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError),
        "",
        "The database has not the tables of this version. Run `python -m migrations upgrade`.",
    ),
    (
        asyncpg.TooManyConnectionsError,
        "",
        "The database has no connection left for this user. Raise max_connections, or run fewer processes.",
    ),
    (
        ssl.SSLCertVerificationError,
        "",
        (
            "The database's certificate is not proven. Set sslrootcert in REPLYCO_DATABASE_URL to the CA that signed it, and the host to a "
            "name that stands in it."
        ),
    ),
    (
        ssl.SSLError,
        "",
        "There is no TLS with the database. Is sslrootcert in REPLYCO_DATABASE_URL a file of certificates (PEM)?",
    ),
    (
        ConnectionError,
        "SSL upgrade",
        "The database speaks no TLS, and sslmode in REPLYCO_DATABASE_URL asks for it. Set ssl = on in postgresql.conf.",
    ),
    (gaierror, "", "The host in REPLYCO_DATABASE_URL has no address. Correct it, or mend the name servers."),
    (
        (ConnectionRefusedError, FileNotFoundError),
        "",
        "Nobody listens where REPLYCO_DATABASE_URL points. Start PostgreSQL, or correct host and port.",
    ),
    (
        TimeoutError,
        "",
        ("The database does not answer in time. Is it overloaded, or does a firewall stand before it?"),
    ),
    (
        asyncpg.ClientConfigurationError,
        "",
        (
            "REPLYCO_DATABASE_URL cannot be used: is its sslmode one of disable, allow, prefer, require, verify-ca and verify-full, and "
            "its sslrootcert a file that this user may read?"
        ),
    ),
)
