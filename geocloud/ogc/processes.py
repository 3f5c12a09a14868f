# SPDX-License-Identifier: Apache-2.0
"""Documents of OGC API Processes 1.0 (OGC 18-062r2): processes, jobs and where their results are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from geocloud.jobs.job import Job
from geocloud.jobs.model import Input, Output, Process
from geocloud.ogc.context import REL, Context, Document, link

__all__ = ["CONFORMANCE", "JOB_LIST", "job_list", "process", "process_list", "result_url", "status_info"]

_BASE = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf"
CONFORMANCE = tuple(
    f"{_BASE}/{name}" for name in ("core", "ogc-process-description", "json", "html", "oas30", "dismiss")
)
JOB_LIST = f"{_BASE}/job-list"
_JSON, _HTML = "application/json", "text/html"
_PROCESSES, _EXECUTE, _RESULTS, _JOBS = (f"{REL}{n}" for n in ("processes", "execute", "results", "job-list"))


def process_list(ctx: Context, known: Mapping[str, Process]) -> Document:
    """`/processes`: a summary of each."""
    return {
        "processes": [_summary(ctx, p) for p in known.values()],
        "links": [
            link(ctx.url("/processes?f=json"), "self", _JSON, ctx.say("本文档（JSON）", "This document as JSON")),
            link(ctx.url("/processes?f=html"), "alternate", _HTML, ctx.say("网页", "This document as HTML")),
        ],
    }


def process(ctx: Context, one: Process) -> Document:
    """`/processes/{id}`: inputs and outputs with their JSON Schemas."""
    return {
        **_summary(ctx, one),
        "inputs": {i.name: _input(ctx, i) for i in one.inputs},
        "outputs": {o.name: _output(ctx, o) for o in one.outputs},
    }


def _summary(ctx: Context, one: Process) -> Document:
    here = ctx.url(f"/processes/{one.id}")
    return {
        "id": one.id,
        "version": one.version,
        "title": ctx.text(one.title),
        "description": ctx.text(one.description),
        "keywords": list(one.keywords),
        "jobControlOptions": ["sync-execute", "async-execute", "dismiss"],
        "outputTransmission": ["value", "reference"],
        "links": [
            link(f"{here}?f=json", "self", _JSON, ctx.say("处理说明", "Description of the process")),
            link(f"{here}?f=html", "alternate", _HTML, ctx.say("网页", "Description as HTML")),
            link(f"{here}/execution", _EXECUTE, _JSON, ctx.say("运行", "Run it (POST)")),
        ],
    }


def _input(ctx: Context, one: Input) -> Document:
    document: Document = {
        "title": ctx.text(one.title),
        "schema": dict(one.schema),
        "minOccurs": int(one.required),
        "maxOccurs": 1,
    }
    if one.description:
        document["description"] = ctx.text(one.description)
    return document


def _output(ctx: Context, one: Output) -> Document:
    schema = dict(one.schema)
    if one.media_type != _JSON:
        schema = {"type": "string", "contentMediaType": one.media_type}
    document: Document = {"title": ctx.text(one.title), "schema": schema}
    if one.description:
        document["description"] = ctx.text(one.description)
    return document


def status_info(ctx: Context, job: Job) -> Document:
    """`/jobs/{id}`: how far it is, and where its results are."""
    here = ctx.url(f"/jobs/{job.id}")
    document: Document = {
        "jobID": job.id,
        "type": "process",
        "processID": job.process,
        "status": job.status,
        "progress": round(job.progress * 100),
        "created": job.created.isoformat(),
        "updated": job.updated.isoformat(),
    }
    message = job.message(ctx.language)
    if message:
        document["message"] = message
    for name, moment in (("started", job.started), ("finished", job.finished)):
        if moment is not None:
            document[name] = moment.isoformat()
    document["links"] = [
        link(f"{here}?f=json", "self", _JSON, ctx.say("作业状态", "Status of the job")),
        link(f"{here}?f=html", "alternate", _HTML, ctx.say("网页", "Status as HTML")),
        link(ctx.url(f"/processes/{job.process}"), "up", _JSON, ctx.say("处理", "The process")),
    ]
    if job.status == "successful":
        document["links"].append(link(f"{here}/results", _RESULTS, _JSON, ctx.say("结果", "Results")))
    if job.status == "failed":
        document["links"].append(
            link(
                f"{here}/results", f"{REL}exceptions", "application/problem+json", ctx.say("失败原因", "Why it failed")
            )
        )
    return document


def job_list(ctx: Context, jobs: Iterable[Job]) -> Document:
    """`/jobs`: the newest first."""
    return {
        "jobs": [status_info(ctx, j) for j in jobs],
        "links": [link(ctx.url("/jobs?f=json"), "self", _JSON, ctx.say("本文档（JSON）", "This document as JSON"))],
    }


def result_url(ctx: Context, job_id: str, output: str) -> str:
    """Where one output of a job is."""
    return ctx.url(f"/jobs/{job_id}/results/{output}")
