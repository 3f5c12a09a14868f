# SPDX-License-Identifier: Apache-2.0
"""Plans against plans (规划冲突比对): where classes of two plans exclude each other, found in bounded memory.

The first plan is read in batches along a Hilbert curve, the second one by the place of each batch. Only pairs whose
classes exclude each other are looked at, and of those only pairs are cut that share more than the seam along a border:
nothing else can be a real difference. Cutting runs on all cores while the next batch is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.registry import Layer
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.cql2 import compile_filter
from geocloud.features.moment import Moment
from geocloud.jobs.run import Run
from geocloud.planning.compliance_read import moment_of
from geocloud.planning.matrix import Matrix, Relation, Side
from geocloud.planning.slivers import KINDS, Measured, Reach, apart, inner, measure, reach_of, sliver_kinds

__all__ = ["Box", "Found", "Tally", "compare", "tolerance_of"]

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees (EPSG:4490)."""

_BATCH = 10_000
_BOXES = 16
_PAIRS_AT_ONCE = 10_000
# Corners from which it pays to ask whether a shape lies within another before cutting.
_LARGE = 120
_POLYGON = 3
_REGISTER = "planning.plan_area"


class Found(NamedTuple):
    """One difference: rule, key and class of both features, the place (lon/lat polygon), its measures and its kind
    (of the list sliver_kind)."""

    rule: Relation
    key_a: str
    key_b: str
    class_a: str | None
    class_b: str | None
    geometry: Any
    area_m2: float
    outline_m: float
    width_m: float
    kind: str
    tolerance_m: float


@dataclass(slots=True)
class Tally:
    """Of one rule: pairs that exclude each other and whose boxes meet; where slivers are asked for, those
    of them that meet along a seam alone (they touch, or share slivers), how many slivers of which kind there are, and
    their area (m2)."""

    pairs: int = 0
    tolerance_m: float = 0.0
    seams: int | None = None
    slivers: int = 0
    sliver_m2: float = 0.0
    by_kind: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Features of one side: keys, classes by field, shapes, how far those reach, and by rule number which of them it is
    about."""

    keys: NDArray[Any]
    classes: dict[str, NDArray[Any]]
    shapes: NDArray[Any]
    reach: Reach
    about: dict[str, NDArray[np.bool_]]


def compare(
    run: Run,
    matrix: Matrix,
    rules: Sequence[Relation],
    moment: Moment,
    boxes: Sequence[Box] | None = None,
    *,
    slivers: bool = False,
) -> Iterator[tuple[Relation, Tally, list[Found]]]:
    """By rule what its two sides share: a tally, and the real differences, with `slivers` those too.

    `boxes` limits both sides to features whose own box meets one of them. A rule with a layer that is not published is
    left out: whoever asks tells that it was not judged.
    """
    pairs: dict[tuple[str, str], list[Relation]] = {}
    for r in rules:
        if r.a.layer in run.catalogue.layers and r.b.layer in run.catalogue.layers:
            pairs.setdefault((r.a.layer, r.b.layer), []).append(r)
    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        for done, ((a, b), own) in enumerate(pairs.items()):
            title_a, title_b = (run.catalogue.layers[i].spec.title for i in (a, b))
            run.progress(
                0.02 + 0.9 * done / len(pairs), f"比对{title_a.zh}与{title_b.zh}", f"{title_a.en} against {title_b.en}"
            )
            tallies = {
                r.number: Tally(tolerance_m=tolerance_of(run, matrix, r), seams=0 if slivers else None) for r in own
            }
            found: dict[str, list[Found]] = {r.number: [] for r in own}
            waiting: list[_Work] = []
            for batch in _batches(run, run.catalogue.layers[a], [(r.number, r.a) for r in own], moment, boxes):
                near = _around(run, run.catalogue.layers[b], [(r.number, r.b) for r in own], moment, boxes, batch)
                # While these are cut, the next ones are read.
                begun = [_Work(pool, matrix, r, batch, near, tallies[r.number], slivers=slivers) for r in own]
                for work in waiting:
                    found[work.rule.number] += work.found()
                waiting = begun
            for work in waiting:
                found[work.rule.number] += work.found()
            for r in own:
                yield r, tallies[r.number], found[r.number]


def tolerance_of(run: Run, matrix: Matrix, rule: Relation) -> float:
    """Metres up to which a difference is a sliver: the rule's own, else what the register of plans states as the
    accuracies of both plans together, else the matrix's."""
    if rule.tolerance_m is not None:
        return rule.tolerance_m
    if _REGISTER in run.catalogue.layers:
        binder = Binder()
        kinds = [side.layer.partition(".")[2] for side in (rule.a, rule.b)]
        table = run.catalogue.layers[_REGISTER].table
        rows = run.rows(
            f"SELECT ghlb, max(jd) FROM {table} WHERE ghlb = ANY({binder.bind(kinds, 'text[]')}) AND jd IS NOT NULL "
            "GROUP BY ghlb", binder,
        )  # fmt: skip
        if stated := sum(float(r[1]) for r in rows):
            return stated
    return matrix.tolerance_m


