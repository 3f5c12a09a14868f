# SPDX-License-Identifier: Apache-2.0
"""Vector tiles: the same content as the peers', few attributes, low zooms, kept tiles against nginx."""

from __future__ import annotations

import gzip
import shutil
import time
from collections.abc import Mapping, Sequence
from statistics import median

import mapbox_vector_tile

from benchmarks.city import COMPONENT, PARCEL
from benchmarks.peers.base import Endpoint, NotOffered
from benchmarks.process import Server, free_port, get
from benchmarks.report import Finding
from benchmarks.special.base import Context, special
from benchmarks.tiling import NAMED, TileAsk, centred, difference, drawn, one_tile
from benchmarks.wrk import wrk

__all__ = ["cached", "low", "named", "pygeoapi", "same"]

_TITLES = {COMPONENT: "1,000,000 points", PARCEL: "300,000 parcels"}
_WHO = ("raw", "geocloud", "tipg", "mapserver")
_COUNTS = {12: 24, 13: 40, 14: 60, 15: 80, 16: 100}
_NGINX = """
worker_processes 2;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log error;
{user}
events {{ worker_connections 512; }}
http {{
  access_log off;
  sendfile on;
  keepalive_requests 1000000;
  open_file_cache max=10000 inactive=600s;
  client_body_temp_path {folder}/tmp; proxy_temp_path {folder}/tmp; fastcgi_temp_path {folder}/tmp;
  uwsgi_temp_path {folder}/tmp; scgi_temp_path {folder}/tmp;
  server {{
    listen 127.0.0.1:{port};
    root {folder}/files;
    default_type application/vnd.mapbox-vector-tile;
    add_header Content-Encoding gzip;
  }}
}}
"""


@special("tiles_same", "vector tiles with every attribute, like for like")
def same(context: Context) -> list[Finding]:
    """z12 to z16, uncached, 16 connections, tiles drawn by density; compared before they are timed."""
    found: list[Finding] = []
    for layer in (COMPONENT, PARCEL):
        for zoom in _COUNTS:
            asks = drawn(context.ground.city, layer, zoom, _COUNTS[zoom], None)
            found += _race(context, f"{_TITLES[layer]}, z{zoom}, every attribute", asks, _SAME)
    return found


@special("tiles_pygeoapi", "vector tiles of pygeoapi, one request at a time")
def pygeoapi(context: Context) -> list[Finding]:
    """Three tiles of z14 a layer with every attribute, each asked for alone; it takes seconds over one."""
    ours, theirs = context.endpoints.get("geocloud"), context.endpoints.get("pygeoapi")
    if ours is None or theirs is None:
        return []
    found = []
    for layer in (COMPONENT, PARCEL):
        asks = list(dict.fromkeys(drawn(context.ground.city, layer, 14, _COUNTS[14], None)))[:3]
        ratios, mine_ms, their_ms, said = [], [], [], []
        for ask in asks:
            data, ms = _single(ours, ours.tile(ask), 3)
            other, other_ms = _single(theirs, theirs.tile(ask), 0)
            ratios.append(other_ms / ms)
            mine_ms.append(ms)
            their_ms.append(other_ms)
            differs = difference(data, other)
            if differs:
                said.append(f"{ask.z}/{ask.x}/{ask.y}: {differs}")
        title = f"{_TITLES[layer]}, z14, every attribute: pygeoapi's time"
        ratio = median(ratios)
        detail = f"{median(mine_ms):.1f} ms against {median(their_ms):.0f} ms" + "".join(f"; {s}" for s in said)
        found.append(Finding("tiles", title, ratio, "times", "10", ratio >= 10, detail))
    return found


@special("tiles_named", "vector tiles with the attributes that the layer names for the zoom")
def named(context: Context) -> list[Finding]:
    """The same tiles with two to four attributes, as the layer's definition has them, against tipg with all."""
    found: list[Finding] = []
    for layer, zooms in NAMED.items():
        for zoom, fields in zooms.items():
            asks = drawn(context.ground.city, layer, zoom, _COUNTS[zoom], fields)
            found += _race(context, f"{_TITLES[layer]}, z{zoom}, {', '.join(fields)}", asks, _FEW)
    return found


