# SPDX-License-Identifier: Apache-2.0
"""From the commit of an edit to the tile that shows it, while 16 clients read."""

from __future__ import annotations

import http.client
import json
import math
import queue
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Literal

import mapbox_vector_tile
import psycopg2

from benchmarks.city import COMPONENT, SEED, City
from benchmarks.peers.base import Endpoint
from benchmarks.report import Finding
from benchmarks.special.base import Context, special
from benchmarks.tiling import TileAsk, drawn
from benchmarks.wrk import Round, wrk

__all__ = ["edited"]

EDITS = 60
_ZOOM = 16
_READ, _CONNECTIONS, _ROUND_S = 40, 16, 3.0
# Where a place is moved to, in tile units; by how much it may lie elsewhere there.
_STEP, _UNITS = 300, 2
_POLL_S, _PATIENCE_S = 0.01, 30.0
_FIELD = "state"
_WORLD_M = 40075016.685578488
_MEDIAN_MS, _WORST_MS = 300, 1000


@dataclass(frozen=True)
class _Look:
    """What a tile shows of a point: the attribute that is edited, the place in tile units."""

    value: str
    x: int
    y: int


@dataclass(frozen=True)
class _Edit:
    """A single-row update, and the point as tiles show it before and afterwards."""

    fid: int
    tile: TileAsk
    what: Literal["attribute", "place"]
    before: _Look
    after: _Look
    geometry: str

    @property
    def back(self) -> _Edit:
        """The update that undoes it."""
        return replace(self, before=self.after, after=self.before)


@dataclass
class _Seen:
    """Milliseconds from the commit. `stale_first`: the first answer asked for was from before the edit; `relapse_ms`:
    when the last answer from before it was given after one of it, by the other worker."""

    tile_ms: float
    event_ms: float = 0.0
    stale_first: bool = False
    relapse_ms: float | None = None


@special("tiles_edit", "edit to fresh tile, with 16 clients reading")
def edited(context: Context) -> list[Finding]:
    """Single rows updated by SQL as the writer role, each read back out of the tile of z16 over HTTP.

    First as an open map does it, which asks once an event has come; then, undoing the edits, by plain asking again and
    again. Every tile is asked for on a new connection, so that either worker may answer.
    """
    kept = context.endpoints.get("geocloud-cached")
    if kept is None:
        return []
    city = context.ground.city
    edits = _edits(city, kept)
    reading = [*drawn(city, COMPONENT, _ZOOM, _READ, ()), *(e.tile for e in edits)]
    targets = list(dict.fromkeys(kept.tile(a) for a in reading))
    undone = [e.back for e in reversed(edits)]
    with _restored(city, edits), closing(psycopg2.connect(context.ground.urls.writer)) as conn:
        with _readers(context, kept, targets) as rounds:
            with _Events(kept.server.port, COMPONENT) as events:
                heard = [_after_event(conn, kept, e, events) for e in _paced(edits)]
            polled = [_by_polling(conn, kept, e) for e in _paced(undone)]
        if any(r.errors for r in rounds):
            raise RuntimeError(f"{sum(r.errors for r in rounds)} answers to the readers were errors")
    places = sum(e.what == "place" for e in edits)
    rate = median(r.rate for r in rounds)
    around = f"{len(edits) - places} attributes, {places} places; 16 clients read {len(targets)} tiles at {rate:.0f}/s"
    found = _judged("fresh tile, asked for after the event", [s.tile_ms for s in heard], around)
    events_ms = [s.event_ms for s in heard]
    found.append(Finding("edits", "event, median", median(events_ms), "ms"))
    found.append(Finding("edits", "event, worst", max(events_ms), "ms"))
    first = sum(s.stale_first for s in heard)
    found.append(
        Finding("edits", "first tile after the event from before the edit", float(first), "tiles", "0", first == 0)
    )
    found += _judged("fresh tile, asked for again and again", [s.tile_ms for s in polled], around)
    for title, seen in (("after the event", heard), ("asked for again and again", polled)):
        late = [s.relapse_ms for s in seen if s.relapse_ms is not None]
        worst = max(late, default=0.0)
        found.append(
            Finding(
                "edits", f"the other worker's last tile from before the edit, {title}", worst, "ms",
                f"under {_WORST_MS / 1000:g} s", worst < _WORST_MS, f"after {len(late)} of {len(seen)} edits",
            )
        )  # fmt: skip
    return found


