# SPDX-License-Identifier: Apache-2.0
"""Publishing layer definitions into a real database: plan, refusals, grants, concurrency, running workers."""

from __future__ import annotations

import multiprocessing
import threading
from typing import Any

import psycopg2
import pytest

from geocloud.catalogue.plan import Step
from geocloud.catalogue.publish import plan_sync, read_catalogue, sync
from geocloud.catalogue.spec import CodeList, LayerSpec
from geocloud.db.cluster import Urls
from geocloud.errors import CatalogueError, SyncRefused
from tests.catalogue.lab import TITLE, actions, as_role, by_id, columns, publish, rows, spec, until


def test_create_makes_table_history_and_catalogue_entry(conn: Any) -> None:
    steps = publish(conn, spec(size="number", on="date", at="datetime", many="integer", ok="boolean"))
    assert actions(steps) == ["create"]
    made = columns(conn, "lab.thing")
    assert made == {
        "fid": "bigint",
        "code": "text",
        "size": "double precision",
        "on": "date",
        "at": "timestamp with time zone",
        "many": "bigint",
        "ok": "boolean",
        "geom": "geometry(Point,4490)",
        "tile_geom": "geometry",
        "valid_from": "timestamp with time zone",
        "valid_to": "timestamp with time zone",
        "sys_from": "timestamp with time zone",
        "source_id": "integer",
    }
    kept = {name: kind for name, kind in made.items() if name != "tile_geom"}
    assert columns(conn, 'history."lab.thing"') == kept | {"sys_to": "timestamp with time zone"}
    catalogue = read_catalogue(conn)
    assert list(catalogue.layers) == ["lab.thing"]
    assert catalogue.layer("lab.thing").spec == spec(
        size="number", on="date", at="datetime", many="integer", ok="boolean"
    )


def test_sync_twice_does_nothing(conn: Any) -> None:
    publish(conn, spec(), spec("lab.table", geometry="none"))
    before = read_catalogue(conn)
    assert publish(conn, spec(), spec("lab.table", geometry="none")) == []
    assert read_catalogue(conn) == before


def test_plan_changes_nothing(conn: Any) -> None:
    steps = plan_sync(conn, by_id(spec()))
    assert actions(steps) == ["create"]
    conn.rollback()
    assert rows(conn, "SELECT count(*) FROM geocloud.layer") == [(0,)]
    assert rows(conn, "SELECT to_regclass('lab.thing')") == [(None,)]


def test_add_column_keeps_rows_and_history(conn: Any) -> None:
    publish(conn, spec(size="number"))
    rows(conn, "INSERT INTO lab.thing (code, size) VALUES ('a', 1)")
    rows(conn, "UPDATE lab.thing SET size = 2")
    assert actions(publish(conn, spec(size="number", note="text"))) == ["add-column", "update"]
    rows(conn, "UPDATE lab.thing SET note = 'n'")
    assert rows(conn, "SELECT code, size, note FROM lab.thing") == [("a", 2.0, "n")]
    past = rows(conn, "SELECT size, note FROM history.\"lab.thing\" WHERE sys_to = 'infinity' ORDER BY valid_to")
    assert past == [(1.0, None), (2.0, None)]


def test_a_field_taken_out_is_hidden_and_comes_back_with_its_values(conn: Any, fresh_urls: Urls) -> None:
    publish(conn, spec(size="number"))
    rows(conn, "INSERT INTO lab.thing (code, size) VALUES ('a', 7)")
    assert actions(publish(conn, spec())) == ["hide-column", "update"]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        as_role(fresh_urls.reader, "SELECT size FROM lab.thing")
    assert actions(publish(conn, spec(size="number"))) == ["update"]
    assert as_role(fresh_urls.reader, "SELECT size FROM lab.thing") == [(7.0,)]


@pytest.mark.parametrize(
    ("before", "after", "value", "shown"),
    [
        ("integer", "text", "42", "42"),
        ("integer", "number", "9007199254740992", "9007199254740992"),
        ("number", "text", "1.5", "1.5"),
        ("boolean", "text", "true", "true"),
        ("date", "text", "'2024-02-29'", "2024-02-29"),
        ("datetime", "text", "'2024-02-29 08:00+08'", "2024-02-29T00:00:00.000000Z"),
    ],
)
def test_safe_type_change(conn: Any, before: str, after: str, value: str, shown: str) -> None:
    publish(conn, spec(v=before))
    rows(conn, f"INSERT INTO lab.thing (code, v) VALUES ('a', NULL), ('b', {value})")
    rows(conn, "UPDATE lab.thing SET code = 'c' WHERE code = 'b'")
    rows(conn, "SET datestyle = 'SQL, DMY'")
    assert actions(publish(conn, spec(v=after))) == ["change-type", "update"]
    for table in ("lab.thing WHERE code = 'c'", "history.\"lab.thing\" WHERE code = 'b' LIMIT 1"):
        (got,) = rows(conn, f"SELECT v FROM {table}")[0]
        assert (f"{got:.0f}" if isinstance(got, float) else got) == shown
    rows(conn, "UPDATE lab.thing SET code = 'd' WHERE code = 'c'")


