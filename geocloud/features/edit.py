# SPDX-License-Identifier: Apache-2.0
"""Changes of features (OGC API Features part 4): create, replace, update, delete, each one statement and one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from geocloud.catalogue.keys import KEYS_SQL, EditKey, find_key, read_keys
from geocloud.catalogue.registry import Layer
from geocloud.db.pool import writer_pool
from geocloud.db.reader import Reader
from geocloud.errors import LayerBusy, RulesBroken, VersionConflict
from geocloud.features.body import Draft, read_feature, read_features, read_patch
from geocloud.features.query import Statement, item_statement
from geocloud.features.refusals import refusal, unknown_item
from geocloud.features.request import current_relation
from geocloud.features.rows import Rows, RuleBook
from geocloud.features.stamping import Stamper, Stamping, is_plain
from geocloud.features.text import Output
from geocloud.features.version import Version
from geocloud.features.violation import Violation, refuse_all
from geocloud.features.writing import Said, base_statement, delete_statement, insert_statement, update_statement
from geocloud.geodesy.crs import Crs
from geocloud.settings import Settings

__all__ = ["Editor", "How", "Keys", "Written", "busy"]

# How often a change that names no version is tried again on what is current by then.
_TRIES = 8
# How long keys are taken as read.
_KEYS_FRESH_S = 1.0
# Features from which rules are checked beside the event loop.
_MANY = 20

# What a changed feature is made from: the features of the body, and their violations.
Reading = Callable[[dict[str, Any], list[Violation]], Draft]


@dataclass(frozen=True, slots=True)
class How:
    """What a request says of its change.

    `system` is the CRS of the body's geometries, `output` how the answer is written. `expected`: versions it may be
    made from, None for whichever is current. `until`: when it ceases to hold, and what was there before holds again;
    None for never.
    """

    system: Crs
    output: Output
    said: Said = Said()
    expected: tuple[Version, ...] | None = None
    until: datetime | None = None

    @property
    def at(self) -> datetime | None:
        """From when it holds in the city; None for now."""
        return self.said.at

    @property
    def is_portion(self) -> bool:
        """Whether a part of the feature's life is meant, not what it is from some time on."""
        return self.until is not None or (self.said.correction and self.said.at is not None)


@dataclass(frozen=True, slots=True)
class Written:
    """A feature as it is now, with what is worth a word about the change; `text` is its GeoJSON."""

    fid: int
    version: Version
    text: bytes
    notes: list[Violation] = field(default_factory=list)


class Editor:
    """One worker's way to write; what it returns has been committed."""

    def __init__(self, writer_url: str, reader: Reader, settings: Settings, stamper: Stamper | None = None) -> None:
        self._url, self.reader, self.settings, self.stamper = writer_url, reader, settings, stamper
        self._book = RuleBook(settings.city.city_bbox)
        self._pool: asyncpg.Pool[Any] | None = None
        self.keys = Keys(self)

    async def open(self) -> None:
        """Connects; a DatabaseError says why that is not possible."""
        self._pool = await writer_pool(self._url, self.settings.database, self.settings.edit)

    def close(self) -> None:
        """Ends all connections at once."""
        if self._pool is not None:
            self._pool.terminate()

    @property
    def pool(self) -> asyncpg.Pool[Any]:
        """The writing connections."""
        assert self._pool is not None, "the editor has not been opened"
        return self._pool

    async def create(self, layer: Layer, document: Any, how: How) -> tuple[list[Written], bool]:
        """The feature, or all features of a collection or none; whether it was a collection.

        Raises RulesBroken with every violation, TooLarge, KeyConflict, LayerBusy.
        """
        found: list[Violation] = []
        drafts, many = read_features(document, layer, self.settings.edit.edit_features_max, found)
        if not drafts:
            raise refuse_all(found, 0)
        rows = await self.checked(layer, drafts, how, found, whole=True)
        stamping = await self.stamping(layer, how, rows, new=True)
        statement = insert_statement(layer, rows, how.output, how.said, how.until, stamping)
        out = await self.write(layer, statement)
        return [_written(row, rows.notes) for row in out], many

    async def replace(self, layer: Layer, fid: int, document: Any, how: How) -> Written:
        """The feature with this body in place of all it had; hidden fields stay.

        Raises UnknownItem, VersionConflict, RulesBroken, KeyConflict, LayerBusy.
        """
        return await self._change(
            layer, fid, how, lambda _, found: read_feature(document, layer, "", found), whole=True
        )

    async def update(self, layer: Layer, fid: int, patch: Any, how: How) -> Written:
        """The feature with a merge patch applied; only what the patch names is checked and written.

        Raises as `replace`.
        """
        return await self._change(
            layer,
            fid,
            how,
            lambda current, found: read_patch(patch, layer, current, found),
            whole=False,
            alone=_stands_alone(patch),
        )

    async def delete(self, layer: Layer, fid: int, how: How) -> datetime:
        """Ends the feature at `how.at`, or says by a correction that it never was; the stamp of the write.

        Raises UnknownItem, VersionConflict, LayerBusy.
        """
        for _ in range(_TRIES):
            current = await self.current(layer, fid, how.output)
            await self._match(layer, current, how)
            statement = delete_statement(layer, fid, current.version, how.said, await self.stamping(layer, how))
            rows = await self.write(layer, statement)
            if rows:
                stamp: datetime = rows[0][1]
                return stamp
        raise busy(layer)

    async def _change(
        self, layer: Layer, fid: int, how: How, read: Reading, *, whole: bool, alone: bool = True
    ) -> Written:
        if alone and how.expected is not None and len(how.expected) == 1:
            done = await self._at_once(layer, fid, how, read, whole=whole)
            if done is not None:
                return done
        # The current geometry is only needed to merge a patch into, so it is asked for in the patch's CRS.
        given = Output("geojson", how.system.srid, how.system.swapped, ())
        for _ in range(_TRIES):
            current = await self.current(layer, fid, given)
            await self._match(layer, current, how)
            found: list[Violation] = []
            draft = read(orjson.loads(current.text), found)
            rows = await self.checked(layer, [draft], how, found, whole=whole)
            if rows.values or rows.geometry is not None:
                stamping = await self.stamping(layer, how, rows)
                statement = update_statement(layer, fid, current.version, rows, how.output, how.said, stamping)
                out = await self.write(layer, statement)
                if out:
                    return _written(out[0], rows.notes)
            # Nothing was written: the change changes nothing, or somebody else was quicker.
            now = await self.current(layer, fid, how.output)
            if now.version == current.version:
                return Written(fid, now.version, now.text, rows.notes)
        raise busy(layer)

    async def _at_once(self, layer: Layer, fid: int, how: How, read: Reading, *, whole: bool) -> Written | None:
        """The change made without a look at the feature, since it names its version; None where that did not do."""
        assert how.expected is not None
        found: list[Violation] = []
        try:
            rows = await self.checked(layer, [read({}, found)], how, found, whole=whole)
        except RulesBroken:
            # Whether there is such a feature, and in that version, is to be told first.
            return None
        if not rows.values and rows.geometry is None:
            return None
        stamping = await self.stamping(layer, how, rows)
        statement = update_statement(layer, fid, how.expected[0], rows, how.output, how.said, stamping)
        out = await self.write(layer, statement)
        return _written(out[0], rows.notes) if out else None

    async def checked(
        self, layer: Layer, drafts: Sequence[Draft], how: How, found: list[Violation], *, whole: bool
    ) -> Rows:
        """The rows of drafts; RulesBroken with every violation, those already `found` among them."""
        drafts = [d for d in drafts if d.readable]
        if not drafts:
            raise refuse_all(found)
        rows, broken = await self.held(layer, drafts, how, whole=whole)
        if found or broken:
            raise refuse_all([*found, *broken], len(drafts))
        return rows

    async def held(
        self, layer: Layer, drafts: Sequence[Draft], how: How, *, whole: bool
    ) -> tuple[Rows, list[Violation]]:
        """The rows of drafts held to the layer's rules, and every violation."""
        if len(drafts) < _MANY:
            return self._book.check(layer, drafts, how.system, how.at, whole=whole)
        return await asyncio.to_thread(self._book.check, layer, drafts, how.system, how.at, whole=whole)

    async def stamping(self, layer: Layer, how: How, rows: Rows | None = None, *, new: bool = False) -> Stamping | None:
        """What the statement of a change is to keep of where its rows lie; None to leave that for later."""
        if self.stamper is None or layer.spec.geometry == "none" or not is_plain(how.at, how.until):
            return None
        if rows is None or (rows.geometry is None and not new):
            return Stamping()
        return await self.stamper.of(layer, rows.geometry or [None] * rows.count)

    async def current(self, layer: Layer, fid: int, output: Output) -> Written:
        relation, args = current_relation(layer)
        statement = item_statement(layer, output, fid, relation, args)
        async with self.reader.lease() as conn:
            row = await conn.fetchrow(statement.sql, *statement.args)
        if row is None:
            raise unknown_item(layer, str(fid))
        return Written(fid, Version.of(row[1], row[2]), row[0])

    async def _match(self, layer: Layer, current: Written, how: How) -> None:
        if how.expected is not None and current.version not in how.expected:
            raise await self.conflict(layer, current, how.expected)

    async def conflict(self, layer: Layer, current: Written, expected: Sequence[Version]) -> VersionConflict:
        """The version meant has been replaced: what differs between the two, where it is still known."""
        async with self.reader.lease() as conn:
            beliefs = []
            for version in (*expected[:1], current.version):
                statement = base_statement(layer, current.fid, version)
                beliefs.append(await conn.fetchrow(statement.sql, *statement.args))
        facts: dict[str, Any] = {"changed": None}
        if len(beliefs) == 2 and None not in beliefs:
            before, after = (orjson.loads(b[0]) for b in beliefs)
            changed = [{"name": n, "was": before[n], "is": v} for n, v in after.items() if before[n] != v]
            facts = {"changed": changed, "geometry_changed": beliefs[0][1] != beliefs[1][1]}
        return VersionConflict(
            f"Feature {current.fid} of `{layer.id}` has changed since the version named by If-Match; "
            "nothing was written.",
            f"{layer.id} 的要素 {current.fid} 在 If-Match 所指版本之后已有更改,未写入任何内容。",
            todo_en="Read the feature again, see `changed`, and send the change with the new ETag if it still holds.",
            todo_zh="请重新读取该要素,核对 changed 所列差异;若仍需更改,请带新的 ETag 重发。",
            version=current.version,
            **facts,
        )

    async def write(self, layer: Layer, statement: Statement) -> list[Any]:
        """Rows of a writing statement; none when the version to be changed was not there."""
        try:
            async with self.pool.acquire(timeout=self.settings.edit.edit_wait_ms / 1000) as conn:
                rows: list[Any] = await conn.fetch(statement.sql, *statement.args)
                return rows
        except asyncpg.NoDataFoundError:
            return []
        except TimeoutError:
            raise busy(layer) from None
        except asyncpg.PostgresError as exc:
            refused = refusal(exc, layer)
            if refused is None:
                raise
            raise refused from exc


