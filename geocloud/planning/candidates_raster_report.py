# SPDX-License-Identifier: Apache-2.0
"""Which rasters a search for land was made with, as a part of its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geocloud.errors import Language
from geocloud.planning.candidates_raster import COARSE_M, NO_DATA_SHARE_MAX
from geocloud.reports import formats
from geocloud.reports.model import Block, Column, Heading, Paragraph, Table

__all__ = ["rasters_used"]


def rasters_used(language: Language, rasters: Sequence[Mapping[str, Any]]) -> list[Block]:
    """The rasters of a search as a table, and how they were read; nothing without rasters."""
    if not rasters:
        return []

    def pick(zh: str, en: str) -> str:
        return zh if language == "zh" else en

    columns = (
        Column(pick("条件", "Condition"), share=0.1),
        Column(pick("栅格", "Raster"), share=0.3),
        Column(pick("日期", "Date"), share=0.18),
        Column(pick("像元", "Cells"), "right", share=0.15),
        Column(pick("来源", "Source"), share=0.27),
    )
    # One line a raster, whatever was asked of it.
    asked: dict[str, list[Mapping[str, Any]]] = {}
    for r in rasters:
        asked.setdefault(r["name"], []).append(r)
    rows = []
    for name, every in asked.items():
        r = every[0]
        day = formats.day(r["date"], language) if r["date"] else pick("未注明", "not stated")
        size = "-" if r["cell_m"] is None else " × ".join(_metres(m) for m in r["cell_m"]) + " m"
        titled = f"{r['title'][language]} ({name})" + (f", {r['datum']}" if r["datum"] else "")
        rows.append((", ".join(str(x["condition"] + 1) for x in every), titled, day, size, r["source"]))
    said = pick(
        "像元以中心位于用地内者计,用地内无像元中心的,计所触及的像元;坡度按 Horn(1981)三阶差分计算,像元尺寸取椭球面"
        f"上的米数。无数据的像元超过 {NO_DATA_SHARE_MAX:.0%} 时不作判定。",
        "Cells are those whose middle lies in the land, or that it touches where it holds no middle. Slopes are "
        "third-order differences (Horn 1981) with metres of a cell on the ellipsoid. Nothing is judged where more "
        f"than {NO_DATA_SHARE_MAX:.0%} of the cells are without data.",
    )
    if any(r["coarse"] for r in rasters):
        said += pick(
            f"有的像元宽于 {COARSE_M:g} 米,地块内的起伏未能反映。",
            f" Some cells are wider than {COARSE_M:g} m: what is within a parcel is not in them.",
        )
    return [Heading(pick("所用栅格", "Rasters")), Table(columns, tuple(rows)), Paragraph(said)]


def _metres(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