@pytest.mark.parametrize(
    ("before", "after"), [("text", "integer"), ("number", "integer"), ("text", "date"), ("text", "boolean")]
)
def test_unsafe_type_change_is_refused(conn: Any, before: str, after: str) -> None:
    publish(conn, spec(v=before), spec("lab.other"))
    revision = read_catalogue(conn).revision
    with pytest.raises(SyncRefused, match=r"lab\.thing: v: .* cannot become") as caught:
        publish(conn, spec(v=after), spec("lab.other", extra="text"))
    assert caught.value.context["layers"] == ["lab.thing"]
    assert caught.value.exit_code == 31
    assert "extra" not in columns(conn, "lab.other"), "nothing else may be done when a step is refused"
    assert read_catalogue(conn).revision == revision


def test_an_integer_that_a_float_cannot_hold_stops_the_change(conn: Any) -> None:
    publish(conn, spec(v="integer"))
    rows(conn, "INSERT INTO lab.thing (code, v) VALUES ('a', 9007199254740993)")
    with pytest.raises(SyncRefused, match="do not allow it"):
        publish(conn, spec(v="number"))
    assert columns(conn, "lab.thing")["v"] == "bigint"


@pytest.mark.parametrize(
    ("before", "after", "wkt", "wanted"),
    [
        ("point", "multipoint", "POINT(116 36)", "MULTIPOINT((116 36))"),
        ("polygon", "geometry", "POLYGON((0 0,1 0,1 1,0 0))", "POLYGON((0 0,1 0,1 1,0 0))"),
    ],
)
def test_geometry_may_widen(conn: Any, before: str, after: str, wkt: str, wanted: str) -> None:
    publish(conn, spec(geometry=before))
    rows(conn, "INSERT INTO lab.thing (code, geom) VALUES ('a', ST_GeomFromText(%s, 4490))", wkt)
    publish(conn, spec(geometry=after))
    assert rows(conn, "SELECT ST_Equals(geom, %s::geometry), ST_AsText(geom) FROM lab.thing", f"SRID=4490;{wanted}")[0][
        0
    ]
    rows(conn, "UPDATE lab.thing SET code = 'b'")


def test_geometry_may_be_added_but_not_narrowed(conn: Any) -> None:
    publish(conn, spec(geometry="none"), spec("lab.wide", geometry="geometry"))
    assert actions(publish(conn, spec(geometry="polygon"), spec("lab.wide", geometry="geometry"))) == [
        "add-column",
        "update",
    ]
    rows(conn, "INSERT INTO lab.thing (code, geom) VALUES ('a', ST_MakeEnvelope(116, 36, 117, 37, 4490))")
    assert read_catalogue(conn).layer("lab.thing").state.extent == (116, 36, 117, 37)
    with pytest.raises(SyncRefused, match="would lose or invent shapes"):
        publish(conn, spec(geometry="polygon"), spec("lab.wide", geometry="point"))
    with pytest.raises(SyncRefused, match="would lose or invent shapes"):
        publish(conn, spec(geometry="none"), spec("lab.wide", geometry="geometry"))


def test_key_change(conn: Any) -> None:
    publish(conn, spec(part="text"))
    rows(conn, "INSERT INTO lab.thing (code, part) VALUES ('a', 'x'), ('b', 'x')")
    with pytest.raises(SyncRefused, match=r"repeat the new key .*part"):
        publish(conn, spec(key="part", part="text"))
    assert actions(publish(conn, spec(key="code part", part="text"))) == ["change-key", "update"]
    rows(conn, "INSERT INTO lab.thing (code, part) VALUES ('a', 'y')")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        rows(conn, "INSERT INTO lab.thing (code, part) VALUES ('a', 'y')")
    with pytest.raises(psycopg2.errors.NotNullViolation):
        rows(conn, "INSERT INTO lab.thing (code) VALUES ('c')")
    rows(conn, "DELETE FROM lab.thing WHERE part = 'y'")
    rows(conn, "UPDATE lab.thing SET part = code")
    publish(conn, spec(key="part", part="text"))
    rows(conn, "INSERT INTO lab.thing (part) VALUES ('only')")
    rows(conn, "UPDATE lab.thing SET part = 'gone' WHERE part = 'only'")


