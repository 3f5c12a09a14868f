# SPDX-License-Identifier: Apache-2.0
"""SQL of a layer's rows at a time, by its id alone: what is valid now, what was believed before, what differs.

All take values by name: `at`, the valid time; `believed`, the moment of belief before; `was_at`, the valid time before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["by_index", "near_now", "next_boundary", "now", "plain_now", "table", "then", "touched"]


def table(layer_id: str) -> str:
    """Quoted name of a layer's table."""
    theme, name = layer_id.split(".")
    return f'"{theme}"."{name}"'


@contextmanager
def by_index(cur: Any) -> Iterator[None]:
    """Joins of the block go by indexes, where the planner cannot know how few rows meet."""
    cur.execute("SET LOCAL enable_seqscan = off")
    yield
    cur.execute("SET LOCAL enable_seqscan = on")


def _past(layer_id: str) -> str:
    return f'history."{layer_id}"'


def plain_now(layer_id: str) -> str:
    """Rows of a layer whose every row of the table is valid at `at`: fid and geom."""
    return f"(SELECT fid, geom FROM {table(layer_id)})"


def now(layer_id: str) -> str:
    """Rows valid at `at` as believed now: fid and geom."""
    return (
        f"(SELECT fid, geom FROM {table(layer_id)} WHERE valid_from <= %(at)s AND valid_to > %(at)s UNION ALL "
        f"SELECT fid, geom FROM {_past(layer_id)} WHERE sys_to = 'infinity' AND valid_from <= %(at)s "
        "AND valid_to > %(at)s)"
    )


def near_now(layer_id: str, shapes: str, condition: str) -> str:
    """Numbers of the rows `r` valid at `at` that meet a condition with one of `shapes` (SQL of rows `s`).

    Each of the two tables is joined by itself: the planner does not take a join into both parts of a UNION.
    """
    held = "r.valid_from <= %(at)s AND r.valid_to > %(at)s"
    return (
        f"WITH s AS MATERIALIZED ({shapes}) "
        f"SELECT r.fid FROM s JOIN {table(layer_id)} r ON {condition} WHERE {held} UNION "
        f"SELECT r.fid FROM s JOIN {_past(layer_id)} r ON {condition} WHERE r.sys_to = 'infinity' AND {held}"
    )


def then(layer_id: str) -> str:
    """Rows valid at `was_at` as believed at `believed`: fid and geom."""
    held = "sys_from <= %(believed)s AND valid_from <= %(was_at)s AND valid_to > %(was_at)s"
    return (
        f"(SELECT fid, geom FROM {table(layer_id)} WHERE {held} UNION ALL "
        f"SELECT fid, geom FROM {_past(layer_id)} WHERE sys_to > %(believed)s AND {held})"
    )


def touched(layer_id: str) -> str:
    """Numbers of features of which a row was written after `believed`, or begins or ends to hold after `was_at` and
    not after `at`: each from an index of its own. No other feature can have changed."""
    live, past = table(layer_id), _past(layer_id)
    moved = "({0} > %(was_at)s AND {0} <= %(at)s)"
    return " UNION ".join(
        (
            f"SELECT fid FROM {live} WHERE sys_from > %(believed)s",
            f"SELECT fid FROM {live} WHERE valid_from > '-infinity' AND {moved.format('valid_from')}",
            f"SELECT fid FROM {live} WHERE valid_to < 'infinity' AND {moved.format('valid_to')}",
            f"SELECT fid FROM {past} WHERE sys_to < 'infinity' AND sys_to > %(believed)s",
            f"SELECT fid FROM {past} WHERE sys_to = 'infinity' AND sys_from > %(believed)s",
            f"SELECT fid FROM {past} WHERE sys_to = 'infinity' AND {moved.format('valid_from')}",
            f"SELECT fid FROM {past} WHERE sys_to = 'infinity' AND {moved.format('valid_to')}",
        )
    )


def next_boundary(layer_id: str) -> str:
    """When, after `at`, a believed row next begins or ends to hold; infinity for never."""
    live, past = table(layer_id), _past(layer_id)
    return (
        "SELECT coalesce(least("
        f"(SELECT min(valid_from) FROM {live} WHERE valid_from > '-infinity' AND valid_from > %(at)s), "
        f"(SELECT min(valid_to) FROM {live} WHERE valid_to < 'infinity' AND valid_to > %(at)s), "
        f"(SELECT min(valid_from) FROM {past} WHERE sys_to = 'infinity' AND valid_from > %(at)s), "
        f"(SELECT min(valid_to) FROM {past} WHERE sys_to = 'infinity' AND valid_to > %(at)s)), 'infinity')"
    )