def _judged(title: str, ms: Sequence[float], detail: str) -> list[Finding]:
    middle, worst = median(ms), max(ms)
    return [
        Finding("edits", f"{title}, median", middle, "ms", f"under {_MEDIAN_MS} ms", middle < _MEDIAN_MS, detail),
        Finding("edits", f"{title}, worst", worst, "ms", f"under {_WORST_MS / 1000:g} s", worst < _WORST_MS, detail),
    ]


def _edits(city: City, endpoint: Endpoint) -> list[_Edit]:
    """Points that are drawn one by one in their tile, every other one to be moved, the rest to get another state."""
    layer = city.layers[COMPONENT]
    with closing(city.connect()) as conn, conn.cursor() as cur:
        cur.execute(f'SELECT DISTINCT "{_FIELD}" FROM {layer.table} WHERE "{_FIELD}" IS NOT NULL ORDER BY 1')
        values = [row[0] for row in cur.fetchall()]
        cur.execute(
            f'SELECT fid, "{_FIELD}", geom::text, ST_X(p), ST_Y(p) FROM (SELECT *, ST_Transform(geom, 3857) AS p '
            f'FROM {layer.table} WHERE fid = ANY(%s) AND "{_FIELD}" IS NOT NULL) q ORDER BY fid',
            (city.random_fids(COMPONENT, EDITS * 4),),
        )
        rows = cur.fetchall()
    random.Random(f"{SEED}-edits").shuffle(rows)
    side, half = _WORLD_M / 2**_ZOOM, _WORLD_M / 2
    found: list[_Edit] = []
    for fid, value, geometry, x, y in rows:
        if len(found) == EDITS:
            break
        col, row = math.floor((x + half) / side), math.floor((half - y) / side)
        tile = TileAsk(COMPONENT, _ZOOM, col, row, ())
        before = _look(_ask(endpoint, tile), fid)
        # Where a tile is too full its features are counted, and none is to be seen.
        if before is None or before.value != value or not (0 <= before.x < 4096 and 0 <= before.y < 4096):
            continue
        if len(found) % 2:
            after = replace(before, x=before.x + (_STEP if before.x < 2048 else -_STEP))
            found.append(_Edit(fid, tile, "place", before, after, geometry))
        else:
            other = values[(values.index(value) + 1) % len(values)]
            found.append(_Edit(fid, tile, "attribute", before, replace(before, value=other), geometry))
    if len(found) < EDITS or len(values) < 2:
        raise LookupError(f"only {len(found)} points of {COMPONENT} can be edited and seen, {len(values)} states")
    return found


def _write(conn: Any, edit: _Edit) -> tuple[float, int]:
    """Makes the edit; the moment before its commit, and the layer's version it made."""
    with conn.cursor() as cur:
        table = '"{}"."{}"'.format(*COMPONENT.split("."))
        if edit.what == "attribute":
            cur.execute(f'UPDATE {table} SET "{_FIELD}" = %s WHERE fid = %s', (edit.after.value, edit.fid))
        else:
            side = _WORLD_M / 2**_ZOOM
            x = (edit.tile.x + (edit.after.x + 0.5) / 4096) * side - _WORLD_M / 2
            y = _WORLD_M / 2 - (edit.tile.y + (edit.after.y + 0.5) / 4096) * side
            place = "ST_Transform(ST_SetSRID(ST_MakePoint(%s, %s), 3857), 4490)"
            cur.execute(f"UPDATE {table} SET geom = {place} WHERE fid = %s", (x, y, edit.fid))
        if cur.rowcount != 1:
            raise RuntimeError(f"the edit of {edit.fid} changed {cur.rowcount} rows")
        cur.execute("SELECT version FROM geocloud.layer_state WHERE layer = %s", (COMPONENT,))
        version = int(cur.fetchone()[0])
    begun = time.perf_counter()
    conn.commit()
    return begun, version