def test_key_over_empty_values_is_refused(conn: Any) -> None:
    publish(conn, spec(part="text"))
    rows(conn, "INSERT INTO lab.thing (code) VALUES ('a')")
    with pytest.raises(SyncRefused, match="values already there"):
        publish(conn, spec(key="part", part="text"))
    with pytest.raises(SyncRefused, match="key field fresh is new"):
        publish(conn, spec(key="fresh", fresh="text", part="text"))


def test_index_step_and_long_names(conn: Any) -> None:
    layer, one, two = "lab." + "l" * 48, "f" * 47 + "a", "f" * 47 + "b"
    publish(conn, spec(layer, **{one: {"index": True}, two: "text"}))
    assert actions(publish(conn, spec(layer, **{one: {"index": True}, two: {"index": True}}))) == ["index", "update"]
    assert publish(conn, spec(layer, **{one: {"index": True}, two: {"index": True}})) == []
    found = rows(conn, "SELECT indexdef FROM pg_indexes WHERE tablename = %s", "l" * 48)
    assert sum(f"({n}, fid)" in d for (d,) in found for n in (one, two)) == 2


def test_retire_and_restore(conn: Any) -> None:
    publish(conn, spec(), spec("lab.other"))
    rows(conn, "INSERT INTO lab.thing (code) VALUES ('a')")
    assert actions(publish(conn, spec("lab.other"))) == ["retire"]
    assert list(read_catalogue(conn).layers) == ["lab.other"]
    assert publish(conn, spec("lab.other")) == []
    assert actions(publish(conn, spec(), spec("lab.other"))) == ["restore", "update"]
    assert read_catalogue(conn).layer("lab.thing").state.row_count == 1
    assert rows(conn, "SELECT code FROM lab.thing") == [("a",)]


def test_published_definition_of_another_form_is_written_anew(conn: Any) -> None:
    publish(conn, spec())
    rows(conn, """UPDATE geocloud.layer SET spec = spec || '{"from_another_version": 1}'""")
    assert actions(publish(conn, spec())) == ["update"]
    assert read_catalogue(conn).layer("lab.thing").spec == spec()


def test_code_lists_are_published(conn: Any) -> None:
    one = CodeList.model_validate(
        {"name": "k", "title": TITLE, "source": "s", "codes": [{"code": "1", "title": TITLE}]}
    )
    used = spec(kind={"codes": "k"})
    sync(conn, by_id(used), {"k": one})
    revision = read_catalogue(conn).revision
    assert read_catalogue(conn).layer("lab.thing").codes == {"k": one}
    two = one.model_copy(update={"closed": False})
    assert sync(conn, by_id(used), {"k": two}) == []
    assert read_catalogue(conn).revision == revision + 1
    assert read_catalogue(conn).layer("lab.thing").codes == {"k": two}


