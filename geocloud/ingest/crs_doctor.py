# SPDX-License-Identifier: Apache-2.0
"""The CRS doctor (坐标医生): which coordinate system a file is really in, with the evidence.

A declared system is believed while the coordinates can be true in it. It is corrected alone only when
they cannot be and one other reading puts them into the city; a file without a system is read alone only
when one reading does. All else raises CrsUndecided with the ranked guesses. GCJ-02 and BD-09 are some
500 m and 1 km off and cannot be told by extent: names tell, or known geometry to compare with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import CRSError

from geocloud.errors import CrsUndecided, IngestError, InvalidParameter
from geocloud.geodesy.area import area_mu, areas
from geocloud.geodesy.crs import BD09, GCJ02, Crs, crs, describe, parse_crs
from geocloud.geodesy.transform import Placement, accuracy_m, parse_source_crs
from geocloud.ingest.crs_evidence import Box, Guess, Hints, Sample, distances, guess, ranked, sample_of
from geocloud.ingest.report import Finding, refuse
from geocloud.ingest.source import Source

__all__ = ["Diagnosis", "diagnose"]

_CLEAR = 0.9
_UNLIKELY = 0.5
_VALID = 0.9
_LISTED = 5
_NOWHERE = "no reading puts the data into the city"
# A national file: mainland, Taiwan and the South China Sea islands with a degree around them.
_COUNTRY = (72.0, 2.0, 137.0, 55.0)
# Against known geometry a reading must be this much nearer than the next, and this near in metres.
_NEARER = 0.6
_NEAR_M = 400.0


@dataclass(frozen=True)
class Diagnosis:
    """The decision: how coordinates become EPSG:4490 (None for a table without geometry), and why.

    `declared` is what the file says, `guesses` the readings that were weighed, likeliest first, `findings`
    the numbered statements for the report.
    """

    placement: Placement | None
    declared: str | None = None
    guesses: tuple[Guess, ...] = ()
    findings: list[Finding] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The diagnosis as JSON."""
        used = self.placement
        return {
            "declared": self.declared,
            "crs": used.crs.id if used else None,
            "name": {"zh": used.crs.name_zh, "en": used.crs.name} if used else None,
            "exchanged": used.exchanged if used else False,
            "guesses": [g.as_dict() for g in self.guesses],
        }


def diagnose(
    source: Source,
    city: Box,
    *,
    named: str | None = None,
    reference: NDArray[Any] | Sequence[Any] | None = None,
    rows: int = 2_000,
) -> Diagnosis:
    """Decide the coordinate system of a source from its first `rows` rows, its declaration and its names.

    `city` is the city's extent, lon/lat west, south, east, north. `named` is what the person says
    (`--crs`: EPSG code, URI, GCJ-02, BD-09, WKT or PROJ text) and wins. `reference` is known geometry in
    EPSG:4490, such as the city's counties, that shifted coordinates can be told by. Raises CrsUndecided
    (GC-311) with `guesses` in its context, and InvalidParameter when `named` is no system.
    """
    given = parse_source_crs(named) if named is not None else None
    sample, hints = sample_of(source, rows)
    declared, label = _declared(source)
    if sample is None:
        # Nothing with a place to judge by: what is named or declared is as good as anything.
        system = given or declared
        return Diagnosis(Placement(system) if system is not None else None, label)
    case = _Case(sample, hints, city, declared, label, source.crs_by_format)
    if given is not None:
        return case.named(given)
    return case.decide(None if reference is None else np.asarray(reference, dtype=object))


