# SPDX-License-Identifier: Apache-2.0
"""A load that kills itself with SIGKILL at a named moment; run as a process of its own by the tests.

python -m tests.ingest.killed URL FILE LAYER HOME MOMENT DIRECT_ROWS
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2

from geocloud.catalogue.publish import read_catalogue
from geocloud.ingest import direct, load, merge
from geocloud.ingest.files import load_file
from geocloud.ingest.load import LoadOptions
from tests.ingest.loading import settings

MOMENTS = ("first-batch", "last-batch", "before-merge", "after-writes", "before-record", "after-commit")


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        function(*args, **kwargs)
        die()

    return wrapped


def main(url: str, path: str, layer_id: str, home: str, moment: str, direct_rows: str) -> None:
    conn = psycopg2.connect(url)
    layer = read_catalogue(conn).layers[layer_id]
    conn.close()

    def progress(stage: str, done: int, total: int | None) -> None:
        first = moment == "first-batch" and stage == "read"
        last = moment == "last-batch" and stage == "read" and done == total
        if first or last or (moment == "before-merge" and stage in ("merge", "index")):
            die()

    if moment == "after-writes":
        merge.write_changes = after(merge.write_changes)
        direct.set_sequence = after(direct.set_sequence)
    elif moment == "before-record":
        load.record_load = die
    load_file(
        url, Path(path), layer, settings=settings(Path(home), batch_rows=1000, direct_rows=int(direct_rows)),
        options=LoadOptions(full=True), progress=progress,
    )  # fmt: skip
    die()


if __name__ == "__main__":
    main(*sys.argv[1:])
