# SPDX-License-Identifier: Apache-2.0
"""docs/nginx.conf under a real nginx in front of a real server: cached, exported, fresh after an edit."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from geocloud.settings import Settings, TileSettings
from geocloud.tiles.archive import Archive
from geocloud.tiles.export import export_file, export_folder
from geocloud.tiles.seed import seed
from tests.tiles.conftest import LAND, SITE, Town
from tests.web.conftest import run_server, unused_port

_CONF = Path(__file__).resolve().parents[2] / "docs" / "nginx.conf"
_NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def archive_of(town: Town, cache: Path, name: str) -> Archive:
    settings = Settings(tiles=TileSettings(tile_cache_dir=cache))
    (result,) = seed(town.urls.reader, settings, [name], jobs=1)
    assert result.path is not None
    return Archive(result.path)


def path_of(name: str, cell: tuple[int, int, int]) -> str:
    z, x, y = cell
    return f"/collections/{name}/tiles/WebMercatorQuad/{z}/{y}/{x}"


@contextmanager
def nginx(folder: Path, upstream: str, exported: Path, name: str) -> Iterator[str]:
    """The documented configuration with its places changed, as an operator changes them."""
    port = unused_port()
    text = _CONF.read_text(encoding="utf-8")
    for old, new in (
        ("/run/nginx-geocloud.pid", f"{folder}/nginx.pid"),
        ("server 127.0.0.1:8600;", f"server {upstream.removeprefix('http://')};"),
        ("/var/cache/nginx/geocloud", f"{folder}/cache"),
        ('# "base.county" 1;', f'"{name}" 1;'),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("/var/lib/geocloud/exported", str(exported)),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    assert len(re.findall("# CHANGE$", text, re.M)) == 6
    conf = folder / "nginx.conf"
    # Whoever runs the tests owns the files they make.
    conf.write_text("user root;\n" + text if Path("/root").owner() == conf.parent.owner() else text, encoding="utf-8")
    log = folder / "error.log"
    assert _NGINX is not None
    process = subprocess.Popen([_NGINX, "-c", conf, "-p", folder, "-g", f"daemon off; error_log {log} warn;"])
    base = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 20
        while True:
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            try:
                assert httpx.get(f"{base}/health").status_code == 200
                break
            except httpx.TransportError:
                continue
        yield base
    finally:
        process.terminate()
        process.wait(20)


def within(seconds: float, found: Callable[[], bool]) -> bool:
    """Whether something becomes true before the time is up, asked without a pause."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found():
            return True
    return False


def test_export_unpacks_every_tile_and_switches_versions(town: Town, tmp_path: Path) -> None:
    archive = archive_of(town, tmp_path / "cache", LAND)
    folder, files = export_folder(archive, tmp_path / "out", lambda _: None)
    current = tmp_path / "out" / LAND / "current"
    assert current.resolve() == folder and files == archive.tile_count
    found = {p.relative_to(current).as_posix(): p.read_bytes() for p in current.rglob("*.gz")}
    assert found == {f"{z}/{y}/{x}.mvt.gz": bytes(data) for z, x, y, data in archive.tiles()}
    export_file(archive, tmp_path / "land.pmtiles")
    assert (tmp_path / "land.pmtiles").read_bytes() == archive.path.read_bytes()
    town.run("DELETE FROM town.land WHERE fid = 3")
    newer, _ = export_folder(archive_of(town, tmp_path / "cache", LAND), tmp_path / "out", lambda _: None)
    assert current.resolve() == newer != folder and not folder.exists()
    assert {p.name for p in (tmp_path / "out" / LAND).iterdir()} == {"current", newer.name}


@pytest.mark.skipif(_NGINX is None, reason="nginx is not installed")
def test_nginx_serves_the_same_tiles(town: Town, open_tmp: Path, tmp_path: Path) -> None:
    cache, folder = tmp_path / "cache", open_tmp / "nginx"
    folder.mkdir()
    archive = archive_of(town, cache, LAND)
    archive_of(town, cache, SITE)
    export_folder(archive, folder / "out", lambda _: None)
    tiles = {(z, x, y): bytes(data) for z, x, y, data in archive.tiles()}
    home = tmp_path / "home"
    home.mkdir()
    for base in run_server(town.urls.reader, home, GEOCLOUD_TILE_CACHE_DIR=str(cache)):
        with nginx(folder, base, folder / "out", LAND) as front, httpx.Client() as client:
            # Exported: the very bytes of the archive, without asking the application.
            for cell, data in tiles.items():
                with client.stream("GET", front + path_of(LAND, cell)) as answer:
                    assert answer.status_code == 200, cell
                    assert b"".join(answer.iter_raw()) == data
                assert answer.headers["content-encoding"] == "gzip"
                assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
                tag = answer.headers["etag"]
            url = front + path_of(LAND, cell)
            assert client.get(url, headers={"if-none-match": tag}).status_code == 304
            plain = client.get(url, headers={"accept-encoding": "identity"})
            assert "content-encoding" not in plain.headers and plain.content == gzip.decompress(data)
            # Not exported: the application's answer, whatever it is.
            assert client.get(front + path_of(LAND, (12, 0, 0))).status_code == 204
            assert client.get(front + path_of(LAND, (3, 9, 0))).status_code == 404
            asked = {"params": {"filter": "kind='x'"}}
            assert client.get(url, **asked).content == client.get(base + path_of(LAND, cell), **asked).content
            for path in (path_of(SITE, (10, 841, 401)), "/tiles/WebMercatorQuad/10/401/841", "/health"):
                assert client.get(front + path).content == client.get(base + path).content, path
            ranged = client.get(
                f"{front}/collections/{SITE}/tiles/WebMercatorQuad.pmtiles", headers={"range": "bytes=0-6"}
            )
            assert (ranged.status_code, ranged.content) == (206, b"PMTiles")


@pytest.mark.skipif(_NGINX is None, reason="nginx is not installed")
def test_nginx_never_sends_an_old_tile_for_longer_than_it_says(town: Town, open_tmp: Path, tmp_path: Path) -> None:
    folder = open_tmp / "nginx-edits"
    folder.mkdir()
    home = tmp_path / "home"
    home.mkdir()
    for base in run_server(town.urls.reader, home, GEOCLOUD_TILE_CACHE_DIR=str(tmp_path / "cache")):
        with nginx(folder, base, folder / "out", LAND) as front, httpx.Client() as client:
            url = front + path_of(SITE, (5, 26, 12))
            before = client.get(url)
            assert before.status_code == 200 and b"1500" not in before.content
            shown = before.content

            def differs() -> bool:
                return client.get(url).content != shown  # noqa: B023  called before the next round

            for number in range(3):
                shown = client.get(url).content
                town.run(f"UPDATE town.site SET kind = 'edit{number}' WHERE fid % 3 = {number}")
                began = time.monotonic()
                assert within(10, differs)
                # One second of nginx's, and the second within which geocloud hears of an edit.
                assert time.monotonic() - began < 2
            assert list((folder / "cache").rglob("*")), "it was nginx's own copy that had to give way"
