# SPDX-License-Identifier: Apache-2.0
"""A comparison of plans as a document: how many differences of which kind, where, and whose duty they are."""

from __future__ import annotations

from typing import Any

from geocloud.errors import Language
from geocloud.jobs.run import Run
from geocloud.planning.comparison import Compared
from geocloud.planning.conflicts import Found
from geocloud.planning.report_words import Words
from geocloud.reports import formats
from geocloud.reports.model import (
    Block,
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
)

__all__ = ["report_of"]

_SHOWN = 2
_LISTED = 30
_LOOKS = ("#b3372f", "#1c6e8c", "#8a5a00", "#6b4c9a", "#2f6b3f", "#5b6a72")


def report_of(run: Run, compared: Compared, language: Language) -> Report:
    """The report of a comparison in one language."""
    return _Writer(run, compared, language).report()


class _Writer(Words):
    def __init__(self, run: Run, compared: Compared, language: Language) -> None:
        super().__init__(language)
        self.run, self.c, self.d = run, compared, compared.document
        self.real = [f for f in compared.found if f.kind == "none"]

    def _plan(self, layer: str) -> str:
        found = self.run.catalogue.layers.get(layer)
        return (found.spec.title.zh if self.language == "zh" else found.spec.title.en) if found else layer

    def _code(self, layer: str, field: str | None, code: str | None) -> str:
        if code is None:
            return ""
        found = self.run.catalogue.layers[layer]
        lists = {f.name: f.codes for f in found.spec.visible_fields}
        title = (
            found.codes[lists[field] or ""].titles().get(code) if field and lists.get(field) in found.codes else None
        )
        return f"{code} {(title.zh if self.language == 'zh' else title.en) if title else ''}".strip()

    def _ha(self, square_metres: float) -> str:
        """Hectares to the square metre for small places, shorter for large ones."""
        hectares = square_metres / 10_000
        return f"{hectares:,.4f}" if hectares < 10 else f"{hectares:,.1f}"

    def _hectares(self) -> str:
        return self._pick("面积(公顷)", "Area (ha)")

    def _bureau(self, code: str) -> str:
        layer = self.run.catalogue.layers.get("planning.difference_spot")
        title = (
            layer.codes["planning_bureau"].titles().get(code) if layer and "planning_bureau" in layer.codes else None
        )
        return (title.zh if self.language == "zh" else title.en) if title else code

    def report(self) -> Report:
        d = self.d
        judged = [r for r in d["rules"] if r["judged"]]
        unknown = [r for r in d["rules"] if not r["judged"]]
        blocks: list[Block] = [Heading(self._pick("冲突矩阵", "Conflict matrix")), self._matrix(judged)]
        if d["plans"]:
            blocks += [self._plans()]
        hits = [r for r in judged if r["spots"]]
        if hits:
            blocks.append(Heading(self._pick("差异图斑", "Difference spots")))
            blocks += [self._finding(r) for r in hits]
        if unknown:
            blocks.append(Heading(self._pick("未比对的规则", "Rules that were not judged")))
            rows = tuple((r["number"], self._text(r["title"]), self._text(r["why"])) for r in unknown)
            names = (self._pick("编号", "Rule"), self._pick("规则", "Title"), self._pick("原因", "Why"))
            blocks.append(Table(tuple(Column(n) for n in names), rows))
        blocks.append(Paragraph(self._how(), quiet=True))
        pairs = sum(r["pairs"] for r in judged)
        return Report(
            title=self._pick("规划冲突比对报告", "Plans against plans"),
            subject=self._text(d["matrix"]["title"]),
            date=formats.day(d["date"], self.language),
            language=self.language,
            tone="consent" if self.real else ("unknown" if not judged else "clear"),
            verdict=self._pick(f"差异图斑 {len(self.real)} 处", f"{len(self.real)} differences"),
            summary=self._pick(
                f"按 {len(judged)} 条规则比对了 {formats.count(pairs)} 对相邻要素,发现真实差异 {len(self.real)} 处,"
                f"共 {formats.area(d['area_m2'], 'zh')};仅沿边界相接或只有碎片的不作为差异。",
                f"{formats.count(pairs)} pairs of neighbouring features compared by {len(judged)} rules: "
                f"{len(self.real)} real differences, {formats.area(d['area_m2'], 'en')} in all. "
                "Features that meet along a seam alone are none.",
            ),
            facts=Facts(
                (
                    Fact(self._pick("真实差异", "Real differences"), formats.count(len(self.real))),
                    Fact(self._pick("面积", "Area"), self._ha(d["area_m2"]), self._pick("公顷", "ha")),
                    Fact(self._pick("比对要素", "Pairs compared"), formats.count(pairs), self._pick("对", "")),
                    Fact(self._pick("规则", "Rules"), f"{len(judged)} / {len(d['rules'])}"),
                )
            ),
            first_map=self._map(self.real, 110.0) if self.real else None,
            blocks=tuple(blocks),
            fingerprint=d["fingerprint"],
            about=(
                (self._pick("冲突矩阵", "Matrix"), f"{self._text(d['matrix']['title'])} {d['matrix']['version']}"),
                (self._pick("日期", "Date"), d["date"]),
                (
                    self._pick("比对的规划", "Plans compared"),
                    self._pick("、", ", ").join(self._plan(i) for i in self.c.matrix.layers),
                ),
            ),
            synthetic=d["synthetic"],
        )

    def _matrix(self, rules: list[dict[str, Any]]) -> Table:
        names = [
            Column(self._pick("编号", "Rule"), code=True), Column(self._pick("甲规划", "First plan")),
            Column(self._pick("乙规划", "Second plan")), Column(self._pick("责任部门", "Bureau")),
            Column(self._pick("图斑", "Spots"), "right"), Column(self._hectares(), "right"),
            Column(self._pick("比对(对)", "Pairs"), "right"), Column(self._pick("容差", "Tolerance"), "right"),
        ]  # fmt: skip
        rows = [
            (
                r["number"], self._plan(r["a"]), self._plan(r["b"]), self._bureau(r["bureau"]),
                formats.count(r["spots"]), self._ha(r["area_m2"]), formats.count(r["pairs"]),
                f"{r['tolerance_m']:g} m",
            )
            for r in rules
        ]  # fmt: skip
        total = (
            "", self._pick("合计", "Total"), "", "", formats.count(sum(r["spots"] for r in rules)),
            self._ha(sum(r["area_m2"] for r in rules)),
            formats.count(sum(r["pairs"] for r in rules)), "",
        )  # fmt: skip
        return Table(tuple(names), (*rows, total), total=True)

    def _plans(self) -> Table:
        names = (
            Column(self._pick("规划", "Plan")), Column(self._pick("要素", "Features"), "right"),
            Column(self._pick("图斑内", "Within spots"), "right"), Column(self._pick("图斑外", "Outside"), "right"),
            Column(self._pick("总面积", "Whole"), "right"),
        )  # fmt: skip
        rows = tuple(
            (
                self._text(p["title"]), formats.count(p["features"]),
                *(self._ha(p[k]) for k in ("inside_m2", "outside_m2", "area_m2")),
            )
            for p in self.d["plans"]
        )  # fmt: skip
        return Table(names, rows, title=self._pick("各规划图斑内外面积(公顷)", "Plans within and outside spots (ha)"))

    def _finding(self, r: dict[str, Any]) -> Finding:
        own = [f for f in self.real if f.rule.number == r["number"]]
        example = self._pick("(示例)", " (example)") if r["legal"]["example"] else ""
        rows = tuple(
            (
                str(i + 1), f.key_a, self._code(f.rule.a.layer, f.rule.a.class_field, f.class_a), f.key_b,
                self._code(f.rule.b.layer, f.rule.b.class_field, f.class_b), self._ha(f.area_m2),
            )
            for i, f in enumerate(own[:_LISTED])
        )  # fmt: skip
        names = (
            Column("#", "right", 0.05), Column(self._plan(r["a"]), share=0.23, code=True),
            Column(self._pick("分类", "Class"), share=0.18), Column(self._plan(r["b"]), share=0.23, code=True),
            Column(self._pick("分类", "Class"), share=0.18), Column(self._hectares(), "right", 0.13),
        )  # fmt: skip
        blocks: list[Block] = [self._map(own, 70.0), Table(names, rows)]
        if len(own) > _LISTED:
            left = len(own) - _LISTED
            blocks.append(
                Paragraph(self._pick(f"另有 {left} 处,见数据。", f"{left} more are in the data."), quiet=True)
            )
        return Finding(
            number=r["number"],
            title=self._text(r["title"]),
            tone="consent",
            verdict=self._pick(f"{len(own)} 处", f"{len(own)} spots"),
            lines=(
                (self._pick("责任部门", "Bureau"), self._bureau(r["bureau"])),
                (self._pick("面积", "Area"), formats.area(r["area_m2"], self.language)),
                (self._pick("依据", "Rests on"), f"{self._text(r['legal']['text'])}{example}"),
            ),
            blocks=tuple(blocks),
        )

    def _map(self, found: list[Found], height: float) -> Map:
        numbers = list(dict.fromkeys(f.rule.number for f in found))
        layers = tuple(
            MapLayer(
                [f.geometry for f in found if f.rule.number == n],
                Look(fill=_LOOKS[i % len(_LOOKS)], fill_opacity=0.55, line=_LOOKS[i % len(_LOOKS)], width=1.6),
                f"{n} {self._text(next(r['title'] for r in self.d['rules'] if r['number'] == n))}",
            )
            for i, n in enumerate(numbers)
        )
        county = self.run.catalogue.layers.get("base.county")
        lines: tuple[MapLayer, ...] = ()
        if county is not None:
            from geocloud.planning.spots import counties

            lines = (
                MapLayer(list(counties(self.run)[2]), Look(line="#9aa5ab", width=0.7), self._pick("县界", "Counties")),
            )
        return Map((*lines, *layers), date=self.d["date"], synthetic=self.d["synthetic"], height_mm=height)

    def _how(self) -> str:
        return self._pick(
            "面积为 CGCS2000 椭球面积,边按经纬度直线。平均宽度(面积的两倍除以周长)不大于容差、"
            "又容不下直径为容差两倍的圆,或小于最小面积的,为碎片。"
            "冲突矩阵中的规则与数值为示例时均已注明。",
            "Areas are on the CGCS2000 ellipsoid, edges straight in longitude and latitude. A sliver is on average "
            "(twice the area by the outline) no wider than the tolerance, with no room for a disc of twice that, or is "
            "smaller than the least area. Rules and figures of the matrix that are examples are marked.",
        )
