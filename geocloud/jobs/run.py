# SPDX-License-Identifier: Apache-2.0
"""What a process is given while it runs: one state of the database, the layers as they are in it, a way to tell how
far it is."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import psycopg2.extensions

from geocloud.catalogue.publish import read_catalogue
from geocloud.catalogue.registry import Catalogue
from geocloud.db.pool import connect
from geocloud.errors import Forbidden, Language, Outdated
from geocloud.features.binder import Binder
from geocloud.jobs.model import Process, Results
from geocloud.settings import Settings

__all__ = ["Renewable", "Run", "open_reader", "open_run", "run_process", "warm_catalogue"]

# Long work reads more than a page of the API may, and ends with its process, were that killed.
_LONG = (
    "SET TIME ZONE 'UTC'; SET jit = off; SET client_connection_check_interval = '500ms'; "
    "SELECT set_config('statement_timeout', %s, false)"
)
# A session loads PostGIS and its tables of systems with the first question that needs them.
_FIRST = (
    "SELECT ST_Transform(p, 4527) && p, ST_DWithin(p::geography, p::geography, 1), ST_Covers(p, p) "
    "FROM ST_SetSRID(ST_Point(116, 36.5), 4490) p"
)
_CURSORS = itertools.count(1)
_PLACEHOLDER = re.compile(r"\$(\d+)")


class Renewable(Outdated):
    """Something kept beside the layers is older than they are; `renew`, given the writer's URL, makes it anew.

    It is derived from layers alone, so renewing it needs no key of whoever asks.
    """

    renew: Callable[[str], None]


_TRIES = 3


def _silent(_share: float, _zh: str, _en: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Run:
    """`reader` is a connection of the reader role in one repeatable-read transaction: whatever is edited meanwhile,
    everything read through it belongs to one moment, and `catalogue` too.

    `progress(share, zh, en)` tells how far the work is, from 0 to 1, and what it is at.
    """

    settings: Settings
    reader: psycopg2.extensions.connection
    catalogue: Catalogue
    language: Language = "zh"
    progress: Callable[[float, str, str], None] = _silent
    writer_url: str | None = None

    @contextmanager
    def writer(self) -> Iterator[psycopg2.extensions.connection]:
        """A connection of the writer role, one transaction: committed at the end of the block, undone by an error."""
        if self.writer_url is None:
            raise Forbidden(
                "This run may only read.", "本次运行只能读取。",
                todo_en="Start the process with a key of the layer that it writes, or by the command line.",
                todo_zh="请以该图层的密钥启动处理,或用命令行运行。",
            )  # fmt: skip
        with connect(self.writer_url, application_name="geocloud process") as conn:
            with conn.cursor() as cur:
                cur.execute(_LONG, (str(self.settings.database.process_statement_ms),))
            yield conn

    def rows(self, sql: str, binder: Binder) -> list[tuple[Any, ...]]:
        """All rows of a statement and the values bound in it."""
        with self.reader.cursor() as cur:
            cur.execute(*_named(sql, binder))
            found: list[tuple[Any, ...]] = cur.fetchall()
        return found

    def batches(self, sql: str, binder: Binder, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a statement, at most `size` at a time, so that memory does not grow with them."""
        with self.reader.cursor(name=f"batches_{next(_CURSORS)}") as cur:
            cur.itersize = size
            cur.execute(*_named(sql, binder))
            while rows := cur.fetchmany(size):
                yield rows


def _named(sql: str, binder: Binder) -> tuple[str, dict[str, object]]:
    # The clauses are those of the API, whose driver numbers what psycopg2 names.
    named = _PLACEHOLDER.sub(r"%(a\1)s", sql.replace("%", "%%"))
    return named, {f"a{i}": v for i, v in enumerate(binder.args, 1)}


@contextmanager
def open_reader(settings: Settings, reader_url: str) -> Iterator[psycopg2.extensions.connection]:
    """A connection for one run, in no transaction yet: what it reads is of the moment at which the run begins."""
    with connect(reader_url, application_name="geocloud process") as conn:
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute(_LONG, (str(settings.database.process_statement_ms),))
            cur.execute(_FIRST)
        conn.autocommit = False
        conn.set_session(isolation_level="REPEATABLE READ", readonly=True)
        yield conn


@contextmanager
def open_run(
    settings: Settings,
    reader_url: str,
    *,
    language: Language = "zh",
    progress: Callable[[float, str, str], None] = _silent,
    writer_url: str | None = None,
    reader: psycopg2.extensions.connection | None = None,
    public: bool = False,
) -> Iterator[Run]:
    """A run on the state of the database as it is now; it may write where it is given the writer's URL.

    `reader` is a connection of `open_reader`, in no transaction; without it one is opened. `public`: the run knows
    public layers alone, as whoever asks over HTTP does; internal ones do not exist for it.
    """
    with nullcontext(reader) if reader is not None else open_reader(settings, reader_url) as conn:
        catalogue = _catalogue(conn)
        yield Run(settings, conn, catalogue.public() if public else catalogue, language, progress, writer_url)


def warm_catalogue(conn: psycopg2.extensions.connection, *, anew: bool = False) -> bool:
    """Has the definitions of layers at hand for the runs of this process and of its children; by the reader role.

    Returns whether it had to read them. `anew` reads them whatever is at hand: a database may have been restored from
    a copy since.
    """
    if anew:
        _last.clear()
    with conn.cursor() as cur:
        cur.execute("SELECT revision, identity FROM geocloud.catalogue_state")
        row = cur.fetchone()
    known = _last.get(_place(conn))
    if known is not None and row == (known.revision, known.identity):
        return False
    _catalogue(conn)
    return True


# What was read last, by database: the definitions of layers stay the same for days, and reading them takes longer than
# many a process. Copies of a database have the same identity, so that alone does not do.
_last: dict[tuple[str, ...], Catalogue] = {}


def _place(conn: psycopg2.extensions.connection) -> tuple[str, ...]:
    told = conn.info.dsn_parameters
    return tuple(told.get(k, "") for k in ("host", "hostaddr", "port", "dbname"))


def _catalogue(conn: psycopg2.extensions.connection) -> Catalogue:
    place = _place(conn)
    found = read_catalogue(conn, _last.get(place))
    _last.clear()
    _last[place] = found
    return found


def run_process(
    process: Process,
    settings: Settings,
    inputs: dict[str, Any],
    wanted: frozenset[str],
    *,
    reader_url: str,
    writer_url: str,
    language: Language = "zh",
    progress: Callable[[float, str, str], None] = _silent,
    reader: psycopg2.extensions.connection | None = None,
    public: bool = False,
) -> Results:
    """The results of a process on the state of the database as it is now; `reader` and `public` as for `open_run`.

    Where what it reads beside the layers is older than they are, that is renewed first, and the run begins again.
    """
    may_write = writer_url if process.writes(inputs) is not None else None
    for left in reversed(range(_TRIES)):
        try:
            with open_run(
                settings, reader_url, language=language, progress=progress, writer_url=may_write, reader=reader,
                public=public,
            ) as run:  # fmt: skip
                return process.run(run, inputs, wanted)
        except Renewable as exc:
            if not left:
                raise
            renew = exc.renew
        if reader is not None:
            reader.rollback()  # what it holds would stand in the way
            reader = None
        renew(writer_url)
    raise AssertionError("the last try returns or raises")