class _Case:
    def __init__(
        self, sample: Sample, hints: Hints, city: Box, declared: Crs | None, label: str | None, by_format: bool
    ) -> None:
        self.sample, self.hints, self.city = sample, hints, city
        self.system, self.label, self.by_format = declared, label, by_format
        self.declared = guess(sample, Placement(declared), city) if declared is not None else None
        self.ranking = ranked(sample, city, hints.old_datum)
        if declared is not None and declared.kind == "geographic":
            # Longitude and latitude keep the datum that the file declares.
            self.ranking = [
                guess(sample, Placement(declared, g.placement.exchanged), city)
                if g.placement.crs.kind == "geographic"
                else g
                for g in self.ranking
            ]
        if self.declared is not None:
            others = [g for g in self.ranking if not _same(g.placement, self.declared.placement)]
            self.ranking = [self.declared, *others] if self.declared.valid >= _VALID else [*others, self.declared]

    def named(self, given: Crs) -> Diagnosis:
        """The person's word: taken, but with the axes as the coordinates show them."""
        straight = guess(self.sample, Placement(given), self.city, anywhere=True)
        turned = guess(self.sample, Placement(given, exchanged=True), self.city)
        chosen = turned if straight.inside < _UNLIKELY and turned.inside >= _CLEAR else straight
        findings = [Finding.of("GC-315", crs=given.id, name={"zh": given.name_zh, "en": given.name})]
        if chosen.placement.exchanged:
            findings.append(_axes(given))
        if chosen.valid < _VALID and not chosen.extent:
            raise self._undecided([chosen, *self.ranking])
        if chosen.inside == 0 and not chosen.covers and chosen.extent is not None:
            findings.append(Finding.of("GC-316", crs=given.id, extent=_box(chosen.extent), declared=self.label or "-"))
        return self._done(chosen, findings)

    def decide(self, reference: NDArray[Any] | None) -> Diagnosis:
        """The declaration, or what stands clearly against it, or an undecided case."""
        own = self.declared
        best = [g for g in self.ranking if g is not own and g.inside >= _CLEAR]
        if own is not None and own.valid >= _VALID and (own.inside > 0 or own.covers):
            return self._shifted_or(own, [self._says(own)], reference)
        if own is not None and own.valid >= _VALID and not best:
            outside = Finding.of("GC-309", extent=_box(own.extent or self.city), city=_box(self.city), share="0%")
            return self._done(own, [self._says(own), outside])
        if own is not None and own.valid >= _VALID and not self.by_format:
            # Sound in itself, but another reading fits the city: a person has to say which.
            raise self._undecided([own, *best])
        if self._alone(best):
            chosen, extra = self._against_utm(best, reference)
            return self._shifted_or(chosen, [*self._corrected(chosen), *extra], reference)
        covering = [g for g in self.ranking if g.covers and g is not own and _within(g.extent, _COUNTRY)]
        if own is None and not best and len(covering) == 1:
            return self._shifted_or(covering[0], self._corrected(covering[0]), reference)
        raise self._undecided(self.ranking)

    def _alone(self, best: list[Guess]) -> bool:
        """One reading fits, and no other puts half of the points into the city but with another datum."""
        if not best:
            return False
        rivals = [g for g in self.ranking if g.inside >= _UNLIKELY and g is not self.declared]
        first = best[0].placement
        return all(_same_numbers(first, g.placement) or _utm_twin(first, g.placement) for g in rivals)

    def _against_utm(self, best: list[Guess], reference: NDArray[Any] | None) -> tuple[Guess, list[Finding]]:
        """Gauss-Krueger or UTM of the same meridian, 0.04 % or 1.6 km apart: known geometry tells, else GC-317."""
        first = best[0]
        twin = next((g for g in best if _utm_twin(first.placement, g.placement)), None)
        if twin is None:
            return first, []
        measured = (
            distances(self.sample, reference, [first.placement, twin.placement]) if reference is not None else None
        )
        nearest = _nearest([first.placement, twin.placement], measured)
        if nearest is not None:
            return (first if nearest == first.placement else twin), []
        return first, [Finding.of("GC-317", crs=first.placement.crs.id, other=twin.placement.crs.id)]

    def _corrected(self, chosen: Guess) -> list[Finding]:
        """The findings that say how a file without or with a wrong declaration is read."""
        system = chosen.placement.crs
        facts: dict[str, Any] = {
            "crs": system.id,
            "name": {"zh": system.name_zh, "en": system.name},
            "evidence_zh": chosen.evidence("zh"),
            "evidence_en": chosen.evidence("en"),
        }
        findings = []
        own = self.system
        if own is None:
            findings.append(Finding.of("GC-302", **facts))
        elif own.central_meridian == system.central_meridian and (own.zone is None) != (system.zone is None):
            has = ("带有", "carry") if system.zone else ("不带", "do not carry")
            findings.append(Finding.of("GC-305", declared=self.label, crs=system.id, has_zh=has[0], has_en=has[1]))
        elif not _same_numbers(Placement(own), Placement(system)):
            findings.append(Finding.of("GC-303", declared=self.label, **facts))
        if chosen.placement.exchanged:
            findings.append(_axes(system))
        if own is None:
            findings.append(_unknown_datum(system))
        return findings

    def _shifted_or(self, chosen: Guess, findings: list[Finding], reference: NDArray[Any] | None) -> Diagnosis:
        """The reading, unless it is longitude and latitude that names or known geometry show to be shifted."""
        system = chosen.placement.crs
        if system.kind != "geographic" or system.datum not in ("WGS84", "CGCS2000"):
            return self._done(chosen, findings)
        turned = chosen.placement.exchanged
        readings = [chosen.placement, Placement(crs(GCJ02), turned), Placement(crs(BD09), turned)]
        measured = distances(self.sample, reference, readings) if reference is not None else None
        by_reference = _nearest(readings, measured)
        hint = self.hints.shifted
        if by_reference is not None:
            if hint is not None and self.hints.outright and by_reference.crs.id != hint:
                raise self._undecided([guess(self.sample, r, self.city) for r in readings])
            return self._by_reference(chosen, by_reference, measured or [], findings)
        if hint is None:
            why = ("没有可比对的已知界线。", "there is no known geometry to compare with.")
            if measured is not None:
                why = ("与已知界线的距离不足以区分。", "the distances from known geometry do not tell them apart.")
            findings.append(Finding.of("GC-312", why_zh=why[0], why_en=why[1]))
            return self._done(chosen, findings)
        shifted = Placement(crs(hint), turned)
        if not self.hints.outright:
            raise self._undecided([guess(self.sample, p, self.city) for p in (shifted, chosen.placement)])
        code = "GC-306" if hint == GCJ02 else "GC-307"
        word = self.hints.word
        told = Finding.of(code, evidence_zh=f"名称或字段写明“{word}”", evidence_en=f"names or fields say `{word}`")
        return self._done(guess(self.sample, shifted, self.city), [told, *_without(findings, "GC-301")])

    def _by_reference(
        self, chosen: Guess, nearest: Placement, measured: list[float], findings: list[Finding]
    ) -> Diagnosis:
        plain, gcj, bd = (f"{m:.0f}" for m in measured)
        en = f"median distance from known geometry {plain} m as it is, {gcj} m as GCJ-02, {bd} m as BD-09"
        zh = f"与已知界线的中位距离：原样 {plain} 米，按 GCJ-02 为 {gcj} 米，按 BD-09 为 {bd} 米"
        if nearest == chosen.placement:
            findings = [
                Finding.of(f.code, **(dict(f.facts) | {"evidence_zh": zh, "evidence_en": en}))
                if f.code == "GC-301"
                else f
                for f in findings
            ]
            return self._done(chosen, findings)
        code = "GC-306" if nearest.crs.id == GCJ02 else "GC-307"
        told = Finding.of(code, evidence_zh=zh, evidence_en=en)
        return self._done(guess(self.sample, nearest, self.city), [told, *_without(findings, "GC-301")])

    def _says(self, own: Guess) -> Finding:
        system = own.placement.crs
        by_zh, by_en = ("格式规定", "so the format has it") if self.by_format else ("文件声明", "declared by the file")
        return Finding.of(
            "GC-301",
            crs=system.id,
            name={"zh": system.name_zh, "en": system.name},
            evidence_zh=f"{by_zh}，{own.evidence('zh')}",
            evidence_en=f"{by_en}, {own.evidence('en')}",
        )

    def _done(self, chosen: Guess, findings: list[Finding]) -> Diagnosis:
        placement = chosen.placement
        findings = [*findings, *_border(chosen), *_area(self.sample, placement)]
        if placement.crs.datum in ("Beijing1954", "Xian1980"):
            findings.append(_old_datum(placement.crs))
        others = [g for g in self.ranking if not _same(g.placement, placement)]
        return Diagnosis(placement, self.label, (chosen, *others[: _LISTED - 1]), findings)

    def _undecided(self, guesses: Sequence[Guess]) -> IngestError:
        listed = list(guesses)[:_LISTED]
        plain = guess(self.sample, Placement(crs("EPSG:4490")), self.city)
        if not listed and plain.valid >= _VALID:
            listed = [plain]
        texts = {}
        for language, declared, nowhere in (
            ("zh", f"声明 {self.label}" if self.label else "未声明", "没有一种读法使数据落在本市"),
            ("en", f"declared {self.label}" if self.label else "nothing is declared", _NOWHERE),
        ):
            said = [f"{g.name} ({g.evidence('zh' if language == 'zh' else 'en')})" for g in listed]
            if not any(g.inside > 0 or g.covers for g in listed):
                said.append(nowhere)
            texts[language] = "; ".join([declared, *said])
        finding = Finding.of("GC-311", guesses_zh=texts["zh"], guesses_en=texts["en"])
        context = [g.as_dict() for g in listed]
        return refuse(finding, CrsUndecided, declared=self.label, guesses=context)


