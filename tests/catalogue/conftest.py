# SPDX-License-Identifier: Apache-2.0
"""A connection as the owner of a database of one test."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest

from geocloud.db.cluster import Urls


@pytest.fixture
def conn(fresh_urls: Urls) -> Iterator[psycopg2.extensions.connection]:
    conn = psycopg2.connect(fresh_urls.owner)
    yield conn
    conn.close()