def _after_event(conn: Any, endpoint: Endpoint, edit: _Edit, events: _Events) -> _Seen:
    begun, version = _write(conn, edit)
    heard = events.wait(version)
    at, stale = _until_fresh(endpoint, edit, begun)
    return _Seen((at - begun) * 1e3, (heard - begun) * 1e3, stale > 0, _relapse(endpoint, edit, begun))


def _by_polling(conn: Any, endpoint: Endpoint, edit: _Edit) -> _Seen:
    begun, _ = _write(conn, edit)
    at, _ = _until_fresh(endpoint, edit, begun)
    return _Seen((at - begun) * 1e3, relapse_ms=_relapse(endpoint, edit, begun))


def _until_fresh(endpoint: Endpoint, edit: _Edit, begun: float) -> tuple[float, int]:
    """When the first tile with the edit had arrived, and how many without it had come before."""
    stale, last = 0, b""
    while time.perf_counter() - begun < _PATIENCE_S:
        data = _ask(endpoint, edit.tile)
        at = time.perf_counter()
        if data != last:
            look, last = _look(data, edit.fid), data
            if look is not None and _is(look, edit.after):
                return at, stale
            if look is not None and not _is(look, edit.before):
                raise RuntimeError(f"{edit.fid} is neither as before nor as edited: {look}, {edit}")
        stale += 1
        time.sleep(_POLL_S)
    raise RuntimeError(f"no fresh tile within {_PATIENCE_S:g} s of the edit of {edit.fid}")


def _relapse(endpoint: Endpoint, edit: _Edit, begun: float) -> float | None:
    """When the last answer from before the edit was given, until four in a row are of it; None when there was none."""
    last, good = None, 0
    while good < 4:
        look = _look(_ask(endpoint, edit.tile), edit.fid)
        if look is not None and _is(look, edit.after):
            good += 1
            continue
        last, good = (time.perf_counter() - begun) * 1e3, 0
        if last > _PATIENCE_S * 1e3:
            raise RuntimeError(f"tiles from before the edit of {edit.fid} do not cease")
    return last


def _is(look: _Look, wanted: _Look) -> bool:
    return look.value == wanted.value and max(abs(look.x - wanted.x), abs(look.y - wanted.y)) <= _UNITS


def _ask(endpoint: Endpoint, tile: TileAsk) -> bytes:
    conn = http.client.HTTPConnection("127.0.0.1", endpoint.server.port, timeout=_PATIENCE_S)
    try:
        conn.request("GET", endpoint.tile(tile))
        answer = conn.getresponse()
        body = answer.read()
    finally:
        conn.close()
    if answer.status not in (200, 204):
        raise RuntimeError(f"{endpoint.tile(tile)}: {answer.status} {body[:200]!r}")
    return body


def _look(data: bytes, fid: int) -> _Look | None:
    """A point as a tile has it; None when it is not there one by one."""
    layers = mapbox_vector_tile.decode(data, default_options={"y_coord_down": True}) if data else {}
    for layer in layers.values():
        for feature in layer["features"]:
            if feature.get("id") == fid and feature["geometry"]["type"] == "Point":
                x, y = feature["geometry"]["coordinates"]
                return _Look(feature["properties"].get(_FIELD, ""), x, y)
    return None


def _paced(edits: Sequence[_Edit]) -> Iterator[_Edit]:
    """Edits with pauses of no regular length, so that none keeps step with anything."""
    draw = random.Random(f"{SEED}-pace")
    for edit in edits:
        time.sleep(draw.uniform(0.05, 0.25))
        yield edit


