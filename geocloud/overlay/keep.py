# SPDX-License-Identifier: Apache-2.0
"""Keeping stamps: by a load in its own transaction, and by `bring_up_to_date` for whatever else has been written.

Stamps of a layer are brought up to date from where they are: features written since, or that began or ended to hold
(`times.touched`), and those near a border that has moved. Where nothing is known of before, the whole layer is stamped
in batches that hold no lock; what is written meanwhile is found afterwards like any other change. A state is written
last, so whatever kills the work leaves stamps that are not used, never wrong ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import psycopg2
import psycopg2.extensions
from numpy.typing import NDArray

from geocloud.overlay.moved import features_near, moved_area
from geocloud.overlay.rows import delete_stamps, read_zones, stamp_range, stamp_some, write_stamps
from geocloud.overlay.times import next_boundary, now, plain_now, table, touched
from geocloud.overlay.zones import Zones
from geocloud.overlay.zonings import CELLS, CELLS_RULE, ZONINGS, stamp_table

__all__ = ["Outcome", "ZoneShelf", "bring_up_to_date", "layers_behind", "stamp_written"]

How = Literal["current", "near", "whole", "busy", "later"]
Progress = Callable[[float], None]
Ints = NDArray[np.int64]

_LOCK_CLASS = 0x6765_6F03
# Features stamped at a time: some 200 MB while it lasts. A point takes far less than a shape with its corners.
_POINTS, _BATCH = 1_000_000, 200_000
# More features than this, and this share of a layer, are stamped as a whole.
_SOME_MAX, _SOME_SHARE = 200_000, 0.5
_HOLD_MS, _HOLD_TRIES = 1_000, 30
# Features for which zones near them are asked for; for more, all zones are read.
_NEAR_MAX = 5_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done for a layer: how, and how many features were stamped (again)."""

    layer: str
    how: How
    stamped: int = 0
    zones_moved: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Zoning:
    """A zoning as it is, and the state of a layer's stamps by it; None where there is none."""

    name: str
    version: int
    stamp: str
    layer_version: int | None
    zoning_version: int | None
    zoning_stamp: str | None
    stamped_at: str | None
    holds: bool

    @property
    def moved(self) -> bool:
        """Whether the zones are not those of the stamps."""
        return self.zoning_version != self.version or not self.holds


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer as it is: version and stamp of its last write, rows, whether all of them are valid now, its geometry."""

    version: int
    stamp: str
    rows: int
    plain: bool
    points: bool


_ZONINGS = """
SELECT z.name, CASE WHEN z.layer = '' THEN %(rule)s ELSE zs.version END,
       CASE WHEN z.layer = '' THEN '-infinity' ELSE zs.stamp END::text,
       s.layer_version, s.zoning_version, s.zoning_stamp::text, s.stamped_at::text,
       coalesce(s.holds_until > clock_timestamp(), false)
  FROM geocloud.zoning z
  LEFT JOIN geocloud.layer d ON d.id = z.layer AND d.status = 'active' AND d.spec->>'geometry' <> 'none'
  LEFT JOIN geocloud.layer_state zs ON zs.layer = d.id
  LEFT JOIN geocloud.stamp_state s ON s.layer = %(layer)s AND s.zoning = z.name
 WHERE z.layer = '' OR zs.layer IS NOT NULL ORDER BY z.place
"""
_LAYER = """
SELECT s.version, s.stamp::text, s.row_count, s.next_boundary = 'infinity', d.spec->>'geometry' = 'point'
  FROM geocloud.layer_state s JOIN geocloud.layer d ON d.id = s.layer WHERE s.layer = %s
"""
_PUT_STATE = """
INSERT INTO geocloud.stamp_state AS s (layer, zoning, layer_version, zoning_version, layer_stamp, zoning_stamp,
       stamped_at, holds_until)
VALUES (%(layer)s, %(zoning)s, %(version)s, %(zoning_version)s, %(stamp)s, %(zoning_stamp)s, %(at)s, %(until)s)
ON CONFLICT (layer, zoning) DO UPDATE SET layer_version = excluded.layer_version,
       zoning_version = excluded.zoning_version, layer_stamp = excluded.layer_stamp,
       zoning_stamp = excluded.zoning_stamp, stamped_at = excluded.stamped_at, holds_until = excluded.holds_until