def _batches(
    run: Run, layer: Layer, sides: Sequence[tuple[str, Side]], moment: Moment, boxes: Sequence[Box] | None
) -> Iterator[_Rows]:
    binder = Binder()
    # PostGIS orders geometries along a Hilbert curve.
    sql = _select(run, binder, layer, sides, moment, boxes) + " ORDER BY r.geom, r.fid"
    for rows in run.batches(sql, binder, _BATCH):
        yield _rows(rows, sides)


def _around(
    run: Run,
    layer: Layer,
    sides: Sequence[tuple[str, Side]],
    moment: Moment,
    boxes: Sequence[Box] | None,
    batch: _Rows,
) -> _Rows:
    binder = Binder()
    sql = _select(run, binder, layer, sides, moment, boxes)
    # A batch is no rectangle: boxes of its parts take in less beside it.
    parts = np.array_split(shapely.bounds(batch.shapes), min(_BOXES, len(batch.shapes)))
    around: list[Box] = [(*p[:, :2].min(axis=0), *p[:, 2:].max(axis=0)) for p in parts]
    sql += f" AND {_meets(binder, around)} ORDER BY r.fid"
    return _rows(run.rows(sql, binder), sides)


def _select(
    run: Run,
    binder: Binder,
    layer: Layer,
    sides: Sequence[tuple[str, Side]],
    moment: Moment,
    boxes: Sequence[Box] | None,
) -> str:
    if moment.valid is not None and moment.valid.start is not None:
        moment = moment_of(layer, moment.valid.start, moment.believed)
    relation = moment.relation(binder, layer) or layer.table
    tests = [
        f"(({compile_filter(binder, s.filter, 'cql2-text', layer, None, run.settings.web)}) IS TRUE)"
        if s.filter
        else "TRUE"
        for _, s in sides
    ]
    fields = "".join(f", r.{quote_identifier(f)}::text" for f in _fields(sides))
    place = "TRUE" if boxes is None else _meets(binder, boxes)
    wanted = "TRUE" if "TRUE" in tests else f"({' OR '.join(tests)})"
    told = "".join(f", {t}" for t in tests if t != "TRUE")
    return (
        f"SELECT r.{quote_identifier(layer.spec.key[0])}::text, r.geom{told}{fields} FROM {relation} r "
        f"WHERE r.geom IS NOT NULL AND {place} AND {wanted}"
    )


def _tested(sides: Sequence[tuple[str, Side]]) -> list[str]:
    """Numbers of the rules that are not about all features of the layer."""
    return [number for number, s in sides if s.filter]


def _fields(sides: Sequence[tuple[str, Side]]) -> list[str]:
    return list(dict.fromkeys(s.class_field for _, s in sides if s.class_field))


def _meets(binder: Binder, boxes: Sequence[Box]) -> str:
    envelopes = (", ".join(binder.bind(float(v), "float8") for v in box) for box in boxes)
    return "(" + (" OR ".join(f"r.geom && ST_MakeEnvelope({e}, 4490)" for e in envelopes) or "FALSE") + ")"


