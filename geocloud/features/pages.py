# SPDX-License-Identifier: Apache-2.0
"""Pages of features out of the database: scanned or from hits, whole or in chunks, counted exactly or not at all."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from geocloud.db.reader import Lease, Reader
from geocloud.features.query import (
    PageQuery,
    Statement,
    chunk_statement,
    count_statement,
    explain_statement,
    hits_statement,
    ids_statement,
    near_page_statement,
    page_statement,
    sort_values_statement,
)
from geocloud.features.tokens import Position
from geocloud.settings import WebSettings

__all__ = ["Counts", "Page", "Question", "open_page"]


@dataclass(frozen=True, slots=True)
class Question:
    """What a request asks: the query, what identifies it, and what is known before any SQL.

    `key` names the condition canonically (same key, same matches at one layer version). `narrow` says that a
    small box makes taking all hits cheap, so that no estimate is asked for. `order` is what page tokens are bound to.
    """

    query: PageQuery
    key: str
    version: int
    narrow: bool = False
    position: Position | None = None
    order: str = ""


class Counts:
    """How many features match which condition, by layer version; the newest thousand answers."""

    def __init__(self, size: int = 1000) -> None:
        self._size = size
        self._known: OrderedDict[tuple[str, str], tuple[int, int, bool]] = OrderedDict()

    def get(self, question: Question) -> tuple[int, bool] | None:
        """(number, exact) as known at the question's layer version."""
        known = self._known.get((question.query.layer.id, question.key))
        return known[1:] if known and known[0] == question.version else None

    def put(self, question: Question, number: int, exact: bool) -> None:
        self._known[question.query.layer.id, question.key] = (question.version, number, exact)
        if len(self._known) > self._size:
            self._known.popitem(last=False)


@dataclass
class Page:
    """An answer being read: iterate for joined feature texts as UTF-8, then look at the rest.

    `matched` is known before the first chunk; `returned`, `first` and `last` (sort values and fid) and `more`
    after the last one.
    """

    matched: int | None
    chunks: AsyncIterator[bytes]
    returned: int = 0
    first: tuple[object, ...] | None = None
    last: tuple[object, ...] | None = None
    more: bool = False
    _lease: Lease | None = None
    _transaction: Any = None

    async def close(self, *, sound: bool = True) -> None:
        """Gives the connection back; safe to call again."""
        lease, self._lease = self._lease, None
        if lease is None:
            return
        try:
            if sound and self._transaction is not None:
                await self._transaction.rollback()
        except BaseException:
            sound = False
            raise
        finally:
            lease.end(sound=sound)


async def open_page(reader: Reader, question: Question, counts: Counts, settings: WebSettings) -> Page:
    """Starts answering; errors of the question come out here, before the first byte is sent."""
    query = question.query
    lease = reader.lease()
    page = Page(None, _nothing(), _lease=lease)
    conn = await lease.__aenter__()
    try:
        in_chunks = query.limit > settings.stream_chunk_rows
        if in_chunks:
            # All chunks come from one snapshot.
            page._transaction = conn.transaction(isolation="repeatable_read", readonly=True)
            await page._transaction.start()
        page.matched, take_hits = await _estimate(conn, question, counts, settings)
        if not in_chunks:
            await _whole(conn, question, page, counts, take_hits)
        elif take_hits:
            await _listed(conn, question, page, counts, settings)
        else:
            page.chunks = _walked(conn, query, page, settings)
    except BaseException:
        await page.close(sound=False)
        raise
    return page


async def _estimate(conn: Any, question: Question, counts: Counts, settings: WebSettings) -> tuple[int | None, bool]:
    """numberMatched if it is known, and whether taking all hits is the way."""
    query = question.query
    if not query.where and not query.relation:
        return query.layer.state.row_count, False
    position = question.position
    if position and position.version == question.version and position.matched is not None:
        counts.put(question, position.matched, True)
    known = counts.get(question)
    if known is None and question.narrow:
        return None, True
    if known is None:
        statement = explain_statement(query)
        plan = orjson.loads(await conn.fetchval(statement.sql, *statement.args))
        estimate = int(plan[0]["Plan"]["Plan Rows"])
        # A wrong estimate must not hide a count that is cheap to make.
        statement = count_statement(query, settings.count_max)
        if estimate <= 2 * settings.count_max:
            found = int(await conn.fetchval(statement.sql, *statement.args))
            known = (found, found <= settings.count_max)
        else:
            known = (estimate, False)
        counts.put(question, *known)
    number, exact = known
    return (number if exact else None), number <= settings.count_max


