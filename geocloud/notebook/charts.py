# SPDX-License-Identifier: Apache-2.0
"""Charts of areas, of work and of readings: by class, by district, what changed, what is left to do, over time.

Tables are what the process `area-stat` gives (`table` or `csv`), legends what `City.legend` gives. Areas come in m2 on
the ellipsoid and are drawn in `unit` (ha, mu, m2, km2). Classes have the layer's own colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from geocloud.notebook.chart import (
    INK,
    QUIET,
    Chart,
    Unit,
    dated,
    drawn,
    family,
    height_of,
    inside,
    known_unit,
    number,
    scaled,
    signed,
    wrapped,
)
from geocloud.notebook.client import wrong
from geocloud.notebook.colours import OKABE_ITO, OTHER
from geocloud.notebook.series import series

__all__ = ["bars", "burn_down", "by_class", "by_district", "change_table", "open_by_day", "series", "waterfall"]

Language = Literal["zh", "en"]
Table: TypeAlias = "Mapping[str, Any] | pd.DataFrame"
_ROWS_MAX = 24
_BAR: dict[str, Any] = {"height": 0.68, "linewidth": 0.0}
# A part of the whole that is a rounding of borders, and no row of a chart.
_ROUNDING = 1e-7


def bars(
    labels: Sequence[str],
    areas_m2: Sequence[float],
    colors: Sequence[str] | None = None,
    *,
    title: str,
    subtitle: str | None = None,
    unit: Unit = "ha",
    synthetic: bool = False,
    shares: bool = False,
    language: Language = "zh",
) -> Chart:
    """A bar for each area, in the order given, its value beside it; with `shares` also its part of the sum."""
    factor, zh, en = known_unit(unit)
    values = np.asarray(areas_m2, float) * factor
    names = [wrapped(str(x)) for x in labels]
    chart, axes = drawn(height_of(names), title, subtitle, synthetic=synthetic, language=language)
    at = np.arange(len(values))
    filled = list(colors) if colors is not None else ["#1c6e8c"] * len(values)
    axes.barh(at, values, color=filled, edgecolor="white", hatch="/////" if synthetic else None, **_BAR)
    axes.set_yticks(at, names, fontfamily=family(), fontsize=10)
    axes.set_ylim(len(values) - 0.4, -0.6)
    scaled(axes, unit, language)
    total, top = float(values.sum()), float(values.max(initial=0.0))
    axes.set_xlim(0, (top or 1) * (1.24 if shares else 1.16))
    for y, value in enumerate(values):
        part = f" · {value / total:.1%}" if shares and total else ""
        axes.annotate(number(value) + part, (value, y), (5, 0), textcoords="offset points", va="center", fontsize=9.5,
                      fontfamily=family(), color=INK)  # fmt: skip
    return chart


def by_class(
    table: Table,
    legend: pd.DataFrame | None = None,
    *,
    title: str | None = None,
    unit: Unit = "ha",
    synthetic: bool | None = None,
    language: Language = "zh",
) -> Chart:
    """Areas by class, the largest first."""
    rows = _rows(table)
    sums = rows.groupby("class", dropna=False)["area_m2"].sum().sort_values(ascending=False)
    titles = _titles(rows, legend, language)
    if len(sums) > _ROWS_MAX:
        rest = float(sums.iloc[_ROWS_MAX - 1 :].sum())
        sums = pd.concat([sums.iloc[: _ROWS_MAX - 1], pd.Series({"…": rest})])
        titles["…"] = "其他" if language == "zh" else "Other"
    colors = _colors(list(sums.index), legend)
    return bars(
        [titles[c] for c in sums.index], sums.to_numpy(), [colors[c] for c in sums.index],
        title=title or ("分类面积" if language == "zh" else "Areas by class"), subtitle=_total(sums, unit, language),
        unit=unit, synthetic=_synthetic(table, synthetic), shares=True, language=language,
    )  # fmt: skip


def by_district(
    table: Table,
    legend: pd.DataFrame | None = None,
    *,
    title: str | None = None,
    unit: Unit = "ha",
    synthetic: bool | None = None,
    language: Language = "zh",
) -> Chart:
    """A bar for each district, parted by the classes the map shows; a part that is wide enough tells its share."""
    zh, rows, made_up = language == "zh", _rows(table), _synthetic(table, synthetic)
    titles, colors = _titles(rows, legend, language), _colors(list(rows["class"].unique()), legend)
    group = {c: (legend.loc[c, "group"] if legend is not None and c in legend.index else titles[c]) for c in titles}
    shade = {group[c]: colors[c] for c in reversed(list(titles))}
    none = "不在行政区内" if zh else "In no district"
    rows = rows.assign(
        group=rows["class"].map(group), name=rows["district_title"].fillna(rows["district"]).fillna(none)
    )
    wide = rows.pivot_table("area_m2", "name", "group", aggfunc="sum", fill_value=0.0) * known_unit(unit)[0]
    wide = wide[wide.sum(axis=1) > _ROUNDING * wide.to_numpy().sum()]
    wide = wide.loc[wide.sum(axis=1).sort_values(ascending=False).index]
    # The largest class stands next to the axis, where lengths compare best.
    wide = wide[wide.sum().sort_values(ascending=False).index]
    names = [wrapped(str(n)) for n in wide.index]
    said = title or ("各行政区分类面积" if zh else "Areas by district and class")
    chart, axes = drawn(height_of(names) + 1, said, synthetic=made_up, language=language)
    left = np.zeros(len(wide))
    ends = wide.sum(axis=1).to_numpy()
    for name in wide.columns:
        values = wide[name].to_numpy()
        axes.barh(range(len(wide)), values, left=left, color=shade[name], edgecolor="white",
                  hatch="/////" if made_up else None, **_BAR)  # fmt: skip
        for y, (start, value) in enumerate(zip(left, values, strict=True)):
            if value > 0.09 * ends.max():
                box = {"facecolor": shade[name], "edgecolor": "none", "pad": 1.5} if made_up else None
                axes.text(start + value / 2, y, f"{value / ends[y]:.0%}", ha="center", va="center", fontsize=9,
                          fontfamily=family(), color=inside(shade[name]), bbox=box)  # fmt: skip
        left = left + values
    for y, end in enumerate(ends):
        axes.annotate(number(end), (end, y), (5, 0), textcoords="offset points", va="center", fontsize=9.5,
                      fontfamily=family(), color=INK)  # fmt: skip
    axes.set_yticks(range(len(wide)), names, fontfamily=family(), fontsize=10)
    axes.set_ylim(len(wide) - 0.4, -0.6)
    axes.set_xlim(0, ends.max() * 1.14)
    scaled(axes, unit, language)
    handles = [Patch(facecolor=shade[n], label=wrapped(n)) for n in wide.columns]
    chart.legend(handles=handles, loc="outside right upper", frameon=False, prop={"family": family(), "size": 9.5},
                 handlelength=1.2, handleheight=1.0)  # fmt: skip
    return chart


def change_table(
    before: Table, after: Table, legend: pd.DataFrame | None = None, *, unit: Unit = "ha", language: Language = "zh"
) -> pd.DataFrame:
    """By class: title, area before and after, change in `unit` and in per cent; greatest change first, the sum last."""
    factor, *words = known_unit(unit)
    old, new = _rows(before), _rows(after)
    sums = [r.groupby("class")["area_m2"].sum() * factor for r in (old, new)]
    frame = pd.concat(sums, axis=1, keys=["before", "after"]).fillna(0.0)
    frame["change"] = frame["after"] - frame["before"]
    titles = _titles(pd.concat([old, new]), legend, language)
    frame.insert(0, "title", [titles[c] for c in frame.index])
    frame = frame.loc[frame["change"].abs().sort_values(ascending=False, kind="stable").index]
    total = frame[["before", "after", "change"]].sum()
    frame.loc["total"] = ["合计" if language == "zh" else "Total", *total]
    with np.errstate(divide="ignore", invalid="ignore"):
        frame["percent"] = np.where(frame["before"] > 0, frame["change"] / frame["before"] * 100, np.nan)
    frame.attrs["unit"] = words[language == "en"]
    return frame


def waterfall(
    before: Table,
    after: Table,
    legend: pd.DataFrame | None = None,
    *,
    title: str | None = None,
    subtitle: str | None = None,
    unit: Unit = "ha",
    least_m2: float = 1.0,
    synthetic: bool | None = None,
    language: Language = "zh",
) -> Chart:
    """What each class gained or lost between two tables, one after the other, and what remains; `least_m2` and more."""
    zh = language == "zh"
    table = change_table(before, after, legend, unit=unit, language=language)
    net = float(table.loc["total", "change"])
    rows = table.drop(index="total")
    rows = rows[rows["change"].abs() >= least_m2 * known_unit(unit)[0]].sort_values("change", ascending=False)
    colors = _colors(list(rows.index), legend)
    made_up = _synthetic(after, synthetic)
    names = [*(wrapped(str(t)) for t in rows["title"]), "净变化" if zh else "Net change"]
    said = title or ("分类面积变化" if zh else "Change of areas by class")
    chart, axes = drawn(height_of(names), said, subtitle, synthetic=made_up, language=language)
    steps = rows["change"].to_numpy()
    ends = np.cumsum(steps)
    starts = ends - steps
    axes.barh(range(len(steps)), steps, left=starts, color=[colors[c] for c in rows.index], edgecolor="white",
              hatch="/////" if made_up else None, **_BAR)  # fmt: skip
    # A net change below a square metre is what rounding leaves.
    net = net if abs(net) >= known_unit(unit)[0] else 0.0
    axes.barh(len(steps), net, color=INK, **_BAR)
    for y, end in enumerate(ends):
        axes.plot([end, end], [y - 0.34, y + 1.34], color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)), zorder=0.5)
    axes.axvline(0, color=QUIET, linewidth=1.0)
    axes.spines["left"].set_visible(False)
    for y, (start, step) in enumerate([*zip(starts, steps, strict=True), (0.0, net)]):
        # Beside the bar, away from the connector that leaves its end.
        edge, aside = (start + step, 5) if step >= 0 else (start, 5)
        axes.annotate(signed(step), (edge, y), (aside, 0), textcoords="offset points", va="center", fontsize=9.5,
                      fontfamily=family(), color=INK,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0})  # fmt: skip
    axes.set_yticks(range(len(names)), names, fontfamily=family(), fontsize=10)
    axes.set_ylim(len(names) - 0.4, -0.6)
    scaled(axes, unit, language, ("累计变化", "Change, added up"))
    low, high = min(0.0, *ends, *starts, net), max(0.0, *ends, *starts, net)
    wide = (high - low) or 1.0
    axes.set_xlim(low - 0.03 * wide, high + 0.16 * wide)
    return chart


def open_by_day(found: pd.Series, settled: pd.Series, until: date | str | None = None) -> pd.Series:
    """How many were open at the end of each day (Beijing): `found` and `settled` are moments, one row a spot."""
    days = [_days(s) for s in (found, settled)]
    last = pd.Timestamp(until) if until is not None else max(s.max() for s in days if s.notna().any())
    span = pd.date_range(days[0].min(), last, freq="D")
    counts = [np.searchsorted(np.sort(s.dropna().to_numpy()), span.to_numpy(), side="right") for s in days]
    return pd.Series(counts[0] - counts[1], index=span, name="open")


def burn_down(
    left: pd.Series,
    *,
    title: str | None = None,
    deadline: date | str | None = None,
    what: str | None = None,
    synthetic: bool = False,
    language: Language = "zh",
) -> Chart:
    """How many are left, by day; with a `deadline` the straight way from the highest number to none at that day."""
    if len(left) == 0:
        raise wrong("There is no day to draw.", "没有可绘制的日期。")
    zh = language == "zh"
    chart, axes = drawn(7, title or ("办理进度" if zh else "Work left"), synthetic=synthetic, language=language)
    days, counts = pd.DatetimeIndex(left.index), left.to_numpy(dtype=float)
    axes.step(days, counts, where="post", color="#1c6e8c", linewidth=2)
    axes.fill_between(days, counts, step="post", facecolor="#1c6e8c", alpha=0.14, linewidth=0)
    if synthetic:
        axes.fill_between(days, counts, step="post", facecolor="none", edgecolor="#bddae5", hatch="/////", linewidth=0)
    peak, end = int(np.argmax(counts)), days[-1]
    if deadline is not None:
        due = pd.Timestamp(deadline)
        axes.plot([days[peak], due], [counts[peak], 0], color="#c7891b", linewidth=1.4, linestyle=(0, (5, 3)))
        word = "期限" if zh else "Due"
        axes.annotate(f"{word} {due:%Y-%m-%d}", (due, 0), (5, 5), textcoords="offset points", fontsize=9.5,
                      fontfamily=family(), color="#7d5310")  # fmt: skip
        end = max(end, due)
    axes.plot([days[-1]], [counts[-1]], "o", color="#1c6e8c", markersize=5, clip_on=False)
    axes.annotate(f"{counts[-1]:,.0f}", (days[-1], counts[-1]), (7, 4), textcoords="offset points", fontsize=11,
                  fontweight="bold", fontfamily=family(), color="#0d4459",
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0})  # fmt: skip
    dated(axes)
    axes.set_ylim(0, max(counts.max(), 1) * 1.12)
    axes.set_xlim(days[0], end + (end - days[0]) * (0.06 if deadline is None else 0.22) + pd.Timedelta(hours=1))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_ylabel(what or ("未办结(个)" if zh else "Open (count)"), color=QUIET, fontsize=9.5, fontfamily=family())
    return chart


def _rows(table: Table) -> pd.DataFrame:
    rows = table if isinstance(table, pd.DataFrame) else pd.DataFrame(table.get("rows", ()))
    for name in ("class", "area_m2"):
        if name not in rows.columns:
            raise wrong(
                f"The table has no column `{name}`; area-stat's table or csv has.",
                f"表中没有列 {name};area-stat 的 table 或 csv 才有。",
            )
    return rows


def _titles(rows: pd.DataFrame, legend: pd.DataFrame | None, language: Language) -> dict[Any, str]:
    none = "未填写" if language == "zh" else "Not given"
    known = {} if legend is None else legend["title"].to_dict()
    own = rows.dropna(subset=["class_title"]) if "class_title" in rows else rows.iloc[:0]
    known |= dict(zip(own["class"], own["class_title"], strict=True)) if len(own) else {}
    return {c: none if pd.isna(c) else str(known.get(c, c)) for c in rows["class"].unique()}


def _colors(codes: Sequence[Any], legend: pd.DataFrame | None) -> dict[Any, str]:
    """The layer's own colours; without a legend those that everybody can tell apart, and one for the rest."""
    if legend is not None:
        known = legend["color"].to_dict()
        return {c: known.get(c, OTHER) for c in codes}
    return {c: OKABE_ITO[i] if i < len(OKABE_ITO) else OTHER for i, c in enumerate(codes)}


def _synthetic(table: Table, said: bool | None) -> bool:
    if said is not None:
        return said
    return bool(table.attrs.get("synthetic") if isinstance(table, pd.DataFrame) else table.get("synthetic"))


def _total(sums: pd.Series, unit: Unit, language: Language) -> str:
    factor, zh, en = known_unit(unit)
    value = number(float(sums.sum()) * factor)
    return f"合计 {value} {zh}" if language == "zh" else f"{value} {en} in all"


def _days(moments: pd.Series) -> pd.Series:
    """Days in Beijing, without a zone."""
    found = pd.to_datetime(moments, errors="coerce")
    if getattr(found.dt, "tz", None) is not None:
        found = found.dt.tz_convert("Asia/Shanghai").dt.tz_localize(None)
    return found.dt.normalize()
