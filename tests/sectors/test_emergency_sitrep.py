# SPDX-License-Identifier: Apache-2.0
"""A situation report: what was believed then, the same for ever, and as pages."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pypdf
import pytest

from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.errors import InvalidParameter, UnknownItem
from geocloud.jobs.inputs import read_inputs
from geocloud.jobs.run import open_run
from geocloud.sectors.emergency import sitrep
from geocloud.sectors.registry import definitions
from geocloud.settings import Settings

SETTINGS = Settings()
AT = "ST_SetSRID(ST_MakePoint(%s, %s), 4490)"


def _write(urls: Urls, *statements: tuple[str, tuple[Any, ...]]) -> str:
    """Runs statements in one transaction; an instant after it, before whatever is written next."""
    with connect(urls.writer, application_name="test") as conn, conn.cursor() as cur:
        for sql, values in statements:
            cur.execute(sql, values)
    time.sleep(0.01)
    now = datetime.now(UTC).isoformat()
    time.sleep(0.01)
    return now


@pytest.fixture(scope="module")
def times(urls: Urls) -> Iterator[dict[str, str]]:
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, *definitions(SETTINGS.city))
    entry = (
        "INSERT INTO emergency.incident_log (code, incident_code, at, state, text, author) "
        "VALUES (%s, 'E1', now() - interval '1 hour', %s, %s, '值班员')"
    )
    found = {"before": _write(urls)}
    found["reported"] = _write(
        urls,
        (f"INSERT INTO emergency.incident (code, name, kind, level, state, occurred_at, radius_m, geom) VALUES "
         f"('E1', '化工厂泄漏', 'accident', '3', 'reported', '2026-07-01T08:00+08', 800, {AT})", (116.0, 36.5)),
        (entry, ("L1", "reported", "接报")),
        (f"INSERT INTO emergency.hazard (code, name, kind, substance, amount_t, geom) "
         f"VALUES ('W1', '示例化工厂', 'chemical', '液氯', 12.5, {AT})", (116.001, 36.5)),
        ("INSERT INTO base.village (code, name, population, geom) VALUES ('V1', '一村', 4000, "
         "ST_MakeEnvelope(115.99, 36.49, 116.01, 36.51, 4490))", ()),
        ("INSERT INTO base.road (code, class, geom) VALUES ('R1', 'trunk', "
         "ST_GeomFromText('MULTILINESTRING((115.9 36.5, 116.1 36.5))', 4490))", ()),
        (f"INSERT INTO emergency.team (code, name, kind, people, geom) VALUES ('D1', '消防站', 'fire', 20, {AT})",
         (116.02, 36.5)),
        (f"INSERT INTO emergency.store (code, name, geom) VALUES ('K1', '物资库', {AT})", (116.01, 36.5)),
        (f"INSERT INTO emergency.hazard (code, name, kind, geom) VALUES ('W2', '远处', 'other', {AT})", (116.3, 36.5)),
        ("INSERT INTO emergency.stock (store_code, item, quantity, unit) VALUES ('K1', 'tent', 40, '顶')", ()),
    )  # fmt: skip
    found["responding"] = _write(
        urls,
        ("UPDATE emergency.incident SET state = 'responding', level = '2', injured = 3, evacuated = 250 "
         "WHERE code = 'E1'", ()),
        (entry, ("L2", "responding", "启动响应,疏散 <b>群众</b> #set")),
        ("UPDATE base.village SET population = 5000 WHERE code = 'V1'", ()),
    )  # fmt: skip
    # The future of the log is not yet known then, whatever time it is about.
    found["later"] = _write(
        urls,
        ("UPDATE emergency.incident SET state = 'closed' WHERE code = 'E1'", ()),
        (entry, ("L3", "closed", "结束")),
        (f"INSERT INTO facility.school (code, name, geom) VALUES ('S1', '一小', {AT})", (116.001, 36.501)),
        ("DELETE FROM emergency.hazard WHERE code = 'W1'", ()),
    )
    yield found


def _report(urls: Urls, at: str | None, language: Any = "zh") -> dict[str, Any]:
    with open_run(SETTINGS, urls.reader, language=language) as run:
        return sitrep.sitrep(run, "E1", at).document


def test_it_says_what_was_known_then(times: dict[str, str], urls: Urls) -> None:
    first, second, last = (_report(urls, times[k]) for k in ("reported", "responding", "later"))
    assert [d["incident"]["state"] for d in (first, second, last)] == ["reported", "responding", "closed"]
    assert [[e["code"] for e in d["log"]] for d in (first, second, last)] == [["L1"], ["L1", "L2"], ["L1", "L2", "L3"]]
    assert [c["state"] for c in second["changes"]] == ["reported", "responding"]
    assert first["casualties"] == {"deaths": None, "injured": None, "missing": None, "evacuated": None}
    assert second["casualties"]["evacuated"] == 250
    # 800 m round the point, of a village whose population was corrected in between.
    people = [next(r for r in d["affected"]["rings"] if r["to_m"] == 800)["persons_within"] for d in (first, second)]
    assert people[1] == pytest.approx(people[0] * 5 / 4, rel=0.002)
    hazards = [next(f for f in d["affected"]["layers"] if f["layer"] == "emergency.hazard") for d in (first, last)]
    assert [h["within"][0] for h in hazards] == [1, 0]
    # Schools came into the system later: of then nothing can be said.
    schools = [next(f for f in d["affected"]["layers"] if f["layer"] == "facility.school") for d in (second, last)]
    assert [(f["verdict"], f["within"][:1]) for f in schools] == [("not-judged", []), ("judged", [1])]
    assert first["stores"][0]["stock"] == [{"item": "tent", "title": "帐篷", "quantity": 40.0, "unit": "顶"}]


def test_the_same_time_gives_the_same_report_for_ever(times: dict[str, str], urls: Urls) -> None:
    before = _report(urls, times["responding"])
    _write(urls, ("UPDATE emergency.incident SET summary = '后来补充' WHERE code = 'E1'", ()))
    after = _report(urls, times["responding"])
    assert before == after
    assert before["fingerprint"] != _report(urls, times["reported"])["fingerprint"]
    assert before["fingerprint"] == _report(urls, times["responding"], "en")["fingerprint"]
    now = _report(urls, None)
    assert now["incident"]["summary"] == "后来补充"
    # What was made without a time names the time it can be made again with.
    assert _report(urls, now["at"])["fingerprint"] == now["fingerprint"]


def test_an_incident_that_was_not_known_and_times_that_cannot_be(times: dict[str, str], urls: Urls) -> None:
    with open_run(SETTINGS, urls.reader, language="en") as run:
        with pytest.raises(UnknownItem, match="E1"):
            sitrep.sitrep(run, "E1", times["before"])
        with pytest.raises(UnknownItem, match="E9"):
            sitrep.sitrep(run, "E9")
        for bad in ("tomorrow", "2999-01-01T00:00:00Z"):
            with pytest.raises(InvalidParameter):
                sitrep.sitrep(run, "E1", bad)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_it_is_a_document(times: dict[str, str], urls: Urls, language: Any) -> None:
    process = sitrep.PROCESS
    given = read_inputs(process, {"incident": "E1", "at": times["responding"], "language": language})
    every = frozenset({"report", "page", "pdf", "docx"})
    with open_run(SETTINGS, urls.reader, language="zh") as run:
        made, again = (process.run(run, given, every) for _ in range(2))
    assert made["pdf"].data == again["pdf"].data
    pages = [p.extract_text() for p in pypdf.PdfReader(io.BytesIO(made["pdf"].data)).pages]
    whole = "".join(pages)
    assert made["report"]["fingerprint"][:12] in whole.replace("\n", "")
    for words in (
        ("灾情报告", "处置中", "未报", "消防站") if language == "zh" else ("Situation report", "Responding", "not told")
    ):
        assert words in whole
    # What people write is no markup.
    assert "<b>群众</b> #set" in whole.replace("\n", "")
    assert "&lt;b&gt;" in made["page"].data.decode()
    assert made["docx"].data[:2] == b"PK"
    first = pages[0]
    assert ("处置中" if language == "zh" else "Responding") in first