def _rows(rows: Sequence[tuple[Any, ...]], sides: Sequence[tuple[str, Side]]) -> _Rows:
    columns = list(zip(*rows, strict=True)) or [()] * (2 + len(_tested(sides)) + len(_fields(sides)))
    # Parsing the text of geometries is many times as slow as parsing bytes.
    shapes = np.asarray(shapely.from_wkb([bytes.fromhex(v) for v in columns[1]]), dtype=object).reshape(len(rows))
    tests = {number: np.array(columns[2 + k], dtype=bool) for k, number in enumerate(_tested(sides))}
    every = np.ones(len(rows), dtype=bool)
    return _Rows(
        np.array(columns[0], dtype=object),
        {f: np.array(columns[2 + len(tests) + k], dtype=object) for k, f in enumerate(_fields(sides))},
        shapes,
        reach_of(shapes),
        {number: tests.get(number, every) for number, _ in sides},
    )


class _Work:
    """One rule on one batch: begun when made, its differences when asked for."""

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        matrix: Matrix,
        rule: Relation,
        a: _Rows,
        b: _Rows,
        tally: Tally,
        *,
        slivers: bool,
    ) -> None:
        self.rule, self._a, self._b, self._tally, self._slivers = rule, a, b, tally, slivers
        self._done: list[Future[_Cut]] = []
        own, other = np.flatnonzero(a.about[rule.number]), np.flatnonzero(b.about[rule.number])
        if not len(own) or not len(other):
            return
        i, k = shapely.STRtree(b.shapes[other]).query(a.shapes[own])
        i, k = own[i], other[k]
        tally.pairs += len(i)
        least = matrix.least_m2 if rule.least_m2 is None else rule.least_m2
        # Pairs of one shape stay together, so that it is made ready once.
        for part in np.array_split(np.arange(len(i)), max(1, len(i) // _PAIRS_AT_ONCE)):
            work = pool.submit(_cut, a, b, i[part], k[part], tally.tolerance_m, least, slivers=slivers)
            self._done.append(work)

    def found(self) -> list[Found]:
        """The differences, with slivers where those are wanted."""
        out: list[Found] = []
        rule, tally = self.rule, self._tally
        for work in self._done:
            cut = work.result()
            if tally.seams is not None:
                tally.seams += cut.seams
            thin = cut.kinds > 0
            tally.slivers += int(thin.sum())
            tally.sliver_m2 += float(cut.areas[thin].sum())
            for number, count in zip(*np.unique(cut.kinds[thin], return_counts=True), strict=True):
                tally.by_kind[KINDS[number]] = tally.by_kind.get(KINDS[number], 0) + int(count)
            told = np.arange(len(thin)) if self._slivers else np.flatnonzero(~thin)
            i, k = cut.i[told], cut.k[told]
            class_a, class_b = (
                rows.classes[side.class_field][at].tolist() if side.class_field else [None] * len(at)
                for rows, side, at in ((self._a, rule.a, i), (self._b, rule.b, k))
            )
            columns: tuple[list[Any], ...] = (
                [rule] * len(told), self._a.keys[i].tolist(), self._b.keys[k].tolist(), class_a, class_b,
                cut.pieces[told].tolist(), cut.areas[told].tolist(), cut.outlines[told].tolist(),
                cut.widths[told].tolist(), [KINDS[n] for n in cut.kinds[told].tolist()],
                [tally.tolerance_m] * len(told),
            )  # fmt: skip
            out += map(Found._make, zip(*columns, strict=True))
        self._done = []
        return out


@dataclass(frozen=True, slots=True)
class _Cut:
    """Polygons that pairs share: each with the numbers of both features, area, outline, width and kind; of the
    pairs cut those that meet and have no real difference."""

    pieces: NDArray[Any]
    i: NDArray[np.int64]
    k: NDArray[np.int64]
    areas: NDArray[np.float64]
    outlines: NDArray[np.float64]
    widths: NDArray[np.float64]
    kinds: NDArray[np.int64]
    seams: int


def _cut(
    a: _Rows,
    b: _Rows,
    i: NDArray[np.int64],
    k: NDArray[np.int64],
    tolerance_m: float,
    least_m2: float,
    *,
    slivers: bool,
) -> _Cut:
    if not slivers and tolerance_m > 0:
        # What keeps to the seam along a border is a sliver, so only what reaches further need be cut.
        deep = ~apart(a.reach, b.reach, i, k, tolerance_m)
        i, k = i[deep], k[deep]
    try:
        return _cut_shapes(a.shapes, b.shapes, i, k, tolerance_m, least_m2, slivers=slivers)
    except shapely.errors.GEOSException:
        # Whoever wrote by SQL may have left a polygon that crosses itself; loads and edits repair or refuse it.
        return _cut_shapes(_sound(a.shapes, i), _sound(b.shapes, k), i, k, tolerance_m, least_m2, slivers=slivers)


def _cut_shapes(
    shapes_a: NDArray[Any],
    shapes_b: NDArray[Any],
    i: NDArray[np.int64],
    k: NDArray[np.int64],
    tolerance_m: float,
    least_m2: float,
    *,
    slivers: bool,
) -> _Cut:
    if not slivers and tolerance_m > 0 and len(i):
        kept, of = np.unique(i, return_inverse=True)
        cores = inner(shapes_a[kept], tolerance_m)
        shapely.prepare(cores)
        deep = shapely.intersects(cores[of], shapes_b[k])
        i, k = i[deep], k[deep]
    pieces, of_pair, met = _shared(shapes_a, shapes_b, i, k)
    measured = measure(pieces)
    some = measured.area_m2 > 0
    pieces, of_pair = pieces[some], of_pair[some]
    measured = Measured(measured.area_m2[some], measured.outline_m[some])
    i, k = i[of_pair], k[of_pair]
    kinds = sliver_kinds(pieces, measured, tolerance_m, least_m2, shapes_a[i], shapes_b[k])
    met[of_pair[kinds == 0]] = False
    return _Cut(pieces, i, k, measured.area_m2, measured.outline_m, measured.width_m, kinds, int(met.sum()))


def _sound(shapes: NDArray[Any], at: NDArray[np.int64]) -> NDArray[Any]:
    """The shapes, those named made valid."""
    kept, out = np.unique(at), shapes.copy()
    out[kept] = shapely.make_valid(shapes[kept], method="structure", keep_collapsed=False)
    return out


def _copies(shapes: NDArray[Any], at: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Copies of the shapes named, and their numbers among those."""
    kept, of = np.unique(at, return_inverse=True)
    return np.asarray(shapely.from_wkb(shapely.to_wkb(shapes[kept])), dtype=object).reshape(len(kept)), of


def _shared(
    a: NDArray[Any], b: NDArray[Any], i: NDArray[np.int64], k: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.bool_]]:
    """Polygons that pairs of shapes share, the number of each one's pair, and which pairs meet, if in a point."""
    shared = np.empty(len(i), dtype=object)
    large = np.maximum(shapely.get_num_coordinates(a[i]), shapely.get_num_coordinates(b[k])) >= _LARGE
    open_ = np.ones(len(i), dtype=bool)
    if large.any():
        at = np.flatnonzero(large)
        # Prepared shapes are no thread's but their own: these are copies.
        (own, of_own), (other, of_other) = _copies(a, i[at]), _copies(b, k[at])
        shapely.prepare(own)
        shapely.prepare(other)
        one, two = own[of_own], other[of_other]
        inside, around = shapely.covers(two, one), shapely.covers(one, two)
        shared[at[inside]], shared[at[around & ~inside]] = one[inside], two[around & ~inside]
        open_[at[inside | around | ~shapely.intersects(one, two)]] = False
    shared[open_] = shapely.intersection(a[i[open_]], b[k[open_]])
    met = ~(shapely.is_missing(shared) | shapely.is_empty(shared))
    single = shapely.get_type_id(shared) == _POLYGON
    pieces, of = shared[single], np.flatnonzero(single)
    if not single.all():
        parts, back = shapely.get_parts(shared[~single], return_index=True)
        parts, deeper = shapely.get_parts(parts, return_index=True)
        pieces = np.concatenate([pieces, parts])
        of = np.concatenate([of, np.flatnonzero(~single)[back[deeper]]])
        areal = (shapely.get_type_id(pieces) == _POLYGON) & ~shapely.is_empty(pieces)
        order = np.flatnonzero(areal)[np.argsort(of[areal], kind="stable")]
        pieces, of = pieces[order], of[order]
    return pieces, of, met
