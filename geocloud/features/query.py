# SPDX-License-Identifier: Apache-2.0
"""SQL of a page of features: which rows, in which order, as which text.

Two ways lead to a page. *Scan*: without a condition, rows come off an index in order and a page costs what it
holds. *Hits*: with a condition, all matches are taken in one go (GiST for a box) and then ordered, counted and
paged, because a box with ORDER BY fid LIMIT would walk the primary key instead. LIMIT is written as a number (it is
an integer of ours by then): with a placeholder PostgreSQL would plan every page anew. Features are written as
GeoJSON or CSV text by the database; nothing is decoded on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from geocloud.catalogue.registry import Layer
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.text import Output, feature_text, separator

__all__ = [
    "PageQuery",
    "Sort",
    "Statement",
    "chunk_statement",
    "count_statement",
    "explain_statement",
    "hits_statement",
    "ids_statement",
    "item_statement",
    "near_page_statement",
    "page_statement",
    "sort_values_statement",
]

# Current rows looked at beyond those of the page, as a share and at least, before it is scanned for instead.
_NEAR_SHARE, _NEAR_MORE = 8, 16


@dataclass(frozen=True, slots=True)
class Sort:
    """One property of the order; the feature id always comes last and decides."""

    name: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class PageQuery:
    """A question for features of one layer.

    `where` is SQL over the layer's columns, empty for all rows; `relation` is what is read: the table of current rows,
    or a derived one (rows at another time), whose parts are `branches` where they can be read one by one. Placeholders
    of all are bound to `args`, the relation's `relation_args` first.
    `after` are the sort values and fid of the feature before the page.
    """

    layer: Layer
    output: Output
    limit: int
    offset: int = 0
    where: str = ""
    args: tuple[object, ...] = ()
    sort: tuple[Sort, ...] = ()
    after: tuple[object, ...] | None = None
    backwards: bool = False
    relation: str = ""
    relation_args: int = 0
    branches: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        return self.relation or self.layer.table


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text with its arguments."""

    sql: str
    args: list[object]


def item_statement(
    layer: Layer, output: Output, fid: int, relation: str = "", args: tuple[object, ...] = ()
) -> Statement:
    """One row: the feature's text, sys_from and valid_from; none without such a feature. `args` are `relation`'s."""
    binder = Binder()
    binder.args.extend(args)
    place = binder.bind(fid)
    columns = f"{feature_text(layer, output)}, t.sys_from, t.valid_from"
    return Statement(f"SELECT {columns} FROM {relation or layer.table} t WHERE fid = {place}", binder.args)


def page_statement(query: PageQuery) -> Statement:
    """A scanned page as one row: joined features, their number, fid of the first and the last, whether more follow."""
    binder, order = _begin(query), _order(query)
    conditions = _both(query.where, _after(query, binder))
    cut = f"{order} LIMIT {query.limit + 1:d}{_offset(query, binder)}"
    # What each part may have to give: the page and what lies before it.
    part = f" {order} LIMIT {query.offset + query.limit + 1:d}"
    rows = f"{_rows(query, _columns(query), conditions, part)} {cut}"
    inner = f"SELECT t.*, row_number() OVER () AS place FROM (SELECT {_columns(query)} FROM {rows}) t"
    if query.offset:
        keys = ", ".join(f"t.{quote_identifier(n)}" for n in ("fid", *(s.name for s in query.sort)))
        rows = f"{_rows(query, keys, conditions, part)} {cut}"
        ids = f"SELECT fid, row_number() OVER () AS place FROM (SELECT fid FROM {rows}) p"
        inner = f"SELECT {_columns(query)}, p.place FROM ({ids}) p {_of_ids(query)} ORDER BY p.place"
    elif query.backwards:
        inner = f"SELECT * FROM ({inner}) t ORDER BY place DESC"
    return Statement(_joined(query, inner, f" FILTER (WHERE place <= {query.limit:d})", "count(*)"), binder.args)


