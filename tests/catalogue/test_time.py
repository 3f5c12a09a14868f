# SPDX-License-Identifier: Apache-2.0
"""Two times on every row: what a layer's table, its history, state and change log hold after each kind of write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest

from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import LayerSpec
from geocloud.db.cluster import Urls

TEXT = {"zh": "测", "en": "t"}
FOREVER = "infinity"


def layer(name: str, geometry: str = "point") -> LayerSpec:
    fields = [{"name": n, "title": TEXT} for n in ("code", "v")]
    return LayerSpec.model_validate(
        {
            "id": f"lab.{name}",
            "title": TEXT,
            "description": TEXT,
            "geometry": geometry,
            "key": ["code"],
            "fields": fields,
        }
    )


class Db:
    """One connection; `run` is a transaction of its own, `cur` a statement inside the one that is open."""

    def __init__(self, url: str) -> None:
        self.conn = psycopg2.connect(url)

    def cur(self, sql: str, *args: Any) -> list[Any]:
        with self.conn.cursor() as cur:
            cur.execute(sql, args)
            return list(cur.fetchall()) if cur.description else []

    def run(self, *statements: str) -> list[Any]:
        got: list[Any] = []
        with self.conn:
            for sql in statements:
                got = self.cur(sql)
        return got

    def state(self, name: str = "thing") -> dict[str, Any]:
        columns = ["version", "row_count", "west", "south", "east", "north", "next_boundary::text", "stamp::text"]
        (row,) = self.run(f"SELECT {', '.join(columns)} FROM geocloud.layer_state WHERE layer = 'lab.{name}'")
        return dict(zip((c.split("::")[0] for c in columns), row, strict=True))

    def log(self) -> list[Any]:
        return self.run("SELECT op, fid, row_count FROM geocloud.change_log ORDER BY id")


@pytest.fixture
def owner(fresh_urls: Urls) -> Iterator[Db]:
    db = Db(fresh_urls.owner)
    layers = [layer("thing"), layer("shape", "multipolygon"), layer("table", "none")]
    sync(db.conn, {x.id: x for x in layers}, {})
    yield db
    db.conn.close()


@pytest.fixture
def db(owner: Db, fresh_urls: Urls) -> Iterator[Db]:
    """A connection of the writer role, as loads and edits have it."""
    db = Db(fresh_urls.writer)
    yield db
    db.conn.close()


def beliefs(db: Db, name: str = "thing") -> list[tuple[Any, ...]]:
    """What is believed now: (code, v, valid_from, valid_to) of current rows and of history that has not ended."""
    return db.run(
        f"""SELECT code, v, valid_from::text, valid_to::text FROM lab.{name}
            UNION ALL SELECT code, v, valid_from::text, valid_to::text FROM history."lab.{name}"
             WHERE sys_to = 'infinity'
            ORDER BY 1, 3"""
    )


def believed_at(db: Db, when: str) -> list[tuple[Any, ...]]:
    """What was believed at a transaction time: an independent reading of both tables."""
    with db.conn:
        return db.cur(
            """SELECT code, v, valid_from::text, valid_to::text FROM
                 (SELECT code, v, valid_from, valid_to, sys_from, 'infinity'::timestamptz AS sys_to FROM lab.thing
                  UNION ALL SELECT code, v, valid_from, valid_to, sys_from, sys_to FROM history."lab.thing") b
               WHERE sys_from <= %s AND sys_to > %s ORDER BY 1, 3""",
            when,
            when,
        )


def ended(db: Db) -> list[tuple[Any, ...]]:
    """Beliefs that were given up: (code, v, valid_from, valid_to)."""
    return db.run(
        "SELECT code, v, valid_from::text, valid_to::text FROM history.\"lab.thing\" WHERE sys_to < 'infinity' "
        "ORDER BY sys_from, 1, 3"
    )


def stamp(db: Db) -> str:
    return str(db.state()["stamp"])


def test_insert(db: Db) -> None:
    db.run("INSERT INTO lab.thing (code, v, geom) VALUES ('a', '1', ST_Point(116, 36, 4490)), ('b', '1', NULL)")
    assert beliefs(db) == [("a", "1", "-infinity", FOREVER), ("b", "1", "-infinity", FOREVER)]
    assert ended(db) == []
    state = db.state()
    assert (state["version"], state["row_count"]) == (2, 2)
    assert [state[k] for k in ("west", "south", "east", "north")] == [116, 36, 116, 36]
    assert state["next_boundary"] == FOREVER
    assert db.run("SELECT DISTINCT sys_from::text FROM lab.thing") == [(state["stamp"],)]
    assert db.log() == [("insert", 1, 1), ("insert", 2, 1)]


def test_update_closes_and_opens(db: Db) -> None:
    db.run("INSERT INTO lab.thing (code, v) VALUES ('a', '1')")
    first = stamp(db)
    db.run("UPDATE lab.thing SET v = '2'")
    second = stamp(db)
    assert second > first
    assert beliefs(db) == [("a", "1", "-infinity", second), ("a", "2", second, FOREVER)]
    assert ended(db) == [("a", "1", "-infinity", FOREVER)]
    assert believed_at(db, first) == [("a", "1", "-infinity", FOREVER)]
    assert believed_at(db, second) == beliefs(db)
    assert db.state()["row_count"] == 1


def test_update_with_the_day_it_became_so(db: Db) -> None:
    db.run("INSERT INTO lab.thing (code, v) VALUES ('a', '1')")
    db.run("SET LOCAL geocloud.valid_at = '2024-05-01 00:00+08'", "UPDATE lab.thing SET v = '2'")
    day = "2024-04-30 16:00:00+00"
    assert beliefs(db) == [("a", "1", "-infinity", day), ("a", "2", day, FOREVER)]


def test_update_before_the_row_began_replaces_it(db: Db) -> None:
    db.run("INSERT INTO lab.thing (code, v, valid_from) VALUES ('a', '1', '2024-01-01Z')")
    db.run("SET LOCAL geocloud.valid_at = '2020-01-01Z'", "UPDATE lab.thing SET v = '2'")
    assert beliefs(db) == [("a", "2", "2024-01-01 00:00:00+00", FOREVER)]
    assert ended(db) == [("a", "1", "2024-01-01 00:00:00+00", FOREVER)]


def test_update_that_takes_effect_later(db: Db) -> None:
    db.run("INSERT INTO lab.thing (code, v) VALUES ('a', '1')")
    db.run("SET LOCAL geocloud.valid_at = '2999-01-01Z'", "UPDATE lab.thing SET v = '2'")
    day = "2999-01-01 00:00:00+00"
    assert beliefs(db) == [("a", "1", "-infinity", day), ("a", "2", day, FOREVER)]
    assert db.state()["next_boundary"] == day


def test_correction_says_it_was_never_so(db: Db) -> None:
    db.run("INSERT INTO lab.thing (code, v) VALUES ('a', 'wrong')")
    before = stamp(db)
    db.run("SET LOCAL geocloud.change = 'correction'", "UPDATE lab.thing SET v = 'right'")
    assert beliefs(db) == [("a", "right", "-infinity", FOREVER)]
    assert ended(db) == [("a", "wrong", "-infinity", FOREVER)]
    assert believed_at(db, before) == [("a", "wrong", "-infinity", FOREVER)]


def test_valid_time_written_by_hand(db: Db) -> None:
    db.run("INSERT INTO lab.thing (code, v) VALUES ('a', '1')")
    db.run("UPDATE lab.thing SET v = '2', valid_from = '2019-10-01Z', valid_to = '2030-01-01Z'")
    start, end = "2019-10-01 00:00:00+00", "2030-01-01 00:00:00+00"
    assert beliefs(db) == [("a", "1", "-infinity", start), ("a", "2", start, end)]
    assert db.state()["next_boundary"] == end


def test_delete_ends_the_feature(db: Db) -> None:
    db.run("INSERT INTO lab.thing (code, v) VALUES ('a', '1'), ('b', '1')")
    db.run("DELETE FROM lab.thing WHERE code = 'a'")
    assert beliefs(db) == [("a", "1", "-infinity", stamp(db)), ("b", "1", "-infinity", FOREVER)]
    assert db.state()["row_count"] == 1
    db.run("SET LOCAL geocloud.valid_at = '2024-01-01Z'", "DELETE FROM lab.thing WHERE code = 'b'")
    assert ("b", "1", "-infinity", "2024-01-01 00:00:00+00") in beliefs(db)
    assert db.state()["row_count"] == 0


def test_delete_as_correction_leaves_no_belief(db: Db) -> None:
    db.run("INSERT INTO lab.thing (code, v) VALUES ('a', '1')")
    before = stamp(db)
    db.run("SET LOCAL geocloud.change = 'correction'", "DELETE FROM lab.thing")
    assert beliefs(db) == []
    assert believed_at(db, before) == [("a", "1", "-infinity", FOREVER)]


def test_an_update_that_changes_nothing_leaves_no_trace(db: Db) -> None:
    db.run("INSERT INTO lab.thing (code, v, geom) VALUES ('a', '1', ST_Point(116, 36, 4490)), ('b', NULL, NULL)")
    before = (beliefs(db), db.log(), db.run("SELECT sys_from FROM lab.thing ORDER BY fid"))
    db.run("UPDATE lab.thing SET v = v, geom = geom, code = code, valid_from = valid_from")
    assert (beliefs(db), db.log(), db.run("SELECT sys_from FROM lab.thing ORDER BY fid")) == before
    assert ended(db) == []


def test_a_moved_point_is_a_change(db: Db) -> None:
    db.run("INSERT INTO lab.thing (code, geom) VALUES ('a', ST_Point(116, 36, 4490))")
    db.run("UPDATE lab.thing SET geom = ST_Point(116, 36.0000001, 4490)")
    assert len(beliefs(db)) == 2
    got = db.run("SELECT bbox_before::text, bbox_after::text FROM geocloud.change_log WHERE op = 'update'")
    assert got == [("(116,36),(116,36)", "(116,36.0000001),(116,36.0000001)")]


def test_many_writes_in_one_transaction_are_one_belief(db: Db) -> None:
    db.run("INSERT INTO lab.thing (code, v) VALUES ('old', '1')")
    version = db.state()["version"]
    db.run(
        "INSERT INTO lab.thing (code, v) VALUES ('new', '1'), ('gone', '1')",
        "UPDATE lab.thing SET v = '2'",
        "UPDATE lab.thing SET v = '3'",
        "DELETE FROM lab.thing WHERE code = 'gone'",
    )
    assert db.state()["version"] == version + 1
    now = stamp(db)
    assert beliefs(db) == [
        ("new", "3", "-infinity", FOREVER),
        ("old", "1", "-infinity", now),
        ("old", "3", now, FOREVER),
    ]
    assert ended(db) == [("old", "1", "-infinity", FOREVER)]


def test_update_then_delete_in_one_transaction(db: Db) -> None:
    db.run("INSERT INTO lab.thing (code, v) VALUES ('a', '1')")
    db.run("UPDATE lab.thing SET v = '2'", "DELETE FROM lab.thing")
    assert beliefs(db) == [("a", "1", "-infinity", stamp(db))]


def test_each_layer_has_its_own_version_in_a_shared_transaction(db: Db) -> None:
    db.run(
        "INSERT INTO lab.thing (code) VALUES ('a')",
        "INSERT INTO lab.table (code) VALUES ('a')",
        "UPDATE lab.thing SET v = 'x'",
        "INSERT INTO lab.table (code) VALUES ('b')",
    )
    for name in ("thing", "table"):
        state = db.state(name)
        assert state["version"] == 2
        assert db.run(f"SELECT DISTINCT sys_from::text FROM lab.{name}") == [(state["stamp"],)]
    assert db.state("shape")["version"] == 1


def test_rolled_back_writes_leave_the_state(db: Db) -> None:
    before = db.state()
    db.cur("INSERT INTO lab.thing (code) VALUES ('a')")
    db.cur("SAVEPOINT s")
    db.conn.rollback()
    assert db.state() == before
    db.cur("SAVEPOINT s")
    db.cur("INSERT INTO lab.thing (code) VALUES ('a')")
    db.cur("ROLLBACK TO s")
    db.cur("INSERT INTO lab.thing (code) VALUES ('b')")
    db.conn.commit()
    assert (db.state()["version"], db.state()["row_count"]) == (before["version"] + 1, 1)
    assert db.run("SELECT sys_from::text FROM lab.thing") == [(db.state()["stamp"],)]


def test_upsert(db: Db) -> None:
    db.run("INSERT INTO lab.thing (code, v) VALUES ('a', '1')")
    db.run(
        "INSERT INTO lab.thing (code, v) VALUES ('a', '2'), ('b', '2') ON CONFLICT (code) DO UPDATE SET v = excluded.v"
    )
    now = stamp(db)
    assert beliefs(db) == [("a", "1", "-infinity", now), ("a", "2", now, FOREVER), ("b", "2", "-infinity", FOREVER)]
    assert (db.state()["row_count"], db.state()["version"]) == (2, 3)


def test_merge_counts_exactly(db: Db) -> None:
    db.run("INSERT INTO lab.thing (code, v) SELECT 'k' || i, '0' FROM generate_series(1, 50) i")
    db.run(
        """MERGE INTO lab.thing t USING (SELECT 'k' || i AS code FROM generate_series(26, 75) i) s ON s.code = t.code
           WHEN MATCHED AND s.code < 'k35' THEN DELETE WHEN MATCHED THEN UPDATE SET v = '1'
           WHEN NOT MATCHED THEN INSERT (code, v) VALUES (s.code, '2')"""
    )
    (exact,) = db.run("SELECT count(*) FROM lab.thing")[0]
    assert db.state()["row_count"] == exact == 66
    assert db.run("SELECT op, count(*) FROM geocloud.change_log GROUP BY 1 ORDER BY 1") == [
        ("delete", 9),
        ("insert", 75),
        ("update", 16),
    ]


def test_copy_is_stamped_too(db: Db) -> None:
    import io

    with db.conn, db.conn.cursor() as cur:
        cur.copy_expert("COPY lab.thing (code, v) FROM STDIN", io.StringIO("a\t1\nb\t2\n"))
    assert db.state()["row_count"] == 2
    assert db.run("SELECT DISTINCT sys_from::text FROM lab.thing") == [(stamp(db),)]


def test_bulk_change_leaves_one_entry(db: Db, owner: Db) -> None:
    db.run(
        "INSERT INTO lab.thing (code, geom) SELECT i::text, ST_Point(i / 1000.0, 36, 4490) "
        "FROM generate_series(1, 10001) i"
    )
    db.run("UPDATE lab.thing SET v = 'x'")
    db.run("DELETE FROM lab.thing WHERE fid > 1")
    got = db.run("SELECT op, fid, row_count, bbox_before::text, bbox_after::text FROM geocloud.change_log ORDER BY id")
    box = "(10.001,36),(0.001,36)"
    assert got[:2] == [("insert", None, 10001, None, box), ("update", None, 10001, box, box)]
    assert got[2] == ("delete", 2, 1, "(0.002,36),(0.002,36)", None)
    assert len(got) == 2 + 10000
    assert db.state()["row_count"] == 1


def test_boundaries_ahead_are_known(db: Db) -> None:
    db.run("INSERT INTO lab.thing (code, valid_from) VALUES ('old', '2000-01-01Z')")
    assert db.state()["next_boundary"] == FOREVER
    db.run("INSERT INTO lab.thing (code, valid_from) VALUES ('later', '2900-01-01Z')")
    assert db.state()["next_boundary"] == "2900-01-01 00:00:00+00"
    db.run("INSERT INTO lab.thing (code, valid_to) VALUES ('ends', '2800-01-01Z')")
    assert db.state()["next_boundary"] == "2800-01-01 00:00:00+00"


def test_layers_without_geometry_and_with_areas(db: Db) -> None:
    db.run("INSERT INTO lab.table (code) VALUES ('a')", "UPDATE lab.table SET v = '1'", "DELETE FROM lab.table")
    got = db.run("SELECT op, bbox_before, bbox_after FROM geocloud.change_log ORDER BY id")
    assert got == [(op, None, None) for op in ("insert", "update", "delete")]
    db.run(
        "INSERT INTO lab.shape (code, geom) VALUES ('a', ST_Multi(ST_MakeEnvelope(1, 2, 3, 4, 4490))), "
        "('b', ST_GeomFromText('MULTIPOLYGON EMPTY', 4490)), ('c', ST_Multi(ST_MakeEnvelope(0, 3, 2, 5, 4490)))"
    )
    assert [db.state("shape")[k] for k in ("west", "south", "east", "north")] == [0, 2, 3, 5]


REFUSED = {
    "insert sys_from": "INSERT INTO lab.thing (code, sys_from) VALUES ('x', '2000-01-01Z')",
    "update sys_from": "UPDATE lab.thing SET sys_from = '2000-01-01Z'",
    "write history": "INSERT INTO history.\"lab.thing\" (fid, code) VALUES (1, 'x')",
    "change history": "UPDATE history.\"lab.thing\" SET v = 'x'",
    "delete history": 'DELETE FROM history."lab.thing"',
    "truncate": "TRUNCATE lab.thing",
    "forged stamp": "INSERT INTO lab.thing (code, v) SELECT 'x', set_config('geocloud.stamp', '2000-01-01', true)",
    "forged stamp of an update": "UPDATE lab.thing SET v = set_config('geocloud.stamp', '2000-01-01', true)",
    "note_change": "SELECT geocloud.note_change('lab.thing', 'insert', 1, 1, NULL, NULL, NULL, true)",
    "disable triggers": "ALTER TABLE lab.thing DISABLE TRIGGER ALL",
    "replica mode": "SET session_replication_role = replica",
    "change log": "DELETE FROM geocloud.change_log",
    "state": "UPDATE geocloud.layer_state SET row_count = 0",
}


@pytest.mark.parametrize("sql", REFUSED.values(), ids=REFUSED)
def test_writer_cannot_falsify(db: Db, sql: str) -> None:
    db.run("INSERT INTO lab.thing (code, v) VALUES ('a', '1')", "UPDATE lab.thing SET v = '2'")
    before = (beliefs(db), ended(db), db.state(), db.log())
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        db.run(sql)
    assert (beliefs(db), ended(db), db.state(), db.log()) == before


def test_owner_cannot_truncate_either(owner: Db) -> None:
    with pytest.raises(psycopg2.errors.FeatureNotSupported, match="would lose history"):
        owner.run("TRUNCATE lab.thing")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE lab.thing SET fid = 99",
        "UPDATE lab.thing SET valid_to = '1999-01-01Z', valid_from = '2000-01-01Z'",
        "INSERT INTO lab.thing (code, valid_from, valid_to) VALUES ('x', '2000-01-01Z', '2000-01-01Z')",
        "INSERT INTO lab.thing (code) VALUES ('a')",
        "INSERT INTO lab.thing (v) VALUES ('no key')",
        "INSERT INTO lab.thing (code, geom) VALUES ('x', ST_Point(1, 1, 4326))",
    ],
)
def test_wrong_rows_are_refused(db: Db, sql: str) -> None:
    db.run("INSERT INTO lab.thing (code, v) VALUES ('a', '1')")
    before = (beliefs(db), db.state())
    with pytest.raises(psycopg2.Error) as caught:
        db.run(sql)
    assert (caught.value.pgcode or "")[:2] in {"23", "22"}
    assert (beliefs(db), db.state()) == before


def test_notify_once_a_transaction(db: Db, owner: Db) -> None:
    owner.conn.autocommit = True
    owner.cur("LISTEN geocloud")
    db.run(
        "INSERT INTO lab.thing (code) VALUES ('a')",
        "UPDATE lab.thing SET v = '1'",
        "INSERT INTO lab.table (code) VALUES ('a')",
    )
    owner.cur("SELECT 1")
    owner.conn.poll()
    assert [n.payload for n in owner.conn.notifies] == [
        '{"layer" : "lab.thing", "version" : 2}',
        '{"layer" : "lab.table", "version" : 2}',
    ]


def _in_parallel(jobs: list[Callable[[], None]]) -> None:
    errors: list[BaseException] = []

    def guarded(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=guarded, args=(j,)) for j in jobs]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert errors == []


def test_concurrent_writers_leave_no_gap(db: Db, fresh_urls: Urls) -> None:
    """Eight writers, one row they all rewrite: versions have no gap, each belief begins where the last one ended."""
    writers, rounds = 8, 12
    db.run("INSERT INTO lab.thing (code, v) VALUES ('shared', 'start')")
    first = db.state()["version"]

    def write(n: int) -> None:
        own = Db(fresh_urls.writer)
        for i in range(rounds):
            own.run(
                f"INSERT INTO lab.thing (code, v) VALUES ('w{n}-{i}', '')",
                f"UPDATE lab.thing SET v = 'w{n}-{i}' WHERE code = 'shared'",
            )
        own.conn.close()

    _in_parallel([lambda n=n: write(n) for n in range(writers)])
    total = writers * rounds
    state = db.state()
    assert state["version"] == first + total
    assert state["row_count"] == 1 + total == db.run("SELECT count(*) FROM lab.thing")[0][0]
    assert db.run("SELECT count(DISTINCT version), max(version) FROM geocloud.change_log") == [
        (total + 1, first + total)
    ]
    believed = [b for b in beliefs(db) if b[0] == "shared"]
    assert len(believed) == total + 1
    assert [b[2] for b in believed[1:]] == [b[3] for b in believed[:-1]]
    assert len({b[1] for b in believed}) == total + 1
    spans = db.run(
        "SELECT sys_from, sys_to FROM history.\"lab.thing\" WHERE code = 'shared' AND sys_to < 'infinity' ORDER BY 1"
    )
    current = db.run("SELECT sys_from FROM lab.thing WHERE code = 'shared'")[0][0]
    assert [s[1] for s in spans] == [*(s[0] for s in spans[1:]), current]


def test_versions_become_visible_in_order(db: Db, fresh_urls: Urls) -> None:
    """A reader never sees a version whose rows are not there yet."""
    stop = threading.Event()
    seen: list[tuple[int, int]] = []

    def read() -> None:
        own = Db(fresh_urls.reader)
        while not stop.is_set():
            (pair,) = own.run(
                "SELECT (SELECT row_count FROM geocloud.layer_state WHERE layer = 'lab.thing'), count(*) FROM lab.thing"
            )
            seen.append(pair)
        own.conn.close()

    def write() -> None:
        try:
            own = Db(fresh_urls.writer)
            for i in range(60):
                own.run(f"INSERT INTO lab.thing (code) VALUES ('{i}')")
            own.conn.close()
        finally:
            stop.set()

    _in_parallel([read, write])
    assert seen
    assert all(counted == exact for counted, exact in seen)


def test_stamps_rise_even_when_the_clock_does_not(owner: Db, db: Db) -> None:
    owner.run("UPDATE geocloud.layer_state SET stamp = '2900-01-01Z' WHERE layer = 'lab.thing'")
    db.run("INSERT INTO lab.thing (code, v) VALUES ('a', '1')")
    db.run("UPDATE lab.thing SET v = '2'")
    assert stamp(db) == "2900-01-01 00:00:00.000002+00"
    assert len(beliefs(db)) == 2


def test_stamp_is_the_time_of_the_write(db: Db) -> None:
    before = datetime.now(UTC)
    db.run("INSERT INTO lab.thing (code) VALUES ('a')")
    (at,) = db.run("SELECT sys_from FROM lab.thing")[0]
    assert before <= at <= datetime.now(UTC)
