# SPDX-License-Identifier: Apache-2.0
"""The definitions of layers are read once by a process: never those of another database or of before a change."""

from __future__ import annotations

from contextlib import closing

import psycopg2

from geocloud.catalogue.publish import read_catalogue, sync
from geocloud.catalogue.spec import LayerSpec
from geocloud.db.cluster import Urls
from geocloud.jobs.run import open_run, warm_catalogue
from geocloud.settings import Settings


def thing(name: str, extra: str) -> LayerSpec:
    both = {"zh": "某物", "en": "Thing"}
    return LayerSpec.model_validate(
        {"id": f"test.{name}", "title": both, "description": both, "geometry": "point", "key": ["code"],
         "fields": [{"name": n, "title": both} for n in ("code", extra)]}
    )  # fmt: skip


def publish(urls: Urls, *specs: LayerSpec) -> None:
    with closing(psycopg2.connect(urls.owner)) as conn:
        sync(conn, {s.id: s for s in specs}, {})


def check(urls: Urls) -> None:
    with closing(psycopg2.connect(urls.reader)) as conn:
        truth = read_catalogue(conn)
    for _ in range(2):
        with open_run(Settings(), urls.reader) as run:
            assert run.catalogue == truth


def test_each_run_has_the_catalogue_of_its_database(urls: Urls, fresh_urls: Urls) -> None:
    # Both are copies of one template: the same identity, the same revision, other fields.
    publish(urls, thing("one", "height"))
    publish(fresh_urls, thing("one", "depth"))
    for place in (urls, fresh_urls, urls):
        check(place)
    with closing(psycopg2.connect(urls.owner)) as conn, conn, conn.cursor() as cur:
        cur.execute("INSERT INTO test.one (code, geom) VALUES ('a', ST_SetSRID(ST_Point(116, 36.4), 4490))")
    check(urls)
    publish(urls, thing("one", "height"), thing("two", "height"))
    with closing(psycopg2.connect(urls.reader)) as conn:
        warm_catalogue(conn)
    check(urls)
    publish(urls, thing("two", "width"))
    check(urls)
