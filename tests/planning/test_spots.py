# SPDX-License-Identifier: Apache-2.0
"""Difference spots through their life: found, shrunk, split, merged, settled, back; compared only where needed."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from typing import Any

import numpy as np
import psycopg2
import pytest
import shapely

from geocloud.db.cluster import Urls
from geocloud.errors import Forbidden, InvalidParameter, LayerBusy, UnknownItem
from geocloud.features.binder import Binder
from geocloud.jobs.run import open_run
from geocloud.planning.burndown import burndown
from geocloud.planning.comparison import run_comparison
from geocloud.planning.spot_links import link
from geocloud.planning.spot_work import change_spot, list_spots
from geocloud.settings import Settings
from tests.planning.plan_pair import A, B, box, matrix, publish, put, spots

SETTINGS = Settings()
WHOLE = {"a": ("built", box(0, 0, 1000, 1000))}


@pytest.fixture
def pair(fresh_urls: Urls) -> Urls:
    publish(fresh_urls)
    return fresh_urls


def recorded(urls: Urls, **how: Any) -> dict[str, Any]:
    with open_run(SETTINGS, urls.reader, writer_url=urls.writer) as run:
        return run_comparison(run, matrix(), keep=True, **how).document


def counts(document: dict[str, Any]) -> dict[str, int]:
    return {k: n for k, n in document["recorded"].items() if n}


def test_a_spot_keeps_its_identity_while_it_shrinks_and_is_settled(pair: Urls) -> None:
    put(pair, A, WHOLE)
    put(pair, B, {"b": ("open", box(100, 100, 400, 400))})
    assert counts(recorded(pair)) == {"new": 1}
    [(first, state, number, deadline, area)] = spots(pair, ("bsm", "zt", "dkbh", "jzrq", "tqmj"))
    assert (len(first), state, number) == (18, "found", "T1-000001")
    assert deadline == (datetime.now(UTC) + timedelta(hours=8, days=30)).date()
    assert area == pytest.approx(90_000, rel=0.01)
    # Somebody works on it; a comparison leaves that alone.
    with open_run(SETTINGS, pair.reader, writer_url=pair.writer) as run:
        change_spot(run, number, {"zt": "coordinating", "qzftzyj": "同意调整", "jzrq": "2027-03-01"})
    put(pair, B, {"b": ("open", box(100, 100, 200, 400))})
    document = recorded(pair)
    assert counts(document) == {"changed": 1}
    assert document["everywhere"] is False
    [(same, state, opinion, area)] = spots(pair, ("bsm", "zt", "qzftzyj", "tqmj"))
    assert (same, state, opinion) == (first, "coordinating", "同意调整")
    assert area == pytest.approx(30_000, rel=0.01)
    put(pair, B, {"b": ("built", box(100, 100, 200, 400))})
    assert counts(recorded(pair)) == {"settled": 1}
    assert spots(pair) == [(first, "settled", None)]
    put(pair, B, {"b": ("open", box(110, 110, 200, 400))})
    assert counts(recorded(pair)) == {"reopened": 1}
    assert spots(pair) == [(first, "reopened", None)]
    assert counts(recorded(pair)) == {}
    assert counts(recorded(pair, whole=True)) == {"kept": 1}


def test_spots_of_a_rule_that_a_run_cannot_judge_stay(pair: Urls) -> None:
    put(pair, A, WHOLE)
    put(pair, B, {"b": ("open", box(100, 100, 400, 400))})
    assert counts(recorded(pair)) == {"new": 1}
    before = spots(pair)
    # As a run asked for over HTTP sees them where one of the plans is internal.
    with open_run(SETTINGS, pair.reader, writer_url=pair.writer) as run:
        known = replace(run.catalogue, layers={i: x for i, x in run.catalogue.layers.items() if i != B})
        document = run_comparison(replace(run, catalogue=known), matrix(), keep=True, whole=True).document
    assert not any(r["judged"] for r in document["rules"] if B in (r["a"], r["b"]))
    assert counts(document) == {} and spots(pair) == before
    assert counts(recorded(pair, whole=True)) == {"kept": 1}


def test_split_and_merge_keep_the_line(pair: Urls) -> None:
    put(pair, A, WHOLE)
    put(pair, B, {"b": ("open", box(100, 100, 700, 200))})
    recorded(pair)
    [(first,)] = spots(pair, ("bsm",))
    put(pair, B, {"b": ("open", box(100, 100, 300, 200)), "c": ("open", box(400, 100, 700, 200))})
    assert counts(recorded(pair)) == {"changed": 1, "split": 1}
    kept, other = spots(pair, ("bsm", "fsm", "bsm_b"))
    # The larger part goes on as the spot it was.
    assert kept == (first, None, "c")
    assert other[1:] == (first, "b")
    put(pair, B, {"b": ("open", box(100, 100, 700, 200))})
    assert counts(recorded(pair)) == {"changed": 1, "merged": 1}
    (one, parents, state), (gone, _, ended) = spots(pair, ("bsm", "fsm", "zt"))
    assert (one, parents, state) == (first, other[0], "found")
    assert (gone, ended) == (other[0], "settled")
    [(note,)] = [r for r in spots(pair, ("bz",)) if r[0]]
    assert first in note


def test_links() -> None:
    def shapes(*boxes: tuple[float, float, float, float]) -> Any:
        return np.array([shapely.box(*b) for b in boxes], dtype=object)

    none = np.empty(0, dtype=object)
    assert link(none, shapes((0, 0, 1, 1))).kept == {}
    assert link(shapes((0, 0, 1, 1)), none).gone == (0,)
    # Two swap parts of their ground: each goes on as what has most of it.
    links = link(shapes((0, 0, 10, 1), (10, 0, 20, 1)), shapes((0, 0, 12, 1), (12, 0, 20, 1)))
    assert (links.kept, links.merged, links.gone) == ({0: 0, 1: 1}, {}, ())
    # A common border alone is no common ground.
    assert link(shapes((0, 0, 1, 1)), shapes((1, 0, 2, 1))).gone == (0,)


def test_comparing_changes_gives_what_comparing_everything_gives(fresh_urls: Urls) -> None:
    """Random edits of both plans, each followed by a comparison of what changed, against one of everything."""
    publish(fresh_urls)
    draw = random.Random(5)
    cells = [(100 * i, 100 * k) for i in range(6) for k in range(6)]

    def plan(letter: str) -> dict[str, tuple[str, Any]]:
        return {
            f"{letter}{n:02}": (draw.choice(["built", "open"]), box(x, y, x + 100, y + 100))
            for n, (x, y) in enumerate(cells)
        }

    one, two = plan("a"), plan("b")
    put(fresh_urls, A, one)
    put(fresh_urls, B, two)
    recorded(fresh_urls)
    for _ in range(12):
        for layer, rows in ((A, one), (B, two)):
            for key in draw.sample(sorted(rows), draw.randint(0, 2)):
                x, y = cells[int(key[1:])]
                w, h = draw.uniform(20, 130), draw.uniform(20, 130)
                rows[key] = (draw.choice(["built", "open"]), box(x, y, x + w, y + h))
            put(fresh_urls, layer, rows)
        document = recorded(fresh_urls)
        assert document["everywhere"] is False
        with open_run(SETTINGS, fresh_urls.reader) as run:
            everything = run_comparison(run, matrix())
        open_ = spots(fresh_urls, ("bsm_a", "bsm_b", "zt", "tqmj"))
        now = sorted((a, b, round(area, 3)) for a, b, state, area in open_ if state != "settled")
        assert now == sorted((f.key_a, f.key_b, round(f.area_m2, 3)) for f in everything.found)


def test_a_run_that_may_not_write_is_refused_before_anything(pair: Urls) -> None:
    put(pair, A, WHOLE)
    put(pair, B, {"b": ("open", box(100, 100, 400, 400))})
    with open_run(SETTINGS, pair.reader) as run, pytest.raises(Forbidden):
        run_comparison(run, matrix(), keep=True)
    assert spots(pair) == []


def test_of_two_comparisons_at_once_the_later_one_starts_again(pair: Urls) -> None:
    put(pair, A, WHOLE)
    put(pair, B, {"b": ("open", box(100, 100, 400, 400))})
    with open_run(SETTINGS, pair.reader, writer_url=pair.writer) as slow:
        slow.rows("SELECT 1", Binder())
        recorded(pair)
        with pytest.raises(LayerBusy, match="Another comparison"):
            run_comparison(slow, matrix(), keep=True)
    assert len(spots(pair)) == 1


def _compare_slowly(urls: Urls) -> None:
    with open_run(SETTINGS, urls.reader, writer_url=urls.writer) as run:
        run_comparison(run, matrix(), keep=True)


def test_a_comparison_that_is_killed_leaves_nothing(pair: Urls) -> None:
    put(pair, A, WHOLE)
    put(pair, B, {f"b{k:03}": ("open", box(5 * k, 0, 5 * k + 4, 900)) for k in range(200)})
    blocker = psycopg2.connect(pair.owner)
    with blocker.cursor() as cur:
        # The spots' serial numbers come, their rows wait: it is killed in the middle of writing.
        cur.execute("SELECT FROM geocloud.layer_state WHERE layer = 'planning.difference_spot' FOR UPDATE")
    child = get_context("spawn").Process(target=_compare_slowly, args=(pair,))
    child.start()
    end = time.monotonic() + 30
    while True:
        with blocker.cursor() as cur:
            cur.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cur.fetchone() == (1,):
                break
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join(10)
    blocker.rollback()
    blocker.close()
    assert spots(pair) == []
    assert counts(recorded(pair)) == {"new": 200}


def test_work_on_spots_keeps_to_lists_and_order(pair: Urls) -> None:
    put(pair, A, WHOLE)
    put(pair, B, {"b": ("open", box(100, 100, 400, 400)), "c": ("open", box(500, 500, 600, 600))})
    recorded(pair)
    with open_run(SETTINGS, pair.reader, writer_url=pair.writer) as run:
        [large, small] = list_spots(run)
        assert large["tqmj"] > small["tqmj"]
        assert change_spot(run, large["bsm"], {"zt": "assigned", "zrbm": "water"})["zrbm"] == "water"
        for values, said in (
            ({"zt": "settled"}, "cannot be `settled`"), ({"zt": "gone"}, "not in the list"),
            ({"zrbm": "nobody"}, "not in the list"), ({"jzrq": "soon"}, "is no day"),
        ):  # fmt: skip
            with pytest.raises(InvalidParameter, match=said):
                change_spot(run, large["dkbh"], values)
        with pytest.raises(UnknownItem):
            change_spot(run, "T9-1", {"bz": "x"})
    with open_run(SETTINGS, pair.reader) as run:
        assert [s["bsm"] for s in list_spots(run, bureau="water")] == [large["bsm"]]
        assert [s["zt"] for s in list_spots(run, state="assigned", rule="T1")] == ["assigned"]
        assert len(list_spots(run, state="all", limit=1)) == 1
        with pytest.raises(InvalidParameter):
            list_spots(run, state="nothing")


def test_burn_down_counts_what_was_open_when(pair: Urls) -> None:
    put(pair, A, WHOLE)
    put(pair, B, {"b": ("open", box(100, 100, 400, 400)), "c": ("open", box(500, 500, 600, 600))})
    recorded(pair)
    conn = psycopg2.connect(pair.owner)
    with conn, conn.cursor() as cur:
        # One was settled ten days ago, both found forty days ago; one is overdue since yesterday.
        cur.execute("SELECT set_config('geocloud.change', 'correction', true)")
        cur.execute("UPDATE planning.difference_spot SET valid_from = now() - interval '40 days'")
    with conn, conn.cursor() as cur:
        cur.execute("SELECT set_config('geocloud.valid_at', (now() - interval '10 days')::text, true)")
        cur.execute("UPDATE planning.difference_spot SET zt = 'settled' WHERE bsm_b = 'c'")
        cur.execute("SELECT set_config('geocloud.valid_at', (now() - interval '5 days')::text, true)")
        cur.execute("UPDATE planning.difference_spot SET jzrq = current_date - 1 WHERE bsm_b = 'b'")
    conn.close()
    with open_run(SETTINGS, pair.reader) as run:
        found = burndown(run, points=7)
        with pytest.raises(InvalidParameter):
            burndown(run, "2030-01-01", "2020-01-01")
        with pytest.raises(InvalidParameter):
            burndown(run, points=1)
    assert [t["open"] for t in found["totals"]] == [0, 0, 0, 0, 2, 2, 1]
    assert found["totals"][-1]["overdue"] == 1
    assert {r["bureau"] for r in found["rows"]} == {"planning"}
    assert sum(r["open"] for r in found["rows"]) == sum(t["open"] for t in found["totals"])
