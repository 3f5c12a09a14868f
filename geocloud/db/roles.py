# SPDX-License-Identifier: Apache-2.0
"""The four database roles, their passwords and the URLs made of them.

    geocloud_owner   owns schemas and tables; migrates and publishes
    geocloud_writer  writes rows of layers
    geocloud_reader  reads; its transactions are read-only and its statements end at a time limit
    geocloud_jobs    queues processes and keeps their results; it sees no layer

In the private cluster they log in themselves. On a given server they are group roles, and each data folder has
its own logins in them (`geocloud_reader_5f2c91`), so that several installations do not change each other's passwords.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection, encrypt_password, parse_dsn

__all__ = [
    "JOBS",
    "OWNER",
    "READER",
    "ROLES",
    "WRITER",
    "Credentials",
    "Urls",
    "logs_in",
    "make_url",
    "open_database",
    "read_credentials",
    "set_login",
]

OWNER, WRITER, READER, JOBS = "geocloud_owner", "geocloud_writer", "geocloud_reader", "geocloud_jobs"
ROLES = (OWNER, WRITER, READER, JOBS)


@dataclass(frozen=True)
class Urls:
    """libpq URLs of one database, one a role; psycopg2, asyncpg and GDAL all take them."""

    owner: str
    writer: str
    reader: str
    jobs: str


@dataclass(frozen=True)
class Credentials:
    """Random passwords of a data folder, and the tag that ends the names of its logins on a given server."""

    tag: str
    owner: str
    writer: str
    reader: str
    jobs: str


def read_credentials(path: Path) -> Credentials:
    """The data folder's passwords; made, with mode 0600, when the file is missing or cut off.

    A file of a version that knew fewer roles keeps what it has.
    """
    fresh = {"tag": secrets.token_hex(3)} | {
        n: secrets.token_urlsafe(24) for n in ("owner", "writer", "reader", "jobs")
    }
    try:
        kept = json.loads(path.read_text())
        made = Credentials(**(fresh | kept))
        if fresh.keys() <= kept.keys():
            return made
    except (FileNotFoundError, ValueError, TypeError):
        made = Credentials(**fresh)
    part = path.with_suffix(f".{os.getpid()}")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump(made.__dict__, file)
        file.flush()
        os.fsync(fd)
    part.replace(path)
    return made


def make_url(base: str, **changed: str | None) -> str:
    """A libpq URL like `base` (a URL or key=value string) with parameters changed, or taken out by None."""
    parts = {k: v for k, v in (parse_dsn(base) | changed).items() if v is not None}
    user, password, dbname = parts.pop("user", ""), parts.pop("password", None), parts.pop("dbname", "")
    login = quote(user, safe="") + (":" + quote(password, safe="") if password is not None else "")
    host, port = parts.pop("host", ""), parts.pop("port", "")
    place = ""
    if host and not any(c in host for c in "/,:") and "," not in port:
        place = host + (f":{port}" if port else "")
    else:
        parts = {k: v for k, v in (("host", host), ("port", port)) if v} | parts
    query = urlencode(parts, quote_via=quote, safe="/")
    return f"postgresql://{login}{'@' if login else ''}{place}/{quote(dbname, safe='')}" + (
        f"?{query}" if query else ""
    )


def set_login(conn: connection, name: str, password: str, *, group: str | None, timeout_ms: int | None) -> None:
    """Makes or renews a login role; `timeout_ms` makes it a reader. The server only sees the SCRAM verifier."""
    with conn.cursor() as cur:
        cur.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,))
        verb = "CREATE" if cur.fetchone() is None else "ALTER"
        verifier = encrypt_password(password, name, conn, "scram-sha-256")
        role = sql.Identifier(name)
        cur.execute(sql.SQL(verb + " ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(verifier)))
        if group is not None:
            cur.execute("SELECT pg_has_role(%s, %s, 'MEMBER')", (name, group))
            if cur.fetchone() != (True,):
                cur.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), role))
        held = {"timezone": "UTC"}
        if timeout_ms is not None:
            held |= {
                "default_transaction_read_only": "on",
                "statement_timeout": str(timeout_ms),
                "idle_in_transaction_session_timeout": "60s",
            }
        for key, value in held.items():
            cur.execute(sql.SQL("ALTER ROLE {} SET {} = {}").format(role, sql.Identifier(key), sql.Literal(value)))


def open_database(conn: connection, database: str) -> None:
    """Lets the four roles into a database, and nobody else."""
    with conn.cursor() as cur:
        for statement in (
            "REVOKE ALL ON DATABASE {db} FROM PUBLIC",
            "GRANT CONNECT ON DATABASE {db} TO {owner}, {writer}, {reader}, {jobs}",
            "GRANT CREATE, TEMPORARY ON DATABASE {db} TO {owner}",
            "GRANT TEMPORARY ON DATABASE {db} TO {writer}",
        ):
            cur.execute(
                sql.SQL(statement).format(
                    db=sql.Identifier(database),
                    owner=sql.Identifier(OWNER),
                    writer=sql.Identifier(WRITER),
                    reader=sql.Identifier(READER),
                    jobs=sql.Identifier(JOBS),
                )
            )


def logs_in(url: str) -> psycopg2.Error | None:
    """None when the URL gets in, else what the database said."""
    try:
        psycopg2.connect(url, connect_timeout=10, application_name="geocloud check").close()
    except psycopg2.Error as exc:
        return exc
    return None
