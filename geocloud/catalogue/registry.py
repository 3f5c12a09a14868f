# SPDX-License-Identifier: Apache-2.0
"""The catalogue as the database has it, frozen; and the registry that swaps it when NOTIFY says so.

Readers hold one `Catalogue` for the length of a request; nothing they hold changes under them.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import asyncpg

from geocloud.catalogue.spec import CodeList, LayerSpec, Source, Text
from geocloud.errors import UnknownCollection

__all__ = [
    "CATALOGUE_SQL", "STANDING_SQL", "Catalogue", "Layer", "LayerState", "Registry", "parse_catalogue",
    "renew_catalogue",
]  # fmt: skip

log = logging.getLogger(__name__)

# What changes with every load: states and sources.
_STANDING = """
'state', json_build_object('version', s.version, 'row_count', s.row_count,
        'extent', CASE WHEN s.west IS NOT NULL THEN json_build_array(s.west, s.south, s.east, s.north) END,
        'stamp', CASE WHEN isfinite(s.stamp) THEN s.stamp END,
        'next_boundary', CASE WHEN isfinite(s.next_boundary) THEN s.next_boundary END, 'dated', s.dated),
      'sources', (SELECT coalesce(json_agg(json_build_object('title', json_build_object('zh', title_zh, 'en', title_en),
          'licence', licence, 'url', url, 'synthetic', synthetic) ORDER BY id), '[]')
        FROM geocloud.source WHERE layer = l.id)"""
_ACTIVE = "FROM geocloud.layer l JOIN geocloud.layer_state s ON s.layer = l.id WHERE l.status = 'active'"
_WHICH = """
  'revision', (SELECT revision FROM geocloud.catalogue_state),
  'identity', (SELECT identity FROM geocloud.catalogue_state)"""
# One JSON document: revision, code lists, and every active layer with its state and sources.
CATALOGUE_SQL = f"""
SELECT json_build_object({_WHICH},
  'codes', (SELECT coalesce(json_agg(spec ORDER BY name), '[]') FROM geocloud.code_list),
  'layers', (SELECT coalesce(json_agg(json_build_object(
      'spec', l.spec, 'changed_at', l.changed_at, {_STANDING}) ORDER BY l.id), '[]') {_ACTIVE}))::text
"""
# The same without the definitions, a tenth of it, for who has read those of the same revision.
STANDING_SQL = f"""
SELECT json_build_object({_WHICH},
  'layers', (SELECT coalesce(json_object_agg(l.id, json_build_object({_STANDING})), '{{}}') {_ACTIVE}))::text
"""
# PostgreSQL's longest name.
_NAME_BYTES = 63
_RECONNECT_SECONDS = 0.5
# States are read no more often than this, so that a storm of small writes is followed in few steps.
_GATHER_SECONDS = 0.004
_STATE_SQL = """
SELECT version, row_count, west, south, east, north,
       CASE WHEN isfinite(stamp) THEN stamp END, CASE WHEN isfinite(next_boundary) THEN next_boundary END, dated
  FROM geocloud.layer_state WHERE layer = $1
