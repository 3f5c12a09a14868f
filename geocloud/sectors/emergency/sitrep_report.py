# SPDX-License-Identifier: Apache-2.0
"""A situation report as a document: state and numbers first with the map, then the log, who and what is affected, and
who is near to help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geocloud.errors import Language
from geocloud.planning.report_words import Words
from geocloud.reports import formats
from geocloud.reports.model import (
    Block,
    Callout,
    Column,
    Fact,
    Facts,
    Heading,
    Look,
    Map,
    MapLayer,
    Paragraph,
    Report,
    Table,
    Tone,
)
from geocloud.sectors.emergency.common import HAZARDS, HOSPITALS, HYDRANTS, SHELTERS, STORES, TEAMS, Situation

__all__ = ["report_of"]

_TONES: Mapping[str, Tone] = {
    "reported": "consent", "confirmed": "consent", "responding": "consent", "controlled": "note", "closed": "clear",
}  # fmt: skip
# Fixed colours of kinds of places on the map; hydrants below the others, hazards above.
_MARKS: tuple[tuple[str, str], ...] = (
    (HYDRANTS, "#7aa6c2"), (STORES, "#009e73"), ("facility.elderly_care", "#cc79a7"), ("facility.school", "#e69f00"),
    (TEAMS, "#0072b2"), (SHELTERS, "#2f6b3f"), (HOSPITALS, "#56b4e9"), (HAZARDS, "#b3372f"),
)  # fmt: skip
_STOCK_SHOWN = 6


def report_of(found: Situation, titles: Mapping[str, Mapping[str, str]], language: Language) -> Report:
    """The report of a situation in one language; `titles` are those of the layers in both."""
    return _Writer(found, titles, language).report()


class _Writer(Words):
    def __init__(self, found: Situation, titles: Mapping[str, Mapping[str, str]], language: Language) -> None:
        super().__init__(language)
        self.found, self.d, self.titles = found, found.document, titles

    def _moment(self, text: str | None) -> str:
        return formats.moment(text, self.language) if text else "-"

    def _layer(self, layer_id: str) -> str:
        return self._text(self.titles.get(layer_id)) or layer_id

    def report(self) -> Report:
        d, incident = self.d, self.d["incident"]
        state = incident["state"]
        return Report(
            title=self._pick("灾情报告", "Situation report"),
            subject=incident["name"],
            date=self._pick(f"截至 {self._moment(d['at'])}", f"as of {self._moment(d['at'])}"),
            language=self.language,
            tone=_TONES.get(state, "unknown"),
            verdict=incident["titles"]["state"],
            summary=self._summary(),
            facts=self._facts(),
            first_map=self._map(),
            blocks=(*self._log(), *self._affected(), *self._nearest(), *self._resources()),
            fingerprint=d["fingerprint"],
            about=(
                (self._pick("事件编码", "Incident"), incident["code"]),
                (self._pick("数据截至(认知时间)", "As believed at"), formats.exact_moment(d["at"])),
                (self._pick("指纹", "Fingerprint"), d["fingerprint"]),
            ),
            synthetic=d["synthetic"],
            keywords=("应急", "灾情"),
        )

    def _ring(self) -> dict[str, Any]:
        """The ring of the incident's own radius; the first where it has none."""
        rings: list[dict[str, Any]] = self.d["affected"]["rings"]
        own = self.d["affected_radius_m"]
        return next((r for r in rings if own is not None and r["to_m"] == own), rings[0])

    def _summary(self) -> str:
        incident, ring = self.d["incident"], self._ring()
        kind, level = incident["titles"]["kind"], incident["titles"]["level"]
        when = self._moment(incident.get("occurred_at"))
        radius = formats.length(ring["to_m"])
        people = ring["persons_within"]
        drawn = self.d["affected_radius_m"] is not None
        zh = f"{when}发生,{kind}{f'({level})' if level else ''}。"
        en = f"Occurred {when}: {kind}{f', {level}' if level else ''}. "
        if people is None:
            zh += f"{radius} 内人口未判定:{self.d['affected']['population']['why']}。"
            en += f"Persons within {radius} not judged: {self.d['affected']['population']['why']}. "
        else:
            zh += f"{'影响半径' if drawn else '尚未划定影响范围,'}{radius} 内常住约 {people:,} 人。"
            en += f"{'' if drawn else 'No area has been drawn; '}about {people:,} persons live within {radius}. "
        said = incident.get("summary")
        return self._pick(f"{zh}{said or ''}", f"{en}{said or ''}".strip())

    def _number(self, key: str) -> str:
        value = self.d["casualties"][key]
        return self._pick("未报", "not told") if value is None else f"{value:,}"

    def _facts(self) -> Facts:
        ring = self._ring()
        people, radius = ring["persons_within"], formats.length(ring["to_m"])
        dead = self._pick("死亡 / 受伤 / 失踪", "Dead / injured / missing")
        return Facts(
            (
                Fact(
                    self._pick(f"{radius} 内人口", f"Persons within {radius}"),
                    self._pick("未判定", "Not judged") if people is None else f"{people:,}",
                    "" if people is None else self._pick("人", ""),
                ),
                Fact(dead, " / ".join(self._number(k) for k in ("deaths", "injured", "missing"))),
                Fact(self._pick("已转移", "Evacuated"), self._number("evacuated"),
                     self._pick("人", "") if self.d["casualties"]["evacuated"] is not None else ""),
            )
        )  # fmt: skip

    def _map(self) -> Map:
        layers = [MapLayer(self.found.roads, Look(line="#c9b98a", width=0.9), self._pick("主要道路", "Main roads"))]
        rings = [z.exterior for z in self.found.zones]
        layers.append(
            MapLayer(rings, Look(line="#8c2d2d", width=0.9, dash=(4.0, 3.0)), self._pick("各圈半径", "Rings"))
        )
        own = self.d["affected_radius_m"]
        if own is not None:
            k = [r["to_m"] for r in self.d["affected"]["rings"]].index(own)
            look = Look(fill="#b3372f", fill_opacity=0.12, line="#b3372f", width=1.4)
            layers.append(MapLayer([self.found.zones[k]], look, self._pick("影响范围", "Area affected")))
        for layer_id, colour in _MARKS:
            shapes = self.found.points.get(layer_id, [])
            if layer_id == HYDRANTS:
                # There are too many of them to be seen farther off.
                shapes = [p for p in shapes if self._inner().covers(p)]
            if shapes:
                layers.append(MapLayer(shapes, Look(fill=colour, line="#ffffff", width=0.5), self._layer(layer_id)))
        layers.append(MapLayer([self.found.origin], Look(fill="#111111", line="#ffffff", width=1.0),
                               self._pick("事件位置", "The incident"), [self.d["incident"]["name"]]))  # fmt: skip
        west, south, east, north = self.found.zones[-1].bounds
        dx, dy = (east - west) * 0.06, (north - south) * 0.06
        box = (west - dx, south - dy, east + dx, north + dy)
        return Map(
            tuple(layers), box, self._pick("事件周边,各圈半径 ", "Round the incident, rings of ") + self._radii(),
            self._moment(self.d["at"]),
            synthetic=self.d["synthetic"], height_mm=105.0,
        )  # fmt: skip

    def _inner(self) -> Any:
        """The area affected as drawn; the innermost ring where nobody has drawn one."""
        radii = [r["to_m"] for r in self.d["affected"]["rings"]]
        own = self.d["affected_radius_m"]
        return self.found.zones[0 if own is None else radii.index(own)]

    def _radii(self) -> str:
        return self._pick("、", ", ").join(formats.length(r["to_m"]) for r in self.d["affected"]["rings"])

    def _log(self) -> list[Block]:
        out: list[Block] = [Heading(self._pick("处置记录", "Log"))]
        if not self.d["log"]:
            out.append(Callout("unknown", self._pick("截至此时没有处置记录。", "There is no entry up to this time.")))
        else:
            columns = (
                Column(self._pick("时间", "Time"), share=0.24),
                Column(self._pick("状态", "State"), share=0.12),
                Column(self._pick("内容", "Text"), share=0.49),
                Column(self._pick("记录人", "By"), share=0.15),
            )
            rows = tuple((self._moment(e["at"]), e["state_title"], e["text"], e["author"] or "") for e in self.d["log"])
            out.append(Table(columns, rows))
        if len(self.d["changes"]) > 1:
            changed = (
                Column(self._pick("录入时间", "Entered at"), share=0.5),
                Column(self._pick("状态", "State"), share=0.25),
                Column(self._pick("级别", "Level"), share=0.25),
            )
            told = tuple((self._moment(c["at"]), c["state_title"], c["level"] or "") for c in self.d["changes"])
            out.append(Table(changed, told, self._pick("状态变化(按系统录入)", "Changes of state, as entered")))
        return out

    def _affected(self) -> list[Block]:
        affected = self.d["affected"]
        rings = affected["rings"]
        columns = (
            Column(self._pick("半径以内", "Within"), share=0.3),
            *(Column(formats.length(r["to_m"]), "right", share=0.7 / len(rings)) for r in rings),
        )
        unknown = self._pick("未判定", "not judged")
        people = [unknown if r["persons_within"] is None else f"{r['persons_within']:,}" for r in rings]
        rows = [(self._pick("人口", "Persons"), *people)]
        for f in affected["layers"]:
            told = [f"{n:,}" for n in f["within"]] or [unknown] * len(rings)
            rows.append((self._text(f["title"]), *told))
        out: list[Block] = [
            Heading(self._pick("影响范围内的人口与设施", "Persons and facilities affected")),
            Table(columns, tuple(rows)),
        ]  # fmt: skip
        if affected["population"]["method"]:
            out.append(Paragraph(self._pick("人口:", "Persons: ") + affected["population"]["method"], quiet=True))
        lost = [f for f in affected["layers"] if f["verdict"] != "judged"]
        if lost:
            names = self._pick("、", ", ").join(self._text(f["title"]) for f in lost)
            out.append(Callout("unknown", self._pick(f"没有数据,未判定:{names}。", f"No data, not judged: {names}.")))
        return out

    def _nearest(self) -> list[Block]:
        columns = (
            Column(self._pick("类别", "Kind"), share=0.2),
            Column(self._pick("名称", "Name"), share=0.36),
            Column(self._pick("备注", "Remark"), share=0.26),
            Column(self._pick("直线距离", "Straight"), "right", share=0.18),
        )
        rows = []
        for f in self.d["affected"]["layers"]:
            if f["layer"] in (TEAMS, STORES, HYDRANTS):
                continue
            for n in f["nearest"][:4]:
                rows.append(
                    (self._text(f["title"]), n.get("name") or n.get("code") or "", self._remark(n),
                     formats.length(n["distance_m"]))
                )  # fmt: skip
        if not rows:
            return []
        return [
            Heading(self._pick("最近的危险源与重点场所", "Nearest hazards and places"), 2),
            Table(columns, tuple(rows)),
        ]

    def _remark(self, n: Mapping[str, Any]) -> str:
        told = []
        if n.get("substance"):
            amount = n.get("amount_t")
            told.append(n["substance"] if amount is None else f"{n['substance']} {amount:g} t")
        for key, zh, en in (
            ("capacity", "可容纳 {:,} 人", "room for {:,}"), ("beds", "床位 {:,}", "{:,} beds"),
            ("pupils", "在校 {:,} 人", "{:,} pupils"),
        ):  # fmt: skip
            if n.get(key):
                told.append(self._pick(zh, en).format(n[key]))
        return self._pick("，", ", ").join(told)

    def _resources(self) -> list[Block]:
        out: list[Block] = [Heading(self._pick("周边力量与物资", "Teams and stores near"))]
        if not self.d["teams"]:
            out.append(Callout("unknown", self._pick("没有应急队伍数据。", "No teams are known.")))
        else:
            columns = (
                Column(self._pick("队伍", "Team"), share=0.4),
                Column(self._pick("类别", "Kind"), share=0.24),
                Column(self._pick("人数", "People"), "right", share=0.16),
                Column(self._pick("直线距离", "Straight"), "right", share=0.2),
            )
            rows = tuple(
                (t.get("name") or t["code"], t["kind_title"], f"{t['people']:,}" if t.get("people") is not None else "",
                 formats.length(t["distance_m"]))
                for t in self.d["teams"]
            )  # fmt: skip
            out.append(Table(columns, rows))
        if not self.d["stores"]:
            out.append(Callout("unknown", self._pick("没有应急物资库数据。", "No stores are known.")))
        else:
            held = (
                Column(self._pick("物资库", "Store"), share=0.28),
                Column(self._pick("库存", "Stock"), share=0.54),
                Column(self._pick("直线距离", "Straight"), "right", share=0.18),
            )
            lines = tuple((s.get("name") or s["code"], self._stock(s), formats.length(s["distance_m"]))
                         for s in self.d["stores"])  # fmt: skip
            out.append(Table(held, lines))
        said = self._pick(
            "距离为椭球面直线距离;行车时间随道路封闭变化,见 resource-dispatch。",
            "Distances are straight on the ellipsoid; drive times hang on closures, see resource-dispatch.",
        )
        out.append(Paragraph(said, quiet=True))
        return out

    def _stock(self, store: Mapping[str, Any]) -> str:
        held = store["stock"]
        told = [f"{s['title']} {s['quantity']:,g} {s['unit']}" for s in held[:_STOCK_SHOWN]]
        if len(held) > _STOCK_SHOWN:
            told.append(self._pick(f"等 {len(held)} 种", f"{len(held)} kinds in all"))
        return self._pick("，", ", ").join(told)