async def _whole(conn: Any, question: Question, page: Page, counts: Counts, take_hits: bool) -> None:
    """The page in one statement."""
    query = question.query
    row = await (_row(conn, hits_statement(query)) if take_hits else _scanned(conn, query))
    text, returned, first, last, tail = row
    page.returned = returned
    if take_hits:
        page.more = tail > returned + query.offset
        if query.after is None and page.matched is None:
            page.matched = tail
            counts.put(question, tail, True)
    else:
        page.more = tail > returned
    page.first, page.last = await _keys(conn, query, first, last)
    if page._lease is not None and page._transaction is None:
        page._lease.end(sound=True)
    page.chunks = _once(text)


async def _scanned(conn: Any, query: PageQuery) -> Any:
    """A page off an index in order."""
    if query.branches and not (query.where or query.sort or query.offset or query.backwards):
        *row, enough = await _row(conn, near_page_statement(query))
        if enough:
            return row
    return await _row(conn, page_statement(query))


async def _listed(conn: Any, question: Question, page: Page, counts: Counts, settings: WebSettings) -> None:
    """Ids of all matches of the page first, then the features chunk by chunk."""
    query = question.query
    ids, found = await _row(conn, ids_statement(query))
    if query.after is None and page.matched is None:
        page.matched = found
        counts.put(question, found, True)
    page.returned, page.more = len(ids), found > len(ids) + query.offset
    if query.backwards:
        ids = ids[::-1]
    if ids:
        page.first, page.last = await _keys(conn, query, ids[0], ids[-1])
    page.chunks = _fetched(conn, query, ids, settings)


async def _fetched(conn: Any, query: PageQuery, ids: Sequence[int], settings: WebSettings) -> AsyncIterator[bytes]:
    for start in range(0, len(ids), settings.stream_chunk_rows):
        statement = chunk_statement(query, ids[start : start + settings.stream_chunk_rows])
        yield await conn.fetchval(statement.sql, *statement.args)


async def _walked(conn: Any, query: PageQuery, page: Page, settings: WebSettings) -> AsyncIterator[bytes]:
    """Short pages one after the other, each beginning behind the last."""
    part = query
    # A backward page comes last rows first; its chunks would arrive the wrong way round, so it comes whole.
    step = query.limit if query.backwards else settings.stream_chunk_rows
    while page.returned < query.limit:
        part = replace(part, limit=min(step, query.limit - page.returned))
        text, returned, first, last, more = await _scanned(conn, part)
        page.more = more > returned
        if not returned:
            return
        page.returned += returned
        head, page.last = await _keys(conn, query, first, last)
        page.first = page.first or head
        part = replace(part, after=page.last, offset=0)
        yield text
        if not page.more:
            return


async def _keys(
    conn: Any, query: PageQuery, first: int | None, last: int | None
) -> tuple[tuple[object, ...] | None, tuple[object, ...] | None]:
    """Sort values and fid of the first and last feature of a page."""
    keys: list[tuple[object, ...] | None] = []
    for fid in (first, last):
        if fid is None:
            keys.append(None)
        elif query.sort:
            values = await _row(conn, sort_values_statement(query, fid))
            keys.append((*(v.decode() if isinstance(v, bytes) else v for v in values), fid))
        else:
            keys.append((fid,))
    return keys[0], keys[1]


async def _row(conn: Any, statement: Statement) -> Any:
    return await conn.fetchrow(statement.sql, *statement.args)


async def _once(text: bytes | None) -> AsyncIterator[bytes]:
    if text is not None:
        yield text


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield
