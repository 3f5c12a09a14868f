# SPDX-License-Identifier: Apache-2.0
"""Candidates as a document to hand over: all of them on one map and in one table, the best three with map, scores and
what their check says, then how they were found and what could not be judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.errors import Language
from geocloud.planning.candidates import Found
from geocloud.planning.candidates_raster_report import rasters_used
from geocloud.planning.compliance_report import VERDICTS
from geocloud.planning.report_words import Words
from geocloud.reports import formats
from geocloud.reports.model import (
    COLOURS,
    Bar,
    Bars,
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
)

__all__ = ["report_of"]

_BEST = 3
_PARCELS_SHOWN = 4
_LOOKS = ("#1c6e8c", "#8a5a00", "#6b4c9a", "#2f6b3f", "#b3372f", "#5b6a72")
_CANDIDATE = Look(fill="#e0a800", fill_opacity=0.45, line="#111111", width=1.4)
_OTHER = Look(fill="#e8d9a0", fill_opacity=0.6, line="#5b6a72", width=0.6)
_COUNTS = (
    ("parcels", "符合用途和过滤条件的地块", "parcels that allow the use and fit the filter"),
    ("outside_boundary", "不在范围图层内", "not within the layer of the boundary"),
    ("excluded", "被规则全部排除或扣除后无可用部分", "of which the rules leave nothing of use"),
    ("cut", "扣除了部分", "of which a part was taken off"),
    ("hard_failed", "不满足必须条件", "that fail a required condition"),
    ("joined", "由相邻地块合并", "joined from neighbours"),
    ("too_small", "面积不足", "too small"),
    ("too_large", "面积过大", "too large"),
    ("ranked", "参加排序", "ranked"),
    ("checked", "已作合规检查", "checked against the plans"),
    ("refused", "检查结论为不符合,未列出", "refused by the check and not listed"),
    ("shared", "与更优候选共用地块,未列出", "sharing land with a better one and not listed"),
    ("left", "排序靠后,未检查", "further down and not checked"),
)


def report_of(found: Found, language: Language, subject: str = "") -> Report:
    """The report of a search in one language."""
    return _Writer(found, language).report(subject)


class _Writer(Words):
    def __init__(self, found: Found, language: Language) -> None:
        super().__init__(language)
        self.found = found
        self.features: list[dict[str, Any]] = found.document["features"]
        self.s: dict[str, Any] = found.document["search"]
        self.shapes: NDArray[Any] = np.empty(len(self.features), dtype=object)
        self.shapes[:] = [c.site.geometry for c in found.checks]

    def _day(self) -> str:
        return formats.day(self.s["date"], self.language)

    def report(self, subject: str) -> Report:
        n = len(self.features)
        best = self.features[0]["properties"] if n else None
        blocks: list[Block] = [*self._ranking(), *self._best(), *self._unknown(), *self._how()]
        said = self._pick(
            "本表用于比选。合规检查的依据多为示例,不作为法律意见;现状占用、权属等未列条件需另行核实。",
            "For comparison. References of the check are mostly examples and no legal opinion; what is built "
            "there now, titles and all that was not asked must be looked into otherwise.",
        )
        blocks.append(Paragraph(said, quiet=True))
        return Report(
            title=self._pick("策划生成选址报告", "Candidate sites"),
            subject=subject or self._use(),
            date=self._day(),
            language=self.language,
            tone=best["verdict"] if best else "note",
            verdict=self._pick(f"候选用地 {n} 处", f"{n} candidate{'' if n == 1 else 's'}"),
            summary=self._summary(),
            facts=self._facts(),
            first_map=self._first_map() if n else None,
            blocks=tuple(blocks),
            fingerprint=self.s["fingerprint"],
            about=self._about(),
            synthetic=self.s["synthetic"],
        )

    def _use(self) -> str:
        ask = self.s["ask"]
        if ask["use"] is None:
            return str(ask["filter"])
        return f"{ask['use']} {self._text(ask['use_title'])}"

    def _size(self) -> str:
        ask = self.s["ask"]
        least = formats.area(ask["min_area_m2"], self.language)
        if ask["max_area_m2"] is None:
            return self._pick(f"不小于 {least}", f"at least {least}")
        most = formats.area(ask["max_area_m2"], self.language)
        return self._pick(f"{least} 至 {most}", f"{least} to {most}")

    def _summary(self) -> str:
        c = self.s["counts"]
        zh = f"{self._use()},{self._size()}。由 {c['parcels']:,} 个地块选出,均未触及“不符合”的规则。"
        en = f"{self._use()}, {self._size()}. Out of {c['parcels']:,} parcels; none meets a rule that refuses."
        if self.s["not_judged"]:
            zh += f"另有 {len(self.s['not_judged'])} 项未能判定,不等于没有问题。"
            en += f" {len(self.s['not_judged'])} matters could not be judged, which does not mean clear."
        return self._pick(zh, en)

    def _facts(self) -> Facts:
        if not self.features:
            return Facts((Fact(self._pick("候选用地", "Candidates"), "0"),))
        best = self.features[0]["properties"]
        points = "-" if best["total"] is None else f"{best['total']:.1f}"
        hectares = f"{best['area_m2'] / 1e4:,.2f}"
        return Facts(
            (
                Fact(self._pick("候选用地", "Candidates"), str(len(self.features)), self._pick("处", "")),
                Fact(self._pick("最高得分", "Best score"), points, self._pick("分(满分 100)", "of 100")),
                Fact(self._pick("首选面积", "Area of the best"), hectares, self._pick("公顷", "ha")),
            )
        )

    def _about(self) -> tuple[tuple[str, str], ...]:
        s, ask = self.s, self.s["ask"]
        rows = [
            (self._pick("候选图层", "Parcels of"), ask["from"]),
            (self._pick("过滤条件", "Filter"), ask["filter"] or "-"),
            (self._pick("范围图层", "Within"), ask["boundary"] or "-"),
            (self._pick("规则包", "Rule pack"), f"{self._text(s['pack']['title'])} {s['pack']['version']}"),
            (self._pick("数据有效日期", "Data valid on"), self._day()),
            (self._pick("数据认知时间", "As believed at"), formats.exact_moment(s["asof"]) if s["asof"] else "-"),
            (self._pick("指纹", "Fingerprint"), s["fingerprint"]),
        ]
        return tuple(rows)

    def _first_map(self) -> Map:
        west, south, east, north = (float(v) for v in shapely.total_bounds(self.shapes))
        room = max(0.08 * max(east - west, north - south), 2e-3)
        layers = []
        if self.found.boundary is not None:
            layers.append(self._boundary())
        layers.append(MapLayer(list(self.shapes[_BEST:]), _OTHER, self._pick("其他候选", "Others")))
        layers.append(MapLayer(list(self.shapes[:_BEST]), _CANDIDATE, self._pick("前三名", "Best three")))
        # A number on a small candidate would hide it: it stands above.
        tall = north - south + 2 * room
        bounds = shapely.bounds(self.shapes)
        above = shapely.points((bounds[:, 0] + bounds[:, 2]) / 2, bounds[:, 3] + 0.025 * tall)
        small = bounds[:, 3] - bounds[:, 1] < 0.06 * tall
        places = np.where(small, above, shapely.point_on_surface(self.shapes))
        layers.append(MapLayer(list(places), Look(), "", [str(f["properties"]["rank"]) for f in self.features]))
        box = (west - room, south - room, east + room, north + room)
        caption = self._pick("候选用地(数字为名次)", "Candidates, numbered by rank")
        return Map(tuple(layers), box, caption, self._day(), synthetic=self.s["synthetic"], height_mm=95.0)

    def _boundary(self) -> MapLayer:
        around = self.found.boundary
        assert around is not None
        look = Look(line="#c8372d", width=1.2, dash=(5.0, 3.0))
        return MapLayer(list(around.shapes), look, self._text(around.layer.spec.title.model_dump()))

    def _ranking(self) -> list[Block]:
        if not self.features:
            said = self._pick(
                "没有符合要求的用地。下文说明各步骤排除的数量。",
                "No land fits what is asked. Below is told where it fell away.",
            )
            return [Callout("note", said)]
        columns = (
            Column(self._pick("名次", "Rank"), "right", share=0.07),
            Column(self._pick("地块", "Parcels"), code=True, share=0.33),
            Column(self._pick("面积 公顷", "Area, ha"), "right", share=0.13),
            Column(self._pick("得分", "Score"), "right", share=0.1),
            Column(self._pick("合规检查", "Check"), share=0.17),
            Column(self._pick("需办理", "To settle"), share=0.2),
        )
        rows = []
        for f in self.features:
            p = f["properties"]
            c = p["counts"]
            asked = self._pick(
                f"征求同意 {c['consent']},注意 {c['note']}", f"consents {c['consent']}, notes {c['note']}"
            )
            points = "-" if p["total"] is None else f"{p['total']:.1f}"
            rows.append(
                (str(p["rank"]), self._named(f), f"{p['area_m2'] / 1e4:,.2f}", points, self._word(p["verdict"]), asked)
            )
        out: list[Block] = [Heading(self._pick("候选用地排序", "Candidates by rank")), Table(columns, tuple(rows))]
        if self.features[0]["properties"]["total"] is not None:
            bars = tuple(
                Bar(f"{f['properties']['rank']}  {self._named(f)}", f["properties"]["total"] / 100,
                    f"{f['properties']['total']:.1f}")
                for f in self.features
            )  # fmt: skip
            out.append(Bars(bars, self._pick("总分(满分 100)", "Scores, of 100")))
        return out

    def _named(self, f: dict[str, Any]) -> str:
        members = str(f["id"]).split("+")
        if len(members) == 1:
            return members[0]
        return self._pick(f"{members[0]} 等 {len(members)} 块", f"{members[0]} and {len(members) - 1} more")

    def _some(self, ids: list[str]) -> str:
        shown = ", ".join(ids[:_PARCELS_SHOWN])
        more = len(ids) - _PARCELS_SHOWN
        return shown if more <= 0 else shown + self._pick(f" 等 {len(ids)} 块", f" and {more} more")

    def _class(self, code: str) -> str:
        title = self.found.classes.get(code)
        return f"{code} {self._pick(title.zh, title.en)}" if title else code

    def _word(self, verdict: str) -> str:
        return self._pick(*VERDICTS[verdict])

    def _best(self) -> list[Block]:
        out: list[Block] = []
        for k, f in enumerate(self.features[:_BEST]):
            p = f["properties"]
            lines = [
                (self._pick("面积", "Area"), f"{p['area_m2']:,.1f} m²,{p['area_mu']:,.2f} {self._pick('亩', 'mu')}"
                 if self.zh else f"{p['area_m2']:,.1f} m², {p['area_mu']:,.2f} mu"),
                (self._pick("用途", "Use"), ", ".join(self._class(u) for u in p["use"]) or "-"),
                (self._pick("地块", "Parcels"), self._some(p["parcels"])),
            ]  # fmt: skip
            lines.append((self._pick("紧凑度(圆为 1)", "Compactness"), f"{p['compactness']:.2f}"))
            if p["cut_m2"]:
                why = self._pick("(规则不允许占用的部分)", " that the rules refuse")
                lines.append((self._pick("已扣除", "Taken off"), f"{p['cut_m2']:,.1f} m²{why}"))
            blocks: list[Block] = [self._map(k), *self._scores(p), *self._hits(p)]
            rank = self._pick(f"第 {p['rank']} 名", f"No. {p['rank']}")
            out.append(
                Finding(rank, self._named(f), p["verdict"], self._word(p["verdict"]), tuple(lines), tuple(blocks))
            )
        if out:
            out.insert(0, Heading(self._pick("前三名", "The best three")))
        return out

    def _map(self, k: int) -> Map:
        west, south, east, north = (float(v) for v in shapely.bounds(self.shapes[k]))
        dx, dy = max((east - west) * 0.45, 2e-3), max((north - south) * 0.45, 2e-3)
        box = (west - dx, south - dy, east + dx, north + dy)
        frame = shapely.box(*box)
        below: list[MapLayer] = []
        above: list[MapLayer] = []
        seen: set[str] = set()
        for n, around in sorted(self.found.around.items()):
            kind = self.s["ask"]["conditions"][n]["kind"]
            near = around.shapes[shapely.intersects(around.shapes, frame.buffer(dx))]
            if not len(near) or around.layer.id in seen:
                continue
            seen.add(around.layer.id)
            colour = _LOOKS[n % len(_LOOKS)]
            areal = around.layer.spec.geometry.endswith("polygon") and kind != "frontage"
            look = (
                Look(fill=colour, fill_opacity=0.2, line=colour, width=0.6) if areal else Look(line=colour, width=1.1)
            )
            if around.layer.spec.geometry.endswith("point"):
                look = Look(fill=colour, line="#ffffff", width=0.5)
            (below if areal else above).append(
                MapLayer(list(near), look, self._text(around.layer.spec.title.model_dump()))
            )
        others = np.delete(self.shapes, k)
        candidates = [
            MapLayer(list(others), _OTHER, self._pick("其他候选", "Other candidates")),
            MapLayer([self.shapes[k]], _CANDIDATE, self._pick("候选用地", "Candidate")),
        ]
        checked = self.found.checks[k]
        for tone in ("note", "consent"):
            hit = [
                checked.overlaps[r["number"]]
                for r in checked.document["rules"]
                # What lies all over the site would hide it.
                if r["verdict"] == tone and r["number"] in checked.overlaps and r["share"] < 0.95
            ]
            if hit:
                look = Look(line=COLOURS[tone], width=0.7, hatch="diagonal")
                candidates.append(MapLayer([shapely.union_all(hit)], look, self._word(tone)))
        caption = self._pick(f"第 {k + 1} 名及周边", f"No. {k + 1} and what is around it")
        return Map(
            (*below, *candidates, *above), box, caption, self._day(), synthetic=self.s["synthetic"], height_mm=70.0
        )

    def _scores(self, p: dict[str, Any]) -> list[Block]:
        bars = []
        for c in p["conditions"]:
            if not c["judged"]:
                value = self._pick("未判定", "not judged")
            elif c["hard"]:
                value = self._pick("必须,满足", "required, met")
            else:
                value = f"{c['score']:.2f} × {c['weight']:g}"
            bars.append(Bar(self._text(c["sentence"]), c["score"], value))
        title = self._pick("各条件得分 × 权重", "Conditions: score × weight")
        return [Bars(tuple(bars), title)] if bars else []

    def _hits(self, p: dict[str, Any]) -> list[Block]:
        columns = (
            Column(self._pick("规则", "Rule"), share=0.1),
            Column(self._pick("事项", "Matter"), share=0.33),
            Column(self._pick("结论", "Verdict"), share=0.15),
            Column(self._pick("重叠 m²", "Overlap, m²"), "right", share=0.17),
            Column(self._pick("下一步", "Next step"), share=0.25),
        )
        rows = tuple(
            (h["number"], self._text(h["title"]), self._word(h["verdict"]), f"{h['overlap_m2']:,.1f}",
             self._text(h["next_step"]))
            for h in p["hits"]
        )  # fmt: skip
        return (
            [Table(columns, rows, self._pick("合规检查中需办理的事项", "What the check says has to be settled"))]
            if rows
            else []
        )

    def _unknown(self) -> list[Block]:
        if not self.s["not_judged"]:
            return []
        columns = (
            Column(self._pick("规则或条件", "Rule or condition"), share=0.25),
            Column(self._pick("原因", "Why"), share=0.75),
        )
        rows = tuple((self._whose(u), self._text(u["why"])) for u in self.s["not_judged"])
        said = self._pick(
            "以下事项未能判定,需另行核实。", "These could not be judged and must be looked into otherwise."
        )
        return [Heading(self._pick("未能判定", "Not judged")), Callout("unknown", said), Table(columns, rows)]

    def _whose(self, unknown: dict[str, Any]) -> str:
        if unknown["rule"]:
            return self._pick(f"规则 {unknown['rule']}", f"rule {unknown['rule']}")
        if unknown["condition"] is None:
            return self._pick("范围图层", "boundary")
        return self._pick(f"条件 {unknown['condition'] + 1}", f"condition {unknown['condition'] + 1}")

    def _how(self) -> list[Block]:
        columns = (
            Column(self._pick("步骤", "Step"), share=0.75),
            Column(self._pick("个数", "Number"), "right", share=0.25),
        )
        rows = tuple((self._pick(zh, en), f"{self.s['counts'][n]:,}") for n, zh, en in _COUNTS)
        rule = self._pick(
            "得分规则(均为线性,0 至 1):位于内部,按占地比例;不重叠,1 减重叠比例;靠近,0 米为 1,到给定距离降为 0;"
            "远离,0 米为 0,到给定距离升为 1;临路,边界长度与要求长度之比(未给定时为周长的四分之一);"
            "栅格,符合要求的像元比例与要求比例之比,平均值不超过限值为 1,到两倍限值降为 0,同时要求时取较小者。"
            "总分为加权平均乘以 100,未判定的条件不计入。同分按编号排列。",
            "Scores are linear, 0 to 1. Inside: the share within. Outside: one less the share that overlaps. Near: one "
            "at 0 m, falling to 0 at the distance. Far: rising from 0 at 0 m to one at the distance. Frontage: border "
            "along roads by the length that is enough (a quarter of the border if none is given). "
            "Rasters: the share of cells that fit by the share that is enough; of a mean, one up to its limit, falling "
            "to 0 at twice it; the lesser of both. The total is their "
            "weighted mean times 100, without what could not be judged. Equal totals are ordered by id.",
        )
        heading = Heading(self._pick("筛选过程", "How they were found"))
        return [heading, Table(columns, rows), Paragraph(rule), *rasters_used(self.language, self.s["rasters"])]
