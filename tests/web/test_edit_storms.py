# SPDX-License-Identifier: Apache-2.0
"""Many editors at once, and servers that are killed while they write."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg2
import pytest

from geocloud.db.cluster import Urls
from tests.web.conftest import run_server
from tests.web.editing import ASSET, PATCH, POST, Keys, Table, draft

ITEMS = f"/collections/{ASSET}/items"
CLIENTS, ROUNDS = 16, 12


def test_one_of_sixteen_wins_each_round(edit_server: str, keys: Keys, table: Table) -> None:
    headers = {"authorization": f"Bearer {keys.full}"}
    made = httpx.post(f"{edit_server}{ITEMS}", json=draft(name="start"), headers=headers | POST)
    fid, tag = made.json()["id"], made.headers["etag"]
    address = f"{edit_server}{ITEMS}/{fid}"

    async def rounds(tag: str) -> list[str]:
        winners = []
        limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
        async with httpx.AsyncClient(headers=headers | PATCH, limits=limits, timeout=60) as client:
            for n in range(ROUNDS):
                patches = [
                    client.patch(address, json={"properties": {"name": f"{n}-{c}"}}, headers={"if-match": tag})
                    for c in range(CLIENTS)
                ]
                answers = await asyncio.gather(*patches)
                statuses = sorted(a.status_code for a in answers)
                assert statuses == [200] + [412] * (CLIENTS - 1), statuses
                (won,) = (a for a in answers if a.status_code == 200)
                for lost in answers:
                    if lost.status_code == 412:
                        # Whoever lost is told who won, and the tag to go on with.
                        document = lost.json()
                        assert document["etag"] == won.headers["etag"]
                        assert document["changed"][0]["is"] == won.json()["properties"]["name"]
                winners.append(won.json()["properties"]["name"])
                tag = won.headers["etag"]
        return winners

    winners = asyncio.run(rounds(tag))
    assert table.row(fid)["name"] == winners[-1]
    history = table.history(fid)
    assert [r["name"] for r in history] == ["start", *winners[:-1]]
    # Each belief ends when the next begins, and the last ends when the current one began.
    begins = [r["sys_from"] for r in history[1:]] + [table.row(fid)["sys_from"]]
    assert [r["sys_to"] for r in history] == begins
    assert table.log(fid) == ["insert", *["update"] * ROUNDS]


def test_counting_together_loses_nothing(edit_server: str, keys: Keys, table: Table) -> None:
    """Read, add one, write with the tag, again when somebody was quicker: the sum is exact."""
    headers = {"authorization": f"Bearer {keys.full}"}
    made = httpx.post(f"{edit_server}{ITEMS}", json=draft(year=0), headers=headers | POST)
    fid = made.json()["id"]
    address, each = f"{edit_server}{ITEMS}/{fid}", 6

    async def count(client: httpx.AsyncClient) -> None:
        done = 0
        while done < each:
            seen = await client.get(address)
            year = seen.json()["properties"]["year"]
            answer = await client.patch(
                address, json={"properties": {"year": year + 1}}, headers=PATCH | {"if-match": seen.headers["etag"]}
            )
            assert answer.status_code in (200, 412), answer.text
            done += answer.status_code == 200

    async def together() -> None:
        async with httpx.AsyncClient(headers=headers, timeout=60) as client:
            await asyncio.gather(*(count(client) for _ in range(8)))

    asyncio.run(together())
    assert table.row(fid)["year"] == 8 * each
    assert [r["year"] for r in table.history(fid)] == list(range(8 * each))


@pytest.fixture
def mortal(urls: Urls, keys: Keys, tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A server to be killed: its address and process id."""
    before = {p.pid for p in psutil.Process().children()}
    for base in run_server(urls.reader, tmp_path, urls.writer, GEOCLOUD_EDITING="true"):
        (pid,) = {p.pid for p in psutil.Process().children() if "geocloud" in " ".join(p.cmdline())} - before
        yield base, pid


def test_acknowledged_edits_outlive_a_killed_server(mortal: tuple[str, int], keys: Keys, table: Table) -> None:
    base, pid = mortal
    headers = {"authorization": f"Bearer {keys.full}"} | POST
    acknowledged: list[list[int]] = []
    enough = threading.Event()

    def write() -> None:
        with httpx.Client(headers=headers, timeout=30) as client:
            while True:
                features = [draft(name="storm") for _ in range(3)]
                try:
                    answer = client.post(f"{base}{ITEMS}", json={"type": "FeatureCollection", "features": features})
                except httpx.TransportError:
                    return
                assert answer.status_code == 201, answer.text
                acknowledged.append(answer.json()["ids"])
                if len(acknowledged) >= 60:
                    enough.set()

    writers = [threading.Thread(target=write) for _ in range(8)]
    for thread in writers:
        thread.start()
    assert enough.wait(60)
    for process in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
        os.kill(process.pid, signal.SIGKILL)
    for thread in writers:
        thread.join(60)
    rows = table.run("SELECT fid, sys_from FROM test.asset WHERE name = 'storm' ORDER BY fid")
    there = {r["fid"] for r in rows}
    assert {fid for ids in acknowledged for fid in ids} <= there
    # Three features a change, all or none: also of those nobody was told about.
    by_stamp: dict[object, int] = {}
    for row in rows:
        by_stamp[row["sys_from"]] = by_stamp.get(row["sys_from"], 0) + 1
    assert set(by_stamp.values()) == {3}
    logged = table.run("SELECT fid FROM geocloud.change_log WHERE layer = %s AND op = 'insert'", ASSET)
    assert there <= {r["fid"] for r in logged}


def test_lock_is_waited_for_and_then_the_write_goes_through(edit: httpx.Client, table: Table, urls: Urls) -> None:
    """A short write of somebody else only delays an edit."""
    conn = psycopg2.connect(urls.owner)
    with conn.cursor() as cur:
        cur.execute("INSERT INTO test.asset (code) VALUES ('SHORT')")
    answers: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: answers.append(edit.post(ITEMS, json=draft(), headers=POST)))
    waiting.start()
    table.until(lambda: bool(table.run("SELECT 1 FROM pg_locks WHERE NOT granted")))
    conn.rollback()
    conn.close()
    waiting.join(30)
    assert answers[0].status_code == 201