@special("tiles_low", "the one tile of a low zoom that holds most of a layer")
def low(context: Context) -> list[Finding]:
    """z6, z8, z10 one request after another: what the layer's overview says against raw's every feature."""
    ours, raw = context.endpoints.get("geocloud"), context.endpoints.get("raw")
    if ours is None or raw is None:
        return []
    found = []
    for layer in (COMPONENT, PARCEL):
        for zoom in (6, 8, 10):
            ask = one_tile(context.ground.city, layer, zoom, ())
            whole = TileAsk(layer, ask.z, ask.x, ask.y, None)
            data, ms = _single(ours, ours.tile(ask), 9)
            plain, raw_ms = _single(raw, raw.tile(whole), 2)
            peers = []
            for name in ("tipg", "mapserver"):
                peer = context.endpoints.get(name)
                if peer is not None:
                    peers.append(f"{name} {_single(peer, peer.tile(whole), 1)[1]:.0f} ms")
            (tile,) = mapbox_vector_tile.decode(data).values()
            counted = sum(f["properties"].get("count", 1) for f in tile["features"])
            true = centred(context.ground.city, ask)
            title = f"{_TITLES[layer]}, z{zoom}"
            detail = (
                f"{len(data) / 1e3:.1f} kB, {len(tile['features'])} features that stand for {counted:,}; raw "
                f"{raw_ms:.0f} ms, {len(plain) / 1e6:.1f} MB, {true:,} inside; {', '.join(peers)}"
            )
            found.append(Finding("low zoom", f"{title}: ours", ms, "ms", "under 50 ms", ms < 50, detail))
            ratio = raw_ms / ms
            found.append(Finding("low zoom", f"{title}: raw's time", ratio, "times", "100", ratio >= 100, ""))
            off = abs(counted - true)
            found.append(Finding("low zoom", f"{title}: counts", float(off), "features off", "0", off == 0, ""))
    return found


@special("tiles_cached", "kept tiles against nginx sending the same bytes as files")
def cached(context: Context) -> list[Finding]:
    """Gzip bytes of drawn tiles of z14 and of z10, asked over and over at 16 connections."""
    kept = context.endpoints.get("geocloud-cached")
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")
    if kept is None or nginx is None:
        return []
    folder = context.folder / "nginx-files"
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    city = context.ground.city
    groups = {
        "parcels and points, z14": drawn(city, PARCEL, 14, 40, ()) + drawn(city, COMPONENT, 14, 40, ()),
        "points, z10": drawn(city, COMPONENT, 10, 40, ()),
        "parcels, z16": drawn(city, PARCEL, 16, 80, ()),
    }
    headers = {"Accept-Encoding": "gzip"}
    server = Server("nginx", free_port(), folder)
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=server.port, user="user root;"))
    found = []
    try:
        targets: dict[str, list[str]] = {}
        size = 0
        for title, asks in groups.items():
            targets[title] = list(dict.fromkeys(kept.tile(a) for a in asks))
            for target in targets[title]:
                answer = get(kept.server.port, target, headers)
                body = answer.body
                if answer.headers.get("content-encoding") != "gzip":
                    body = gzip.compress(body)
                path = folder / "files" / target.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(body)
                size += len(body)
        server.run([nginx, "-p", str(folder), "-c", str(config), "-e", str(folder / "nginx-error.log")])
        server.wait("/" + next(iter(targets.values()))[0].lstrip("/"))
        for title, wanted in targets.items():
            ours, theirs = [], []
            for _ in range(context.rounds):
                ours.append(wrk(kept.server.port, wanted, 16, context.seconds, context.folder, headers))
                theirs.append(wrk(server.port, wanted, 16, context.seconds, context.folder, headers))
            if any(r.errors for r in (*ours, *theirs)):
                raise RuntimeError(f"{title}: answers with errors")
            a, b = median(r.rate for r in ours), median(r.rate for r in theirs)
            detail = f"{a:.0f}/s against nginx's {b:.0f}/s, {ours[0].bytes / 1e3:.1f} kB an answer, 16 connections"
            found.append(Finding("kept tiles", title, a / b, "of nginx", "a third", a / b >= 1 / 3, detail))
    finally:
        server.stop()
    return found


