# SPDX-License-Identifier: Apache-2.0
"""What a process is given while it runs: one state of the database, the layers as they are in it, a way to tell how
far it is."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2.extensions

from geocloud.catalogue.registry import Catalogue
from geocloud.db.pool import connect
from geocloud.errors import Forbidden, Language
from geocloud.features.binder import Binder
from geocloud.settings import Settings

__all__ = ["LONG", "Run", "silent"]

# Long work reads more than a page of the API may, and ends with its process, were that killed.
LONG = (
    "SET TIME ZONE 'UTC'; SET jit = off; SET client_connection_check_interval = '500ms'; "
    "SELECT set_config('statement_timeout', %s, false)"
)
"""What a session of a run is set to; takes the longest time of a statement in ms as text."""
_CURSORS = itertools.count(1)
_PLACEHOLDER = re.compile(r"\$(\d+)")


def silent(_share: float, _zh: str, _en: str) -> None:
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
    progress: Callable[[float, str, str], None] = silent
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
                cur.execute(LONG, (str(self.settings.database.process_statement_ms),))
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
