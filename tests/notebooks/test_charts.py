# SPDX-License-Identifier: Apache-2.0
"""Charts: lengths of bars are the areas, words do not lie on each other, Chinese characters are drawn."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text
from PIL import Image
from pypdf import PdfReader

from geocloud.errors import RequestError
from geocloud.notebook import charts
from geocloud.notebook.chart import Chart, family, number, signed, wrapped

CODES = {
    "E2": "农林用地",
    "E1": "水域",
    "R2": "二类居住用地",
    "M1": "一类工业用地",
    "H4": "区域公用设施与特殊用地及其他附属设施用地",
}
COLORS = ["#e8dc8c", "#6fb1d6", "#f2c230", "#9a6b45", "#d2699e"]
GROUPS = ["农林用地", "水域", "居住", "工业、仓储与采矿", "公共服务与公用设施"]
LEGEND = pd.DataFrame({"color": COLORS, "group": GROUPS, "title": list(CODES.values())}, index=pd.Index(CODES))
DISTRICTS = {"371502": "东昌府区", "371503": "茌平区", "371581": "临清市", None: None}


def table(seed: int, scale: float = 1.0) -> dict[str, object]:
    """Rows as area-stat gives them, with one class much larger than the rest."""
    draw = np.random.default_rng(seed)
    size = {"E2": 9e8, "E1": 4e7, "R2": 8e6, "M1": 2e6, "H4": 3e4}
    rows = [
        {"district": d, "district_title": t, "class": c, "class_title": CODES[c], "features": 3,
         "area_m2": scale * size[c] * draw.uniform(0.5, 1.0) * (1e-9 if d is None else 1.0)}
        for d, t in DISTRICTS.items() for c in CODES
    ]  # fmt: skip
    return {"rows": rows, "synthetic": True}


def work() -> pd.Series:
    draw = np.random.default_rng(5)
    found = pd.Series(pd.Timestamp("2026-01-05", tz="Asia/Shanghai") + pd.to_timedelta(draw.integers(0, 20, 60), "D"))
    settled = found + pd.to_timedelta(draw.integers(5, 200, 60), "D")
    return charts.open_by_day(found, settled.where(settled < "2026-06-01"), "2026-06-01")


KINDS: dict[str, Callable[[], Chart]] = {
    "bars": lambda: charts.bars(["甲", "乙方案较长的名称需要折成两行来写"], [1.0, 2e6], title="面积", unit="mu"),
    "one": lambda: charts.bars(["甲"], [12_345_678.0], title="面积", unit="m2", shares=True, synthetic=True),
    "none": lambda: charts.bars([], [], title="面积"),
    "by_class": lambda: charts.by_class(table(1), LEGEND, title="分类面积"),
    "many": lambda: charts.by_class({"rows": [{"class": f"{n:04}", "area_m2": 1e6 * n} for n in range(1, 41)]}),
    "by_district": lambda: charts.by_district(table(1), LEGEND, unit="km2"),
    "waterfall": lambda: charts.waterfall(table(1), table(2), LEGEND, subtitle="2021-05-31 → 2021-06-01"),
    "shrunk": lambda: charts.waterfall(table(1), table(1, 0.9), LEGEND, synthetic=False),
    "burn_down": lambda: charts.burn_down(work(), deadline="2026-08-31", synthetic=True, title="差异图斑办理进度"),
    "english": lambda: charts.by_class(table(1), LEGEND, language="en"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_words_are_inside_and_apart(kind: str, recwarn: pytest.WarningsRecorder) -> None:
    chart = KINDS[kind]()
    png, size = chart._repr_png_()
    image = Image.open(io.BytesIO(png))
    assert image.width > size["width"] and len(image.getcolors(1 << 24) or ()) > 50
    chart.draw_without_rendering()
    renderer = chart._get_renderer()
    texts = [t for t in chart.findobj(Text) if t.get_visible() and t.get_text().strip() and _drawn(t, chart)]
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in texts]
    frame = chart.bbox.padded(1)
    for text, box in boxes:
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1, text
    # The boxes of neighbouring lines may touch; glyphs keep a pixel and a half apart.
    apart = [
        (a, b) for (a, one), (b, two) in itertools.combinations(boxes, 2) if one.padded(-1.5).overlaps(two.padded(-1.5))
    ]
    if folder := os.environ.get("GEOCLOUD_TEST_PICTURES"):
        chart.save(f"{folder}/chart_{kind}.png")
    assert apart == []
    assert not chart.axes[0].spines["top"].get_visible() and not chart.axes[0].spines["right"].get_visible()
    assert [str(w.message) for w in recwarn if "Glyph" in str(w.message)] == []


def _drawn(text: Text, chart: Chart) -> bool:
    """Whether a label of a tick lies within its axis; those beyond are kept and not drawn."""
    axes = chart.axes[0]
    for axis, span in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if text in (tick.label1, tick.label2):
                return tick.get_visible() and min(span) <= tick.get_loc() <= max(span)
    return True


def test_the_font_has_chinese() -> None:
    face = get_font(findfont(FontProperties(family=[family()]), fallback_to_default=False))
    assert all(ord(c) in face.get_charmap() for c in "聊城市公顷示例数据²−")


def test_bars_are_as_long_as_the_areas() -> None:
    chart = charts.by_class(table(1), LEGEND)
    rows = pd.DataFrame(table(1)["rows"])
    sums = rows.groupby("class")["area_m2"].sum().sort_values(ascending=False)
    assert [p.get_width() for p in chart.axes[0].patches] == pytest.approx(list(sums / 1e4))
    assert [t.get_text() for t in chart.axes[0].get_yticklabels()] == [wrapped(CODES[c]) for c in sums.index]
    assert all(p.get_hatch() for p in chart.axes[0].patches) and chart.axes[0].get_xlabel() == "面积(公顷)"
    plain = charts.by_class(table(1), LEGEND, synthetic=False)
    assert not any(p.get_hatch() for p in plain.axes[0].patches) and not plain.legends
    stacked = charts.by_district(table(1), LEGEND)
    assert sum(p.get_width() for p in stacked.axes[0].patches) == pytest.approx(sums.sum() / 1e4, rel=1e-6)
    assert [t.get_text() for t in stacked.legends[-1].get_texts()][0] == "农林用地"


def test_what_changed_adds_up() -> None:
    frame = charts.change_table(table(1), table(2), LEGEND, unit="mu")
    rows = frame.drop(index="total")
    assert rows["change"].sum() == pytest.approx(frame.loc["total", "change"]) and frame.index[-1] == "total"
    assert (rows["after"] - rows["before"]).to_numpy() == pytest.approx(rows["change"].to_numpy())
    assert rows["change"].abs().is_monotonic_decreasing and frame.attrs["unit"] == "亩"
    new = charts.change_table(pd.DataFrame({"class": ["E2"], "area_m2": [0.0]}), table(1), LEGEND)
    assert np.isnan(new.loc["R2", "percent"])


def test_open_work_is_counted_by_day() -> None:
    found = pd.Series(["2026-01-01T23:00:00+00:00", "2026-01-02T00:00:00+08:00", "2026-01-04T08:00:00+08:00"])
    settled = pd.Series([None, "2026-01-03T01:00:00+08:00", None])
    left = charts.open_by_day(pd.to_datetime(found, utc=True), pd.to_datetime(settled, utc=True), "2026-01-05")
    assert left.to_dict() == {pd.Timestamp(f"2026-01-0{d}"): n for d, n in ((2, 2), (3, 1), (4, 2), (5, 2))}


def test_charts_are_saved_as_what_their_name_says(tmp_path: Path) -> None:
    chart = charts.by_class(table(1), LEGEND, title="分类面积")
    assert "分类面积" in chart.save(tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "农林用地" in PdfReader(chart.save(tmp_path / "a.pdf")).pages[0].extract_text()


@pytest.mark.parametrize(
    ("value", "said"), [(0, "0"), (1e-9, "<0.001"), (0.1234, "0.123"), (12.345, "12.3"), (-98765.4, "−98,765")]
)
def test_numbers_are_read_as_people_write_them(value: float, said: str) -> None:
    assert number(value) == said
    assert signed(5.0) == "+5" and signed(-5.0) == "−5"


@pytest.mark.parametrize(
    "ask",
    [
        lambda: charts.bars(["a"], [1.0], title="t", unit="acre"),
        lambda: charts.by_class(pd.DataFrame({"x": [1]})),
        lambda: charts.burn_down(pd.Series(dtype=float)),
    ],
    ids=["unit", "columns", "empty"],
)
def test_what_cannot_be_drawn_is_said(ask: Callable[[], Chart]) -> None:
    with pytest.raises(RequestError) as caught:
        ask()
    assert caught.value.zh != caught.value.en


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("区域交通设施用地", ["区域交通设施用地"]),
        ("L2 城规建设用地,土规却非建设用地", ["L2 城规建设用地,", "土规却非建设用地"]),
        ("需征求同意:土地利用总体规划为农用地或其他土地", ["需征求同意:土地利用总体", "规划为农用地或其他土地"]),
        ("Public services and utilities of the region", ["Public services and utilities", "of the region"]),
    ],
)
def test_long_labels_are_parted_where_people_would(text: str, lines: list[str]) -> None:
    assert wrapped(text).split("\n") == lines


def test_labels_beyond_two_lines_end_in_dots() -> None:
    assert wrapped("甲" * 80).endswith("…") and max(map(len, wrapped("甲" * 80).split("\n"))) <= 15