Targets = Mapping[str, tuple[float, str]]
_SAME: Targets = {
    "raw": (1.0, "no slower than raw"),
    "tipg": (1.3, "1.3 times tipg"),
    "mapserver": (1.0, "above MapServer"),
}
_LONGEST_ROUND_S = 16.0
_FEW: Targets = {"tipg": (4.0, "4 times tipg with every attribute")}


def _race(context: Context, title: str, asks: Sequence[TileAsk], targets: Targets) -> list[Finding]:
    """Requests a second of all who offer this, in interleaved rounds; our share of each as a finding."""
    everything = [TileAsk(a.layer, a.z, a.x, a.y, None) for a in asks]
    addresses: dict[str, list[str]] = {}
    for name in _WHO:
        endpoint = context.endpoints.get(name)
        if endpoint is None:
            continue
        try:
            mine = everything if name == "tipg" and asks[0].fields else asks
            addresses[name] = list(dict.fromkeys(endpoint.tile(a) for a in mine))
        except NotOffered:
            continue
    differences = _compare(context, asks, title)
    seconds = context.seconds
    medians, sizes = _rates(context, title, addresses, seconds)
    # Sixteen answers at once of a slow endpoint may all take longer than a round: then everybody gets longer ones.
    while min(medians.values()) == 0 and seconds < _LONGEST_ROUND_S:
        seconds *= 2
        medians, sizes = _rates(context, title, addresses, seconds)
    ours = medians["geocloud"]
    shown = ", ".join(f"{name} {rate:.1f}/s ({sizes[name] / 1e3:.0f} kB)" for name, rate in medians.items())
    found = []
    for name, (least, words) in targets.items():
        if name in medians:
            ratio = ours / medians[name] if medians[name] else float("inf")
            detail = shown + (f"; {differences[name]}" if name in differences else "")
            found.append(Finding("tiles", f"{title}: of {name}", ratio, "times", words, ratio >= least, detail))
    return found


def _rates(
    context: Context, title: str, addresses: Mapping[str, list[str]], seconds: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Median requests a second and bytes an answer of each endpoint, in interleaved rounds at 16 connections."""
    rates: dict[str, list[float]] = {name: [] for name in addresses}
    sizes: dict[str, float] = {}
    for _ in range(context.rounds):
        for name, wanted in addresses.items():
            one = wrk(context.endpoints[name].server.port, wanted, 16, seconds, context.folder)
            if one.errors:
                raise RuntimeError(f"{title}: {name} answers with {one.errors} errors of {one.requests}")
            rates[name].append(one.rate)
            sizes[name] = one.bytes
    return {name: median(r) for name, r in rates.items()}, sizes


def _compare(context: Context, asks: Sequence[TileAsk], title: str) -> dict[str, str]:
    """Our tiles against raw's and the peers', five of them; RuntimeError when raw's hold something else."""
    differences: dict[str, str] = {}
    ours = context.endpoints["geocloud"]
    for ask in list(dict.fromkeys(asks))[:5]:
        mine = get(ours.server.port, ours.tile(ask)).body
        for name in ("raw", "tipg", "mapserver"):
            endpoint = context.endpoints.get(name)
            if endpoint is None:
                continue
            try:
                answer = get(endpoint.server.port, endpoint.tile(ask))
            except NotOffered:
                continue
            if answer.status != 200:
                differences[name] = f"{name} answers {answer.status}"
                continue
            said = difference(mine, answer.body)
            if said and name == "raw":
                raise RuntimeError(f"{title}: tile {ask.z}/{ask.x}/{ask.y} differs from raw: {said}")
            if said:
                differences[name] = f"{name}: {said} in tile {ask.z}/{ask.x}/{ask.y}"
    return differences


def _single(endpoint: Endpoint, target: str, times: int) -> tuple[bytes, float]:
    """The answer, and the median time of asking one after another in ms; `times` 0: of asking once, unprepared."""
    taken = []
    for _ in range(times + 1):
        begun = time.perf_counter()
        answer = get(endpoint.server.port, target, timeout=300)
        taken.append((time.perf_counter() - begun) * 1e3)
        if answer.status != 200:
            raise RuntimeError(f"{endpoint.name}: {target} answers {answer.status} {answer.body[:200]!r}")
    return answer.body, median(taken[1:] or taken)
