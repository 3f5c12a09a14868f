# SPDX-License-Identifier: Apache-2.0
"""Runs of processes: opened on the state of the database as it is, begun again where something is to be renewed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import psycopg2.extensions

from geocloud.catalogue.publish import read_catalogue
from geocloud.catalogue.registry import Catalogue
from geocloud.db.pool import connect
from geocloud.errors import Language, Outdated
from geocloud.jobs.model import Process, Results
from geocloud.jobs.state import LONG, Run, silent
from geocloud.settings import Settings

__all__ = ["Renewable", "Run", "open_reader", "open_run", "run_process", "warm_catalogue"]

# A session loads PostGIS and its tables of systems with the first question that needs them.
_FIRST = (
    "SELECT ST_Transform(p, 4527) && p, ST_DWithin(p::geography, p::geography, 1), ST_Covers(p, p) "
    "FROM ST_SetSRID(ST_Point(116, 36.5), 4490) p"
)


class Renewable(Outdated):
    """Something kept beside the layers is older than they are; `renew`, given the writer's URL, makes it anew.

    It is derived from layers alone, so renewing it needs no key of whoever asks.
    """

    renew: Callable[[str], None]


_TRIES = 3


@contextmanager
def open_reader(settings: Settings, reader_url: str) -> Iterator[psycopg2.extensions.connection]:
    """A connection for one run, in no transaction yet: what it reads is of the moment at which the run begins."""
    with connect(reader_url, application_name="geocloud process") as conn:
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute(LONG, (str(settings.database.process_statement_ms),))
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
    progress: Callable[[float, str, str], None] = silent,
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
    progress: Callable[[float, str, str], None] = silent,
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