def _declared(source: Source) -> tuple[Crs | None, str | None]:
    """The declared system, and what a person calls it; a declaration that is none counts as missing."""
    if source.crs is None:
        return None, None
    try:
        return parse_crs(source.crs), source.crs
    except InvalidParameter:
        pass
    try:
        found = pyproj.CRS.from_user_input(source.crs)
        system = describe(found)
    except (CRSError, InvalidParameter):
        return None, source.crs[:60]
    return system, system.id if system.id != "local" else found.name


def _same(one: Placement, other: Placement) -> bool:
    return one.crs == other.crs and one.exchanged == other.exchanged


def _same_numbers(one: Placement, other: Placement) -> bool:
    """Whether two readings differ at most by the datum: the same kind, meridian, prefix and axes."""
    a, b = one.crs, other.crs
    if one.exchanged != other.exchanged or a.kind != b.kind:
        return False
    if a.kind == "geographic":
        return True
    if (a.width is None) != (b.width is None):
        return False
    return a.central_meridian is not None and (a.central_meridian, a.zone) == (b.central_meridian, b.zone)


def _utm_twin(one: Placement, other: Placement) -> bool:
    """Whether the other is UTM on the meridian of a Gauss-Krueger system without zone prefix."""
    a, b = one.crs, other.crs
    utm = b.epsg is not None and 32601 <= b.epsg <= 32660
    same = a.width is not None and a.zone is None and a.central_meridian == b.central_meridian
    return utm and same and one.exchanged == other.exchanged


