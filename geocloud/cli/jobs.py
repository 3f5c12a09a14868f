# SPDX-License-Identifier: Apache-2.0
"""`geocloud jobs`: the queue as its operator sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from geocloud.cli.common import language, pick, print_json, ready_database
from geocloud.settings import Settings

if TYPE_CHECKING:
    from geocloud.jobs.desk import Desk
    from geocloud.jobs.job import Job

__all__ = ["app"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
_T = TypeVar("_T")
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def _jobs() -> None:
    """Jobs (作业): processes that wait, run or have ended."""


@app.command("list")
def _list(
    status: Annotated[
        str | None, typer.Option(help="accepted, running, successful, failed or dismissed (状态).")
    ] = None,
    process: Annotated[str | None, typer.Option(help="Id of a process (处理标识).")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first (条数).")] = 20,
    as_json: _Json = False,
) -> None:
    """List jobs, the newest first."""
    found = _ask(lambda desk: desk.jobs(limit, process, status))
    if as_json:
        print_json([_told(j) for j in found])
        return
    for j in found:
        print(f"{j.id}  {j.status:<11}{j.progress * 100:4.0f} %  {j.created:%Y-%m-%d %H:%M:%S}  {j.process}")


@app.command("show")
def _show(job: Annotated[str, typer.Argument(help="Id of the job (作业编号).")]) -> None:
    """Show a job as JSON."""
    print_json(_told(_ask(lambda desk: desk.job(job))))


@app.command("dismiss")
def _dismiss(job: Annotated[str, typer.Argument(help="Id of the job (作业编号).")]) -> None:
    """Call a job off; one that has ended is taken away with its results."""
    _ask(lambda desk: desk.dismiss(job))
    print(pick("Called off.", "已取消。"))


def _told(job: Job) -> dict[str, Any]:
    names = ("id", "process", "status", "progress", "by", "outputs", "attempt", "fingerprint", "created", "started",
             "finished")  # fmt: skip
    return {n: getattr(job, n) for n in names} | {"message": job.message(language())}


def _ask(question: Callable[[Desk], Awaitable[_T]]) -> _T:
    from geocloud.jobs.desk import Desk

    settings = Settings.read()

    async def ask(url: str) -> _T:
        desk = Desk(url, settings.database, settings.jobs)
        try:
            return await question(desk)
        finally:
            await desk.close()

    with ready_database(settings, quiet=True) as urls:
        return asyncio.run(ask(urls.jobs))
