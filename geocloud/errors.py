# SPDX-License-Identifier: Apache-2.0
"""One family of errors: each says what is wrong and what to do, in Chinese and English.

    GeocloudError
    ├── SettingsError            10  a setting cannot be used
    ├── DatabaseError            20  the database cannot be reached or refused the work
    │   ├── MissingPackages      21  PostgreSQL or PostGIS is not installed
    │   ├── WrongVersion         22  PostgreSQL, PostGIS or the cluster is of a version we cannot use
    │   ├── PortInUse            23  the port is taken
    │   ├── DataFolderError      24  the data folder cannot be read or written
    │   ├── DiskFull             25  no room left
    │   └── AlreadyRunning       26  another `up` holds this data folder
    ├── CatalogueError           30  a layer definition is wrong
    │   ├── SyncRefused          31  a change of a layer would lose data
    │   ├── UnknownLayer         32  no such layer
    │   └── StyleError           33  an override of a style cannot be used
    ├── IngestError              40  a file cannot be loaded
    │   ├── UnreadableFile       41  the file cannot be opened or is cut off
    │   ├── CrsUndecided         42  the coordinate system must be named with --crs
    │   ├── RowsRejected         43  rows broke rules; they are in the quarantine file
    │   └── LoadConflict         44  another load of this layer is running
    ├── JobError                 80  a process cannot be run through the queue
    │   ├── QueueFull            81  too many jobs wait already
    │   ├── JobFailed            82  a process ended in an unexpected way; it has been logged
    │   ├── JobTakesLong         83  a process has not ended within the time a request waits; it goes on
    │   ├── JobDismissed         84  the job was called off
    │   └── Outdated             85  what is kept beside the layers is older than they are, such as the road graph
    ├── TileError                70  an archive of tiles cannot be used
    │   ├── SeedConflict         71  another seeding is running
    │   └── NotSeeded            72  there is no archive of this layer
    └── RequestError             50  a question to the API is wrong (web maps these to 4xx)
        ├── InvalidParameter     51  a parameter's value cannot be used
        ├── UnknownCollection    52  no such collection
        ├── UnknownItem          53  no such feature
        ├── NotAcceptable        54  no such format
        ├── TooLarge             55  over a named limit
        ├── UnknownTile          56  no such tile in the grid, or no such grid
        ├── ItemEnded            57  the feature has ended; its versions are still there
        ├── UnknownProcess       58  no such process
        ├── UnknownJob           59  no such job, or it has no results yet
        └── EditError            60  a change of features is refused
            ├── NotAuthorized    61  no key, or one that is not known
            ├── Forbidden        62  the key may not change this layer
            ├── WrongMediaType   63  the body's media type or CRS is not taken
            ├── InvalidBody      64  the body is not JSON, or nested too deeply
            ├── RulesBroken      65  features break rules; every violation is listed
            ├── VersionRequired  66  the version to be changed is not named (If-Match)
            ├── VersionConflict  67  the feature has changed since that version
            ├── KeyConflict      68  another feature has the key
            └── LayerBusy        69  the layer is being written; try again

The number is the exit code of the command line (docs/exit-codes.md, checked by a test).
1 is an unexpected failure, 2 wrong usage of a command, 130 an interrupt.
"""

from __future__ import annotations

from typing import Any, Literal

__all__ = [
    "AlreadyRunning",
    "CatalogueError",
    "CrsUndecided",
    "DataFolderError",
    "DatabaseError",
    "DiskFull",
    "EditError",
    "Forbidden",
    "GeocloudError",
    "IngestError",
    "InvalidBody",
    "InvalidParameter",
    "ItemEnded",
    "JobDismissed",
    "JobError",
    "JobFailed",
    "JobTakesLong",
    "KeyConflict",
    "LayerBusy",
    "LoadConflict",
    "MissingPackages",
    "NotAcceptable",
    "NotAuthorized",
    "NotSeeded",
    "Outdated",
    "PortInUse",
    "QueueFull",
    "RequestError",
    "RowsRejected",
    "RulesBroken",
    "SeedConflict",
    "SettingsError",
    "StyleError",
    "SyncRefused",
    "TileError",
    "TooLarge",
    "UnknownCollection",
    "UnknownItem",
    "UnknownJob",
    "UnknownLayer",
    "UnknownProcess",
    "UnknownTile",
    "UnreadableFile",
    "VersionConflict",
    "VersionRequired",
    "WrongMediaType",
    "WrongVersion",
]

Language = Literal["zh", "en"]