"""


@dataclass(frozen=True, slots=True)
class LayerState:
    """Where a layer stands: version, exact number of current rows, extent lon/lat, last write, the dates ahead and
    last passed at which a row begins or ends: between the two, what is valid now stays the same; and whether another
    date shows anything else (`dated`)."""

    version: int = 0
    row_count: int = 0
    extent: tuple[float, float, float, float] | None = None
    stamp: datetime | None = None
    next_boundary: datetime | None = None
    epoch: datetime | None = None
    dated: bool = False

    @property
    def timed(self) -> bool:
        """True when a current row begins or ends at a known date, so that reads must look at valid time."""
        return self.next_boundary is not None or self.epoch is not None


@dataclass(frozen=True, slots=True)
class Layer:
    """A published layer with what is known of its rows."""

    spec: LayerSpec
    state: LayerState = LayerState()
    codes: Mapping[str, CodeList] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def table(self) -> str:
        """Quoted name of the table of current rows."""
        return f'"{self.spec.theme}"."{self.spec.name}"'

    @property
    def history(self) -> str:
        """Quoted name of the table of past beliefs."""
        return f'history."{self.spec.id}"'

    def function(self, name: str) -> str:
        """Quoted name of one of the layer's functions in the database: `portion` or `restore`.

        Names of more than 63 bytes are shortened as `geocloud.short_name` does.
        """
        whole = f"{self.spec.id}:{name}"
        if len(whole) > _NAME_BYTES:
            whole = f"{whole[:54]} {hashlib.md5(whole.encode(), usedforsecurity=False).hexdigest()[:8]}"
        return f'history."{whole}"'

    @property
    def public(self) -> bool:
        """Whether anybody may read it (`access.read`); the machine's own commands read every layer."""
        return self.spec.access.read == "public"

    @property
    def synthetic(self) -> bool:
        """True when any of its rows were made by the demo generator (示例数据)."""
        return any(s.synthetic for s in self.sources)

    @property
    def title(self) -> Text:
        """The title, marked where rows are synthetic."""
        if not self.synthetic:
            return self.spec.title
        return Text(zh=f"{self.spec.title.zh}(示例数据)", en=f"{self.spec.title.en} (synthetic)")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything published at one revision of one database, which `identity` tells from every other."""

    revision: int = 0
    identity: str = ""
    layers: Mapping[str, Layer] = field(default_factory=dict)

    def layer(self, layer_id: str) -> Layer:
        """The layer of that id; UnknownCollection when there is none."""
        found = self.layers.get(layer_id)
        if found is None:
            shown = layer_id[:100]
            raise UnknownCollection(
                f"There is no collection `{shown}`.",
                f"没有名为 {shown} 的数据集。",
                todo_en="GET /collections lists them all.",
                todo_zh="GET /collections 列出全部数据集。",
            )
        return found

    def public(self) -> Catalogue:
        """What may be told over HTTP: the same without layers that say `access: {read: internal}`.

        Who is given this finds no trace of those: they are layers that do not exist.
        """
        shown = {i: layer for i, layer in self.layers.items() if layer.public}
        return self if len(shown) == len(self.layers) else replace(self, layers=shown)


def parse_catalogue(document: str) -> Catalogue:
    """The answer to CATALOGUE_SQL as a Catalogue."""
    raw = json.loads(document)
    codes = {c["name"]: CodeList.model_validate(c) for c in raw["codes"]}
    layers = {}
    for entry in raw["layers"]:
        spec = LayerSpec.model_validate(entry["spec"])
        own = {f.codes: codes[f.codes] for f in spec.fields if f.codes and f.codes in codes}
        layers[spec.id] = _standing(Layer(spec=spec, codes=own), entry)
    return Catalogue(raw["revision"], raw["identity"], dict(sorted(layers.items(), key=lambda kv: _order(kv[1].spec))))


def renew_catalogue(known: Catalogue, document: str) -> Catalogue | None:
    """The answer to STANDING_SQL with the definitions that are known; None where these are of another revision."""
    raw = json.loads(document)
    same = (raw["revision"], raw["identity"]) == (known.revision, known.identity)
    if not same or raw["layers"].keys() != known.layers.keys():
        return None
    return replace(known, layers={i: _standing(layer, raw["layers"][i]) for i, layer in known.layers.items()})


def _standing(layer: Layer, entry: dict[str, Any]) -> Layer:
    state = entry["state"]
    return replace(
        layer,
        state=LayerState(
            version=state["version"],
            row_count=state["row_count"],
            extent=tuple(state["extent"]) if state["extent"] else None,
            stamp=_instant(state["stamp"]),
            next_boundary=_instant(state["next_boundary"]),
            dated=state["dated"],
        ),
        sources=tuple(Source.model_validate(s) for s in entry["sources"]),
    )


class Registry:
    """A web worker's view of the catalogue, live within a second of any change.

    `current` is `Catalogue.public`: internal layers are followed here and given to nobody. It is swapped whole when the
    catalogue changes and layer by layer when rows do. `on_change` is called with it after each swap. A lost connection
    is made again, and everything is read afresh then.
    """

    def __init__(self, url: str, on_change: Callable[[Catalogue], None] | None = None) -> None:
        self.current = Catalogue()
        self._whole = self.current
        self._url = url
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._turn = asyncio.Event()

    async def start(self) -> None:
        """Reads the catalogue once and keeps listening; returns when it has been read."""
        self._task = asyncio.create_task(self._run(), name="catalogue")
        ready = asyncio.create_task(self._ready.wait())
        done, _ = await asyncio.wait({ready, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if self._task in done:
            ready.cancel()
            self._task.result()

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def reach(self, layer_id: str, stamp: datetime, seconds: float) -> bool:
        """Waits until what is current knows of a layer's write; False when that was not so within the time."""
        try:
            async with asyncio.timeout(seconds):
                while (layer := self.current.layers.get(layer_id)) is not None:
                    if layer.state.stamp is not None and layer.state.stamp >= stamp:
                        return True
                    await self._turn.wait()
        except TimeoutError:
            pass
        return False

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as exc:
                if not self._ready.is_set():
                    raise
                # Whatever it was, the last good catalogue is served on, and all is read afresh.
                log.warning("catalogue: %s: %s", type(exc).__name__, exc)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self) -> None:
        inbox: asyncio.Queue[str | None] = asyncio.Queue()
        conn = await asyncpg.connect(self._url, server_settings={"application_name": "geocloud registry"})
        try:
            conn.add_termination_listener(lambda _: inbox.put_nowait(None))
            await conn.add_listener("geocloud", lambda *args: inbox.put_nowait(args[3]))
            await self._read_all(conn)
            self._ready.set()
            clock = asyncio.get_running_loop().time
            read_at = float("-inf")
            while True:
                try:
                    message = await asyncio.wait_for(inbox.get(), timeout=self._seconds_to_boundary())
                except TimeoutError:
                    await self._pass_boundaries(conn)
                    continue
                if message is None:
                    return
                await asyncio.sleep(max(0.0, read_at + _GATHER_SECONDS - clock()))
                read_at = clock()
                layers, everything = _drain(message, inbox)
                if everything or not layers <= self._whole.layers.keys():
                    await self._read_all(conn)
                else:
                    await self._read_states(conn, layers)
        finally:
            await conn.close(timeout=1)

    async def _read_all(self, conn: asyncpg.Connection[Any]) -> None:
        catalogue = parse_catalogue(await conn.fetchval(CATALOGUE_SQL))
        layers = {i: replace(x, state=await self._dated(conn, x)) for i, x in catalogue.layers.items()}
        self._swap(replace(catalogue, layers=layers))

    async def _read_states(self, conn: asyncpg.Connection[Any], layer_ids: set[str]) -> None:
        layers = dict(self._whole.layers)
        for layer_id in layer_ids:
            row = await conn.fetchrow(_STATE_SQL, layer_id)
            if row is not None:
                extent = None if row[2] is None else (row[2], row[3], row[4], row[5])
                layer = replace(
                    layers[layer_id], state=LayerState(row[0], row[1], extent, row[6], row[7], dated=row[8])
                )
                layers[layer_id] = replace(layer, state=await self._dated(conn, layer))
        self._swap(replace(self._whole, layers=layers))

    async def _dated(self, conn: asyncpg.Connection[Any], layer: Layer) -> LayerState:
        """The layer's state with its boundaries as of now: one that has passed is followed by the next in the rows."""
        state, now = layer.state, datetime.now(UTC)
        if state.next_boundary is None or state.next_boundary > now:
            return state
        ahead = await conn.fetchval(
            "SELECT least(min(valid_from) FILTER (WHERE valid_from > $1), "
            f"min(valid_to) FILTER (WHERE valid_to > $1 AND isfinite(valid_to))) FROM {layer.table}",
            now,
        )
        return replace(state, next_boundary=ahead, epoch=now)

    def _seconds_to_boundary(self) -> float | None:
        now = datetime.now(UTC)
        ahead = [b for x in self._whole.layers.values() if (b := x.state.next_boundary) and b > now]
        return min(3600.0, (min(ahead) - now).total_seconds() + 0.01) if ahead else None

    async def _pass_boundaries(self, conn: asyncpg.Connection[Any]) -> None:
        layers = {i: replace(x, state=await self._dated(conn, x)) for i, x in self._whole.layers.items()}
        self._swap(replace(self._whole, layers=layers))

    def _swap(self, catalogue: Catalogue) -> None:
        # Once a change, never once a request.
        self._whole, self.current = catalogue, catalogue.public()
        waiting, self._turn = self._turn, asyncio.Event()
        waiting.set()
        if self._on_change:
            self._on_change(self.current)


def _drain(first: str, inbox: asyncio.Queue[str | None]) -> tuple[set[str], bool]:
    layers: set[str] = set()
    everything = False
    messages: list[str | None] = [first]
    while not inbox.empty():
        messages.append(inbox.get_nowait())
    for message in messages:
        if message is None:
            inbox.put_nowait(None)
            break
        try:
            layers.add(json.loads(message)["layer"])
        except (ValueError, KeyError, TypeError):
            # A change of the catalogue, or what somebody else sent on our channel: reading all is right for both.
            everything = True
    return layers, everything


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _order(spec: LayerSpec) -> tuple[str, int, str]:
    return spec.theme, spec.order, spec.id
