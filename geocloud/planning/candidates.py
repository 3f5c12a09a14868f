# SPDX-License-Identifier: Apache-2.0
"""Land looked for (策划生成): parcels that allow a use, less what the plans refuse, joined where they are too small,
ranked by conditions, and each one checked as any site is checked.

Overlays are planar in EPSG:4490, areas and distances on the ellipsoid, as in `compliance`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.model import Text
from geocloud.features.moment import read_moment
from geocloud.geodesy.area import SQUARE_METRES_PER_MU, lengths
from geocloud.geodesy.straight import straight_areas
from geocloud.jobs.run import Run
from geocloud.planning.candidates_ask import USES, Ask, Condition
from geocloud.planning.candidates_land import Piece, joined, usable
from geocloud.planning.candidates_raster import Survey, breaks, ground_score, missing_at_some, told
from geocloud.planning.candidates_read import Around, Parcels, Reader
from geocloud.planning.candidates_score import (
    answer,
    failing,
    measure,
    score,
    sentence,
    total,
    wanted_length,
)
from geocloud.planning.compliance import Checked, check_site, fingerprint, valid_at
from geocloud.planning.compliance_rules import Pack
from geocloud.planning.site import Site

__all__ = ["CHECKS_MAX", "Found", "find_sites"]

# Sites checked at most in one search, however many of them are refused.
CHECKS_MAX = 200
_BLOCK = 64
# What a part breaks, all of it breaks: told before neighbours are joined.
_MONOTONE = ("inside", "outside", "far")


@dataclass(frozen=True)
class Found:
    """The answer as GeoJSON (CRS84, longitude first) with the search in `search`, and what its maps need: the checks by
    the rank's order, features by the conditions' number, titles of the parcels' classes."""

    document: dict[str, Any]
    checks: Sequence[Checked]
    around: Mapping[int, Around]
    boundary: Around | None
    classes: Mapping[str, Text]


def find_sites(run: Run, ask: Ask, pack: Pack, valid: str | None = None, asof: str | None = None) -> Found:
    """The best candidates, best first; none of them is refused by the pack. `valid` and `asof` as in `check_site`."""
    day, instant = valid_at(valid)
    believed = read_moment(None, asof).believed
    reader = Reader(run, instant, believed)
    run.progress(0.05, "读取地块", "reading the parcels")
    parcels = reader.parcels(ask)
    search = _Search(run, reader, ask, pack, day)
    search.land(parcels)
    run.progress(0.5, "计分", "scoring")
    search.rank()
    run.progress(0.7, "逐个合规检查", "checking the best")
    features, checks = search.check(valid, asof)
    document: dict[str, Any] = {
        "type": "FeatureCollection",
        "features": features,
        "search": search.summary(day, believed, checks),
    }
    document["search"]["fingerprint"] = fingerprint({**document, "search": _lasting(document["search"])})
    classes = ask.source.codes[USES].titles() if ask.use_field and USES in ask.source.codes else {}
    return Found(document, checks, search.around, search.boundary, classes)


def _lasting(search: Mapping[str, Any]) -> dict[str, Any]:
    """The search without what other edits change."""
    return {k: v for k, v in search.items() if k not in ("states", "fingerprint")}