class GeocloudError(Exception):
    """An error a person can act on.

    `en` and `zh` are one sentence each: what is wrong and where. `todo_en` and `todo_zh`: what to do
    about it. `context` holds machine-readable facts (parameter name, allowed values, row numbers).
    """

    exit_code = 1
    code = "error"

    def __init__(self, en: str, zh: str, *, todo_en: str = "", todo_zh: str = "", **context: Any) -> None:
        super().__init__(en)
        self.en, self.zh, self.todo_en, self.todo_zh = en, zh, todo_en, todo_zh
        self.context = context

    def message(self, language: Language = "en") -> str:
        """What is wrong and what to do, in one language."""
        what, todo = (self.zh, self.todo_zh) if language == "zh" else (self.en, self.todo_en)
        return f"{what} {todo}".strip()


class SettingsError(GeocloudError):
    exit_code, code = 10, "settings"


class DatabaseError(GeocloudError):
    exit_code, code = 20, "database"


class MissingPackages(DatabaseError):
    exit_code, code = 21, "missing-packages"


class WrongVersion(DatabaseError):
    exit_code, code = 22, "wrong-version"


class PortInUse(DatabaseError):
    exit_code, code = 23, "port-in-use"


class DataFolderError(DatabaseError):
    exit_code, code = 24, "data-folder"


class DiskFull(DatabaseError):
    exit_code, code = 25, "disk-full"


class AlreadyRunning(DatabaseError):
    exit_code, code = 26, "already-running"


class CatalogueError(GeocloudError):
    exit_code, code = 30, "catalogue"


class SyncRefused(CatalogueError):
    exit_code, code = 31, "sync-refused"


class UnknownLayer(CatalogueError):
    exit_code, code = 32, "unknown-layer"


class StyleError(CatalogueError):
    exit_code, code = 33, "style"


class IngestError(GeocloudError):
    exit_code, code = 40, "ingest"


class UnreadableFile(IngestError):
    exit_code, code = 41, "unreadable-file"


class CrsUndecided(IngestError):
    exit_code, code = 42, "crs-undecided"


class RowsRejected(IngestError):
    exit_code, code = 43, "rows-rejected"


class LoadConflict(IngestError):
    exit_code, code = 44, "load-conflict"


class JobError(GeocloudError):
    exit_code, code = 80, "job"


class QueueFull(JobError):
    exit_code, code = 81, "queue-full"


class JobFailed(JobError):
    exit_code, code = 82, "job-failed"


class JobTakesLong(JobError):
    exit_code, code = 83, "job-takes-long"


class JobDismissed(JobError):
    exit_code, code = 84, "job-dismissed"


class Outdated(JobError):
    exit_code, code = 85, "outdated"


class TileError(GeocloudError):
    exit_code, code = 70, "tiles"


class SeedConflict(TileError):
    exit_code, code = 71, "seed-conflict"


class NotSeeded(TileError):
    exit_code, code = 72, "not-seeded"


class RequestError(GeocloudError):
    exit_code, code = 50, "request"


class InvalidParameter(RequestError):
    exit_code, code = 51, "invalid-parameter"


class UnknownCollection(RequestError):
    exit_code, code = 52, "unknown-collection"


class UnknownItem(RequestError):
    exit_code, code = 53, "unknown-item"


class NotAcceptable(RequestError):
    exit_code, code = 54, "not-acceptable"


class TooLarge(RequestError):
    exit_code, code = 55, "too-large"


class UnknownTile(RequestError):
    exit_code, code = 56, "unknown-tile"


class ItemEnded(RequestError):
    exit_code, code = 57, "item-ended"


class UnknownProcess(RequestError):
    exit_code, code = 58, "no-such-process"


class UnknownJob(RequestError):
    exit_code, code = 59, "no-such-job"


class EditError(RequestError):
    exit_code, code = 60, "edit"


class NotAuthorized(EditError):
    exit_code, code = 61, "not-authorized"


class Forbidden(EditError):
    exit_code, code = 62, "forbidden"


class WrongMediaType(EditError):
    exit_code, code = 63, "wrong-media-type"


class InvalidBody(EditError):
    exit_code, code = 64, "invalid-body"


class RulesBroken(EditError):
    exit_code, code = 65, "rules-broken"


class VersionRequired(EditError):
    exit_code, code = 66, "version-required"


class VersionConflict(EditError):
    exit_code, code = 67, "version-conflict"


class KeyConflict(EditError):
    exit_code, code = 68, "key-conflict"


class LayerBusy(EditError):
    exit_code, code = 69, "layer-busy"
