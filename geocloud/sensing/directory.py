# SPDX-License-Identifier: Apache-2.0
"""The registered datastreams: registering them, and the directory that writers look readings up in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from geocloud.errors import UnknownCollection
from geocloud.sensing.model import Datastream, Stream, finite
from geocloud.sensing.units import symbol

__all__ = ["Directory", "register"]

_REGISTER = """
WITH given AS (
  SELECT * FROM jsonb_to_recordset($1::text::jsonb) AS g (
    layer text, device text, fid bigint, property text, unit text, datum text, minimum float8, maximum float8,
    cap float8, zero_ok boolean, interval_s int, thresholds jsonb, source text, synthetic boolean)
), changed AS (
  UPDATE sensing.datastream d
     SET datum = g.datum, minimum = g.minimum, maximum = g.maximum, cap = g.cap, zero_ok = g.zero_ok,
         interval_s = g.interval_s, thresholds = g.thresholds, source = g.source, synthetic = g.synthetic
    FROM given g
   WHERE (d.layer, d.device, d.property) = (g.layer, g.device, g.property) AND d.unit = g.unit
     AND (d.datum, d.minimum, d.maximum, d.cap, d.zero_ok, d.interval_s, d.thresholds, d.source, d.synthetic)
         IS DISTINCT FROM
         (g.datum, g.minimum, g.maximum, g.cap, g.zero_ok, g.interval_s, g.thresholds, g.source, g.synthetic)
  RETURNING d.id
), added AS (
  INSERT INTO sensing.datastream (layer, device, fid, property, unit, datum, minimum, maximum, cap, zero_ok,
                                  interval_s, thresholds, source, synthetic)
  SELECT layer, device, fid, property, unit, datum, minimum, maximum, cap, zero_ok, interval_s, thresholds, source,
         synthetic
    FROM given ORDER BY layer, device, property
  ON CONFLICT DO NOTHING
  RETURNING id
)
SELECT (SELECT count(*) FROM added)::int, (SELECT count(*) FROM changed)::int,
       ARRAY(SELECT d.layer || ' ' || d.device || ' ' || d.property FROM sensing.datastream d JOIN given g
             ON (d.layer, d.device, d.property) = (g.layer, g.device, g.property) WHERE d.unit <> g.unit LIMIT 5)
"""
_READ = """
SELECT id, layer, device, property, unit, minimum, maximum, cap, zero_ok FROM sensing.datastream ORDER BY id
"""


async def register(conn: Any, streams: Sequence[Datastream]) -> tuple[int, int, list[str]]:
    """Registers datastreams that are not known and brings the others up to date; how many of each.

    The unit of a datastream stays as it is, because its values are in it: those asked for in another come back as
    names. `conn` is an asyncpg connection of the writer role. UnknownCollection when a layer is not published.
    """
    layers = sorted({s.layer for s in streams})
    known = {r[0] for r in await conn.fetch("SELECT id FROM geocloud.layer WHERE id = ANY($1::text[])", layers)}
    for layer in layers:
        if layer not in known:
            raise UnknownCollection(f"There is no collection `{layer[:100]}`.", f"没有名为 {layer[:100]} 的数据集。")
    rows = [
        s.model_dump(mode="json", exclude={"by_fid", "unit"})
        | {"fid": int(s.device) if s.by_fid else None, "unit": symbol(s.unit)}
        for s in streams
    ]
    found = await conn.fetchrow(_REGISTER, orjson.dumps(rows).decode())
    return found[0], found[1], list(found[2])


class Directory:
    """Datastreams in memory, as of the last revision asked for; two dictionaries, by id and by name."""

    def __init__(self) -> None:
        self._revision = -1
        self.by_id: dict[int, Stream] = {}
        self.by_name: dict[tuple[str, str, str], Stream] = {}

    async def refresh(self, conn: Any) -> None:
        """Reads them again if any have changed; `conn` is an asyncpg connection that may read them."""
        revision = await conn.fetchval("SELECT revision FROM sensing.state")
        if revision == self._revision:
            return
        by_id: dict[int, Stream] = {}
        by_name: dict[tuple[str, str, str], Stream] = {}
        async with conn.transaction(isolation="repeatable_read", readonly=True):
            revision = await conn.fetchval("SELECT revision FROM sensing.state")
            for r in await conn.fetch(_READ):
                stream = Stream(
                    r[0], r[1], r[4], finite(r[5], float("-inf")), finite(r[6], float("inf")),
                    finite(r[7], float("inf")), r[8],
                )  # fmt: skip
                by_id[stream.id] = by_name[r[1], r[2], r[3]] = stream
        self.by_id, self.by_name, self._revision = by_id, by_name, revision

    def find(self, key: int | tuple[str, str, str]) -> Stream | None:
        """A datastream by its id, or by layer, device and property."""
        return self.by_id.get(key) if isinstance(key, int) else self.by_name.get(key)
