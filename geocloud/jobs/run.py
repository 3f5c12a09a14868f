# SPDX-License-Identifier: Apache-2.0
"""What a process is given while it runs: one state of the database, the layers as they are in it, a way to tell how
far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg2.extensions

from geocloud.catalogue.publish import read_catalogue
from geocloud.catalogue.registry import Catalogue
from geocloud.db.pool import connect
from geocloud.errors import Forbidden, Language
from geocloud.settings import Settings

__all__ = ["Run", "open_run"]


def _silent(_share: float, _zh: str, _en: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Run:
    """`reader` is a connection of the reader role in one repeatable-read transaction: whatever is edited meanwhile,
    everything read through it belongs to one moment, and `catalogue` too.

    `progress(share, zh, en)` tells how far the work is, from 0 to 1, and what it is at; it raises when the work has
    been cancelled, so call it between steps. `by` is who asked, for the change log.
    """

    settings: Settings
    reader: psycopg2.extensions.connection
    catalogue: Catalogue
    language: Language = "zh"
    by: str = ""
    job: str = ""
    progress: Callable[[float, str, str], None] = _silent
    writer_url: str | None = field(default=None, repr=False)

    @contextmanager
    def writer(self) -> Iterator[psycopg2.extensions.connection]:
        """A connection of the writer role: one transaction, committed when the block ends."""
        if self.writer_url is None:
            raise Forbidden(
                "This server does not let processes change layers.",
                "本服务器不允许处理改动图层。",
                todo_en="Switch editing on (GEOCLOUD_EDITING), or run the process by `geocloud process run`.",
                todo_zh="请开启编辑(GEOCLOUD_EDITING),或用 geocloud process run 运行。",
            )
        with connect(self.writer_url, application_name="geocloud process") as conn:
            yield conn


@contextmanager
def open_run(
    settings: Settings,
    reader_url: str,
    *,
    writer_url: str | None = None,
    language: Language = "zh",
    by: str = "",
    job: str = "",
    progress: Callable[[float, str, str], None] = _silent,
) -> Iterator[Run]:
    """A run on the state of the database as it is now."""
    with connect(reader_url, application_name="geocloud process") as conn:
        conn.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with conn.cursor() as cur:
            # Long work reads more than a page of the API may.
            cur.execute(
                "SET TIME ZONE 'UTC'; SET jit = off; SELECT set_config('statement_timeout', %s, false)",
                (str(settings.database.process_statement_ms),),
            )
        yield Run(settings, conn, read_catalogue(conn), language, by, job, progress, writer_url)