def test_hidden_columns_are_out_of_the_readers_reach(conn: Any, fresh_urls: Urls) -> None:
    publish(conn, spec(open="text", secret={"hidden": True}))
    rows(conn, "INSERT INTO lab.thing (code, open, secret) VALUES ('a', 'o', 's')")
    rows(conn, "UPDATE lab.thing SET open = 'p'")
    visible = "fid, code, open, geom, valid_from, valid_to, sys_from, source_id"
    assert as_role(fresh_urls.reader, f"SELECT {visible} FROM lab.thing")[0][2] == "p"
    assert as_role(fresh_urls.reader, f'SELECT {visible}, sys_to FROM history."lab.thing"')[0][2] == "o"
    for sql in (
        "SELECT secret FROM lab.thing",
        "SELECT * FROM lab.thing",
        "SELECT to_json(t) FROM lab.thing t",
        "SELECT count(*) FROM lab.thing WHERE secret = 's'",
        'SELECT secret FROM history."lab.thing"',
        "SELECT code FROM lab.thing ORDER BY secret",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            as_role(fresh_urls.reader, sql)
    publish(conn, spec(open={"hidden": True}, secret="text"))
    assert as_role(fresh_urls.reader, "SELECT secret FROM lab.thing") == [("s",)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        as_role(fresh_urls.reader, "SELECT open FROM lab.thing")


def test_reader_writes_nothing_and_writer_alters_nothing(conn: Any, fresh_urls: Urls) -> None:
    publish(conn, spec())
    with pytest.raises((psycopg2.errors.InsufficientPrivilege, psycopg2.errors.ReadOnlySqlTransaction)):
        as_role(fresh_urls.reader, "SET TRANSACTION READ WRITE; INSERT INTO lab.thing (code) VALUES ('a')")
    for sql in (
        "ALTER TABLE lab.thing ADD COLUMN x text",
        "TRUNCATE lab.thing",
        "DROP TABLE lab.thing",
        "UPDATE geocloud.layer_state SET version = 0",
        "DELETE FROM geocloud.change_log",
        "SELECT geocloud.attach_time('lab.thing')",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            as_role(fresh_urls.writer, sql)


def _sync_process(url: str, count: int, results: Any) -> None:
    conn = psycopg2.connect(url)
    steps = sync(conn, by_id(*(spec(f"lab.n{i}", size="number") for i in range(count))), {})
    results.put(len(steps))


def test_concurrent_processes_publish_once(conn: Any, fresh_urls: Urls) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=_sync_process, args=(fresh_urls.owner, 12, results)) for _ in range(4)]
    for w in workers:
        w.start()
    done = sorted(results.get(timeout=60) for _ in workers)
    for w in workers:
        w.join(timeout=60)
    assert [w.exitcode for w in workers] == [0] * 4
    assert done == [0, 0, 0, 12]
    assert read_catalogue(conn).revision == 1


def test_concurrent_opposite_syncs_end_in_one_of_the_two(conn: Any, fresh_urls: Urls) -> None:
    publish(conn, spec(), spec("lab.other"))
    wanted = [by_id(spec(a="text"), spec("lab.other", a="text")), by_id(spec(b="text"), spec("lab.other", b="text"))]
    errors: list[Exception] = []

    def run(which: dict[str, LayerSpec]) -> None:
        own = psycopg2.connect(fresh_urls.owner)
        try:
            for _ in range(5):
                sync(own, which, {})
        except Exception as exc:
            errors.append(exc)
        finally:
            own.close()

    threads = [threading.Thread(target=run, args=(w,)) for w in wanted * 2]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert errors == []
    served = {i: layer.spec for i, layer in read_catalogue(conn).layers.items()}
    assert served in wanted


def test_many_layers_go_in_slices(conn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocloud.catalogue.publish._SLICE", 3)
    publish(conn, spec(), spec("lab.old"))
    many = [spec(f"lab.n{i}") for i in range(7)]
    steps = publish(conn, spec(note="text"), *many)
    assert sorted((s.layer, s.action) for s in steps) == sorted(
        [("lab.thing", "add-column"), ("lab.thing", "update"), ("lab.old", "retire"), *((m.id, "create") for m in many)]
    )
    assert set(read_catalogue(conn).layers) == {"lab.thing", *(m.id for m in many)}
    assert read_catalogue(conn).revision == 1 + 3
    with pytest.raises(SyncRefused):
        publish(conn, spec(note="integer"), *many, *(spec(f"lab.more{i}") for i in range(7)))
    assert len(read_catalogue(conn).layers) == 8, "what is refused is refused before the first slice"


def test_sync_waits_for_a_write_without_deadlock(conn: Any, fresh_urls: Urls) -> None:
    """A load that has read and written the layer finishes; the sync that alters it comes after."""
    publish(conn, spec())
    load = psycopg2.connect(fresh_urls.writer)
    with load.cursor() as cur:
        cur.execute("SELECT count(*) FROM lab.thing")
        cur.execute("INSERT INTO lab.thing (code) VALUES ('a')")
    steps: list[Step] = []
    thread = threading.Thread(target=lambda: steps.extend(publish(conn, spec(extra="text"))))
    thread.start()
    watch = psycopg2.connect(fresh_urls.owner)
    until(lambda: rows(watch, "SELECT count(*) FROM pg_locks WHERE NOT granted") == [(1,)])
    with load.cursor() as cur:
        cur.execute("UPDATE lab.thing SET code = 'b'")
    load.commit()
    thread.join(30)
    assert actions(steps) == ["add-column", "update"]
    assert rows(watch, "SELECT code, extra FROM lab.thing") == [("b", None)]
    load.close()
    watch.close()


def test_sync_of_a_busy_layer_says_so(conn: Any, fresh_urls: Urls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocloud.catalogue.publish._LOCK_TIMEOUT", "200ms")
    publish(conn, spec())
    load = psycopg2.connect(fresh_urls.writer, application_name="a long load")
    with load.cursor() as cur:
        cur.execute("INSERT INTO lab.thing (code) VALUES ('a')")
    with pytest.raises(CatalogueError, match=r"lab\.thing is in use") as refused:
        publish(conn, spec(extra="text"))
    who = f"a long load (pid {load.info.backend_pid})"
    assert refused.value.en.endswith(f"; held by {who}.") and refused.value.zh.endswith(f",占用者:{who}。")
    load.rollback()
    load.close()
    assert actions(publish(conn, spec(extra="text"))) == ["add-column", "update"]