def near_page_statement(query: PageQuery) -> Statement:
    """A page without a condition of rows at another time, out of the next features of the layer alone.

    A scan in order would walk through a whole table of which nothing held at that time. So the next current rows, a few
    more than the page needs, say up to which id is looked. As `page_statement`, and whether that is the page: it is
    full, or there are no more current rows.
    """
    binder = _begin(query)
    order, after = _order(query), _after(query, binder)
    most = query.limit + query.limit // _NEAR_SHARE + _NEAR_MORE
    near = f"near AS MATERIALIZED (SELECT fid FROM {query.layer.table} t{_where(after)} {order} LIMIT {most:d})"
    upto = f"t.fid <= (SELECT CASE WHEN count(*) < {most:d} THEN {2**63 - 1} ELSE max(fid) END FROM near)"
    cut = f" {order} LIMIT {query.limit + 1:d}"
    rows = f"SELECT {_columns(query)} FROM {_rows(query, _columns(query), _both(upto, after), cut)}{cut}"
    inner = f"SELECT t.*, row_number() OVER () AS place FROM ({rows}) t"
    enough = f"(SELECT count(*) FROM near) < {most:d} OR count(*) > {query.limit:d}"
    among = f" FILTER (WHERE place <= {query.limit:d})"
    return Statement(f"WITH {near} {_joined(query, inner, among, f'count(*), {enough}')}", binder.args)


def hits_statement(query: PageQuery) -> Statement:
    """A page of matches as one row: as `page_statement`, but the last column counts matches from the page on."""
    binder = _begin(query)
    hits = _hits(query, binder)
    turn = " DESC" if query.backwards else ""
    rows = (
        f"SELECT {_columns(query)} FROM unnest((SELECT ids FROM hits)) WITH ORDINALITY p (fid, place) "
        f"{_of_ids(query)} ORDER BY p.place{turn}"
    )
    ends = ["ids[1]", "ids[cardinality(ids)]"]
    first, last = reversed(ends) if query.backwards else ends
    text = f"string_agg({feature_text(query.layer, query.output)}, {separator(query.output)})"
    sql = (
        f"WITH {hits} SELECT (SELECT {text} FROM ({rows}) t), coalesce(cardinality(ids), 0), {first}, {last}, total "
        "FROM hits"
    )
    return Statement(sql, binder.args)


def ids_statement(query: PageQuery) -> Statement:
    """Feature ids of a page of matches in order, and how many match, for an answer sent in chunks."""
    binder = _begin(query)
    sql = f"WITH {_hits(query, binder)} SELECT coalesce(ids, '{{}}'), total FROM hits"
    return Statement(sql, binder.args)


def _hits(query: PageQuery, binder: Binder) -> str:
    """One row of the page's ids and the number of matches: an ordered array is cheaper to make than a sorted table."""
    conditions = _both(query.where, _after(query, binder))
    keys = ", ".join(f"t.{quote_identifier(n)}" for n in ("fid", *(s.name for s in query.sort)))
    every = f"SELECT array_agg(t.fid {_order(query)}) AS every FROM {_rows(query, keys, conditions)}"
    ids = f"every[{query.offset + 1:d}:{query.offset + query.limit:d}]"
    return f"hits AS MATERIALIZED (SELECT {ids} AS ids, coalesce(cardinality(every), 0) AS total FROM ({every}) e)"


def chunk_statement(query: PageQuery, fids: Sequence[int]) -> Statement:
    """The features with these ids in this order, joined, as one row."""
    binder = _begin_source(query)
    ids = binder.bind(list(fids), "bigint[]")
    sql = (
        f"SELECT string_agg({feature_text(query.layer, query.output)}, {separator(query.output)} ORDER BY p.place) "
        f"FROM unnest({ids}) WITH ORDINALITY p (fid, place) {_of_ids(query)}"
    )
    return Statement(sql, binder.args)


def count_statement(query: PageQuery, at_most: int) -> Statement:
    """How many features match, counted no further than one past `at_most`."""
    binder = _begin(query)
    inner = f"SELECT FROM {_rows(query, 't.fid', query.where)} LIMIT {at_most + 1:d}"
    return Statement(f"SELECT count(*) FROM ({inner}) c", binder.args)


def explain_statement(query: PageQuery) -> Statement:
    """The planner's view of the condition, as JSON; its `Plan Rows` is the estimate."""
    sql = f"EXPLAIN (FORMAT JSON) SELECT FROM {_rows(query, 't.fid', query.where)}"
    return Statement(sql, list(query.args))