class Keys:
    """The keys in force, read again when they are older than a moment: a revoked key ends within it."""

    def __init__(self, editor: Editor) -> None:
        self._editor = editor
        self._known: list[EditKey] = []
        self._read_at = float("-inf")

    async def find(self, secret: bytes) -> EditKey | None:
        """The key a client sent, or None."""
        clock = asyncio.get_running_loop().time()
        if clock - self._read_at >= _KEYS_FRESH_S:
            self._known = read_keys(await self._editor.pool.fetch(KEYS_SQL))
            self._read_at = clock
        return find_key(self._known, secret)


def _written(row: Any, notes: list[Violation]) -> Written:
    text = row[3]
    return Written(row[0], Version.of(row[1], row[2]), text if isinstance(text, bytes) else text.encode(), notes)


def _stands_alone(patch: Any) -> bool:
    """Whether a merge patch says all of what it changes: a part of a geometry is merged into the one that is there."""
    geometry = patch.get("geometry") if isinstance(patch, dict) else None
    return not isinstance(geometry, dict) or {"type", "coordinates"} <= geometry.keys()


def busy(layer: Layer) -> LayerBusy:
    """Many write the layer at once; the change may be tried again."""
    return LayerBusy(
        f"`{layer.id}` is being written by many at once; nothing was changed.",
        f"{layer.id} 正被大量写入,未作任何更改。",
        todo_en="Send the same request again in a few seconds.",
        todo_zh="请几秒后重新发送同一请求。",
    )