@contextmanager
def _readers(context: Context, endpoint: Endpoint, targets: Sequence[str]) -> Iterator[list[Round]]:
    """Clients that read without a pause until the end of the block; their rounds, the first of them complete."""
    rounds: list[Round] = []
    failed: list[Exception] = []
    over, begun = threading.Event(), threading.Event()

    def read() -> None:
        while not over.is_set():
            begun.set()
            try:
                rounds.append(
                    wrk(endpoint.server.port, targets, _CONNECTIONS, max(_ROUND_S, context.seconds), context.folder)
                )
            except Exception as exc:
                failed.append(exc)
                return

    thread = threading.Thread(target=read)
    thread.start()
    try:
        begun.wait()
        yield rounds
    finally:
        over.set()
        thread.join()
    if failed:
        raise RuntimeError(f"the readers ended: {failed[0]!r}")


@contextmanager
def _restored(city: City, edits: Sequence[_Edit]) -> Iterator[None]:
    """Puts every edited row back as it was; what was current as the peers' copy is so again."""
    with closing(city.connect()) as conn, conn.cursor() as cur:
        cur.execute(
            "SELECT EXISTS (SELECT FROM peers.made m JOIN geocloud.layer_state s USING (layer, version) "
            "WHERE layer = %s)",
            (COMPONENT,),
        )
        current = bool(cur.fetchone()[0])
        try:
            yield
        finally:
            table = city.layers[COMPONENT].table
            for edit in edits:
                cur.execute(
                    f'UPDATE {table} SET "{_FIELD}" = %s, geom = %s::geometry WHERE fid = %s '
                    f'AND ("{_FIELD}", geom::text) IS DISTINCT FROM (%s, %s)',
                    (edit.before.value, edit.geometry, edit.fid, edit.before.value, edit.geometry),
                )
            if current:
                cur.execute(
                    "UPDATE peers.made m SET version = s.version FROM geocloud.layer_state s "
                    "WHERE s.layer = m.layer AND m.layer = %s",
                    (COMPONENT,),
                )


class _Events:
    """A stream of server-sent events, read in a thread of its own; the moment at which each version arrived."""

    def __init__(self, port: int, collection: str) -> None:
        self._conn = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._target = f"/events?collections={collection}"
        self._arrived: queue.Queue[tuple[float, int]] = queue.Queue()
        self._stop: Callable[[], None] = self._conn.close
        self._thread: threading.Thread | None = None

    def __enter__(self) -> _Events:
        self._conn.request("GET", self._target)
        sock = self._conn.sock
        answer = self._conn.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{self._target}: {answer.status}")
        self._stop = lambda: sock.shutdown(socket.SHUT_RDWR)
        while _line(answer):
            pass
        self._thread = threading.Thread(target=self._read, args=(answer,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        if self._thread is not None:
            self._thread.join(10)
        self._conn.close()

    def wait(self, version: int) -> float:
        """When the event of a version came; RuntimeError when it does not."""
        deadline = time.perf_counter() + _PATIENCE_S
        while (left := deadline - time.perf_counter()) > 0:
            try:
                at, arrived = self._arrived.get(timeout=left)
            except queue.Empty:
                break
            if arrived >= version:
                return at
        raise RuntimeError(f"no event of version {version} within {_PATIENCE_S:g} s")

    def _read(self, answer: http.client.HTTPResponse) -> None:
        kind = ""
        while True:
            try:
                line = _line(answer)
            except (OSError, ValueError, http.client.HTTPException):
                return
            at = time.perf_counter()
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: ") and kind == "change":
                self._arrived.put((at, int(json.loads(line[6:])["version"])))


def _line(answer: http.client.HTTPResponse) -> str:
    """A line of a stream without its end; HTTPException when the stream has ended."""
    data = answer.readline()
    if not data:
        raise http.client.IncompleteRead(b"")
    return data.decode().rstrip("\r\n")
