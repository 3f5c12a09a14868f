# SPDX-License-Identifier: Apache-2.0
"""Corrections of parts of a timeline, rows that take time from those before them, and the way back to a state."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest

from geocloud.catalogue.publish import sync
from geocloud.catalogue.registry import Layer
from geocloud.db.cluster import Urls
from tests.catalogue.test_time import FOREVER, Db, beliefs, believed_at, ended, layer, stamp

Y = [f"{y}-01-01 00:00:00+00" for y in range(2010, 2031)]


def year(n: int) -> str:
    return Y[n - 2010]


@pytest.fixture
def db(fresh_urls: Urls) -> Iterator[Db]:
    owner = Db(fresh_urls.owner)
    sync(owner.conn, {x.id: x for x in (layer("thing"), layer("shape", "multipolygon"), layer("table", "none"))}, {})
    owner.conn.close()
    db = Db(fresh_urls.writer)
    db.run(f"INSERT INTO lab.thing (code, v, valid_from, geom) VALUES ('a', '1', '{year(2010)}', "
           "ST_Point(116, 36.4567891234567, 4490))")  # fmt: skip
    for at, value in ((2014, "2"), (2018, "3")):
        db.run(f"SET LOCAL geocloud.valid_at = '{year(at)}'", f"UPDATE lab.thing SET v = '{value}'")
    yield db
    db.conn.close()


START = [("a", "1", year(2010), year(2014)), ("a", "2", year(2014), year(2018)), ("a", "3", year(2018), FOREVER)]


def portion(db: Db, since: str, until: str, patch: str | None, like: str | None = None) -> None:
    with db.conn:
        db.cur('SELECT history."lab.thing:portion"(1, %s, %s, %s, %s)', since, until, patch, like)


CASES = {
    "values of a past row": (
        (year(2014), year(2018), '{"v": "x"}', None),
        [START[0], ("a", "x", year(2014), year(2018)), START[2]],
    ),
    "values across rows": (
        (year(2012), year(2016), '{"v": "x"}', None),
        [("a", "1", year(2010), year(2012)), ("a", "x", year(2012), year(2016)), ("a", "2", year(2016), year(2018)),
         START[2]],
    ),
    "a start that lay too late": (
        (year(2016), year(2018), None, year(2019)),
        [START[0], ("a", "2", year(2014), year(2016)), ("a", "3", year(2016), FOREVER)],
    ),
    "a start that lay too early": (
        (year(2018), year(2020), None, year(2015)),
        [START[0], ("a", "2", year(2014), year(2020)), ("a", "3", year(2020), FOREVER)],
    ),
    "not there for a while": (
        (year(2015), year(2019), None, None),
        [START[0], ("a", "2", year(2014), year(2015)), ("a", "3", year(2019), FOREVER)],
    ),
    "not there from a date on": (
        (year(2019), FOREVER, None, None),
        [*START[:2], ("a", "3", year(2018), year(2019))],
    ),
    "never there": (("-infinity", FOREVER, None, None), []),
    "there before it was known": (
        ("-infinity", year(2010), None, year(2010)),
        [("a", "1", "-infinity", year(2014)), *START[1:]],
    ),
    "the middle of the last row": (
        (year(2020), year(2022), '{"v": "x"}', None),
        [*START[:2], ("a", "3", year(2018), year(2020)), ("a", "x", year(2020), year(2022)),
         ("a", "3", year(2022), FOREVER)],
    ),
    "nothing new": ((year(2014), year(2018), '{"v": "2"}', None), START),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_part_of_a_life_is_corrected(db: Db, name: str) -> None:
    (since, until, patch, like), expected = CASES[name]
    before, log = stamp(db), len(db.log())
    assert beliefs(db) == START
    portion(db, since, until, patch, like)
    assert beliefs(db) == expected
    assert believed_at(db, before) == START
    assert db.state()["row_count"] == db.run("SELECT count(*) FROM lab.thing")[0][0]
    assert (len(db.log()) > log) == (name != "nothing new")
    # Whatever has moved, the place of the point has not lost a digit.
    places = db.run('SELECT DISTINCT ST_Y(geom) FROM (SELECT geom FROM lab.thing UNION ALL SELECT geom FROM '
                    'history."lab.thing" WHERE sys_to = \'infinity\') g')  # fmt: skip
    assert places in ([(36.4567891234567,)], [])
    # What is corrected back again is as it was.
    if expected:
        for row in START:
            portion(db, row[2], row[3], f'{{"v": "{row[1]}"}}', year(2010))
        portion(db, "-infinity", year(2010), None)
        assert beliefs(db) == START


def test_an_ended_feature_is_corrected_and_may_come_back(db: Db) -> None:
    db.run(f"SET LOCAL geocloud.valid_at = '{year(2022)}'", "DELETE FROM lab.thing")
    assert db.state()["row_count"] == 0
    portion(db, year(2014), year(2018), '{"v": "x"}')
    assert db.state()["row_count"] == 0
    gone = [START[0], ("a", "x", year(2014), year(2018)), ("a", "3", year(2018), year(2022))]
    assert beliefs(db) == gone
    portion(db, year(2022), FOREVER, None, year(2021))
    assert beliefs(db) == [*gone[:2], ("a", "3", year(2018), FOREVER)]
    assert db.state()["row_count"] == 1
    assert db.run("SELECT fid FROM lab.thing") == [(1,)]


def test_a_start_written_by_hand_takes_time_from_the_rows_before(db: Db) -> None:
    before = stamp(db)
    db.run(f"UPDATE lab.thing SET v = '4', valid_from = '{year(2012)}'")
    assert beliefs(db) == [("a", "1", year(2010), year(2012)), ("a", "4", year(2012), FOREVER)]
    assert believed_at(db, before) == START
    assert len(ended(db)) == 5


def test_several_writes_of_one_transaction_take_time_once(db: Db) -> None:
    db.run(
        f"UPDATE lab.thing SET v = '4', valid_from = '{year(2016)}'",
        f"UPDATE lab.thing SET v = '5', valid_from = '{year(2012)}'",
    )
    assert beliefs(db) == [("a", "1", year(2010), year(2012)), ("a", "5", year(2012), FOREVER)]


def test_a_number_cannot_live_twice_at_once(db: Db) -> None:
    db.run(f"SET LOCAL geocloud.valid_at = '{year(2022)}'", "DELETE FROM lab.thing")
    with pytest.raises(psycopg2.errors.ExclusionViolation):
        db.run(f"INSERT INTO lab.thing (fid, code, valid_from) VALUES (1, 'b', '{year(2021)}')")
    db.run(f"INSERT INTO lab.thing (fid, code, valid_from) VALUES (1, 'b', '{year(2022)}')")
    assert beliefs(db)[-1] == ("b", None, year(2022), FOREVER)


@pytest.mark.parametrize(
    "call",
    [
        "(1, '2020-01-01Z', '2020-01-01Z', '{}', NULL)",
        "(1, '2020-01-01Z', '2021-01-01Z', '{\"fid\": 7}', NULL)",
        "(1, '2020-01-01Z', '2021-01-01Z', '{\"sys_from\": \"2000-01-01Z\"}', NULL)",
        "(1, '2020-01-01Z', '2021-01-01Z', NULL, '1999-01-01Z')",
        "(2, '2020-01-01Z', '2021-01-01Z', NULL, NULL)",
        "(1, '2020-01-01Z', '2021-01-01Z', NULL, NULL, ARRAY['2000-01-01Z', '2018-01-01Z']::timestamptz[])",
    ],
)
def test_corrections_that_cannot_be(db: Db, call: str) -> None:
    before = (beliefs(db), db.state(), db.log())
    with pytest.raises(psycopg2.Error):
        db.run(f'SELECT history."lab.thing:portion"{call}')
    assert (beliefs(db), db.state(), db.log()) == before


def test_a_layer_goes_back_to_a_moment(db: Db) -> None:
    db.run("INSERT INTO lab.thing (code, v) VALUES ('stays', '1'), ('goes', '1'), ('changes', '1')")
    then = stamp(db)
    state = [r[:2] for r in db.run("SELECT code, v FROM lab.thing ORDER BY 1")]
    db.run("INSERT INTO lab.thing (code, v) VALUES ('new', '1')")
    db.run("UPDATE lab.thing SET v = '2' WHERE code = 'changes'", "DELETE FROM lab.thing WHERE code = 'goes'")
    spoilt = believed_at(db, stamp(db))
    spoilt_at = stamp(db)
    with db.conn:
        done = db.cur('SELECT * FROM history."lab.thing:restore"(NULL, %s)', then)
    assert done == [(1, 1, 1)]
    now = stamp(db)
    assert [r[:2] for r in db.run("SELECT code, v FROM lab.thing ORDER BY 1")] == state
    assert believed_at(db, spoilt_at) == spoilt
    told = beliefs(db)
    assert ("goes", "1", now, FOREVER) in told
    assert ("new", "1", "-infinity", now) in told
    assert ("changes", "1", now, FOREVER) in told
    assert db.run("SELECT fid FROM lab.thing WHERE code = 'goes'") == [(3,)]
    with db.conn:
        assert db.cur('SELECT * FROM history."lab.thing:restore"(ARRAY[1, 3]::bigint[], %s)', then) == [(0, 0, 0)]


def test_who_wrote_is_in_the_log(db: Db) -> None:
    db.run("SET LOCAL geocloud.by = 'surveyor'", "UPDATE lab.thing SET v = '9'")
    assert db.run("SELECT by_name FROM geocloud.change_log ORDER BY id DESC LIMIT 1") == [("surveyor",)]


def test_whether_another_date_shows_anything_else_is_known(fresh_urls: Urls) -> None:
    owner = Db(fresh_urls.owner)
    sync(owner.conn, {x.id: x for x in (layer("thing"), layer("shape", "multipolygon"), layer("table", "none"))}, {})

    def dated(name: str) -> bool:
        return bool(owner.run(f"SELECT dated FROM geocloud.layer_state WHERE layer = 'lab.{name}'")[0][0])

    owner.run("INSERT INTO lab.thing (code) VALUES ('a')", "INSERT INTO lab.table (code) VALUES ('a')")
    assert not dated("thing") and not dated("table")
    owner.run("UPDATE lab.thing SET v = '2'")
    owner.run("INSERT INTO lab.table (code, valid_from) VALUES ('b', '2020-01-01Z')")
    assert dated("thing") and dated("table") and not dated("shape")
    owner.conn.close()


def test_functions_of_a_layer_with_a_long_name_are_found(fresh_urls: Urls) -> None:
    owner = Db(fresh_urls.owner)
    spec = layer("n" * 48).model_copy(update={"id": f"lab_of_very_long_names_for_layers.{'n' * 48}"})
    sync(owner.conn, {spec.id: spec}, {})
    for name in ("portion", "restore"):
        quoted = Layer(spec).function(name)
        assert owner.run(f"SELECT count(*) FROM pg_proc WHERE oid::regproc = '{quoted}'::regproc") == [(1,)]
    owner.conn.close()
