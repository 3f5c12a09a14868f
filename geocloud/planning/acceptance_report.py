# SPDX-License-Identifier: Apache-2.0
"""An acceptance as a document to hand back: verdict and map first, then each rule with findings, the worst of them
drawn, what could not be judged, what passed, how the file was read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import shapely

from geocloud.errors import Language
from geocloud.planning.acceptance import Accepted
from geocloud.planning.acceptance_faults import Fault
from geocloud.planning.report_words import Words
from geocloud.reports import formats
from geocloud.reports.model import (
    COLOURS,
    Block,
    Callout,
    Column,
    Fact,
    Facts,
    Finding,
    Heading,
    Look,
    Map,
    MapLayer,
    Paragraph,
    Report,
    Table,
    Tone,
)

__all__ = ["SEVERITIES", "VERDICTS", "report_of"]

VERDICTS: dict[str, tuple[str, str]] = {
    "accepted": ("通过", "Accepted"),
    "warnings": ("通过,有警告", "Accepted with warnings"),
    "rejected": ("退回", "Rejected"),
    "unknown": ("未判定", "Not judged"),
}
SEVERITIES: dict[str, tuple[str, str]] = {
    "error": ("错误", "Error"),
    "warning": ("警告", "Warning"),
    "note": ("提示", "Note"),
}
_TONES: dict[str, Tone] = {
    "accepted": "clear", "warnings": "consent", "rejected": "refuse", "unknown": "unknown",
    "error": "refuse", "warning": "consent", "note": "note",
}  # fmt: skip
# Features drawn one by one on the first map and on a rule's, points told apart, rows of a table.
_OUTLINES, _NEAR, _POINTS, _ROWS = 20_000, 2_000, 500, 20
_OF_FIELDS = ("required", "values", "codes", "duplicate_key")
_PLAN = Look(fill="#dfe4e6", fill_opacity=0.7, line="#5b6a72", width=0.5)


def report_of(accepted: Accepted, language: Language) -> Report:
    """The report of an acceptance in one language."""
    return _Writer(accepted, language).report()


class _Writer(Words):
    def __init__(self, accepted: Accepted, language: Language) -> None:
        super().__init__(language)
        self.a, self.d, self.plan = accepted, accepted.document, accepted.plan

    def _day(self) -> str:
        return formats.day(self.d["date"], self.language)

    def report(self) -> Report:
        d = self.d
        found = [r for r in d["rules"] if r["verdict"] == "found"]
        found.sort(key=lambda r: ("error", "warning", "note").index(r["severity"]))
        blocks: list[Block] = []
        if found:
            blocks.append(Heading(self._pick("发现的问题", "What was found")))
            blocks += [self._finding(r) for r in found]
        blocks += [*self._unknown(), *self._passed(), *self._reading()]
        if any(r["basis"]["example"] for r in d["rules"]):
            said = self._pick(
                "标有“示例”的依据与阈值未与标准或合同核对。",
                "Grounds and thresholds marked as example have not been compared with a standard or contract.",
            )
            blocks.append(Paragraph(said, quiet=True))
        return Report(
            title=self._pick("规划成果质检报告", "Acceptance of a plan"),
            subject=f"{self._text(d['plan']['title'])} · {d['plan']['source']}",
            date=self._day(),
            language=self.language,
            tone=_TONES[d["verdict"]],
            verdict=self._pick(*VERDICTS[d["verdict"]]),
            summary=self._summary(),
            facts=self._facts(),
            first_map=self._first_map(found),
            blocks=tuple(blocks),
            fingerprint=d["fingerprint"],
            about=(*self._about(), (self._pick("指纹", "Fingerprint"), d["fingerprint"])),
            synthetic=d["synthetic"],
        )

    def _summary(self) -> str:
        c = self.d["counts"]
        zh = (
            f"{c['passed']} 条规则通过,{c['found']} 条发现问题:错误 {c['error']:,} 处,警告 {c['warning']:,} 处,"
            f"提示 {c['note']:,} 处"
        )
        en = (
            f"{c['passed']} rules passed, {c['found']} made findings: {c['error']:,} errors, {c['warning']:,} "
            f"warnings, {c['note']:,} notes"
        )
        if c["unknown"]:
            zh += f";另有 {c['unknown']} 条未能判定,不等于通过"
            en += f"; {c['unknown']} could not be judged, which does not mean passed"
        return self._pick(f"{zh}。", f"{en}.")

    def _facts(self) -> Facts:
        p, c = self.d["plan"], self.d["counts"]
        tone: Tone | None = "refuse" if c["error"] else None
        return Facts(
            (
                Fact(self._pick("要素", "Features"), f"{p['features']:,}", self._pick("个", "")),
                Fact(self._pick("总面积", "Area"), f"{p['area_m2'] / 1e4:,.2f}", self._pick("公顷", "ha")),
                Fact(self._pick("错误", "Errors"), f"{c['error']:,}", self._pick("处", ""), tone),
            )
        )

    def _about(self) -> tuple[tuple[str, str], ...]:
        d, p = self.d, self.d["plan"]
        out = [
            (self._pick("规则包", "Rule pack"), f"{self._text(d['pack']['title'])} {d['pack']['version']}"),
            (self._pick("规划日期", "Date of the plan"), self._day()),
            (self._pick("应符合的图层", "Layer it should fit"), p["layer"]),
        ]
        if p["source_crs"]:
            out.append((self._pick("来源坐标系", "CRS of the source"), p["source_crs"]))
        if d["district"]:
            out.append((self._pick("行政区", "District"), d["district"]))
        if d["asof"]:
            out.append((self._pick("数据认知时间", "As believed at"), formats.exact_moment(d["asof"])))
        return tuple(out)

    def _first_map(self, found: list[dict[str, Any]]) -> Map | None:
        if self.d["plan"]["extent"] is None:
            return None
        sound = self.plan.sound
        shapes = list(sound) if len(sound) <= _OUTLINES else [self.plan.whole]
        title = self._pick("规划要素", "Features of the plan")
        layers = [MapLayer(shapes, Look(fill="#dfe4e6", fill_opacity=0.7, line="#aab4ba", width=0.25), title)]
        for severity in ("note", "warning", "error"):
            places = [p for r in found if r["severity"] == severity for p in self._points(self.a.faults[r["number"]])]
            if places:
                colour = COLOURS[_TONES[severity]]
                look = Look(fill=colour, fill_opacity=0.75, line="#ffffff", width=0.4)
                layers.append(MapLayer(places[:_POINTS], look, self._pick(*SEVERITIES[severity])))
        w, s, e, n = self.d["plan"]["extent"]
        room = 0.04 * max(e - w, n - s, 1e-4)
        box = (w - room, s - room, e + room, n + room)
        return Map(
            tuple(layers), box, self._pick("规划与问题位置", "The plan and where findings are"), self._day(),
            synthetic=self.d["synthetic"],
        )  # fmt: skip

    def _points(self, faults: Sequence[Fault]) -> list[Any]:
        return [p for f in faults[:_POINTS] if (p := _point(f)) is not None]

    def _finding(self, r: dict[str, Any]) -> Finding:
        tone = _TONES[r["severity"]]
        faults = self.a.faults[r["number"]]
        lines = [
            (self._pick("结果", "Result"), self._extent(r)),
            (self._pick("说明", "What to do"), self._text(r["explain"])),
            (self._pick("依据", "Rests on"), self._basis(r["basis"])),
        ]
        blocks: list[Block] = []
        worst = next((f for f in faults if _point(f) is not None), None)
        if worst is not None:
            blocks.append(self._map(r, worst, faults, tone))
        blocks.append(self._table(r))
        word = self._pick(*SEVERITIES[r["severity"]])
        return Finding(r["number"], self._text(r["title"]), tone, word, tuple(lines), tuple(blocks))

    def _extent(self, r: dict[str, Any]) -> str:
        said = self._pick(
            f"检查 {r['checked']:,} 个,发现 {r['findings']:,} 处",
            f"{r['findings']:,} found in {r['checked']:,} looked at",
        )
        if r["area_m2"] is not None:
            said += self._pick(f",合计 {r['area_m2']:,.2f} m²", f", {r['area_m2']:,.2f} m² in all")
        if r["length_m"] is not None:
            said += self._pick(f",合计 {r['length_m']:,.1f} m", f", {r['length_m']:,.1f} m in all")
        return said

    def _basis(self, basis: dict[str, Any]) -> str:
        example = self._pick("示例", "example")
        if basis["source"] is None:
            return example
        return self._text(basis["source"]) + (self._pick(f"({example})", f" ({example})") if basis["example"] else "")

    def _map(self, r: dict[str, Any], worst: Fault, faults: Sequence[Fault], tone: Tone) -> Map:
        w, s, e, n = self._shape(r, worst).bounds
        room = max(0.3 * max(e - w, n - s), 4e-4)
        box = (w - room, s - room, e + room, n + room)
        # The map is made as wide as the page, whatever the box.
        frame = shapely.box(w - 10 * room, s - 3 * room, e + 10 * room, n + 3 * room)
        at = self.plan.tree.query(frame)
        # So many outlines would be one dark patch.
        near = list(self.plan.sound[at]) if len(at) <= _NEAR else [self.plan.whole]
        layers = [MapLayer(near, _PLAN, self._pick("规划要素", "Features of the plan"))]
        shown = [g for f in faults if (g := self._shape(r, f)) is not None and shapely.intersects(g, frame)]
        solid = [g for g in shown if g.geom_type not in ("Point", "MultiPoint")]
        if solid:
            look = Look(fill=COLOURS[tone], fill_opacity=0.5, line=COLOURS[tone], width=1.2, hatch="diagonal")
            layers.append(MapLayer(solid, look, self._pick("问题所在", "What was found")))
        around = [g for g in self.a.borders.get(r["number"], ()) if shapely.intersects(g, frame)]
        if around:
            look = Look(line="#1f2a30", width=1.2, dash=(5.0, 2.5))
            layers.append(MapLayer(around, look, self._pick("行政区界线", "Border of the district")))
        # A place of a few square metres is a dot at this scale: a ring shows where to look.
        small = [p for g in shown if (p := _small(g, max(e - w, n - s) + 2 * room)) is not None]
        if small:
            words = "" if solid else self._pick("问题所在", "What was found")
            layers.append(MapLayer(small, Look(line=COLOURS[tone], width=1.2), words))
        caption = f"{r['number']} {self._text(r['title'])}"
        if r["findings"] > 1:
            caption += self._pick("(最大的一处)", " (the largest)")
        return Map(tuple(layers), box, caption, self._day(), synthetic=self.d["synthetic"], height_mm=55.0)

    def _shape(self, r: dict[str, Any], fault: Fault) -> Any:
        """What is drawn of a finding: where a field is at fault, the whole feature."""
        if r["check"]["kind"] in _OF_FIELDS and fault.feature is not None and _point(fault) is not None:
            return self.plan.sound[fault.feature]
        shape = fault.shape
        # An outline that crosses itself cannot be cut to the map's frame.
        return shape if shape is None or shape.is_valid else shapely.make_valid(shape)

    def _table(self, r: dict[str, Any]) -> Table:
        key = self.plan.spec.key[0]
        title = next((f.title for f in self.plan.spec.fields if f.name == key), None)
        columns = (
            Column(self._pick("序号", "Row"), "right", share=0.08),
            Column(self._pick(title.zh, key.upper()) if title else key, code=True, share=0.22),
            Column(self._pick("问题", "Finding"), share=0.46),
            Column(self._pick("位置(经度,纬度)", "Place (lon, lat)"), share=0.24, code=True),
        )
        rows = []
        for f in r["listed"][:_ROWS]:
            keys = " / ".join(k for k in (f["key"], f["other"]) if k)
            at = f"{f['place'][0]:.6f}, {f['place'][1]:.6f}" if f["place"] else "-"
            rows.append((str(f["row"] or "-"), keys or "-", self._text(f["message"]), at))
        left = r["findings"] - len(rows)
        said = self._pick(f"另有 {left:,} 处见问题位置文件", f"{left:,} more are in the file of places") if left else ""
        return Table(columns, tuple(rows), said)

    def _unknown(self) -> list[Block]:
        rules = [r for r in self.d["rules"] if r["verdict"] == "unknown"]
        if not rules:
            return []
        said = self._pick(
            "以下规则未能判定,不等于通过。", "These rules could not be judged, which does not mean passed."
        )
        rows = tuple((r["number"], self._text(r["title"]), self._text(r["why"])) for r in rules)
        columns = (
            Column(self._pick("规则", "Rule"), share=0.12),
            Column(self._pick("事项", "Matter"), share=0.38),
            Column(self._pick("原因", "Why"), share=0.5),
        )
        return [Heading(self._pick("未能判定", "Not judged")), Callout("unknown", said), Table(columns, rows)]

    def _passed(self) -> list[Block]:
        rules = [r for r in self.d["rules"] if r["verdict"] == "passed"]
        columns = (
            Column(self._pick("规则", "Rule"), share=0.1),
            Column(self._pick("事项", "Matter"), share=0.36),
            Column(self._pick("检查数", "Looked at"), "right", share=0.14),
            Column(self._pick("依据", "Rests on"), share=0.4),
        )
        rows = tuple((r["number"], self._text(r["title"]), f"{r['checked']:,}", self._basis(r["basis"])) for r in rules)
        return [Heading(self._pick("通过的规则", "Passed")), Table(columns, rows)] if rows else []

    def _reading(self) -> list[Block]:
        p = self.d["plan"]
        if not p["delivered"]:
            return []
        titles = {f.name: self._pick(f.title.zh, f.title.en) for f in self.plan.spec.fields}
        columns = (
            Column(self._pick("字段", "Field"), share=0.2, code=True),
            Column(self._pick("含义", "Meaning"), share=0.4),
            Column(self._pick("文件中的列", "Column of the file"), share=0.4),
        )
        rows = tuple((f, titles[f], c) for f, c in p["columns"].items())
        said = [f for f in self.plan.reading if f.code not in ("GC-510", "GC-513")]
        return [
            Heading(self._pick("文件的读取", "How the file was read")),
            *(Paragraph(f"{f.code} {f.message(self.language)}", quiet=True) for f in said),
            Table(columns, rows),
        ]


def _point(fault: Fault) -> Any:
    if fault.shape is None or shapely.is_empty(fault.shape):
        return None
    at = shapely.point_on_surface(fault.shape)
    return None if shapely.is_empty(at) else at


def _small(shape: Any, view: float) -> Any:
    """A place too small to be seen in a view of so many degrees, as a point."""
    w, s, e, n = shape.bounds
    return shapely.Point((w + e) / 2, (s + n) / 2) if max(e - w, n - s) < view / 40 else None
