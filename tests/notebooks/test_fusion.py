# SPDX-License-Identifier: Apache-2.0
"""The notebook of fusion is run against a server with workers, and what it shows is what was planted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from geocloud import demo
from geocloud.db.cluster import Urls
from geocloud.demo.grids import LAYERS, truth
from geocloud.notebook import City
from tests.notebooks.conftest import Seen
from tests.notebooks.planning import plans_server
from tests.notebooks.test_planning import asks_nobody, run, said


@pytest.fixture(scope="module")
def server(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    for base in plans_server(urls, tmp_path_factory.mktemp("home")):
        demo.load(urls.owner, "small", layers=["base.village", "base.township", "base.building", *LAYERS])
        yield base


def test_fusion(server: str, tmp_path: Path, opened: Callable[..., Seen]) -> None:
    notebook = run("fusion", server, tmp_path)
    words = said(notebook)
    for rule, count in Counter(p.rule for p in truth("small")).items():
        assert f"{rule} " in words and f":{count} 处" in words.partition(f"{rule} ")[2].partition("\n")[0]
    assert "base.building(every feature)" in words and "在此重叠" in words and "0635-000" in words
    places = City(server).run("grid-conflicts", outputs="places").places
    assert places.attrs["codes"]["rule"]["F1"] and places.attrs["synthetic"]
    (seen,) = asks_nobody([tmp_path / "fusion.html"], opened)
    assert seen.page.locator("path.feature").count() == len(truth("small"))
    assert "示例数据" in seen.page.locator(".gc-card").inner_text()
