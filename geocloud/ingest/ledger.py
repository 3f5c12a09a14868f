# SPDX-License-Identifier: Apache-2.0
"""What the database keeps about loads (入库记录): where rows come from, and one record a finished load."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extras import Json

from geocloud.catalogue.spec import Source as Origin
from geocloud.errors import IngestError

__all__ = ["Digest", "known_origin", "layer_version", "origin_number", "record_load"]

# No row has this number, so an origin seen for the first time retires nothing.
UNKNOWN = -1


class Digest:
    """SHA-256 of a file as delivered, computed beside other work; None for a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread: threading.Thread | None = None
        self._value: str | None = None

    def start(self) -> None:
        """Begins, when nothing else keeps the machine busy."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ingest-digest", daemon=True)
            self._thread.start()

    def value(self) -> str | None:
        """The digest in hexadecimal; waits for it."""
        self.start()
        if self._thread is not None:
            self._thread.join()
        return self._value

    def _run(self) -> None:
        if self._path.is_file():
            with self._path.open("rb") as file:
                self._value = hashlib.file_digest(file, "sha256").hexdigest()


def layer_version(conn: Connection, layer_id: str) -> int:
    """The layer's present version; IngestError when it is not published."""
    with conn.cursor() as cur:
        cur.execute("SELECT version FROM geocloud.layer_state WHERE layer = %s", (layer_id,))
        row = cur.fetchone()
    conn.commit()
    if row is None:
        raise IngestError(
            f"Layer {layer_id} is not published.",
            f"图层 {layer_id} 尚未发布。",
            todo_en="Run `geocloud layers sync` first.",
            todo_zh="请先运行 `geocloud layers sync`。",
        )
    return int(row[0])


def known_origin(cur: Any, layer_id: str, origin: Origin) -> int:
    """The number of an origin of the layer; UNKNOWN when it is new."""
    cur.execute(
        "SELECT id FROM geocloud.source WHERE layer = %s AND title_en = %s AND licence = %s AND synthetic = %s",
        (layer_id, origin.title.en, origin.licence, origin.synthetic),
    )
    row = cur.fetchone()
    return int(row[0]) if row else UNKNOWN


def origin_number(cur: Any, layer_id: str, origin: Origin) -> int:
    """The number of the load's origin; a new one is told to all workers, who show it with the collection."""
    known = known_origin(cur, layer_id, origin)
    if known != UNKNOWN:
        return known
    cur.execute(
        "INSERT INTO geocloud.source (layer, title_zh, title_en, licence, url, synthetic) "
        "VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
        (layer_id, origin.title.zh, origin.title.en, origin.licence, origin.url, origin.synthetic),
    )
    number: int = cur.fetchone()[0]
    cur.execute("UPDATE geocloud.catalogue_state SET revision = revision + 1 RETURNING revision")
    cur.execute("SELECT pg_notify('geocloud', json_build_object('catalogue', %s)::text)", cur.fetchone())
    return number


def record_load(
    cur: Any, layer_id: str, source_id: int, file_name: str, sha256: str | None, report: dict[str, Any]
) -> int:
    """Writes the record of a finished load in its transaction and returns the layer's version."""
    cur.execute("SELECT version FROM geocloud.layer_state WHERE layer = %s", (layer_id,))
    version: int = cur.fetchone()[0]
    cur.execute(
        "INSERT INTO geocloud.load (layer, source_id, file_name, file_sha256, version, report) "
        "VALUES (%s, %s, %s, %s, %s, %s)",
        (layer_id, source_id, file_name, sha256, version, Json(report)),
    )
    return version
