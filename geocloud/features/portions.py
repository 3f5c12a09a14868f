# SPDX-License-Identifier: Apache-2.0
"""Parts of a life written anew (时段更正): what was so between two dates, when one version gave way to another.

The database does it (`history."theme.layer:portion"`), so that what was believed before stays to be asked for. Here a
request becomes its arguments, held to the layer's rules like any other change.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import orjson

from geocloud.catalogue.registry import Layer
from geocloud.errors import EditError
from geocloud.features.binder import Binder
from geocloud.features.body import Draft, read_feature, read_patch
from geocloud.features.edit import Editor, How, Written, busy
from geocloud.features.query import Statement
from geocloud.features.refusals import refusal, unknown_item
from geocloud.features.rows import Rows
from geocloud.features.text import Output
from geocloud.features.timeline import Belief, at, read_timeline, timeline_statement
from geocloud.features.version import Version
from geocloud.features.violation import Violation
from geocloud.features.writing import Said, instant, told

__all__ = ["change_portion", "end_portion", "is_ahead", "move_version"]

# Versions of one feature that are looked at; more than a feature of a city has.
_MOST = 10_000
_INSTANT = timedelta(microseconds=1)


async def change_portion(editor: Editor, layer: Layer, fid: int, document: Any, how: How, *, whole: bool) -> Written:
    """The feature's values between `how.at` and `how.until`: a whole feature, or a patch of what each version says.

    Returns the version at the start of that time. Raises UnknownItem, VersionConflict, RulesBroken, KeyConflict,
    LayerBusy.
    """
    timeline = await _timeline(editor, layer, fid, how.output)
    meant = await _meant(editor, layer, fid, timeline, how)
    patch, notes = await _patch(editor, layer, document, how, whole=whole)
    since, until = _span(timeline, how)
    await _run(editor, layer, fid, [(since, until, patch, None)], how.said, meant)
    return await _as_it_is(editor, layer, fid, how.output, since, notes)


async def is_ahead(editor: Editor, layer: Layer, fid: int) -> bool:
    """Whether another version of the feature is known to begin at a date ahead, while one holds now."""
    if not layer.state.timed:
        return False
    async with editor.reader.lease() as conn:
        timeline = await read_timeline(conn, timeline_statement(layer, fid, Output(), limit=_MOST))
    now, last = datetime.now(UTC), timeline[-1].valid_from if timeline else None
    return last is not None and last > now and at(timeline, now) is not None


async def end_portion(editor: Editor, layer: Layer, fid: int, how: How) -> datetime:
    """The feature was not there from `how.at` until `how.until`; the stamp of the write. Raises as `change_portion`."""
    timeline = await _timeline(editor, layer, fid, how.output)
    meant = await _meant(editor, layer, fid, timeline, how)
    since, _ = _span(timeline, how)
    until = how.until
    stamp = await _run(editor, layer, fid, [(since, until, None, None)], how.said, meant)
    return stamp or datetime.now(UTC)


async def move_version(editor: Editor, layer: Layer, fid: int, version: Version, document: Any, how: How) -> Written:
    """One version held from `how.at` until `how.until` (None: as it was said), with the values of a merge patch.

    What it gives up goes to the version it touches there, or to nobody where there is none; what it takes is taken from
    whatever was there. Raises as `change_portion`; UnknownItem for a version that is not believed.
    """
    timeline = await _timeline(editor, layer, fid, how.output)
    belief = next((b for b in timeline if b.version == version), None)
    if belief is None:
        raise unknown_item(layer, f"{fid}/versions/{version.text()}")
    if how.expected is not None and version not in how.expected:
        raise await editor.conflict(layer, _written(fid, belief), how.expected)
    patch, notes = (None, []) if document is None else await _patch(editor, layer, document, how, whole=False)
    start, end = belief.valid_from, belief.valid_to
    new_start, new_end = how.at or start, how.until or end
    inside = _shared(start, end, new_start, new_end)
    if inside is None:
        raise _no_time(layer, fid)
    steps: list[tuple[datetime | None, datetime | None, str | None, datetime | None]] = []
    if new_start != start and new_start is not None:
        if start is not None and new_start < start:
            steps.append((new_start, start, None, inside))
        else:
            before = None if start is None else at(timeline, start - _INSTANT)
            steps.append((start, new_start, None, None if before is None or start is None else start - _INSTANT))
    if new_end != end and new_end is not None:
        if end is not None and new_end > end:
            steps.append((end, new_end, None, inside))
        else:
            steps.append((new_end, end, None, None if end is None or at(timeline, end) is None else end))
    if patch is not None:
        steps.append((new_start, new_end, patch, None))
    await _run(editor, layer, fid, steps, how.said, version)
    return await _as_it_is(editor, layer, fid, how.output, new_start, notes)


async def _timeline(editor: Editor, layer: Layer, fid: int, output: Output) -> list[Belief]:
    async with editor.reader.lease() as conn:
        found = await read_timeline(conn, timeline_statement(layer, fid, output, limit=_MOST))
    if not found:
        raise unknown_item(layer, str(fid))
    return found


async def _meant(editor: Editor, layer: Layer, fid: int, timeline: list[Belief], how: How) -> Version | None:
    """The version named by the request, which must be one of those believed; None where any will do."""
    if how.expected is None:
        return None
    found = next((b.version for b in timeline if b.version in how.expected), None)
    if found is None:
        raise await editor.conflict(layer, _written(fid, timeline[-1]), how.expected)
    return found


async def _patch(editor: Editor, layer: Layer, document: Any, how: How, *, whole: bool) -> tuple[str, list[Violation]]:
    found: list[Violation] = []
    read: Callable[[], Draft] = (
        (lambda: read_feature(document, layer, "", found))
        if whole
        else (lambda: read_patch(document, layer, {}, found))
    )
    rows = await editor.checked(layer, [read()], how, found, whole=whole)
    return _as_json(rows), rows.notes


def _as_json(rows: Rows) -> str:
    """The one row as the JSON that the database puts over a version's values; geometry as WKB in hex."""
    values: dict[str, Any] = {name: column[0] for name, column in rows.values.items()}
    if rows.geometry is not None:
        values["geom"] = None if rows.geometry[0] is None else rows.geometry[0].hex().upper()
    return orjson.dumps(values).decode()


