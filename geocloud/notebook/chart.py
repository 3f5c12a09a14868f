# SPDX-License-Identifier: Apache-2.0
"""The ground of all charts: a Chinese font, the house's ink, units, the mark of synthetic data."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.font_manager import FontPath, FontProperties, fontManager
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from geocloud.notebook.client import wrong
from geocloud.settings import StyleSettings
from geocloud.styles.fonts import find_fonts

__all__ = [
    "HAIRLINE",
    "INK",
    "QUIET",
    "UNITS",
    "Chart",
    "Unit",
    "dated",
    "drawn",
    "family",
    "height_of",
    "inside",
    "known_unit",
    "number",
    "scaled",
    "signed",
    "wrapped",
]

INK, QUIET, HAIRLINE = "#1f2a30", "#5b6a72", "#dfe4e6"
Unit = Literal["ha", "mu", "m2", "km2"]
# Factor from m2, and the words in Chinese and English.
UNITS: dict[str, tuple[float, str, str]] = {
    "ha": (1e-4, "公顷", "ha"),
    "mu": (0.0015, "亩", "mu"),
    "m2": (1.0, "平方米", "m²"),
    "km2": (1e-6, "平方千米", "km²"),
}
# What there is where fontconfig is not: Windows, macOS.
_FAMILIES = ("Noto Sans SC", "Microsoft YaHei", "PingFang SC", "Hiragino Sans GB", "Heiti SC", "SimHei", "SimSun")
_DPI = 144
_WIDTH_IN = 7.6
_LINE = 15
_MARKS = ",、:;)】》”…,;:) "


class Chart(Figure):  # type: ignore[misc]
    """A figure that a notebook shows by itself and that needs no screen; `save` writes PNG, SVG or PDF."""

    def save(self, path: str | Path) -> Path:
        """Writes the chart in the format its name ends with; gives the path."""
        to = Path(path)
        with rc_context(_style()):
            self.savefig(to, dpi=_DPI)
        return to

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        out = io.BytesIO()
        with rc_context(_style()):
            self.savefig(out, format="png", dpi=_DPI)
        width, height = self.get_size_inches() * 96
        return out.getvalue(), {"width": int(width), "height": int(height)}


def drawn(
    rows: float, title: str, subtitle: str | None = None, *, synthetic: bool = False, language: str = "zh"
) -> tuple[Chart, Axes]:
    """An empty chart of so many rows, its title on the left and, for synthetic data, the words below."""
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.06, hspace=0.0)
    with rc_context(_style()):
        chart = Chart(figsize=(_WIDTH_IN, 1.25 + 0.31 * max(rows, 2) + (0.25 if synthetic else 0)), layout=layout)
        axes = chart.add_subplot()
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelfontfamily=family(), length=0, labelcolor=INK)
        chart.suptitle(title, x=0.015, ha="left", fontsize=13, fontweight="bold", color=INK)
        if subtitle:
            axes.set_title(subtitle, loc="left", fontsize=9.5, color=QUIET)
        if synthetic:
            words = "示例数据,由程序生成" if language == "zh" else "Synthetic data, made by a program"
            mark = Patch(facecolor="#c7891b", edgecolor="white", hatch="/////", linewidth=0, label=words)
            chart.legend(
                handles=[mark], loc="outside lower left", frameon=False, fontsize=9, labelcolor="#7d5310",
                handlelength=1.4, borderaxespad=0.2,
            )  # fmt: skip
    return chart, axes


def scaled(axes: Axes, unit: str, language: str, what: tuple[str, str] = ("面积", "Area")) -> None:
    """The horizontal axis as amounts with their unit."""
    _, zh, en = known_unit(unit)
    axes.set_xlabel(f"{what[0]}({zh})" if language == "zh" else f"{what[1]} ({en})", color=QUIET, fontsize=9.5)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: number(v, exact=True)))
    axes.grid(axis="x", color=HAIRLINE, linewidth=0.8)
    axes.spines["left"].set_color(QUIET)
    axes.spines["bottom"].set_visible(False)


def dated(axes: Axes) -> None:
    """The horizontal axis as time, as few words as it takes; amounts across it."""
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(  # type: ignore[no-untyped-call]
            locator,
            formats=["%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%S"],
            zero_formats=["", "%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M"],
            show_offset=False,
        )
    )
    axes.grid(axis="y", color=HAIRLINE, linewidth=0.8)
    axes.spines["bottom"].set_color(QUIET)
    axes.spines["left"].set_visible(False)


def known_unit(unit: str) -> tuple[float, str, str]:
    """Factor from m2 and both words of a unit of area."""
    if unit not in UNITS:
        raise wrong(
            f"There is no unit `{unit}`; there are {', '.join(UNITS)}.", f"没有单位 {unit};可用:{'、'.join(UNITS)}。"
        )
    return UNITS[unit]


def number(value: float, *, exact: bool = False) -> str:
    """Three significant digits, as people read them; `exact` keeps all there are of a round number."""
    if value == 0:
        return "0"
    if exact:
        return f"{value:,.10g}".replace("-", "−")
    if abs(value) < 0.001:
        return "<0.001" if value > 0 else "−<0.001"
    return (f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}").replace("-", "−")


def signed(value: float) -> str:
    """A change, with its sign."""
    if 0 < abs(value) < 0.001:
        return "±<0.001"
    return ("+" if value > 0 else "") + number(value)


def wrapped(text: str) -> str:
    """A label in lines of at most fifteen characters, two of them; Latin words stay whole."""
    import textwrap

    if all(ord(c) < 256 for c in text):
        return "\n".join(textwrap.wrap(text, 2 * _LINE, max_lines=2, placeholder=" …"))
    if _wide(text) <= _LINE:
        return text
    short = text
    while _wide(short) > 2 * _LINE:
        short = short.removesuffix("…")[:-1] + "…"
    # After a mark or a space, if there is one near the middle; never before one.
    places = [n for n in range(1, len(short)) if short[n] not in _MARKS and not short[n - 1 : n + 1].isascii()]
    places = [n for n in places if max(_wide(short[:n]), _wide(short[n:])) <= _LINE] or [len(short) // 2]
    half = min(places, key=lambda n: abs(_wide(short[:n]) - _wide(short[n:])) - 6 * (short[n - 1] in _MARKS))
    return f"{short[:half].rstrip()}\n{short[half:].lstrip()}"


def _wide(text: str) -> float:
    """Characters as wide as a Chinese one."""
    return sum(0.5 if ord(c) < 256 else 1.0 for c in text)


def inside(color: Any) -> str:
    """Ink or white, whichever is read better on a colour."""
    from matplotlib.colors import to_rgb

    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return INK if light > 0.3 else "white"


def height_of(labels: Sequence[str]) -> float:
    """Rows that labels take: where one has two lines, all are higher."""
    return len(labels) * (1.4 if any("\n" in text for text in labels) else 1.0)


def _style() -> Any:
    return {
        "font.family": [family()],
        "axes.unicode_minus": True,
        "hatch.linewidth": 0.7,
        "svg.fonttype": "none",
        "pdf.fonttype": 42,
        "text.color": INK,
        "savefig.facecolor": "white",
    }


@cache
def family() -> str:
    """The family charts are written in: that of the maps' labels, else the first Chinese one there is."""
    fonts = find_fonts(StyleSettings())
    if fonts.chinese and fonts.regular:
        face = fonts.regular[0]
        name = FontProperties(fname=FontPath(str(face.path), face.index)).get_name()
        for each in (*fonts.regular[:1], *fonts.bold[:1]):
            if not any(e.name == name and e.fname == str(each.path) for e in fontManager.ttflist):
                fontManager.addfont(str(each.path))
        if any(e.name == name for e in fontManager.ttflist):
            return str(name)
    have = {e.name for e in fontManager.ttflist}
    for name in _FAMILIES:
        if name in have:
            return name
    warnings.warn(
        "No font with Chinese characters was found; install fonts-noto-cjk. 未找到中文字体,请安装 fonts-noto-cjk。",
        stacklevel=2,
    )
    return "DejaVu Sans"
