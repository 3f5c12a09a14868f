# SPDX-License-Identifier: Apache-2.0
"""A site's check as a document to hand over: verdict first, then what stands in the way, what could not be judged, what
is clear, the boundary points and the state of the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from geocloud.errors import Language
from geocloud.planning.compliance import Checked
from geocloud.planning.compliance_read import Held
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

__all__ = ["VERDICTS", "report_of"]

VERDICTS: dict[str, tuple[str, str]] = {
    "refuse": ("不符合", "Refused"),
    "consent": ("需征求同意", "Needs consent"),
    "note": ("需注意", "To be noted"),
    "clear": ("未发现问题", "Clear"),
    "unknown": ("未判定", "Not judged"),
}
_POINTS_MAX = 200
_SITE = Look(line="#111111", width=1.6)


def report_of(checked: Checked, language: Language, subject: str = "") -> Report:
    """The report of a check in one language."""
    return _Writer(checked, language).report(subject)


class _Writer(Words):
    def __init__(self, checked: Checked, language: Language) -> None:
        super().__init__(language)
        self.checked, self.d = checked, checked.document

    def _day(self) -> str:
        return formats.day(self.d["date"], self.language)

    def _word(self, verdict: str) -> str:
        return self._pick(*VERDICTS[verdict])

    def report(self, subject: str) -> Report:
        d = self.d
        hits = [r for r in d["rules"] if r["verdict"] in ("refuse", "consent", "note")]
        hits.sort(key=lambda r: ("refuse", "consent", "note").index(r["verdict"]))
        unknown = [r for r in d["rules"] if r["verdict"] == "unknown" or r["not_judged_m2"] > 0]
        clear = [r for r in d["rules"] if r["verdict"] == "clear"]
        blocks: list[Block] = []
        if hits:
            blocks.append(Heading(self._pick("需要处理的事项", "What stands in the way")))
            blocks += [self._finding(r) for r in hits]
        if unknown:
            blocks += self._unknown(unknown)
        if clear:
            blocks += self._clear(clear)
        blocks += [*self._areas(), *self._points(), *self._states()]
        if any(r["legal"]["example"] for r in d["rules"]):
            said = self._pick(
                "标有“示例”的依据未与原文核对,不作为法律意见。",
                "Legal references marked as example have not been compared with their source and are no legal opinion.",
            )
            blocks.append(Paragraph(said, quiet=True))
        return Report(
            title=self._pick("用地合规体检报告", "Site check against the plans"),
            subject=subject or self._pick("送检用地", "Site as submitted"),
            date=self._day(),
            language=self.language,
            tone=d["verdict"],
            verdict=self._word(d["verdict"]),
            summary=self._summary(),
            facts=self._facts(),
            first_map=self._first_map(hits),
            blocks=tuple(blocks),
            fingerprint=d["fingerprint"],
            about=(*self._about(), (self._pick("指纹", "Fingerprint"), d["fingerprint"])),
            synthetic=d["synthetic"],
        )

    def _summary(self) -> str:
        c = self.d["counts"]
        zh = (
            f"共 {sum(c.values())} 条规则:不符合 {c['refuse']},需征求同意 {c['consent']},需注意 {c['note']},"
            f"未发现问题 {c['clear']}"
        )
        en = (
            f"{sum(c.values())} rules: {c['refuse']} refused, {c['consent']} need consent, {c['note']} to be noted, "
            f"{c['clear']} clear"
        )
        if c["unknown"]:
            zh += f";另有 {c['unknown']} 条未能判定,不等于没有问题"
            en += f"; {c['unknown']} could not be judged, which does not mean clear"
        return self._pick(f"{zh}。", f"{en}.")

    def _facts(self) -> Facts:
        site, c = self.d["site"], self.d["counts"]
        return Facts(
            (
                Fact(self._pick("用地面积", "Area"), f"{site['area_m2'] / 1e4:,.4f}", self._pick("公顷", "ha")),
                Fact(self._pick("折合", "Which is"), f"{site['area_mu']:,.2f}", self._pick("亩", "mu")),
                Fact(
                    self._pick("需处理事项", "Matters to settle"),
                    str(c["refuse"] + c["consent"] + c["note"]),
                    self._pick("项", ""),
                    self.d["verdict"],
                ),
            )
        )

    def _about(self) -> tuple[tuple[str, str], ...]:
        d = self.d
        pack = d["pack"]
        return (
            (self._pick("规则包", "Rule pack"), f"{self._text(pack['title'])} {pack['version']}"),
            (self._pick("数据有效日期", "Data valid on"), self._day()),
            (self._pick("数据认知时间", "As believed at"), formats.exact_moment(d["asof"]) if d["asof"] else "-"),
            (self._pick("来源坐标系", "CRS of the source"), d["site"]["source_crs"]),
            (self._pick("椭球周长", "Perimeter"), f"{d['site']['perimeter_m']:,.2f} m"),
        )

    def _first_map(self, hits: list[dict[str, Any]]) -> Map:
        layers = []
        for tone in ("note", "consent", "refuse"):
            shapes = [
                self.checked.overlaps[r["number"]]
                for r in hits
                if r["verdict"] == tone and r["number"] in self.checked.overlaps
            ]
            if shapes:
                look = Look(fill=COLOURS[tone], fill_opacity=0.35, line=COLOURS[tone], width=0.6)
                layers.append(MapLayer([shapely.union_all(shapes)], look, self._word(tone)))
        return self._map([*layers, self._site()], self._pick("用地范围与触及的规划", "The site and what it meets"))

    def _site(self) -> MapLayer:
        return MapLayer([self.checked.site.geometry], _SITE, self._pick("用地范围", "Site"))

    def _map(self, layers: list[MapLayer], caption: str, height: float = 90.0) -> Map:
        west, south, east, north = self.checked.site.geometry.bounds
        dx, dy = max((east - west) * 0.35, 5e-4), max((north - south) * 0.35, 5e-4)
        box = (west - dx, south - dy, east + dx, north + dy)
        return Map(tuple(layers), box, caption, self._day(), synthetic=self.d["synthetic"], height_mm=height)

    def _finding(self, r: dict[str, Any]) -> Finding:
        tone: Tone = r["verdict"]
        held = self.checked.held[r["layer"]]
        lines = [
            (self._pick("涉及", "Concerned"), self._extent(r)),
            (self._pick("依据", "Rests on"), self._legal(r["legal"])),
            (self._pick("责任部门", "Bureau"), self._bureau(r["bureau"], held)),
            (self._pick("下一步", "Next step"), self._text(r["next_step"])),
        ]
        if r["not_judged_m2"] > 0:
            lines.append((self._pick("未判定部分", "Not judged"), self._text(r["why"])))
        blocks: list[Block] = [self._rule_map(r, held, tone)]
        if r["features"]:
            blocks.append(self._features(r, held))
        return Finding(r["number"], self._text(r["title"]), tone, self._word(tone), tuple(lines), tuple(blocks))

    def _extent(self, r: dict[str, Any]) -> str:
        if r["test"] == "nearer":
            return self._pick(f"最近 {r['nearest_m']:,.1f} 米", f"nearest at {r['nearest_m']:,.1f} m")
        area = f"{r['overlap_m2']:,.2f} m²"
        return self._pick(f"{area},占用地的 {r['share']:.2%}", f"{area}, {r['share']:.2%} of the site")

    def _legal(self, legal: dict[str, Any]) -> str:
        example = self._pick("(示例)", " (example)") if legal["example"] else ""
        article = f" {legal['article']}" if legal["article"] else ""
        return f"{self._text(legal['text'])} — {self._text(legal['source'])}{article}{example}"

    def _bureau(self, code: str, held: Held) -> str:
        for codes in held.layer.codes.values():
            if codes.name == "planning_bureau":
                return next((self._pick(c.title.zh, c.title.en) for c in codes.codes if c.code == code), code)
        return code

    def _rule_map(self, r: dict[str, Any], held: Held, tone: Tone) -> Map:
        own = held.matches[r["number"]]
        around = MapLayer(
            list(held.shapes[own]), Look(fill="#9aa5b1", fill_opacity=0.25, line="#6b7280", width=0.5),
            self._text(held.layer.title.model_dump()),
        )  # fmt: skip
        layers = [around] if own.any() else []
        if r["number"] in self.checked.overlaps:
            look = Look(fill=COLOURS[tone], fill_opacity=0.4, line=COLOURS[tone], width=0.7, hatch="diagonal")
            what = self._pick("超出部分", "Outside") if r["test"] == "outside" else self._pick("重叠部分", "Overlap")
            layers.append(MapLayer([self.checked.overlaps[r["number"]]], look, what))
        return self._map([*layers, self._site()], f"{r['number']} {self._text(r['title'])}", 50.0)

    def _features(self, r: dict[str, Any], held: Held) -> Table:
        titles = {
            c.code: self._pick(c.title.zh, c.title.en) for codes in held.layer.codes.values() for c in codes.codes
        }
        ratio = any("rjl" in f for f in r["features"])
        columns = [
            Column(self._pick("标识码", "BSM"), code=True, share=0.3),
            Column(self._pick("名称", "Name"), share=0.25),
            Column(self._pick("分类", "Class"), share=0.25),
            Column(self._pick("重叠 m²", "Overlap m²"), "right", share=0.2),
        ]
        if ratio:
            columns.append(Column(self._pick("容积率", "Plot ratio"), "right", share=0.15))
        rows = []
        for f in r["features"]:
            code = f["class"] or ""
            kind = f"{code} {titles.get(code, '')}".strip()
            row = [f["bsm"] or "", f["name"] or "", kind, f"{f['overlap_m2']:,.2f}"]
            rows.append(tuple([*row, f"{f['rjl']:g}" if "rjl" in f else ""] if ratio else row))
        left = r["features_total"] - len(r["features"])
        title = self._pick(f"另有 {left} 个未列出", f"{left} more not listed") if left else ""
        return Table(tuple(columns), tuple(rows), title)

    def _unknown(self, rules: list[dict[str, Any]]) -> list[Block]:
        said = self._pick(
            "以下事项未能判定,需另行核实。", "These could not be judged and must be looked into otherwise."
        )
        rows = tuple((r["number"], self._text(r["title"]), self._text(r["why"])) for r in rules)
        columns = (
            Column(self._pick("规则", "Rule"), share=0.12),
            Column(self._pick("事项", "Matter"), share=0.38),
            Column(self._pick("原因", "Why"), share=0.5),
        )
        return [Heading(self._pick("未能判定", "Not judged")), Callout("unknown", said), Table(columns, rows)]

    def _clear(self, rules: list[dict[str, Any]]) -> list[Block]:
        columns = (
            Column(self._pick("规则", "Rule"), share=0.12),
            Column(self._pick("事项", "Matter"), share=0.5),
            Column(self._pick("最近距离 m", "Nearest, m"), "right", share=0.19),
            Column(self._pick("误差内重叠 m²", "Within accuracy, m²"), "right", share=0.19),
        )
        rows = tuple(
            (
                r["number"],
                self._text(r["title"]),
                "" if r["nearest_m"] is None else f"{r['nearest_m']:,.1f}",
                f"{r['noise_m2']:,.2f}" if r["noise_m2"] else "",
            )
            for r in rules
        )
        return [Heading(self._pick("未发现问题", "Clear")), Table(columns, rows)]

    def _areas(self) -> list[Block]:
        columns = (
            Column(self._pick("图层", "Layer"), share=0.3),
            Column(self._pick("分类", "Class"), share=0.25),
            Column(self._pick("行政区", "District"), share=0.15, code=True),
            Column("m²", "right", share=0.18),
            Column("%", "right", share=0.12),
        )
        rows = [
            (
                self._text(a["title"]),
                f"{c['class']} {self._text(c['title'])}".strip(),
                c["district"],
                f"{c['area_m2']:,.2f}",
                f"{c['share']:.2%}",
            )
            for a in self.d["areas"]
            for c in a["classes"]
        ]
        heading = Heading(self._pick("各规划面积", "Areas by plan and class"))
        return [heading, Table(columns, tuple(rows))] if rows else []

    def _points(self) -> list[Block]:
        rows = []
        number = 0
        for p, part in enumerate(shapely.get_parts(self.checked.site.geometry), 1):
            for k, ring in enumerate(shapely.get_rings(part), 1):
                for x, y in np.asarray(shapely.get_coordinates(ring))[:-1]:
                    number += 1
                    if number <= _POINTS_MAX:
                        rows.append((f"J{number}", f"{p}-{k}", f"{x:.8f}", f"{y:.8f}"))
        columns = (
            Column(self._pick("点号", "Point")),
            Column(self._pick("面-环", "Part-ring")),
            Column(self._pick("经度 °", "Longitude °"), "right", code=True),
            Column(self._pick("纬度 °", "Latitude °"), "right", code=True),
        )
        title = ""
        if number > _POINTS_MAX:
            title = self._pick(f"共 {number} 点,列出前 {_POINTS_MAX} 点", f"the first {_POINTS_MAX} of {number} points")
        blocks: list[Block] = [Heading(self._pick("界址点(EPSG:4490)", "Boundary points (EPSG:4490)"))]
        blocks += [Paragraph(self._text(n["text"]), quiet=True) for n in self.d["site"]["notes"]]
        return [*blocks, Table(columns, tuple(rows), title)]

    def _states(self) -> list[Block]:
        columns = (
            Column(self._pick("图层", "Layer"), share=0.4, code=True),
            Column(self._pick("版本", "Version"), "right", share=0.15),
            Column(self._pick("要素数", "Features"), "right", share=0.15),
            Column(self._pick("最近变更（北京时间）", "Last change (Beijing time)"), share=0.3),
        )
        rows = tuple(
            (
                s["layer"],
                str(s["version"]),
                f"{s['rows']:,}",
                formats.exact_moment(s["stamp"])[:19].replace("T", " ") if s["stamp"] else "",
            )
            for s in self.d["states"]
        )
        return [Heading(self._pick("数据状态", "State of the data")), Table(columns, rows)]