def _within(extent: Box | None, box: Box) -> bool:
    return extent is not None and (
        extent[0] >= box[0] and extent[1] >= box[1] and extent[2] <= box[2] and extent[3] <= box[3]
    )


def _nearest(readings: list[Placement], measured: list[float] | None) -> Placement | None:
    """The reading that is clearly nearest to known geometry."""
    if measured is None:
        return None
    order = np.argsort(measured)
    first, second = measured[order[0]], measured[order[1]]
    return readings[int(order[0])] if first <= _NEAR_M and first <= _NEARER * second else None


def _border(chosen: Guess) -> list[Finding]:
    """GC-308 when projected data reach across the border of their Gauss-Krueger zone."""
    system, extent = chosen.placement.crs, chosen.extent
    if system.kind != "projected" or system.central_meridian is None or extent is None or system.width is None:
        return []
    half = system.width / 2
    for border in (system.central_meridian - half, system.central_meridian + half):
        if extent[0] < border < extent[2]:
            west, east = f"{extent[0]:.3f}", f"{extent[2]:.3f}"
            cm = f"{system.central_meridian:g}"
            return [Finding.of("GC-308", west=west, east=east, border=f"{border:g}", cm=cm)]
    return []


def _area(sample: Sample, placement: Placement) -> list[Finding]:
    """GC-310: what the projection adds to the areas of the sample's polygons."""
    if placement.crs.kind != "projected" or placement.crs.id == "local":
        return []
    shapes = sample.geometries[shapely.get_dimensions(sample.geometries) == 2]
    shapes = shapes[shapely.is_valid(shapes)]
    if not len(shapes):
        return []
    planar = float(shapely.area(shapes).sum())
    true = float(np.nansum(areas(placement.apply(shapes))))
    if not (np.isfinite(planar) and true > 0):
        return []
    return [
        Finding.of(
            "GC-310",
            count=len(shapes),
            planar_mu=f"{area_mu(planar):,.2f}",
            ellipsoidal_mu=f"{area_mu(true):,.2f}",
            difference_mu=f"{area_mu(planar - true):+,.2f}",
            ppm=f"{(planar / true - 1) * 1e6:+.0f}",
        )
    ]


def _axes(system: Crs) -> Finding:
    geographic = system.kind == "geographic"
    return Finding.of(
        "GC-304",
        order_zh="纬度, 经度" if geographic else "北, 东",
        order_en="latitude, longitude" if geographic else "north, east",
    )


def _unknown_datum(system: Crs) -> Finding:
    if system.datum in ("Beijing1954", "Xian1980"):
        return Finding.of(
            "GC-313",
            why_zh=f"基准按名称取 {system.name_zh}，坐标本身无法证明。",
            why_en=f"The datum {system.datum} is taken from a name; the coordinates cannot prove it.",
        )
    return Finding.of(
        "GC-313",
        why_zh="范围无法区分 CGCS2000 与 1980 西安、1954 北京坐标系（相差数十米至百余米）；"
        "按现行法定的 CGCS2000 读取。",
        why_en="No extent tells CGCS2000 from Xi'an 1980 or Beijing 1954, tens of metres to over a hundred apart; "
        "it is read as CGCS2000, the present legal system.",
    )


def _old_datum(system: Crs) -> Finding:
    metres = accuracy_m(system)
    if metres is None:
        zh = f"{system.name_zh}：没有公开的转换参数，经纬度原样视为 CGCS2000，误差可达百米。"
        en = f"{system.name}: no public parameters; longitude and latitude are kept, which may be off by 100 m."
    else:
        zh = f"{system.name_zh}：按 EPSG 15919（黄海海域，{metres:g} 米）转换，在陆地上误差可能更大。"
        en = f"{system.name}: shifted by EPSG 15919, made for the Yellow Sea to {metres:g} m; on land it may be worse."
    return Finding.of("GC-313", why_zh=zh, why_en=en)


def _without(findings: list[Finding], code: str) -> list[Finding]:
    return [f for f in findings if f.code != code]


def _box(box: Box) -> str:
    return ", ".join(f"{v:.3f}" for v in box)
