# SPDX-License-Identifier: Apache-2.0
"""`…/tiles/WebMercatorQuad.pmtiles`: whole, by ranges as RFC 9110 says, renewed between two ranges, not seeded."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pmtiles.reader import Reader

from geocloud.settings import Settings, TileSettings
from geocloud.tiles.archive import Archive
from geocloud.tiles.seed import seed
from tests.web.conftest import SITE, ZONE, City, run_server

URL = f"/collections/{SITE}/tiles/WebMercatorQuad.pmtiles"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tile_cache")


def seeded(city: City, cache: Path) -> Archive:
    (result,) = seed(city.urls.reader, Settings(tiles=TileSettings(tile_cache_dir=cache)), [SITE], jobs=1)
    assert result.path is not None
    return Archive(result.path)


@pytest.fixture(scope="module")
def archive(city: City, cache: Path) -> Archive:
    return seeded(city, cache)


@pytest.fixture(scope="module")
def server(city: City, cache: Path, archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from run_server(city.urls.reader, tmp_path_factory.mktemp("home"), GEOCLOUD_TILE_CACHE_DIR=str(cache))


def test_the_whole_file(client: httpx.Client, archive: Archive) -> None:
    # A client that takes gzip gets the file as it lies too: its tiles are compressed already.
    answer = client.get(URL, headers={"accept-encoding": "gzip, br"})
    assert answer.status_code == 200 and answer.content == archive.path.read_bytes()
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-length"] == str(archive.bytes)
    assert answer.headers["content-type"] == "application/vnd.pmtiles"
    assert answer.headers["accept-ranges"] == "bytes"
    assert archive.path.name in answer.headers["content-disposition"]
    head = client.head(URL)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(archive.bytes) and head.headers["etag"] == answer.headers["etag"]
    assert client.get(URL, headers={"if-none-match": answer.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-126", 0, 126), ("bytes=127-127", 127, 127), ("bytes=200-", 200, None), ("bytes=-50", -50, None),
     ("bytes=10-99999999999", 10, None), ("bytes=-99999999999", 0, None), ("BYTES=0-0", 0, 0)],
    ids=["header", "one byte", "to the end", "the last", "past the end", "more than all", "case"],
)  # fmt: skip
def test_ranges(client: httpx.Client, archive: Archive, asked: str, first: int, last: int | None) -> None:
    whole = archive.path.read_bytes()
    answer = client.get(URL, headers={"range": asked, "accept-encoding": "gzip"})
    wanted = whole[first:] if last is None else whole[first : last + 1]
    begin = first if first >= 0 else len(whole) + first
    assert answer.status_code == 206 and answer.content == wanted
    assert answer.headers["content-range"] == f"bytes {begin}-{begin + len(wanted) - 1}/{len(whole)}"
    assert answer.headers["content-length"] == str(len(wanted))


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=", "bytes=a-b", "lines=0-4", "bytes=0-4,9-12", "bytes=--5"])
def test_what_is_no_single_range_gets_the_whole_file(client: httpx.Client, archive: Archive, asked: str) -> None:
    answer = client.get(URL, headers={"range": asked})
    assert answer.status_code == 200 and len(answer.content) == archive.bytes


@pytest.mark.parametrize("place", ["{size}-", "{size}-{size}9", "-0"])
def test_a_range_behind_the_end(client: httpx.Client, archive: Archive, place: str) -> None:
    answer = client.get(URL, headers={"range": "bytes=" + place.format(size=archive.bytes)})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{archive.bytes}"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["size"] == archive.bytes


def test_the_packages_reader_over_http(client: httpx.Client, archive: Archive) -> None:
    asked = 0

    def get_bytes(offset: int, length: int) -> bytes:
        nonlocal asked
        asked += 1
        return client.get(URL, headers={"range": f"bytes={offset}-{offset + length - 1}"}).content

    reader = Reader(get_bytes)
    z, x, y, data = max(archive.tiles(), key=lambda tile: tile[0])
    assert reader.get(z, x, y) == data and asked > 2
    tile = client.get(f"/collections/{SITE}/tiles/WebMercatorQuad/{z}/{y}/{x}")
    assert tile.content == gzip.decompress(data)


def test_not_seeded_says_how(client: httpx.Client) -> None:
    answer = client.get(f"/collections/{ZONE}/tiles/WebMercatorQuad.pmtiles")
    assert answer.status_code == 404
    assert "geocloud tiles seed test.zone" in answer.json()["todo"]
    assert client.get("/collections/test.nothing/tiles/WebMercatorQuad.pmtiles").status_code == 404
    assert client.get(f"/collections/{SITE}/tiles/CGCS2000Quad.pmtiles").status_code == 404
    assert client.get(URL, params={"zoom": "5"}).status_code == 400
    assert client.post(URL).status_code == 405


def test_two_ranges_of_different_versions_are_told_apart(
    client: httpx.Client, city: City, cache: Path, archive: Archive
) -> None:
    tag = client.get(URL, headers={"range": "bytes=0-9"}).headers["etag"]
    assert client.get(URL, headers={"range": "bytes=0-9", "if-range": tag}).status_code == 206
    city.run("UPDATE test.site SET name = 'renamed' WHERE fid = 1")
    newer = seeded(city, cache)
    assert newer.version > archive.version
    while client.head(URL).headers["etag"] == tag:
        pass
    answer = client.get(URL, headers={"range": "bytes=0-9", "if-range": tag})
    assert answer.status_code == 200 and answer.content == newer.path.read_bytes()
