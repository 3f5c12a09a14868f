# SPDX-License-Identifier: Apache-2.0
"""A chart of readings over time: the line with its gaps, the range of each bucket, doubtful values marked."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from geocloud.notebook.chart import INK, QUIET, Chart, dated, drawn, family
from geocloud.notebook.client import wrong
from geocloud.reports.formats import unit as written

__all__ = ["series"]

_LINE, _DOUBT = "#1c6e8c", "#c7891b"
_ROWS = 8
# A step so many times the usual one is a gap.
_GAP_STEPS = 2.5
_DOUBTFUL = r"\b(?:below|above|zero|capped)\b"


def series(
    frame: pd.DataFrame,
    *,
    title: str | None = None,
    subtitle: str | None = None,
    language: Literal["zh", "en"] | None = None,
) -> Chart:
    """Readings as `City.readings` gives them, in Beijing time: a line that breaks where nothing was read.

    Buckets are drawn by their mean with the band from least to greatest, doubtful readings (and buckets with some) as
    dots.
    """
    about, zh = frame.attrs, (language or frame.attrs.get("language", "zh")) == "zh"
    name = "mean" if "mean" in frame.columns else "value"
    if name not in frame.columns or not frame[name].notna().any():
        raise wrong("There is no reading to draw.", "没有可绘制的读数。")
    chart, axes = drawn(
        _ROWS, title or f"{about.get('device', '')} · {about.get('property', '')}".strip(" ·"), subtitle,
        synthetic=bool(about.get("synthetic")), language="zh" if zh else "en",
    )  # fmt: skip
    times, values = _broken(pd.DatetimeIndex(frame.index).tz_localize(None), frame[name].to_numpy(float), name)
    axes.plot(times, values, color=_LINE, linewidth=1.8, solid_joinstyle="round", label="均值" if zh else "Mean")
    _alone(axes, times, values)
    marks: list[Any] = []
    if name == "mean" and (frame["max"] > frame["min"]).any():
        plain = pd.DatetimeIndex(frame.index).tz_localize(None)
        marks.append(
            axes.fill_between(plain, frame["min"].to_numpy(float), frame["max"].to_numpy(float), facecolor=_LINE,
                              alpha=0.16, linewidth=0, label="最低至最高" if zh else "Least to greatest")
        )  # fmt: skip
    doubtful = frame["flagged"] > 0 if name == "mean" else frame["flags"].str.contains(_DOUBTFUL)
    if doubtful.any():
        at = pd.DatetimeIndex(frame.index[doubtful]).tz_localize(None)
        marks += axes.plot(at, frame.loc[doubtful, name], "o", color=_DOUBT, markersize=5, linestyle="none",
                           label="存疑" if zh else "Doubtful")  # fmt: skip
    if marks:
        axes.legend(
            handles=marks, loc="upper left", frameon=False, fontsize=9, labelcolor=INK, prop={"family": family()}
        )
    dated(axes)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    said = written(about.get("unit")) if about.get("unit") not in (None, "1") else ""
    axes.set_ylabel(said, color=QUIET, fontsize=9.5, fontfamily=family())
    axes.margins(x=0.02, y=0.12)
    return chart


def _broken(times: pd.DatetimeIndex, values: np.ndarray, name: str) -> tuple[pd.DatetimeIndex, np.ndarray]:
    """With nothing between readings that are further apart than their steps; buckets have their gaps already."""
    if name == "mean" or len(times) < 3:
        return times, values
    steps = np.diff(times.to_numpy())
    (gaps,) = np.nonzero(steps > np.median(steps) * _GAP_STEPS)
    between = times.to_numpy()[gaps] + steps[gaps] // 2
    return pd.DatetimeIndex(np.insert(times.to_numpy(), gaps + 1, between)), np.insert(values, gaps + 1, np.nan)


def _alone(axes: Any, times: pd.DatetimeIndex, values: np.ndarray) -> None:
    """A reading between two gaps, which has no line, as a dot."""
    known = np.r_[False, ~np.isnan(values), False]
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    axes.plot(times[alone], values[alone], "o", color=_LINE, markersize=3.5, linestyle="none")