"""


class ZoneShelf:
    """Zones read once for several layers, as long as they stay what they are."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, bool, Zones]] = {}

    def get(self, cur: Any, zonings: list[_Zoning], at: Any) -> dict[str, Zones]:
        """All zones of the zonings valid at a time."""
        out = {}
        for z in zonings:
            if z.name == CELLS:
                continue
            kept = self._kept.get(z.name)
            if kept is None or kept[0] != z.version or kept[1]:
                dated = _value(cur, f"SELECT ({next_boundary(ZONINGS[z.name].layer)}) < 'infinity'", {"at": at})
                kept = self._kept[z.name] = (z.version, bool(dated), read_zones(cur, z.name, at))
            out[z.name] = kept[2]
        return out


def layers_behind(conn: psycopg2.extensions.connection, layer_id: str | None = None) -> list[str]:
    """Layers whose stamps are not those of now; of one layer alone where it is named. Zonings come first."""
    with conn.cursor() as cur:
        cur.execute(
            "SELECT layer FROM geocloud.stamp_status WHERE NOT current "
            "AND (%(layer)s::text IS NULL OR layer = %(layer)s) GROUP BY layer "
            "ORDER BY layer NOT IN (SELECT layer FROM geocloud.zoning), layer",
            {"layer": layer_id},
        )
        return [r[0] for r in cur.fetchall()]


