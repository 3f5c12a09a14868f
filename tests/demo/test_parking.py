# SPDX-License-Identifier: Apache-2.0
"""Readings of the demo's car parks: possible, shaped like days and weeks, marked as made up, and taken out again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg2

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls
from geocloud.demo.parking_readings import bring_up, occupancy
from geocloud.sectors.registry import definitions
from geocloud.settings import Settings

PARKING = ["facility.parking_lot", "parking.berth", "parking.entrance", "parking.guidance_board"]


def test_occupancy_has_the_shape_of_days_and_weeks() -> None:
    # Monday, 2 November 2026, midnight in Beijing.
    monday = int(datetime(2026, 11, 1, 16, tzinfo=UTC).timestamp()) // 1_800
    steps = monday + np.arange(14 * 48)
    for kind in ("public", "building", "road"):
        every = np.array([occupancy(n, kind, steps) for n in range(1, 60)])
        assert every.min() >= 0 and every.max() <= 1
        days = every.mean(axis=0).reshape(14, 48)
        work, off = days[[0, 1, 2, 3, 4, 7, 8]].mean(axis=0), days[[5, 6, 12, 13]].mean(axis=0)
        noon, night = 24, 6
        assert (work[noon] > work[night] + 0.2) == (kind != "building")
        assert (work[night] > work[noon] + 0.1) == (kind == "building")
        assert abs(off[32] - work[32]) > 0.02
        assert np.array_equal(every[3][100:], occupancy(4, kind, steps[100:]))


def test_readings_come_go_on_and_are_taken_out(fresh_urls: Urls) -> None:
    conn = psycopg2.connect(fresh_urls.owner)
    sync(conn, *definitions(Settings().city))

    def ask(sql: str) -> list[tuple[object, ...]]:
        with conn, conn.cursor() as cur:
            cur.execute(sql)
            return list(cur.fetchall())

    done = {r.layer: r.rows for r in demo.load(fresh_urls.owner, "small", layers=PARKING)}
    assert all(done[i] > 0 for i in PARKING)
    assert bring_up(fresh_urls.writer) > 0
    ((online,),) = ask("SELECT count(*) FROM facility.parking_lot WHERE online AND spaces > 0")
    of_lots = ("FROM sensing.datastream d JOIN sensing.observation o "
               "ON o.datastream = d.id WHERE d.layer = 'facility.parking_lot'")  # fmt: skip
    assert ask("SELECT count(DISTINCT d.id), bool_and(synthetic) " + of_lots) == [(online, True)]
    ((kept, flagged, last),) = ask("SELECT count(*), count(*) FILTER (WHERE flags <> 0), max(at) " + of_lots)
    assert (kept, flagged) == (online * 14 * 48, 0) and isinstance(last, datetime)
    assert timedelta(0) <= datetime.now(UTC) - last < timedelta(minutes=31)
    assert ask("SELECT count(*) FROM sensing.quarantine") == [(0,)]
    ((berths,),) = ask("SELECT count(*) FROM sensing.latest l JOIN sensing.datastream d ON d.id = l.datastream "
                       "WHERE d.layer = 'parking.berth'")  # fmt: skip
    ((spaces,),) = ask("SELECT count(*) FROM parking.berth b JOIN facility.parking_lot p ON p.code = b.lot_code "
                       "WHERE p.online")  # fmt: skip
    assert isinstance(berths, int) and isinstance(spaces, int) and 0 < berths <= spaces
    # The same moment again adds nothing; ended an hour before and brought up, they are the same.
    assert bring_up(fresh_urls.writer, last) == 0
    week = f"SELECT sum(value), count(*) {of_lots} AND at > '{last - timedelta(days=7)}'"
    before = ask(week)
    with conn, conn.cursor() as cur:
        cur.execute("TRUNCATE sensing.observation, sensing.latest")
    assert bring_up(fresh_urls.writer, last - timedelta(hours=1), 8) > bring_up(fresh_urls.writer, last, 8) > 0
    assert ask(week) == before
    demo.clear(fresh_urls.owner)
    assert ask("SELECT (SELECT count(*) FROM sensing.datastream), (SELECT count(*) FROM sensing.observation), "
               "(SELECT count(*) FROM sensing.latest)") == [(0, 0, 0)]  # fmt: skip
    conn.close()


def test_boards_show_what_there_is() -> None:
    def column(layer: str, *names: str) -> list[dict[str, object]]:
        return [r for b in demo.generate("small", layer) for r in b.table().select(list(names)).to_pylist()]

    lots = column("facility.parking_lot", "code", "guidance_area", "road_name")
    known = {
        "area": {r["guidance_area"] for r in lots}, "street": {r["road_name"] for r in lots},
        "lot": {r["code"] for r in lots},
    }  # fmt: skip
    boards = column("parking.guidance_board", "level", "shows")
    assert {b["level"] for b in boards} == set(known)
    for b in boards:
        assert set(str(b["shows"]).split(";")) <= known[str(b["level"])]
    codes = {r["code"] for r in lots}
    for layer in ("parking.berth", "parking.entrance"):
        assert {r["lot_code"] for r in column(layer, "lot_code")} <= codes
