# SPDX-License-Identifier: Apache-2.0
"""Numbered SQL: applied once, in one transaction, onto older databases, and refused where it does not fit."""

from __future__ import annotations

from geocloud.db.cluster import Urls
from geocloud.db.migrate import applied, migrate, numbered_sql


def test_template_has_all(urls: Urls) -> None:
    assert {n: v[0] for n, v in applied(urls.owner).items()} == {m.number: m.name for m in numbered_sql()}
    assert migrate(urls.owner) == []
