# SPDX-License-Identifier: Apache-2.0
"""Random lives of features, written as clients, loads and corrections write them: every answer at every two times is
that of a plain model in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls
from tests.catalogue.test_time import Db, layer
from tests.history.model import END, START, Model

LAYER = "lab.life"
# Instants that touch, a midnight in Beijing, a leap day, and one ahead.
DAYS = [datetime(2010, 1, 1, tzinfo=UTC), datetime(2015, 12, 31, 16, tzinfo=UTC), datetime(2020, 2, 29, tzinfo=UTC),
        datetime(2020, 2, 29, tzinfo=UTC) + timedelta(microseconds=1), datetime(2024, 6, 1, tzinfo=UTC)]  # fmt: skip
AHEAD = datetime(2999, 1, 1, tzinfo=UTC)
VALUES = ["a", "b", "c"]
FIDS = (1, 2, 3)

moments = st.sampled_from([*DAYS, None])
step = st.one_of(
    st.tuples(st.just("insert"), st.sampled_from(FIDS), st.sampled_from(VALUES), moments),
    st.tuples(st.just("update"), st.sampled_from(FIDS), st.sampled_from(VALUES), st.sampled_from([*DAYS, None, AHEAD])),
    st.tuples(st.just("begin"), st.sampled_from(FIDS), st.sampled_from(VALUES), st.sampled_from(DAYS)),
    st.tuples(st.just("correct"), st.sampled_from(FIDS), st.sampled_from(VALUES), st.none()),
    st.tuples(st.just("delete"), st.sampled_from(FIDS), st.just(""), moments),
    st.tuples(st.just("never"), st.sampled_from(FIDS), st.just(""), st.none()),
    st.tuples(
        st.just("portion"), st.sampled_from(FIDS), st.sampled_from([*VALUES, None]),
        st.tuples(st.sampled_from([START, *DAYS]), st.sampled_from([*DAYS, AHEAD, END]),
                  st.sampled_from([*DAYS, None])),
    ),
    st.tuples(st.just("restore"), st.sampled_from([*FIDS, 0]), st.just(""), st.integers(0, 10)),
)  # fmt: skip


@pytest.fixture(scope="module")
def life(urls: Urls) -> Iterator[Db]:
    owner = Db(urls.owner)
    spec = layer("life")
    sync(owner.conn, {LAYER: spec}, {})
    yield owner
    owner.conn.close()


def text(moment: datetime) -> str:
    return {START: "-infinity", END: "infinity"}.get(moment, moment.isoformat())


def told(value: str) -> datetime:
    """A timestamp as PostgreSQL writes it."""
    return {"-infinity": START, "infinity": END}.get(value) or datetime.fromisoformat(value + ":00").astimezone(UTC)


class Run:
    """One sequence of writes, to the database and to the model."""

    def __init__(self, db: Db) -> None:
        self.db, self.model, self.stamps = db, Model(), list[datetime]()
        db.run(
            "ALTER TABLE lab.life DISABLE TRIGGER USER", "TRUNCATE lab.life", 'TRUNCATE history."lab.life"',
            "ALTER TABLE lab.life ENABLE ALWAYS TRIGGER a_begin, ENABLE ALWAYS TRIGGER b_row, "
            "ENABLE ALWAYS TRIGGER c_insert, ENABLE ALWAYS TRIGGER c_update, ENABLE ALWAYS TRIGGER c_delete, "
            "ENABLE ALWAYS TRIGGER d_truncate",
            "UPDATE geocloud.layer_state SET row_count = 0 WHERE layer = 'lab.life'",
            "DELETE FROM geocloud.change_log",
        )  # fmt: skip
        self.live: dict[int, tuple[datetime, datetime, str]] = {}

    def write(self, *statements: str) -> datetime | None:
        """Runs statements in one transaction as the writer of a program would; the stamp, or None when refused."""
        try:
            self.db.run(*statements)
        except psycopg2.Error:
            self.db.conn.rollback()
            return None
        (row,) = self.db.run("SELECT stamp::text FROM geocloud.layer_state WHERE layer = 'lab.life'")
        self.stamps.append(told(row[0]))
        return self.stamps[-1]

    def do(self, kind: str, fid: int, value: Any, extra: Any) -> None:
        getattr(self, f"_{kind}")(fid, value, extra)

    def _insert(self, fid: int, value: str, at: datetime | None) -> None:
        start = at or START
        stamp = self.write(
            f"INSERT INTO lab.life (fid, code, v, valid_from) VALUES ({fid}, 'k{fid}', '{value}', '{text(start)}')"
        )
        clash = fid in self.live or any(b.valid_to > start for b in self.model.now(fid))
        assert (stamp is None) == clash
        if stamp is not None:
            self._set(fid, (start, END, value), self._past(fid), stamp)

    def _update(self, fid: int, value: str, at: datetime | None) -> None:
        said = f"SET LOCAL geocloud.valid_at = '{text(at)}'" if at else "SELECT 1"
        stamp = self.write(said, f"UPDATE lab.life SET v = '{value}' WHERE fid = {fid}")
        assert stamp is not None
        if fid not in self.live or self.live[fid][2] == value:
            return
        start, end, old = self.live[fid]
        begins = max(at or stamp, start)
        self._set(fid, (begins, end, value), [*self._past(fid), (start, min(begins, end), old)], stamp)

    def _begin(self, fid: int, value: str, at: datetime) -> None:
        stamp = self.write(f"UPDATE lab.life SET v = '{value}', valid_from = '{text(at)}' WHERE fid = {fid}")
        assert stamp is not None
        if fid not in self.live or self.live[fid] == (at, END, value):
            return
        start, end, old = self.live[fid]
        if at == start:
            # The same start: a change of words alone, from now on.
            self._set(fid, (max(stamp, start), end, value), [*self._past(fid), (start, max(stamp, start), old)], stamp)
            return
        past = [(a, min(z, at), v) for a, z, v in self._past(fid)] + [(start, min(at, end), old)]
        self._set(fid, (at, end, value), past, stamp)

    def _correct(self, fid: int, value: str, _: None) -> None:
        stamp = self.write(
            "SET LOCAL geocloud.change = 'correction'", f"UPDATE lab.life SET v = '{value}' WHERE fid = {fid}"
        )
        assert stamp is not None
        if fid in self.live:
            start, end, _old = self.live[fid]
            self._set(fid, (start, end, value), self._past(fid), stamp)

    def _delete(self, fid: int, _: str, at: datetime | None) -> None:
        said = f"SET LOCAL geocloud.valid_at = '{text(at)}'" if at else "SELECT 1"
        stamp = self.write(said, f"DELETE FROM lab.life WHERE fid = {fid}")
        assert stamp is not None
        if fid in self.live:
            start, end, old = self.live[fid]
            self._set(fid, None, [*self._past(fid), (start, min(at or stamp, end), old)], stamp)

    def _never(self, fid: int, _: str, __: None) -> None:
        stamp = self.write("SET LOCAL geocloud.change = 'correction'", f"DELETE FROM lab.life WHERE fid = {fid}")
        assert stamp is not None
        if fid in self.live:
            self._set(fid, None, self._past(fid), stamp)

    def _portion(self, fid: int, value: str | None, times: tuple[datetime, datetime, datetime | None]) -> None:
        since, until, like = times
        if value is not None:
            like = None
        patch = "NULL" if value is None else f"""'{{"v": "{value}"}}'"""
        copied = "NULL" if like is None else f"'{text(like)}'"
        stamp = self.write(
            f"SELECT history.\"lab.life:portion\"({fid}, '{text(since)}', '{text(until)}', {patch}, {copied})"
        )
        known = self.model.now(fid)
        refused = since >= until or not known or (
            like is not None and not any(b.valid_from <= like < b.valid_to for b in known)
        )  # fmt: skip
        assert (stamp is None) == refused
        if stamp is None:
            return
        had = self.live.get(fid)
        self.model.portion(fid, since, until, value, like, stamp)
        after = self.model.now(fid)
        absent = value is None and like is None
        self.live.pop(fid, None)
        if after and (after[-1].valid_to > stamp or (had and not (absent and until >= had[1]))):
            last = after[-1]
            self.live[fid] = (last.valid_from, last.valid_to, last.value)

    def _restore(self, fid: int, _: str, place: int) -> None:
        if not self.stamps:
            return
        moment = self.stamps[place % len(self.stamps)]
        fids = "NULL" if fid == 0 else f"ARRAY[{fid}]::bigint[]"
        stamp = self.write(f"SELECT history.\"lab.life:restore\"({fids}, '{text(moment)}')")
        assert stamp is not None
        was = dict(self.model.at(moment, moment))
        ends = {
            b.fid: b.valid_to for b in self.model.beliefs
            if b.valid_from <= moment < b.valid_to and b.sys_from <= moment < b.sys_to
        }  # fmt: skip
        for one in FIDS if fid == 0 else (fid,):
            there = one in was and ends[one] > stamp
            if one in self.live and not there:
                start, end, old = self.live[one]
                self._set(one, None, [*self._past(one), (start, min(stamp, end), old)], stamp)
            elif there and one not in self.live:
                self._set(one, (stamp, ends[one], was[one]), self._past(one), stamp)
            elif there and self.live[one][1:] != (ends[one], was[one]):
                start, end, old = self.live[one]
                begins = max(stamp, start)
                self._set(one, (begins, ends[one], was[one]), [*self._past(one), (start, min(begins, end), old)], stamp)

    def _past(self, fid: int) -> list[tuple[datetime, datetime, str]]:
        """The believed rows of a feature but for the one in the table."""
        rows = [(b.valid_from, b.valid_to, b.value) for b in self.model.now(fid)]
        return [r for r in rows if r != self.live.get(fid)]

    def _set(
        self, fid: int, live: tuple[datetime, datetime, str] | None, past: list[tuple[datetime, datetime, str]],
        stamp: datetime,
    ) -> None:  # fmt: skip
        rows = [r for r in past if r[0] < r[1]] + ([live] if live else [])
        self.model.set_rows(fid, rows, stamp)
        self.live.pop(fid, None)
        if live:
            self.live[fid] = live

    def check(self) -> None:
        """Every pair of times, the shape of the record, the counts."""
        rows = self.db.run(
            "SELECT fid, v, valid_from::text, valid_to::text, sys_from::text, 'infinity' FROM lab.life UNION ALL "
            'SELECT fid, v, valid_from::text, valid_to::text, sys_from::text, sys_to::text FROM history."lab.life"'
        )
        stored = [(f, v, *(told(t) for t in times)) for f, v, *times in rows]
        instants = sorted({t for r in stored for t in r[2:4] if t not in (START, END)} | set(DAYS) | {AHEAD})
        around = [t + timedelta(microseconds=d) for t in instants for d in (-1, 0)]
        for believed in [*self.stamps, datetime.now(UTC)]:
            for valid in [START, *around]:
                found = [(r[0], r[1]) for r in stored if r[2] <= valid < r[3] and r[4] <= believed < r[5]]
                assert len(found) == len({f for f, _ in found}), f"two rows of a feature at {valid} as of {believed}"
                assert sorted(found) == self.model.at(valid, believed), f"at {valid} as of {believed}"
        live = {r[0]: (told(r[2]), told(r[3]), r[1]) for r in self.db.run(
            "SELECT fid, v, valid_from::text, valid_to::text FROM lab.life")}  # fmt: skip
        assert live == self.live
        (count,) = self.db.run("SELECT row_count FROM geocloud.layer_state WHERE layer = 'lab.life'")[0]
        assert count == len(live)
        assert all(a < b for a, b in zip(self.stamps, self.stamps[1:], strict=False))


@settings(
    max_examples=150, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(st.lists(step, min_size=1, max_size=12))
def test_every_answer_is_that_of_the_model(life: Db, steps: list[tuple[str, int, Any, Any]]) -> None:
    run = Run(life)
    for kind, fid, value, extra in steps:
        run.do(kind, fid, value, extra)
    run.check()


def _written(*steps: tuple[str, int, Any, Any]) -> Callable[[Db], None]:
    def play(db: Db) -> None:
        run = Run(db)
        for one in steps:
            run.do(*one)
            run.check()

    return play


CASES = {
    "corrected back and forth": _written(
        ("insert", 1, "a", DAYS[0]), ("update", 1, "b", DAYS[2]), ("portion", 1, "c", (DAYS[1], DAYS[3], None)),
        ("restore", 1, "", 1), ("portion", 1, None, (DAYS[0], DAYS[1], None)), ("restore", 0, "", 0),
    ),
    "ended and there again": _written(
        ("insert", 1, "a", None), ("delete", 1, "", DAYS[1]), ("insert", 1, "b", DAYS[0]), ("insert", 1, "b", DAYS[2]),
        ("never", 1, "", None), ("restore", 1, "", 1),
    ),
    "a change ahead": _written(
        ("insert", 1, "a", DAYS[0]), ("update", 1, "b", AHEAD), ("update", 1, "c", None), ("begin", 1, "b", DAYS[1]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_lives_step_by_step(life: Db, name: str) -> None:
    CASES[name](life)