def sort_values_statement(query: PageQuery, fid: int) -> Statement:
    """The sort values of one feature, for the token of the page after it."""
    binder = _begin_source(query)
    place = binder.bind(fid)
    columns = ", ".join(quote_identifier(s.name) for s in query.sort)
    return Statement(f"SELECT {columns} FROM {query.source} t WHERE fid = {place}", binder.args)


def _begin(query: PageQuery) -> Binder:
    binder = Binder()
    binder.args.extend(query.args)
    return binder


def _begin_source(query: PageQuery) -> Binder:
    """For statements without the condition: PostgreSQL refuses arguments that nothing uses."""
    binder = Binder()
    binder.args.extend(query.args[: query.relation_args])
    return binder


def _rows(query: PageQuery, columns: str, conditions: str, part: str = "") -> str:
    """What is read and on which condition, as `… t`; of branches each with these columns and ended by `part`."""
    if not query.branches:
        return f"{query.source} t{_where(conditions)}"
    more = f" AND {conditions}" if conditions else ""
    return f"({' UNION ALL '.join(f'(SELECT {columns} FROM {b}{more}{part})' for b in query.branches)}) t"


def _of_ids(query: PageQuery) -> str:
    """The rows `t` whose ids are in `p`: each branch looks them up in its own index until one has it."""
    if not query.branches:
        return f"JOIN {query.source} t USING (fid)"
    parts = " UNION ALL ".join(f"SELECT {_columns(query)} FROM {b} AND t.fid = p.fid" for b in query.branches)
    return f"CROSS JOIN LATERAL ({parts} LIMIT 1) t"


def _both(*conditions: str) -> str:
    return " AND ".join(c for c in conditions if c)


def _where(conditions: str) -> str:
    return f" WHERE {conditions}" if conditions else ""


def _offset(query: PageQuery, binder: Binder) -> str:
    return f" OFFSET {binder.bind(query.offset, 'bigint')}" if query.offset else ""


def _columns(query: PageQuery) -> str:
    """What a page needs of a row and no more: readers may not touch hidden columns, not even with a star."""
    names = ["fid", *[f.name for f in query.output.fields], *[s.name for s in query.sort]]
    if query.layer.spec.geometry != "none":
        names.append("geom")
    return _listed(tuple(names))


@lru_cache(maxsize=512)
def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"t.{quote_identifier(n)}" for n in dict.fromkeys(names))


def _effective(query: PageQuery) -> tuple[Sort, ...]:
    """The full order; a page read backwards turns every direction round."""
    sort = (*query.sort, Sort("fid"))
    return tuple(replace(s, descending=not s.descending) for s in sort) if query.backwards else sort


def _order(query: PageQuery) -> str:
    """PostgreSQL's own order of nulls (last going up, first going down), so that one index serves both ways."""
    return "ORDER BY " + ", ".join(
        f"t.{quote_identifier(s.name)}{' DESC' if s.descending else ''}" for s in _effective(query)
    )


def _after(query: PageQuery, binder: Binder) -> str:
    """Rows that come after `query.after` in the order, nulls counted as the greatest value."""
    if query.after is None:
        return ""
    options, equal = [], ""
    for s, value in zip(_effective(query), query.after, strict=True):
        column = f"t.{quote_identifier(s.name)}"
        if value is None:
            beyond = f"{column} IS NOT NULL" if s.descending else ""
            same = f"{column} IS NULL"
        else:
            place = binder.bind(value)
            beyond = f"{column} < {place}" if s.descending else f"{column} > {place}"
            if not s.descending and s.name != "fid":
                beyond = f"({beyond} OR {column} IS NULL)"
            same = f"{column} = {place}"
        if beyond:
            options.append(f"({equal}{beyond})" if equal else beyond)
        equal += f"{same} AND "
    return options[0] if len(options) == 1 else f"({' OR '.join(options)})"


def _joined(query: PageQuery, inner: str, among: str, more: str) -> str:
    """`inner` comes in the page's order, and an aggregate over a sorted subquery keeps it."""
    first, last = f"min(t.fid){among}", f"max(t.fid){among}"
    if query.sort:
        every = f"array_agg(t.fid){among}"
        first, last = f"({every})[1]", f"({every})[count(*){among}]"
    text = f"string_agg({feature_text(query.layer, query.output)}, {separator(query.output)}){among}"
    return f"SELECT {text}, count(*){among}, {first}, {last}, {more} FROM ({inner}) t"