def bring_up_to_date(
    conn: psycopg2.extensions.connection,
    layer_id: str,
    *,
    shelf: ZoneShelf | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Makes a layer's stamps those of now, as the writer or the owner; commits what it has done.

    `busy`: somebody else is at it. Other writers of the layer wait while changed features are stamped, at most 200,000.
    """
    began = time.monotonic()
    shelf = shelf or ZoneShelf()
    with conn.cursor() as cur:
        if not _value(cur, "SELECT pg_try_advisory_lock(%(class)s, hashtext(%(layer)s))", _lock(layer_id)):
            conn.rollback()
            return Outcome(layer_id, "busy")
        try:
            done = _some(cur, layer_id, shelf)
            if done is not None and done.how == "busy":
                conn.rollback()
            if done is None:
                conn.rollback()
                done = _whole(conn, cur, layer_id, shelf, progress or (lambda _: None))
            conn.commit()
        except BaseException:
            if not conn.closed:
                conn.rollback()
            raise
        finally:
            if not conn.closed:
                cur.execute("SELECT pg_advisory_unlock(%(class)s, hashtext(%(layer)s))", _lock(layer_id))
                conn.commit()
    return Outcome(layer_id, done.how, done.stamped, done.zones_moved, time.monotonic() - began)


def stamp_written(cur: Any, layer_id: str) -> Outcome:
    """Stamps what the running transaction has written to a layer, whose lock it holds; for loads.

    A layer that had rows which have never been stamped, or that is just being stamped, is left as it is: it is behind
    then, and brought up to date later.
    """
    began = time.monotonic()
    if not _value(cur, "SELECT pg_try_advisory_xact_lock(%(class)s, hashtext(%(layer)s))", _lock(layer_id)):
        return Outcome(layer_id, "later")
    layer, zonings = _read(cur, layer_id)
    at = _value(cur, "SELECT clock_timestamp()::text", {})
    older = f"SELECT EXISTS (SELECT FROM {table(layer_id)} WHERE sys_from < %(stamp)s)"
    if not _value(cur, older, {"stamp": layer.stamp}):
        cur.execute(f"DELETE FROM {stamp_table(layer_id)}")
        count = _all(cur, layer_id, layer, ZoneShelf().get(cur, zonings, at), at, lambda _: None)
        _put_states(cur, layer_id, layer, zonings, at)
        return Outcome(layer_id, "whole", count, 0, time.monotonic() - began)
    if not any(z.layer_version is not None for z in zonings):
        return Outcome(layer_id, "later")
    # By a zoning that has moved, or by which nothing was stamped yet, more features are behind; that stays so.
    kept = [z for z in zonings if z.layer_version is not None and not z.moved]
    late = [z for z in zonings if z.layer_version is not None and z.moved]
    fids = _fids(cur, touched(layer_id), _since(cur, layer_id, at))
    zones = ZoneShelf().get(cur, zonings, at) if len(fids) > _NEAR_MAX else None
    count = _renew(cur, layer_id, fids, zones, at)
    _put_states(cur, layer_id, layer, kept, at)
    if late:
        cur.execute(
            "UPDATE geocloud.stamp_state SET layer_version = %s, layer_stamp = %s "
            "WHERE layer = %s AND zoning = ANY (%s)",
            (layer.version, layer.stamp, layer_id, [z.name for z in late]),
        )
    return Outcome(layer_id, "near", count, 0, time.monotonic() - began)


def _some(cur: Any, layer_id: str, shelf: ZoneShelf) -> Outcome | None:
    """Stamps what has changed; None where all has to be stamped."""
    layer, zonings = _read(cur, layer_id)
    if any(z.layer_version is None for z in zonings):
        return None
    if all(not z.moved and z.layer_version == layer.version for z in zonings):
        return Outcome(layer_id, "current")
    if not _hold(cur, layer_id):
        return Outcome(layer_id, "busy")
    layer, zonings = _read(cur, layer_id)
    at = _value(cur, "SELECT clock_timestamp()::text", {})
    found = (
        None
        if any(z.name == CELLS and z.version != z.zoning_version for z in zonings)
        else (_changed(cur, layer_id, layer, zonings, at))
    )
    if found is None:
        return None
    fids, zones_moved = found
    wanted = np.array(sorted(fids), np.int64)
    zones = shelf.get(cur, zonings, at) if len(wanted) > _NEAR_MAX else None
    count = _renew(cur, layer_id, wanted, zones, at)
    # What was taken out with its history, as a demo city is, has left no trace to follow.
    if not _complete(cur, layer_id, layer, [z for z in zonings if z.moved and z.name != CELLS], at):
        return None
    _put_states(cur, layer_id, layer, zonings, at)
    return Outcome(layer_id, "near", count, zones_moved)


def _changed(cur: Any, layer_id: str, layer: _Layer, zonings: list[_Zoning], at: Any) -> tuple[set[int], int] | None:
    """Features to be stamped again and zones that have moved; None where these are most features."""
    fids = set(_fids(cur, touched(layer_id), _since(cur, layer_id, at)).tolist())
    most = max(_NEAR_MAX, min(_SOME_MAX, _SOME_SHARE * layer.rows))
    zones_moved = 0
    for z in zonings:
        if len(fids) > most:
            return None
        if z.moved and z.name != CELLS:
            times = {"believed": z.zoning_stamp, "was_at": z.stamped_at, "at": at}
            area = moved_area(cur, z.name, times)
            if area is None:
                return None
            zones_moved += area.zones
            fids |= set(features_near(cur, layer_id, area, times))
    return None if len(fids) > most else (fids, zones_moved)


def _whole(
    conn: psycopg2.extensions.connection, cur: Any, layer_id: str, shelf: ZoneShelf, progress: Progress
) -> Outcome:
    """Stamps every feature; writers wait only for the end of it."""
    cur.execute("DELETE FROM geocloud.stamp_state WHERE layer = %s", (layer_id,))
    cur.execute(f"DELETE FROM {stamp_table(layer_id)}")
    conn.commit()
    layer, zonings = _read(cur, layer_id)
    at = _value(cur, "SELECT clock_timestamp()::text", {})
    zones = shelf.get(cur, zonings, at)

    def told(share: float) -> None:
        conn.commit()
        progress(share)

    count = _all(cur, layer_id, layer, zones, at, told)
    conn.commit()
    for _ in range(_HOLD_TRIES):
        if _hold(cur, layer_id):
            break
        conn.rollback()
        time.sleep(1)
    else:
        return Outcome(layer_id, "busy")
    after, _ = _read(cur, layer_id)
    end = _value(cur, "SELECT clock_timestamp()::text", {})
    fids = _fids(cur, touched(layer_id), {"believed": layer.stamp, "was_at": at, "at": end})
    count += _renew(cur, layer_id, fids, zones, end)
    _put_states(cur, layer_id, after, zonings, end, zones_at=at)
    return Outcome(layer_id, "whole", count)


def _hold(cur: Any, layer_id: str) -> bool:
    """Makes writers of the layer wait from here, but not readers; False where one has been writing for long, since all
    others would wait behind."""
    try:
        cur.execute(f"SET LOCAL lock_timeout = {_HOLD_MS}")
        cur.execute(f"LOCK TABLE {table(layer_id)} IN SHARE MODE")
        cur.execute("SET LOCAL lock_timeout = 0")
    except psycopg2.errors.LockNotAvailable:
        return False
    return True


def _all(cur: Any, layer_id: str, layer: _Layer, zones: dict[str, Zones], at: Any, told: Progress) -> int:
    """Stamps every feature valid at a time, range by range; the number of them."""
    relation = plain_now(layer_id) if layer.plain else now(layer_id)
    cur.execute(f"SELECT coalesce(min(fid), 0), coalesce(max(fid), 0) FROM {table(layer_id)}")
    low, high = cur.fetchone()
    # As many numbers as a batch may have rows; more where numbers have great gaps.
    most = _POINTS if layer.points else _BATCH
    step = max(most, (high - low) // max(1, 4 * layer.rows // most))
    ends = [*range(low + step - 1, high, step), 2**63 - 1]
    count, first = 0, 0
    for k, last in enumerate(ends):
        values = {"at": at, "first": first, "last": last}
        stamps = stamp_range(cur, relation, values, zones, points=layer.points)
        write_stamps(cur, layer_id, stamps)
        count, first = count + len(stamps), last + 1
        told((k + 1) / (len(ends) + 1))
    return count


def _renew(cur: Any, layer_id: str, fids: Ints, zones: dict[str, Zones] | None, at: Any) -> int:
    """Stamps some features anew; rows of those that hold no more go."""
    count = 0
    for begin in range(0, len(fids), _BATCH):
        part = fids[begin : begin + _BATCH]
        stamps = stamp_some(cur, now(layer_id), {"at": at}, part, zones)
        delete_stamps(cur, layer_id, part.tolist())
        write_stamps(cur, layer_id, stamps)
        count += len(stamps)
    return count


def _complete(cur: Any, layer_id: str, layer: _Layer, moved: list[_Zoning], at: Any) -> bool:
    """Whether there is a row for each feature, and none names a zone that is not there."""
    rows = layer.rows if layer.plain else _value(cur, f"SELECT count(*) FROM {now(layer_id)} r", {"at": at})
    if _value(cur, f"SELECT count(*) FROM {stamp_table(layer_id)}", {}) != rows:
        return False
    for z in moved:
        unknown = (
            f"SELECT EXISTS (SELECT FROM (SELECT DISTINCT {z.name} AS zone FROM {stamp_table(layer_id)}) s "
            f"WHERE zone IS NOT NULL AND zone NOT IN (SELECT fid FROM {now(ZONINGS[z.name].layer)} z))"
        )
        if _value(cur, unknown, {"at": at}):
            return False
    return True


def _put_states(cur: Any, layer_id: str, layer: _Layer, zonings: list[_Zoning], at: Any, zones_at: Any = None) -> None:
    """Says of which versions the stamps are, and until when; `zones_at`: as of when the zones were read, if earlier."""
    own = _value(cur, f"SELECT ({next_boundary(layer_id)})::text", {"at": at})
    for z in zonings:
        until = own
        if z.name != CELLS:
            zone_end = f"SELECT least(({next_boundary(ZONINGS[z.name].layer)}), %(own)s::timestamptz)::text"
            until = _value(cur, zone_end, {"at": zones_at or at, "own": own})
        cur.execute(
            _PUT_STATE,
            {
                "layer": layer_id, "zoning": z.name, "version": layer.version, "zoning_version": z.version,
                "stamp": layer.stamp, "zoning_stamp": z.stamp, "at": zones_at or at, "until": until,
            },
        )  # fmt: skip


def _read(cur: Any, layer_id: str) -> tuple[_Layer, list[_Zoning]]:
    """Layer and zonings as they are. Versions are read before rows: rows that are newer are only stamped once more."""
    cur.execute(_ZONINGS, {"layer": layer_id, "rule": CELLS_RULE})
    zonings = [_Zoning(*r) for r in cur.fetchall()]
    cur.execute(_LAYER, (layer_id,))
    return _Layer(*cur.fetchone()), zonings


def _since(cur: Any, layer_id: str, at: Any) -> dict[str, Any]:
    """From which state of the layer on its features are to be looked at, for `times.touched`."""
    cur.execute(
        "SELECT min(layer_stamp)::text, min(stamped_at)::text FROM geocloud.stamp_state WHERE layer = %s", (layer_id,)
    )
    believed, was_at = cur.fetchone()
    return {"believed": believed, "was_at": was_at, "at": at}


def _fids(cur: Any, sql: str, values: dict[str, Any]) -> Ints:
    cur.execute(sql, values)
    rows = cur.fetchall()
    return np.sort(np.fromiter((r[0] for r in rows), np.int64, len(rows)))


def _value(cur: Any, sql: str, values: dict[str, Any]) -> Any:
    cur.execute(sql, values)
    return cur.fetchone()[0]


def _lock(layer_id: str) -> dict[str, Any]:
    return {"class": _LOCK_CLASS, "layer": layer_id}
