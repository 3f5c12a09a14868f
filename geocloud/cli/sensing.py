# SPDX-License-Identifier: Apache-2.0
"""`geocloud sensing`: datastreams registered and listed, readings loaded, looked over, put aside and dropped."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from geocloud.cli.common import language, pick, print_json, progress_bar, ready_database
from geocloud.errors import IngestError, InvalidParameter
from geocloud.settings import Settings

__all__ = ["app"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
T = TypeVar("T")
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Collection = Annotated[str | None, typer.Option("--collection", help="Only devices of this layer (图层).")]
_Property = Annotated[str | None, typer.Option("--property", help="Only this property (观测项目).")]


@app.callback()
def _sensing() -> None:
    """Readings of devices (传感器读数)."""


@app.command("register")
def _register(
    file: Annotated[Path, typer.Argument(help="YAML list of datastreams (数据流清单).")], as_json: _Json = False
) -> None:
    """Register what devices measure; run again it brings limits up to date, never a unit."""
    from geocloud.sensing.directory import register
    from geocloud.sensing.mapping import read_streams

    streams = read_streams(file)
    added, changed, kept = _work(lambda conn: register(conn, streams), quiet=as_json)
    if as_json:
        print_json({"added": added, "changed": changed, "other_unit": kept})
        return
    print(pick(f"{added} added, {changed} changed.", f"新增 {added},更新 {changed}。"))
    for name in kept:
        print(pick(f"{name}: is kept in another unit.", f"{name}:已按其他单位登记,未改动。"))


@app.command("load")
def _load(
    file: Annotated[Path, typer.Argument(help="CSV of readings (读数文件).")],
    mapping: Annotated[
        str | None, typer.Option(help="YAML file of a mapping, or the name of one of the house's (映射).")
    ] = None,
    form: Annotated[
        str | None, typer.Option(help="Form of messages that a sector reads, such as parking: JSON, NDJSON (报文格式).")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Load readings; the same file again changes nothing.

    Without a mapping its columns are named as those of `POST /sensing/observations`.
    """
    from geocloud.sectors import registry
    from geocloud.sensing.load import load_file, load_messages
    from geocloud.sensing.mapping import read_mapping

    settings = Settings.read()
    if not file.is_file():
        raise IngestError(f"There is no file {file}.", f"没有文件 {file}。")
    if mapping is not None and form is not None:
        raise InvalidParameter(
            "A file is read by a mapping or by a form, not by both.", "映射与报文格式只能给出其一。"
        )  # fmt: skip
    how = read_mapping(mapping) if mapping is not None else None
    read = registry.form(form) if form is not None else None
    bar = progress_bar()
    with bar:
        task = bar.add_task(pick("reading", "读取"), total=None)

        def on_rows(rows: int) -> None:
            bar.advance(task, rows)

        loaded = _work(
            lambda conn: (
                load_file(conn, file, how, settings.sensing, on_rows)
                if read is None
                else load_messages(conn, file, read, settings.sensing, on_rows)
            ),
            quiet=as_json,
        )
    told = asdict(loaded)
    if as_json:
        print_json(told)
        return
    o = loaded.outcome
    print(
        pick(
            f"{o.received} readings: {o.stored} stored ({o.corrections} of them corrections, {o.flagged} flagged), "
            f"{o.repeated} known already, {o.converted} converted, {o.quarantined} put aside; {loaded.missing} empty, "
            f"{loaded.registered} datastreams registered.",
            f"读数 {o.received} 条:入库 {o.stored}(其中更正 {o.corrections}、带标记 {o.flagged}),已有 {o.repeated},"
            f"换算单位 {o.converted},隔离 {o.quarantined};空值 {loaded.missing},新登记数据流 {loaded.registered}。",
        )
    )
    if read is not None:
        print(
            pick(
                f"{loaded.without_reading} messages tell no number.", f"另有 {loaded.without_reading} 条报文不含数值。"
            )
        )
    for p in o.problems:
        print(f"  {p.place}: {_reason(p.reason)}: {p.text}")


@app.command("list")
def _list(collection: _Collection = None, as_json: _Json = False) -> None:
    """List datastreams with their newest values."""

    async def ask(conn: Any) -> list[dict[str, Any]]:
        rows = await conn.fetch(
            "SELECT d.id, d.layer, d.device, d.property, d.unit, l.at, l.value, l.flags FROM sensing.datastream d "
            "LEFT JOIN sensing.latest l ON l.datastream = d.id WHERE $1::text IS NULL OR d.layer = $1 ORDER BY d.id",
            collection,
        )
        return [dict(r) for r in rows]

    found = _work(ask, quiet=as_json)
    if as_json:
        print_json(found)
        return
    for r in found:
        last = f"{r['at']:%Y-%m-%d %H:%M}Z {r['value']:g}" if r["at"] else "-"
        print(f"{r['id']:>6}  {r['layer']} {r['device']} {r['property']} [{r['unit']}]  {last}")