class _Search:
    def __init__(self, run: Run, reader: Reader, ask: Ask, pack: Pack, day: date) -> None:
        self.run, self.reader, self.ask, self.pack = run, reader, ask, pack
        self.rules = [r for r in pack.rules if r.holds(day)]
        self.counts: Counter[str] = Counter()
        self.not_judged: dict[str, dict[str, Any]] = {}
        self.around: dict[int, Around] = {}
        self.boundary: Around | None = None
        self.pieces: list[Piece] = []
        self.measured: dict[int, list[float | None]] = {}
        self.against: dict[int, NDArray[np.float64]] = {}
        self.late: set[int] = set()
        self.surveys: dict[int, Survey] = {}
        self.totals: list[float | None] = []
        self.greatest = min(ask.max_area_m2 or np.inf, run.settings.site.site_area_max_ha * 1e4)

    def land(self, parcels: Parcels) -> None:
        """Parcels within the boundary, less what is refused, joined where too small, of the size that is asked."""
        self.counts["parcels"] = len(parcels.ids)
        pieces = [
            Piece((i,), (i,), (u or "",), s) for i, u, s in zip(parcels.ids, parcels.uses, parcels.shapes, strict=True)
        ]
        pieces = self._kept(pieces, self._in_boundary(pieces), "outside_boundary")
        self.run.progress(0.15, "扣除不可占用的部分", "taking off what is refused")
        pieces = usable(self.reader, self.rules, pieces, self.counts)
        self.run.progress(0.35, "读取条件图层", "reading the layers of the conditions")
        self._read(_shapes(pieces))
        for n, c in enumerate(self.ask.conditions):
            if c.hard and n in self.around and c.kind in _MONOTONE:
                pieces = self._kept(pieces, ~self._broken(n, c, pieces), "hard_failed")
        pieces = self._without_steep(pieces)
        if self.ask.join:
            pieces = joined(pieces, self.ask.min_area_m2, self.greatest)
            self.counts["joined"] = sum(len(p.members) > 1 for p in pieces)
        areas = straight_areas(_shapes(pieces))
        self.counts["too_small"] = int((areas < self.ask.min_area_m2).sum())
        self.counts["too_large"] = int((areas > self.greatest).sum())
        right = (areas >= self.ask.min_area_m2) & (areas <= self.greatest)
        self.pieces = [p for p, ok in zip(pieces, right, strict=True) if ok]

    def rank(self) -> None:
        """Hard conditions exclude; soft ones are added up; the best first, ties by id."""
        shapes = _shapes(self.pieces)
        conditions = {n: self.ask.conditions[n] for n in self.around}
        late = {n for n, c in conditions.items() if c.kind == "frontage" and not c.hard}
        values = {n: measure(c, shapes, self.around[n]) for n, c in conditions.items() if n not in late}
        keep = np.ones(len(shapes), dtype=bool)
        for n, c in conditions.items():
            if c.hard:
                keep &= ~failing(c, values[n], self._against(c, shapes))
        self.measured = values
        self._keep(keep)
        self._survey()
        shapes = _shapes(self.pieces)
        self.against = {n: self._against(c, shapes) for n, c in conditions.items()}
        # What takes long is measured of those alone that can be among the best; until then it counts in full.
        self.measured |= {n: self.against[n].tolist() for n in late}
        self.late = late
        self.totals = [self._total(i) for i in range(len(self.pieces))]
        self.counts["ranked"] = len(self.pieces)

    def _keep(self, keep: NDArray[np.bool_]) -> None:
        """Candidates that are kept, and what was measured of them."""
        self.pieces = self._kept(self.pieces, keep, "hard_failed")
        self.measured = {n: [v for v, ok in zip(m, keep, strict=True) if ok] for n, m in self.measured.items()}
        self.surveys = {n: s.kept(keep) for n, s in self.surveys.items()}

    def _survey(self) -> None:
        """Rasters, of what no other hard condition excludes; hard ones exclude in their turn."""
        for n, c in self._rasters():
            found = Survey.of(self.run, c, _shapes(self.pieces))
            if isinstance(found, Text):
                self._not_judged(f"condition {n}", c.of, Text(zh=f"{found.zh},未判定", en=f"{found.en}: not judged"), n)
                continue
            self.surveys[n] = found
            if c.hard:
                self._keep(np.array([not breaks(c, g) for g in found.grounds], dtype=bool))

    def _without_steep(self, pieces: list[Piece]) -> list[Piece]:
        """Pieces with which no neighbour could be joined, as a cell of theirs breaks a hard condition."""
        for _, c in self._rasters() if self.ask.join else ():
            found = Survey.of(self.run, c, _shapes(pieces)) if c.hard else None
            if isinstance(found, Survey):
                keep = [not breaks(c, g, any_part=True) for g in found.grounds]
                pieces = self._kept(pieces, np.array(keep, dtype=bool), "hard_failed")
        return pieces

    def _rasters(self) -> list[tuple[int, Condition]]:
        return [(n, c) for n, c in enumerate(self.ask.conditions) if c.kind == "raster"]

    def _total(self, i: int) -> float | None:
        soft = []
        for n, c in enumerate(self.ask.conditions):
            if c.hard:
                continue
            if n in self.surveys:
                got = ground_score(c, self.surveys[n].grounds[i])
                soft += [] if got is None else [(got, c.parts)]
            elif n in self.around:
                soft.append((score(c.kind, self.measured[n][i], float(self.against[n][i])), c.parts))
        return total(soft)

    def _best_first(self) -> Iterator[int]:
        """Numbers of the pieces by total, ties by id; what is put off is measured as its turn comes."""
        # 0: the total is the most it can be; 1: it is what it is.
        first = 0 if self.late else 1
        line = [self._place(i, first) for i in range(len(self.pieces))]
        heapify(line)
        while line:
            _, known, _, i = heappop(line)
            if known:
                yield i
                continue
            block = [i]
            while line and not line[0][1] and len(block) < _BLOCK:
                block.append(heappop(line)[3])
            shapes = _shapes([self.pieces[k] for k in block])
            for n in self.late:
                for k, metres in zip(block, measure(self.ask.conditions[n], shapes, self.around[n]), strict=True):
                    self.measured[n][k] = metres
            for k in block:
                self.totals[k] = self._total(k)
                heappush(line, self._place(k, 1))

    def _place(self, i: int, known: int) -> tuple[float, int, str, int]:
        return -round(self.totals[i] or 0.0, 6), known, self.pieces[i].id, i

    def check(self, valid: str | None, asof: str | None) -> tuple[list[dict[str, Any]], list[Checked]]:
        """The best that no rule refuses, as features, and their checks. No land is in two of them."""
        features: list[dict[str, Any]] = []
        checks: list[Checked] = []
        taken: set[str] = set()
        for i in self._best_first():
            if len(features) == self.ask.limit or self.counts["checked"] == CHECKS_MAX:
                break
            piece = self.pieces[i]
            if taken & set(piece.members):
                self.counts["shared"] += 1
                continue
            site = _site(piece.shape)
            checked = check_site(self.run, site, self.pack, valid, asof)
            self.counts["checked"] += 1
            if checked.document["verdict"] == "refuse":
                self.counts["refused"] += 1
                continue
            taken.update(piece.members)
            checks.append(checked)
            features.append(self._feature(len(features) + 1, i, site, checked.document))
            share = 0.7 + 0.25 * len(features) / self.ask.limit
            self.run.progress(share, "逐个合规检查", "checking the best")
        return features, checks

    def summary(self, day: date, believed: datetime | None, checks: Sequence[Checked]) -> dict[str, Any]:
        """The question, how many fell away and why, what could not be judged, the state of the data."""
        used = dict(self.reader.used)
        for one in checks:
            used |= {i: h.layer for i, h in one.held.items()}
        stamps = [x.state.stamp for x in used.values() if x.state.stamp is not None]
        state = believed or max(stamps, default=None)
        left = len(self.pieces) - self.counts["checked"] - self.counts["shared"]
        names = ("parcels", "outside_boundary", "cut", "excluded", "hard_failed", "joined", "too_small", "too_large",
                 "ranked", "checked", "refused", "shared")  # fmt: skip
        return {
            "kind": "project-generate",
            "format": 1,
            "date": day.isoformat(),
            "asof": state.astimezone(UTC).isoformat() if state is not None else None,
            "ask": self.ask.as_dict(),
            "pack": {
                "name": self.pack.name, "version": self.pack.version, "title": self.pack.title.model_dump(),
                "sha256": self.pack.digest,
            },
            "counts": {n: self.counts[n] for n in names} | {"listed": len(checks), "left": left},
            "complete": len(checks) == self.ask.limit or left == 0,
            "not_judged": [self.not_judged[k] for k in sorted(self.not_judged)],
            "rasters": [{"condition": n, **s.about} for n, s in sorted(self.surveys.items())],
            "synthetic": any(x.synthetic for x in used.values())
            or any(s.raster.about.synthetic for s in self.surveys.values()),
            "states": [
                {
                    "layer": i, "version": x.state.version, "rows": x.state.row_count,
                    "stamp": x.state.stamp.isoformat() if x.state.stamp else None,
                }
                for i, x in sorted(used.items())
            ],
        }  # fmt: skip

    def _in_boundary(self, pieces: list[Piece]) -> NDArray[np.bool_]:
        layer = self.ask.boundary
        if layer is None or not pieces:
            return np.ones(len(pieces), dtype=bool)
        self.boundary = self.reader.around(layer, _boxes(pieces))
        if self.boundary.empty:
            self._unknown("boundary", layer.id, "该日期没有数据", "has no rows at this date")
            return np.ones(len(pieces), dtype=bool)
        shapes = _shapes(pieces)
        condition = Condition(kind="inside", layer=layer.id, hard=True)
        inside = measure(condition, shapes, self.boundary)
        areas = straight_areas(shapes)
        return ~failing(condition, inside, areas)

    def _read(self, shapes: NDArray[Any]) -> None:
        boxes = shapely.bounds(shapes)
        for n, c in enumerate(self.ask.conditions):
            if c.kind == "raster":
                continue
            layer = self.run.catalogue.layers[c.of]
            found = self.reader.around(layer, boxes, c.distance_m or 0.0, [c.filter] if c.filter else [])
            if found.empty:
                self._unknown(f"condition {n}", c.of, "在该日期没有数据", "has no rows at this date", n)
            else:
                self.around[n] = found

    def _unknown(self, key: str, of: str, zh: str, en: str, number: int | None = None) -> None:
        self._not_judged(key, of, Text(zh=f"{of} {zh},未判定", en=f"{of} {en}: not judged"), number)

    def _not_judged(self, key: str, of: str, said: Text, number: int | None) -> None:
        self.not_judged[key] = {"condition": number, "of": of, "rule": None, "why": said.model_dump()}

    def _against(self, c: Condition, shapes: NDArray[Any]) -> NDArray[np.float64]:
        """What a measured value is held against: area, distance or length."""
        if c.kind in ("inside", "outside"):
            return straight_areas(shapes)
        if c.kind == "frontage":
            return wanted_length(c, lengths(shapes))
        return np.full(len(shapes), float(c.distance_m or 0))

    def _broken(self, n: int, c: Condition, pieces: list[Piece]) -> NDArray[np.bool_]:
        shapes = _shapes(pieces)
        return failing(c, measure(c, shapes, self.around[n]), self._against(c, shapes))

    def _kept(self, pieces: list[Piece], keep: NDArray[np.bool_], why: str) -> list[Piece]:
        self.counts[why] += int((~keep).sum())
        return [p for p, ok in zip(pieces, keep, strict=True) if ok]

    def _feature(self, rank: int, i: int, site: Site, check: Mapping[str, Any]) -> dict[str, Any]:
        piece = self.pieces[i]
        answers = []
        for n, c in enumerate(self.ask.conditions):
            if n in self.surveys:
                answers.append(answer(n, c, None, None, None, {}) | told(c, self.surveys[n], i))
                if self.surveys[n].grounds[i].why is not None:
                    self._not_judged(f"condition {n}", c.of, missing_at_some(c), n)
                continue
            if n not in self.around:
                why = self.not_judged[f"condition {n}"]["why"]
                answers.append(answer(n, c, None, None, None, why))
                continue
            value, against = self.measured[n][i], float(self.against[n][i])
            got = None if c.hard else score(c.kind, value, against)
            said = sentence(c, _narrowed(self.around[n].layer.spec.title, c.filter), value, against)
            answers.append(answer(n, c, value, against, got, said.model_dump()))
        for r in check["rules"]:
            if r["verdict"] == "unknown" or r["not_judged_m2"] > 0:
                self.not_judged.setdefault(
                    f"rule {r['number']}", {"condition": None, "of": r["layer"], "rule": r["number"], "why": r["why"]}
                )
        points = self.totals[i]
        return {
            "type": "Feature",
            "id": piece.id,
            "geometry": json.loads(shapely.to_geojson(site.geometry)),
            "properties": {
                "rank": rank,
                "total": None if points is None else round(points, 4),
                "parcels": list(piece.parcels),
                "use": sorted(set(piece.uses) - {""}),
                "area_m2": round(site.area_m2, 4),
                "area_mu": round(site.area_m2 / SQUARE_METRES_PER_MU, 4),
                "perimeter_m": round(site.perimeter_m, 3),
                "compactness": round(4 * np.pi * site.area_m2 / site.perimeter_m**2, 4),
                "cut_m2": round(piece.cut_m2, 4),
                "verdict": check["verdict"],
                "counts": check["counts"],
                "hits": [
                    {k: r[k] for k in ("number", "title", "verdict", "overlap_m2", "next_step")}
                    for r in check["rules"]
                    if r["verdict"] in ("consent", "note")
                ],
                "not_judged": [r["number"] for r in check["rules"] if r["verdict"] == "unknown"],
                "conditions": answers,
            },
        }  # fmt: skip


def _narrowed(title: Text, text: str | None) -> Text:
    return Text(zh=f"{title.zh}({text})", en=f"{title.en} ({text})") if text else title


def _shapes(pieces: Sequence[Piece]) -> NDArray[Any]:
    out = np.empty(len(pieces), dtype=object)
    out[:] = [p.shape for p in pieces]
    return out


def _boxes(pieces: Sequence[Piece]) -> NDArray[np.float64]:
    return np.asarray(shapely.bounds(_shapes(pieces)), dtype=np.float64).reshape(-1, 4)


def _site(shape: Any) -> Site:
    """The candidate as a site as it would be submitted."""
    whole = shapely.normalize(shapely.multipolygons(shapely.get_parts(shape)))
    one = np.array([whole], dtype=object)
    return Site(
        whole, float(straight_areas(one)[0]), float(lengths(one)[0]), "EPSG:4490",
        Text(zh="2000国家大地坐标系", en="CGCS2000"), False, (),
    )  # fmt: skip