def _span(timeline: list[Belief], how: How) -> tuple[datetime | None, datetime | None]:
    """From when until when: a change that is no correction begins now, a correction where the feature does."""
    since = how.at
    if since is None and not how.said.correction:
        since = datetime.now(UTC)
    until = how.until
    if until is None and not how.said.correction and since is not None and (belief := at(timeline, since)) is not None:
        # A change from now on leaves alone what is planned.
        until = belief.valid_to
    if since is not None and until is not None and until <= since:
        raise _ends_first()
    return since, until


async def _run(
    editor: Editor,
    layer: Layer,
    fid: int,
    steps: list[tuple[datetime | None, datetime | None, str | None, datetime | None]],
    said: Said,
    meant: Version | None,
) -> datetime | None:
    """The steps in one transaction; the stamp of the write, None when nothing changes."""
    stamp: datetime | None = None
    try:
        async with editor.pool.acquire(timeout=editor.settings.edit.edit_wait_ms / 1000) as conn, conn.transaction():
            for place, step in enumerate(steps):
                statement = _portion_statement(layer, fid, *step, said, meant if place == 0 else None)
                stamp = await conn.fetchval(statement.sql, *statement.args) or stamp
    except asyncpg.NoDataFoundError:
        # Somebody else was quicker than the look before.
        current = await editor.current(layer, fid, Output())
        raise await editor.conflict(layer, current, () if meant is None else (meant,)) from None
    except TimeoutError:
        raise busy(layer) from None
    except asyncpg.PostgresError as exc:
        refused = refusal(exc, layer)
        if refused is None:
            raise
        raise refused from exc
    return stamp


def _portion_statement(
    layer: Layer, fid: int, since: datetime | None, until: datetime | None, patch: str | None,
    like: datetime | None, said: Said, meant: Version | None,
) -> Statement:  # fmt: skip
    """The stamp of a portion written, null when it changes nothing."""
    binder = Binder()
    ends = [instant(binder, since or datetime.min), instant(binder, until or datetime.max)]
    pinned = "NULL"
    if meant is not None:
        pinned = f"ARRAY[{instant(binder, meant.sys_from)}, {instant(binder, meant.valid_from)}]"
    arguments = ", ".join(
        [binder.bind(fid, "bigint"), *ends, f"{binder.bind(patch, 'text')}::jsonb", instant(binder, like), pinned]
    )
    # The date of the change is its span; the trigger must not take it for that of the write.
    sql = f"WITH {told(binder, Said(None, False, said.by))} SELECT {layer.function('portion')}({arguments}) FROM said"
    return Statement(sql, binder.args)


async def _as_it_is(
    editor: Editor, layer: Layer, fid: int, output: Output, moment: datetime | None, notes: list[Violation]
) -> Written:
    """The version at a moment, or the next one after it."""
    timeline = await _timeline(editor, layer, fid, output)
    later = (b for b in timeline if moment is None or b.valid_to is None or b.valid_to > moment)
    found = next(later, timeline[-1])
    return Written(fid, found.version, found.text, notes)


def _shared(
    start: datetime | None, end: datetime | None, new_start: datetime | None, new_end: datetime | None
) -> datetime | None:
    """An instant of both the old time of a version and its new one; None when they share none."""
    first = max((t for t in (start, new_start) if t is not None), default=None)
    last = min((t for t in (end, new_end) if t is not None), default=None)
    if first is None:
        return datetime(2000, 1, 1, tzinfo=UTC) if last is None else last - _INSTANT
    return first if last is None or first < last else None


def _written(fid: int, belief: Belief) -> Written:
    return Written(fid, belief.version, belief.text)


def _ends_first() -> EditError:
    return EditError(
        "`valid-to` is not after `valid-from` (now, where that is not given); nothing was written.",
        "valid-to 不晚于 valid-from(未给出时为现在),未写入任何内容。",
        todo_en="Write the earlier instant as `valid-from`.",
        todo_zh="请将较早的时刻写为 valid-from。",
    )


def _no_time(layer: Layer, fid: int) -> EditError:
    return EditError(
        f"The version of feature {fid} of `{layer.id}` would keep none of its time; nothing was written.",
        f"{layer.id} 的要素 {fid} 的该版本将不保留任何原有时段,未写入任何内容。",
        todo_en="Check `valid-from` and `valid-to` against the version's own times, or delete that time instead.",
        todo_zh="请对照该版本原有的起讫时间检查 valid-from 与 valid-to;若该时段从未属实,请改用 DELETE。",
    )