@app.command("report")
def _report(
    collection: _Collection = None,
    prop: _Property = None,
    datetime: Annotated[str | None, typer.Option(help="Interval as in the API: 2026-01-01/.. (时段).")] = None,
    as_json: _Json = False,
) -> None:
    """Tell gaps, doubtful zeros, capped and implausible values, and corrections, by datastream."""
    from geocloud.features.params import read_datetime
    from geocloud.sensing.quality import quality

    span = read_datetime(datetime) if datetime is not None else None
    found = _work(lambda conn: quality(conn, collection=collection, prop=prop, span=span), quiet=as_json)
    if as_json:
        print_json([asdict(q) for q in found])
        return
    for q in found:
        gaps = "-" if q.gaps is None else f"{q.gaps} ({q.lacking})"
        print(
            f"{q.collection} {q.device} {q.property} [{q.unit}]: "
            + pick(
                f"{q.count} from {q.first:%Y-%m-%d %H:%M}Z to {q.last:%Y-%m-%d %H:%M}Z, gaps (lacking) {gaps}, longest "
                f"step {(q.longest_s or 0) / 3600:.2f} h, zeros {q.zero}, capped {q.capped}, below {q.below}, "
                f"above {q.above}, corrections {q.corrections}",
                f"{q.count} 条,{q.first:%Y-%m-%d %H:%M}Z 至 {q.last:%Y-%m-%d %H:%M}Z,缺口(缺数)为 {gaps},最长间隔 "
                f"{(q.longest_s or 0) / 3600:.2f} 小时,可疑零值 {q.zero},封顶 {q.capped},偏低 {q.below},偏高 {q.above},"
                f"更正 {q.corrections}",
            )
        )


@app.command("quarantine")
def _quarantine(
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first (条数).")] = 20, as_json: _Json = False
) -> None:
    """Show what was put aside, and why."""

    async def ask(conn: Any) -> list[dict[str, Any]]:
        rows = await conn.fetch(
            "SELECT reason, reading, way, by, first_at, last_at, times FROM sensing.quarantine "
            "ORDER BY last_at DESC LIMIT $1",
            limit,
        )
        return [dict(r) for r in rows]

    found = _work(ask, quiet=as_json)
    if as_json:
        print_json(found)
        return
    for r in found:
        print(f"{r['last_at']:%Y-%m-%d %H:%M:%S}Z  {r['times']}x  {_reason(r['reason'])}: {r['reading']}")


@app.command("prune")
def _prune(
    before: Annotated[str, typer.Argument(help="First month that is kept, as 2020-01 (保留的最早月份).")],
    yes: Annotated[bool, typer.Option("--yes", help="Drop without asking (不再询问).")] = False,
) -> None:
    """Drop whole months of readings, and what was put aside before. There is no way back."""
    from datetime import date

    from geocloud.db.pool import connect

    try:
        month = date.fromisoformat(f"{before}-01")
    except ValueError:
        raise InvalidParameter(f"`{before}` is no month.", f"“{before}”不是月份。", todo_en="Write 2020-01.") from None
    if not yes:
        typer.confirm(pick(f"Drop all readings before {before}?", f"删除 {before} 以前的全部读数?"), abort=True)
    start = f"{month.isoformat()}T00:00:00+08:00"
    with (
        ready_database(Settings.read()) as urls,
        connect(urls.owner, application_name="geocloud sensing") as conn,
        conn.cursor() as cur,
    ):
        cur.execute("SELECT sensing.drop_months(%s)", (start,))
        dropped = [r[0] for r in cur.fetchall()]
        cur.execute("DELETE FROM sensing.quarantine WHERE last_at < %s", (start,))
    print(pick(f"{len(dropped)} months dropped.", f"已删除 {len(dropped)} 个月。"))


@app.command("mqtt")
def _mqtt(
    rules: Annotated[Path, typer.Argument(help="YAML file of rules: topics and whose readings they are (主题规则).")],
) -> None:
    """Take readings from the broker of GEOCLOUD_MQTT_URL until told to stop; nothing is lost in between."""
    from geocloud.sensing.mqtt import Bridge
    from geocloud.sensing.topics import read_rules
    from geocloud.web.server import configure_log

    settings, topics = Settings.read(), read_rules(rules)
    configure_log()
    with ready_database(settings) as urls:
        bridge = Bridge(urls.writer, settings.sensing, topics)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: bridge.stop())
        asyncio.run(bridge.run())
    print_json({k: v for k, v in asdict(bridge.total).items() if k != "problems"})


def _work(work: Callable[[Any], Awaitable[T]], *, quiet: bool) -> T:
    """Runs `work` on a connection of the writer role."""
    import asyncpg

    async def run(url: str) -> T:
        conn = await asyncpg.connect(url, timeout=10, server_settings={"application_name": "geocloud sensing"})
        try:
            return await work(conn)
        finally:
            await conn.close()

    with ready_database(Settings.read(), quiet=quiet) as urls:
        return asyncio.run(run(urls.writer))


def _reason(reason: str) -> str:
    from geocloud.sensing.model import REASONS

    text = REASONS[reason]
    return text.zh if language() == "zh" else text.en
