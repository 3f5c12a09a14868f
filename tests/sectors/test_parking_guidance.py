# SPDX-License-Identifier: Apache-2.0
"""What boards show: numbers where they are known, a dash where they are not; and the past of a car park."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from geocloud.db.cluster import Urls
from geocloud.errors import CatalogueError, InvalidParameter, TooLarge, UnknownItem
from geocloud.jobs.run import Run, open_run
from geocloud.sectors.parking import guidance
from geocloud.sectors.parking.guidance import BOARDS, DASH
from geocloud.sectors.parking.series import history
from geocloud.sectors.parking.tables import guidance_levels
from geocloud.sensing.model import Reading
from tests.sectors.parking_city import LOTS, SETTINGS, Place, ago, make_place, stream


@cache
def _now() -> datetime:
    # Asked when the rows are made: modules are imported long before their tests run.
    return ago()


# code, spaces, area, road, free now (None: no reading), minutes ago.
CITY: list[tuple[str, int | None, str | None, str | None, float | None, float]] = [
    ("A1", 100, "东区", None, 30, 5), ("A2", 100, "东区", None, 1, 5), ("A3", 60, "东区", None, 50, 300),
    ("B1", 100, "西区", None, 90, 300), ("B2", 20, "西区", None, 10, 5),
    ("R1", 10, None, "一路", 0, 5), ("R2", None, None, "一路", 3, 5),
    ("D1", 40, None, None, 44, 5), ("N1", 40, None, None, None, 0),
]  # fmt: skip


@pytest.fixture(scope="module")
def place(urls: Urls) -> Place:
    made = make_place(urls)
    reads: list[Any] = []
    for n, (code, spaces, area, road, free, minutes) in enumerate(CITY):
        made.add(LOTS, 115.98 + n * 0.001, 36.45, code=code, name=f"{code}场", spaces=spaces, guidance_area=area,
                 road_name=road)  # fmt: skip
        if free is not None:
            made.register(stream(code))
            reads.append(Reading(1, (LOTS, code, "free_spaces"), _now() - timedelta(minutes=minutes), free, "1", None))
    # Two days of hours before: 5, 6, 7 … free, one of them impossible.
    for h in range(48):
        at = _now().replace(minute=0, second=0) - timedelta(days=3) + timedelta(hours=h)
        reads.append(Reading(1, (LOTS, "A1", "free_spaces"), at, -9 if h == 3 else 5 + h, "1", None))
    made.take(reads)
    for code, level, shows, lines in (
        ("Y1", "area", "东区;西区;无此区", 5), ("Y2", "street", " 一路 ;", 5), ("Y3", "lot", "A1;A2;A3;D1;N1;X9", 10),
        ("Y4", "lot", "A1;A2;A3", 2), ("Y5", None, "A1", 5), ("Y6", "lot", None, None),
    ):  # fmt: skip
        made.add(BOARDS, 115.98, 36.45, code=code, name=f"屏{code}", level=level, shows=shows, lines=lines)
    return made


@pytest.fixture
def run(place: Place) -> Iterator[Run]:
    with open_run(SETTINGS, place.urls.reader) as found:
        yield found


def _lines(feed: dict[str, Any], code: str) -> list[tuple[Any, ...]]:
    (board,) = [b for b in feed["boards"] if b["code"] == code]
    return [(x["title"], x["free"], x["level"], x["text"]) for x in board["lines"]]


def test_the_three_levels(run: Run) -> None:
    feed = guidance.guidance(run)
    assert [b["code"] for b in feed["boards"]] == ["Y1", "Y2", "Y3", "Y4", "Y5", "Y6"]
    # East: A1 and A2 are known, 200 of 260 spaces; west: 20 of 120, which is too few to speak for it.
    assert _lines(feed, "Y1") == [
        ("东区", 31, "tight", "东区 余位 31 紧张"), ("西区", None, None, f"西区 {DASH}"),
        ("无此区", None, None, f"无此区 {DASH}"),
    ]  # fmt: skip
    (street,) = _lines(feed, "Y2")
    # One of its car parks does not say how many spaces it has: a number, and no level.
    assert street == ("一路", 3, None, "一路 余位 3")
    assert _lines(feed, "Y3") == [
        ("A1场", 30, "plenty", "A1场 余位 30 充足"), ("A2场", 1, "full", "A2场 余位 1 已满"),
        ("A3场", None, None, f"A3场 {DASH}"),
        ("D1场", None, None, f"D1场 {DASH}"), ("N1场", None, None, f"N1场 {DASH}"), ("X9", None, None, f"X9 {DASH}"),
    ]  # fmt: skip
    assert [x[0] for x in _lines(feed, "Y4")] == ["A1场", "A2场"]
    assert feed["table"]["example"] is True and feed["table"]["dated"] == "2026-11-29"
    (west,) = [x for b in feed["boards"] for x in b["lines"] if x["title"] == "西区"]
    assert (west["lots"], west["lots_known"], west["live"]) == (2, 1, {"current": 1, "stale": 1})
    (doubt,) = [x for b in feed["boards"] for x in b["lines"] if x["title"] == "D1场"]
    assert doubt["live"] == {"doubtful": 1}


def test_one_board_one_level_and_text(run: Run) -> None:
    out = guidance.PROCESS.run(run, {"board": "Y2"}, frozenset({"feed", "text"}))
    lines = out["text"].data.decode().splitlines()
    assert lines[0].startswith("# 20") and lines[2:] == ["[Y2] 屏Y2", "一路 余位 3"]
    assert [b["code"] for b in guidance.guidance(run, level="area")["boards"]] == ["Y1"]
    then = (_now() - timedelta(minutes=290)).isoformat()
    assert _lines(guidance.guidance(run, board="Y1", datetime_=then), "Y1")[1][1] == 90
    with pytest.raises(UnknownItem):
        guidance.guidance(run, board="Y9")
    with pytest.raises(InvalidParameter):
        guidance.guidance(run, datetime_=(datetime.now(UTC) + timedelta(hours=2)).isoformat())


@pytest.mark.parametrize(
    ("free", "spaces", "wanted"),
    [(0, 100, "full"), (1, 100, "full"), (2, 100, "tight"), (19, 100, "tight"), (20, 100, "plenty"), (0, None, "full"),
     (5, None, None), (1, 2, "plenty"), (5, 0, None)],
)  # fmt: skip
def test_levels_by_the_table(free: float, spaces: float | None, wanted: str | None) -> None:
    level = guidance_levels().level(free, spaces)
    assert (level.code if level else None) == wanted


@pytest.mark.parametrize(
    "change", ["least_free: 0", "least_known_share: 2", "stale_after_s: -1", "levels: []", "unheard_of: 1"]
)
def test_tables_that_cannot_be_are_refused(tmp_path: Path, change: str) -> None:
    text = (Path(__file__).resolve().parents[2] / "ogc_config/parking/guidance_levels.yaml").read_text("utf-8")
    key = change.partition(":")[0]
    kept = [
        x for x in text.splitlines() if not x.startswith(f"{key}:") and not (key == "levels" and x.startswith("  -"))
    ]
    path = tmp_path / f"{key}.yaml"
    path.write_text("\n".join([*kept, change]), "utf-8")
    with pytest.raises(CatalogueError):
        guidance_levels(path)


def test_past_of_a_car_park_by_buckets(run: Run) -> None:
    found = history(run, "A1", bucket="1h")
    rows = {r["start"]: r for r in found["rows"]}
    start = _now().replace(minute=0, second=0) - timedelta(days=3)
    for h in range(48):
        at = (start + timedelta(hours=h)).astimezone(datetime.fromisoformat("2026-01-01T00:00:00+08:00").tzinfo)
        row = rows[at.isoformat()]
        if h == 3:
            assert (row["free"], row["count"], row["occupancy"]) == (None, 0, None)
        else:
            assert (row["free"], row["count"]) == (5 + h, 1) and row["occupancy"] == pytest.approx(1 - (5 + h) / 100)
    days = history(run, "A1", f"{start.isoformat()}/{(start + timedelta(hours=47)).isoformat()}", "1d")["rows"]
    assert sum(r["count"] for r in days) == 47 and min(r["least"] for r in days) == 5
    for lot in ("X9", "N1", ""):
        with pytest.raises(UnknownItem):
            history(run, lot)
    with pytest.raises(InvalidParameter):
        history(run, "A1", (datetime.now(UTC) + timedelta(days=1)).isoformat() + "/..")
    with pytest.raises(TooLarge):
        history(run, "A1", "2000-01-01/2026-01-01", "10m")
