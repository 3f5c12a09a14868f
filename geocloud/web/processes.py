# SPDX-License-Identifier: Apache-2.0
"""OGC API Processes over HTTP: `/processes`, execution, `/jobs`, results and reports by fingerprint.

Every run goes through the queue, also one that is waited for: a worker does it, never the web server itself.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import secrets
from typing import Any, Literal
from urllib.parse import quote

import orjson
import structlog

from geocloud import ogc
from geocloud.errors import Forbidden, UnknownJob
from geocloud.features.literals import invalid
from geocloud.features.request import unknown_parameter
from geocloud.jobs.desk import Kept
from geocloud.jobs.inputs import Execution, read_execution
from geocloud.jobs.job import ENDED, Job
from geocloud.jobs.model import Process
from geocloud.ogc import processes as documents
from geocloud.ogc.context import Context, Document
from geocloud.sectors import registry
from geocloud.web import edit
from geocloud.web.answer import Answer, Headers, etag_of
from geocloud.web.ask import Ask
from geocloud.web.edit import Handler
from geocloud.web.items import said_in
from geocloud.web.service import Service

__all__ = ["ROUTES", "WRITES"]

log = structlog.get_logger(__name__)
_JSON, _HTML = "application/json", "text/html; charset=utf-8"
_JOBS_DEFAULT, _JOBS_MAX = 20, 500
_STATUSES = ("accepted", "running", *ENDED)
# Results are kept for those who know where they are: no shared cache holds them.
_PRIVATE = (b"cache-control", b"private, no-cache")
# What a report's page may do: it is made of words that others sent.
_REPORT_POLICY = (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox")


async def _list(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    _only(ask, "f", "lang")
    ctx = service.context(ask)
    return _document(service, ask, ctx, documents.process_list(ctx, registry.processes()), "processes", kept=True)


async def _describe(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    _only(ask, "f", "lang")
    ctx = service.context(ask)
    document = documents.process(ctx, registry.find(params["process"]))
    return _document(service, ask, ctx, document, "process", kept=True)


async def _execute(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    _only(ask, "lang")
    process = registry.find(params["process"])
    edit.media_type(ask, (_JSON,))
    execution = read_execution(process, await edit.document_of(service, ask, service.settings.jobs.job_body_kb))
    by = await _who(service, ask, process, execution)
    ctx = service.context(ask)
    prefer = ask.header(b"prefer").decode("latin-1").lower()
    job_id = await service.desk.submit(process, execution, ctx.language, by)
    log.info("job", process=process.id, job=job_id, by=by)
    at = ctx.url(f"/jobs/{job_id}")
    if re.search(r"\brespond-async\b", prefer):
        job = await service.desk.job(job_id)
        headers: Headers = [
            (b"location", at.encode()),
            (b"preference-applied", b"respond-async"),
            said_in(ctx),
            _PRIVATE,
        ]
        return Answer(orjson.dumps(documents.status_info(ctx, job)), _JSON, 201, headers)
    wait = re.search(r"\bwait=(\d{1,6})\b", prefer)
    within = min(int(wait[1]), service.settings.jobs.job_wait_s) if wait else service.settings.jobs.job_wait_s
    job = await _waited_for(service, ask, job_id, within)
    answer = await _results_of(service, ctx, job, execution.by_reference)
    answer.headers.append((b"link", f'<{at}>; rel="monitor"'.encode()))
    return answer


async def _waited_for(service: Service, ask: Ask, job_id: str, within_s: float) -> Job:
    """The job when it has ended; called off when its client goes away before."""
    ended = asyncio.ensure_future(service.desk.ended(job_id, within_s))
    gone = asyncio.ensure_future(_gone(ask))
    try:
        await asyncio.wait((ended, gone), return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            return ended.result()
        job = await service.desk.dismiss(job_id)
        log.info("job called off with its request", job=job_id)
        return job
    finally:
        ended.cancel()
        gone.cancel()


async def _gone(ask: Ask) -> None:
    while (await ask.receive())["type"] != "http.disconnect":
        pass


async def _who(service: Service, ask: Ask, process: Process, execution: Execution) -> str | None:
    """Name of the key that a writing run needs; None for one that only reads."""
    layer = process.writes(execution.inputs)
    if layer is None:
        return None
    if service.editor is None:
        raise Forbidden(
            f"Changes over HTTP are switched off here, and {process.id} would write {layer}.",
            f"此处未开启网上更改,而 {process.id} 要写入 {layer}。",
            todo_en="Run it on the server with `geocloud process run`, or ask the operator for GEOCLOUD_EDITING.",
            todo_zh="请在服务器上用 `geocloud process run` 运行,或请管理员开启 GEOCLOUD_EDITING。",
        )
    _, key = await edit.known_key(service, ask)
    if not key.allows(layer):
        raise Forbidden(
            f"The key `{key.name}` may not change `{layer}`.", f"密钥 {key.name} 无权更改 {layer}。",
            todo_en="Ask the operator for a key of this layer.", todo_zh="请向管理员申请该图层的密钥。",
            layers=list(key.layers),
        )  # fmt: skip
    return key.name


async def _jobs(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    _only(ask, "f", "lang", "limit", "processID", "status")
    if not service.settings.jobs.jobs_listed:
        raise Forbidden(
            "Jobs are not listed here: each is found by its own id.", "此处不列出作业:每个作业按其编号查询。",
            todo_en="Use the address that the execution was answered with; the operator lists jobs with "
            "`geocloud jobs list`.",
            todo_zh="请使用提交时返回的地址;管理员可用 `geocloud jobs list` 查看全部。",
        )  # fmt: skip
    text, status = ask.parameter("limit"), ask.parameter("status")
    if text is not None and not (text.isdigit() and int(text[:9]) >= 1):
        raise invalid("limit", f"`limit` is `{text[:20]}`.", f"参数 limit 的值“{text[:20]}”不可用。")
    if status is not None and status not in _STATUSES:
        raise invalid(
            "status", f"`status` is `{status[:20]}`.", f"参数 status 的值“{status[:20]}”不可用。",
            f"Allowed are: {', '.join(_STATUSES)}.", f"可用:{'、'.join(_STATUSES)}。", allowed=list(_STATUSES),
        )  # fmt: skip
    ctx = service.context(ask)
    limit = min(int(text[:9]), _JOBS_MAX) if text else _JOBS_DEFAULT
    found = await service.desk.jobs(limit, ask.parameter("processID"), status)
    return _document(service, ask, ctx, documents.job_list(ctx, found), "jobs")


async def _job(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    _only(ask, "f", "lang")
    ctx = service.context(ask)
    job = await service.desk.job(params["job"])
    outputs: list[Document] = []
    process = registry.processes().get(job.process)
    title = ctx.text(process.title) if process else job.process
    if job.status == "successful" and ask.format(("json", "html")) == "html":
        titles = {o.name: ctx.text(o.title) for o in process.outputs} if process else {}
        outputs = [
            {"title": titles.get(k.output, k.output), "url": documents.result_url(ctx, job.id, k.output),
             "type": k.media_type, "bytes": len(k.data)}
            for k in await service.desk.results(job)
        ]  # fmt: skip
    return _document(service, ask, ctx, documents.status_info(ctx, job), "job", outputs=outputs, title=title)


async def _dismiss(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    _only(ask, "f", "lang")
    ctx = service.context(ask)
    job = await service.desk.dismiss(params["job"])
    document = documents.status_info(ctx, job) | {"status": "dismissed"}
    return Answer(orjson.dumps(document), _JSON, headers=[said_in(ctx), _PRIVATE])


async def _results(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    _only(ask, "f", "lang")
    job = await service.desk.job(params["job"])
    return await _results_of(service, service.context(ask), job, frozenset())


async def _result(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    _only(ask, "lang")
    return _one(await service.desk.results(await service.desk.job(params["job"])), params["output"])


async def _report(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """The newest kept report of a fingerprint: the page, or `f=` another of its outputs."""
    _only(ask, "f", "lang")
    job = await service.desk.reported(params["fingerprint"])
    kept = await service.desk.results(job)
    wanted = ask.parameter("f") or "html"
    names = {"html": "page", "json": "report"}
    return _one(kept, names.get(wanted, wanted))


def _one(kept: list[Kept], output: str) -> Answer:
    found = next((k for k in kept if k.output == output), None)
    if found is None:
        names = [k.output for k in kept]
        raise UnknownJob(
            f"The job has no output `{output[:40]}`.", f"该作业没有输出 {output[:40]}。",
            todo_en=f"There are: {', '.join(names)}.", todo_zh=f"现有:{'、'.join(names)}。", allowed=names,
        )  # fmt: skip
    return Answer(found.data, found.media_type, headers=_file_headers(found), etag=etag_of(found.data))


def _file_headers(kept: Kept) -> Headers:
    headers: Headers = [_PRIVATE]
    if kept.name is not None:
        kind = "inline" if kept.media_type.startswith(("text/html", "application/pdf")) else "attachment"
        headers.append((b"content-disposition", f"{kind}; filename*=UTF-8''{quote(kept.name)}".encode()))
    if kept.media_type.startswith("text/html"):
        headers.append(_REPORT_POLICY)
    return headers


async def _results_of(service: Service, ctx: Context, job: Job, by_reference: frozenset[str]) -> Answer:
    """Results as the request wanted them: raw (one body, or a part for each output), or one JSON document."""
    kept = await service.desk.results(job)
    if job.response == "document":
        body = orjson.dumps({k.output: _inline(ctx, job, k, by_reference) for k in kept})
        return Answer(body, _JSON, headers=[said_in(ctx), _PRIVATE])
    if len(kept) == 1 and not by_reference:
        return Answer(kept[0].data, kept[0].media_type, headers=[*_file_headers(kept[0]), said_in(ctx)])
    if by_reference.issuperset(k.output for k in kept):
        links = [
            f'<{documents.result_url(ctx, job.id, k.output)}>; rel="{k.output}"; type="{k.media_type}"' for k in kept
        ]
        return Answer(b"", "text/plain", 204, [(b"link", ", ".join(links).encode()), _PRIVATE])
    return _parts(ctx, job, kept, by_reference)


def _inline(ctx: Context, job: Job, kept: Kept, by_reference: frozenset[str]) -> Any:
    if kept.output in by_reference:
        return {"href": documents.result_url(ctx, job.id, kept.output), "type": kept.media_type}
    if kept.media_type == _JSON or kept.media_type.endswith("+json"):
        return orjson.Fragment(kept.data)
    if kept.media_type.startswith("text/"):
        with contextlib.suppress(UnicodeDecodeError):
            return {"value": kept.data.decode(), "mediaType": kept.media_type}
    return {"value": base64.b64encode(kept.data).decode(), "mediaType": kept.media_type, "encoding": "base64"}


def _parts(ctx: Context, job: Job, kept: list[Kept], by_reference: frozenset[str]) -> Answer:
    """A part for each output (RFC 2387); one by reference has no body and says where it lies."""
    boundary = secrets.token_hex(16)
    lines: list[bytes] = []
    for k in kept:
        lines.append(f"--{boundary}\r\nContent-ID: <{k.output}>\r\nContent-Type: {k.media_type}\r\n".encode())
        if k.output in by_reference:
            lines.append(f"Content-Location: {documents.result_url(ctx, job.id, k.output)}\r\n\r\n\r\n".encode())
        else:
            lines += [b"\r\n", k.data, b"\r\n"]
    lines.append(f"--{boundary}--\r\n".encode())
    return Answer(b"".join(lines), f"multipart/related; boundary={boundary}", headers=[_PRIVATE])


def _document(
    service: Service, ask: Ask, ctx: Context, document: Document, page: str, *, kept: bool = False, **extra: Any
) -> Answer:
    as_page: Literal["json", "html"] = "html" if ask.format(("json", "html")) == "html" else "json"
    body = (
        ogc.render(page, ctx, document, path=ask.path, query=ask.pairs, **extra).encode()
        if as_page == "html"
        else orjson.dumps(document)
    )
    token = service.catalogue if kept else None
    headers: Headers = [said_in(ctx)] if kept else [said_in(ctx), _PRIVATE]
    return Answer(
        body, _HTML if as_page == "html" else _JSON, headers=headers, etag=etag_of(body), document=True, token=token
    )


def _only(ask: Ask, *allowed: str) -> None:
    for name, _ in ask.pairs if ask.query else ():
        if name not in allowed:
            raise unknown_parameter(name, allowed)


ROUTES: list[tuple[str, Handler]] = [
    ("/processes", _list),
    ("/processes/{process}", _describe),
    ("/jobs", _jobs),
    ("/jobs/{job}", _job),
    ("/jobs/{job}/results", _results),
    ("/jobs/{job}/results/{output}", _result),
    ("/reports/{fingerprint}", _report),
]
WRITES: dict[str, dict[str, Handler]] = {
    "/processes/{process}/execution": {"POST": _execute},
    "/jobs/{job}": {"DELETE": _dismiss},
}
