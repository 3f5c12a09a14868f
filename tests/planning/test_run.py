# SPDX-License-Identifier: Apache-2.0
"""What a process is given: one state of the database, reading alone, its own limit of time."""

from __future__ import annotations

import psycopg2
import pytest

from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.jobs.run import open_run
from geocloud.settings import DatabaseSettings, Settings

SETTINGS = Settings()
COUNT = 'SELECT count(*) FROM "base"."poi"'


def one(conn: psycopg2.extensions.connection, sql: str) -> object:
    with conn.cursor() as cur:
        cur.execute(sql)
        return cur.fetchone()[0]  # type: ignore[index]


@pytest.fixture(scope="module")
def city(urls: Urls) -> Urls:
    layers, codes = read_layers(SETTINGS.city.layers_folder)
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, {"base.poi": layers["base.poi"]}, codes)
        with conn.cursor() as cur:
            cur.execute(
                "INSERT INTO geocloud.source (layer, title_zh, title_en, licence, synthetic) "
                "VALUES ('base.poi', '测', 't', 'none', true)"
            )
    return urls


def test_an_edit_made_meanwhile_is_not_seen(city: Urls) -> None:
    key = read_layers(SETTINGS.city.layers_folder)[0]["base.poi"].key[0]
    with open_run(SETTINGS, city.reader) as run:
        before = one(run.reader, COUNT)
        with connect(city.owner, application_name="test") as conn, conn.cursor() as cur:
            cur.execute(
                f"INSERT INTO base.poi ({key}, name, geom, source_id) SELECT 'k1', 'n', "
                "ST_SetSRID(ST_MakePoint(116, 36.4), 4490), id FROM geocloud.source LIMIT 1"
            )
        assert one(run.reader, COUNT) == before
    with open_run(SETTINGS, city.reader) as run:
        assert one(run.reader, COUNT) == before + 1  # type: ignore[operator]


def test_a_run_reads_and_does_not_write(city: Urls) -> None:
    with open_run(SETTINGS, city.reader) as run, pytest.raises(psycopg2.Error):
        one(run.reader, "DELETE FROM base.poi RETURNING 1")


def test_a_statement_ends_at_the_limit_of_processes(city: Urls) -> None:
    quick = SETTINGS.model_copy(update={"database": DatabaseSettings(process_statement_ms=1_000)})
    with open_run(quick, city.reader) as run, pytest.raises(psycopg2.errors.QueryCanceled):
        one(run.reader, "SELECT pg_sleep(20)::text")
