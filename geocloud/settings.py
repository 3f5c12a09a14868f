# SPDX-License-Identifier: Apache-2.0
"""Settings per concern, read when an application or command is made, never at import.

Every field has a default and one sentence of documentation; each is set by the environment variable
`GEOCLOUD_` + its name in capitals. docs/settings.md lists them all and a test compares the two.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

import pydantic_settings
from pydantic import Field, FilePath, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from geocloud.errors import SettingsError

__all__ = [
    "CitySettings",
    "DatabaseSettings",
    "EditSettings",
    "IngestSettings",
    "JobSettings",
    "QgisSettings",
    "RasterSettings",
    "SensingSettings",
    "Settings",
    "SiteSettings",
    "StyleSettings",
    "TileSettings",
    "WebSettings",
]


class _Group(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="GEOCLOUD_", extra="ignore", frozen=True)


def _default_home() -> Path:
    # Root's own home is closed to the unprivileged account that runs the cluster.
    return Path("/var/lib/geocloud") if os.geteuid() == 0 else Path.home() / ".local/share/geocloud"


class DatabaseSettings(_Group):
    """Where the database is, and how much of the machine it may take."""

    home: Path = Field(
        default_factory=lambda: _default_home(),
        description="Data folder: the private cluster, its log, quarantine files and results live here; "
        "`/var/lib/geocloud` for root, `~/.local/share/geocloud` for everybody else if unset.",
    )
    database_url: str | None = Field(
        None, description="A PostgreSQL URL of the owner role to use instead of the private cluster."
    )
    database_port: int = Field(8632, ge=1, le=65535, description="TCP port on 127.0.0.1 of the private cluster.")
    database_user: str = Field(
        "geocloud",
        description="Unprivileged system account that runs the private cluster when root starts it.",
    )
    postgres_dir: Path | None = Field(
        None,
        description="Folder of PostgreSQL's programs (`initdb`, `pg_ctl`); "
        "the newest usable one of the machine if unset.",
    )
    database_memory_mb: int | None = Field(
        None,
        ge=128,
        description="Memory in MB the private cluster is tuned for; half of the machine's RAM if unset.",
    )
    min_free_disk_mb: int = Field(
        512, ge=0, description="Free space in MB below which `geocloud up` and loads refuse to start."
    )
    pool_size: int = Field(4, ge=1, le=64, description="Reader connections held by each web worker.")
    statement_timeout_ms: int = Field(
        30_000,
        ge=100,
        description="Milliseconds after which a reader's statement is stopped by the database.",
    )
    process_statement_ms: int = Field(
        600_000, ge=1_000, description="Milliseconds after which a statement of a process is stopped by the database."
    )


class CitySettings(_Group):
    """Which city this is: a folder of layer definitions and an extent, nothing else."""

    layers_dir: Path | None = Field(
        None, description="Folder of layer definitions; the project's own `layers/` if unset."
    )
    city_name_zh: str = Field("聊城市", description="The city's name in Chinese, shown on every page.")
    city_name_en: str = Field("Liaocheng", description="The city's name in English, shown on every page.")
    city_bbox: tuple[float, float, float, float] = Field(
        (115.27, 35.75, 116.55, 37.05),
        description="The city's extent as lon/lat west, south, east, north in degrees (CGCS2000); "
        "the CRS doctor weighs its guesses against it.",
    )
    demo: Literal["small", "city", "province", "none"] = Field(
        "small", description="Synthetic demo city that an empty database is filled with."
    )

    sectors: str = Field(
        "*", description="Sectors whose layers are published, by name with commas between; `*` for all installed ones."
    )

    @property
    def layers_folder(self) -> Path:
        """Where the layer definitions are: `layers_dir`, or the folder beside the package."""
        return self.layers_dir if self.layers_dir else self.house_layers

    @property
    def house_layers(self) -> Path:
        """The project's own definitions, whose code lists every sector may use."""
        return Path(__file__).resolve().parent.parent / "layers"


class IngestSettings(_Group):
    """Limits of reading and loading files."""

    batch_rows: int = Field(20_000, ge=100, description="Rows read, checked and staged at a time; bounds memory.")
    batch_mb: int = Field(64, ge=1, description="MB of a file read at a time, where that is fewer rows.")
    max_upload_mb: int = Field(2_000_000, ge=1, description="Largest file in MB that `geocloud load` opens.")
    archive_max_mb: int = Field(
        20_000, ge=1, description="Most MB that an archive may unpack to; more is refused while unpacking."
    )
    archive_entries_max: int = Field(10_000, ge=1, description="Most files in an archive.")
    archive_ratio_max: int = Field(
        200, ge=2, description="Largest ratio of unpacked to packed size of an archive past 100 MB; more is refused."
    )
    crs_sample_rows: int = Field(2_000, ge=10, description="Features the CRS doctor looks at.")
    direct_rows: int = Field(
        20_000, ge=0, description="Rows from which a first load into an empty layer goes straight into its table."
    )
    retire_warn_percent: int = Field(
        30, ge=0, le=100, description="Share of a layer in percent whose retirement by a full load gets a warning."
    )
    report_rows: int = Field(
        1_000,
        ge=0,
        description="Findings listed one by one in a report; beyond it they are counted per rule.",
    )


class WebSettings(_Group):
    """Where the server listens and what one request may cost."""

    host: str = Field("127.0.0.1", description="Address the web server listens on.")
    port: int = Field(8600, ge=1, le=65535, description="Port the web server listens on.")
    workers: int = Field(2, ge=1, le=64, description="Web worker processes.")
    public_url: str | None = Field(
        None,
        description="Base URL written into links when a proxy stands in front; the request's own host if unset.",
    )
    language: Literal["zh", "en"] = Field("zh", description="Language of pages and errors when a request names none.")
    secret: str | None = Field(
        None, description="Key that signs page tokens; a random one kept in the data folder if unset."
    )
    page_default: int = Field(10, ge=1, description="Features on a page when `limit` is not given.")
    page_max: int = Field(
        50_000,
        ge=1,
        description="Largest page; a greater `limit` is answered with a page of this size (OGC 17-069r4, 7.15.2).",
    )
    html_page_max: int = Field(500, ge=1, description="Largest page written as HTML; more is for GeoJSON and CSV.")
    versions_max: int = Field(
        1_000, ge=1, description="Most versions of one feature in one answer; more are on further pages."
    )
    offset_max: int = Field(100_000, ge=0, description="Largest `offset`; deeper pages follow the `next` link.")
    count_max: int = Field(
        10_000,
        ge=0,
        description="Matches counted exactly for `numberMatched`; beyond it the number is left out.",
    )
    url_max: int = Field(16_384, ge=1024, description="Longest request target in bytes.")
    filter_chars_max: int = Field(8_000, ge=100, description="Longest CQL2 filter in characters.")
    filter_depth_max: int = Field(32, ge=2, description="Deepest nesting of a CQL2 filter.")
    filter_nodes_max: int = Field(1_000, ge=10, description="Most operators, names and values in a CQL2 filter.")
    sortby_max: int = Field(4, ge=1, description="Most properties in `sortby`.")
    geometry_chars_max: int = Field(
        12_000, ge=200, description="Longest drawn geometry (GeoJSON text in `geometry`) in characters."
    )
    summary_classes_max: int = Field(
        100, ge=1, description="Classes listed one by one in a summary; the rest are added up."
    )
    time_steps_max: int = Field(
        400, ge=2, description="Most steps of a layer's dates; more days than this are told by months, then by years."
    )
    search_default: int = Field(10, ge=1, description="Results of a search when `limit` is not given.")
    search_max: int = Field(50, ge=1, description="Most results of a search; a greater `limit` is answered with these.")
    search_chars_max: int = Field(200, ge=10, description="Longest text to search for, in characters.")
    h3_points_max: int = Field(
        3_000_000,
        ge=1,
        description="Points that each worker keeps in memory to count them by H3 cells (40 bytes each).",
    )
    h3_cells_max: int = Field(20_000, ge=1, description="Most H3 cells in an answer; more are refused.")
    aggregate_zones_max: int = Field(
        50_000, ge=1, description="Most areas that features are added up by in an answer; more are refused."
    )
    aggregate_points_max: int = Field(
        3_000_000, ge=1, description="Most points that are added up by areas in one answer; more are refused."
    )
    aggregate_shapes_max: int = Field(
        400_000,
        ge=1,
        description="Most lines or polygons that are cut at areas and added up in one answer; more are refused.",
    )
    aggregate_keep_mb: int = Field(
        256,
        ge=0,
        description="Memory in MB per worker for what sums by areas are made of: features in columns, areas, who is "
        "where.",
    )
    dggs_zones_max: int = Field(20_000, ge=1, description="Most zones of a grid (DGGS) in an answer; more are refused.")
    changes_shift_m: float = Field(
        0.05,
        ge=0,
        le=100,
        description="Metres by which two shapes may differ, once one is laid over the other, to count as moved and not "
        "as reshaped.",
    )
    change_log_max: int = Field(
        1_000, ge=1, description="Most entries of a change log in one answer; a greater `limit` is answered with these."
    )
    drawn_max: int = Field(2_000, ge=1, description="Features drawn on an HTML page; the rest are counted beside it.")
    map_embed_origins: tuple[Annotated[str, Field(pattern=r"^https?://(\*\.)?[A-Za-z0-9.\-]+(:\d{1,5})?$")], ...] = (
        Field(
            (),
            description="Origins whose pages may show the map in a frame, as a JSON list such as "
            '`["https://www.example.org"]`; this host always may.',
        )
    )
    stream_chunk_rows: int = Field(1_000, ge=1, description="Features per chunk of a streamed answer.")
    cache_mb: int = Field(
        128, ge=0, description="Memory in MB per worker for answers kept while what they were made from is unchanged."
    )
    event_streams_max: int = Field(
        400, ge=1, description="Streams of `/events` open at a time per worker; more are refused."
    )
    cache_entry_kb: int = Field(1_024, ge=1, description="Largest answer in kB that is kept in the cache.")
    connections_max: int = Field(
        1_000, ge=1, description="Open client connections per worker; more wait in the socket's queue."
    )


class StyleSettings(_Group):
    """How maps are drawn: overrides of styles, and fonts of labels."""

    styles_dir: Path | None = Field(
        None, description="Folder of style overrides `<id>.json`; the project's own `ogc_config/styles/` if unset."
    )
    font_regular: FilePath | None = Field(
        None, description="Font file of map labels and legends; the machine's best Chinese font if unset."
    )
    font_bold: FilePath | None = Field(
        None, description="Font file of bold map labels; the machine's best, or the regular one thickened, if unset."
    )
    style_labels_max: int = Field(
        2_000, ge=1, description="Most names of a layer in the source of map labels (cities, counties, townships)."
    )
    style_override_kb: int = Field(2_048, ge=1, description="Largest style override in kB that is read.")

    @property
    def styles_folder(self) -> Path:
        """Where overrides are: `styles_dir`, or the folder beside the package."""
        return self.styles_dir if self.styles_dir else Path(__file__).resolve().parent.parent / "ogc_config" / "styles"


class EditSettings(_Group):
    """Whether features may be changed over HTTP, and what one change may cost."""

    editing: bool = Field(
        False,
        description="Whether layers whose definition has `access.edit: true` take changes over HTTP from holders of a "
        "key (`geocloud keys new`).",
    )
    edit_body_kb: int = Field(8_192, ge=1, description="Largest body of a change in kB.")
    edit_body_seconds: int = Field(30, ge=1, description="Seconds in which the body of a change must have arrived.")
    edit_features_max: int = Field(1_000, ge=1, description="Most features created by one request.")
    edit_json_depth_max: int = Field(16, ge=8, le=500, description="Deepest nesting of the JSON of a change.")
    edit_pool_size: int = Field(2, ge=1, le=64, description="Writing connections held by each web worker.")
    edit_wait_ms: int = Field(
        5_000, ge=10, description="Milliseconds a change waits for others of its layer before it is answered 503."
    )


class TileSettings(_Group):
    """What one tile may hold, and where tile archives lie."""

    tile_features_max: int = Field(
        20_000, ge=100, description="Most features of a layer in one tile; more are shown as what stands for them."
    )
    tile_bytes_max: int = Field(
        500_000,
        ge=10_000,
        description="Largest tile in bytes before compression; a layer past its share is shown as what stands for it.",
    )

    tile_cache_dir: Path | None = Field(
        None,
        description="Folder of tile archives; the project's own `tile_cache/` where this account may write there, else "
        "`tile_cache/` in the data folder, if unset. Name it when seeding and serving run under different accounts.",
    )


class QgisSettings(_Group):
    """What a generated QGIS project fetches by itself."""

    qgis_rows_max: int = Field(
        5_000,
        ge=0,
        description="Rows up to which a layer's features are loaded when a project opens; tiles draw what has more.",
    )
    qgis_page_rows: int = Field(1_000, ge=10, le=50_000, description="Features QGIS asks for at a time.")


class SiteSettings(_Group):
    """What a site may be that is checked against the plans, and what of the answer is listed."""

    site_max_mb: int = Field(20, ge=1, description="Largest file or geometry of a site, in MB.")
    site_vertices_max: int = Field(100_000, ge=100, description="Most vertices of a site.")
    site_parts_max: int = Field(500, ge=1, description="Most separate parts of a site, or outlines of its file.")
    site_area_max_ha: float = Field(20_000.0, gt=0, description="Largest site, in hectares.")
    site_close_gap_m: float = Field(
        1.0, ge=0, description="Metres up to which the ends of an open outline are joined; a wider gap is refused."
    )
    site_repair_share: float = Field(
        0.001, ge=0, le=1, description="Share of its area that the repair of a self-crossing site may change."
    )
    site_features_listed: int = Field(50, ge=1, description="Features listed under one rule; the rest are counted.")
    site_search_m: float = Field(1_000.0, ge=0, description="Metres around a site searched for protected things.")


class JobSettings(_Group):
    """How processes are run through the queue, and what is kept of them."""

    job_workers: int = Field(
        2, ge=0, le=64, description="Processes that work on jobs beside the web server; 0: none on this machine."
    )
    jobs_waiting_max: int = Field(200, ge=1, description="Most jobs that wait; more are refused.")
    job_wait_s: int = Field(
        60, ge=1, description="Seconds a request waits for a process it did not ask to be run in the background."
    )
    job_stale_s: int = Field(
        15, ge=3, description="Seconds without a sign of life after which a worker is taken for dead and its job begun "
        "again."
    )  # fmt: skip
    job_attempts_max: int = Field(3, ge=1, description="How often a job is begun whose worker dies.")
    job_memory_mb: int = Field(
        4_096, ge=256, description="Memory in MB that one job may take; it fails beyond that, and nothing else does."
    )
    job_body_kb: int = Field(30_720, ge=16, description="Largest body of an execution request in kB.")
    job_keep_days: int = Field(30, ge=1, description="Days that ended jobs and their results are kept.")
    jobs_listed: bool = Field(
        False, description="Whether `/jobs` lists everybody's jobs; without it a job is found by its id alone."
    )


class SensingSettings(_Group):
    """Readings of devices: what is taken in, and what one question may bring."""

    sensing_future_s: int = Field(
        300,
        ge=0,
        description="Seconds a reading's time may lie ahead of this machine's clock; more goes to quarantine.",
    )
    sensing_earliest_year: int = Field(
        2000, ge=1900, le=9999, description="First year whose readings are kept; earlier ones go to quarantine."
    )
    sensing_body_kb: int = Field(16_384, ge=1, description="Largest body of readings in kB.")
    sensing_readings_max: int = Field(50_000, ge=1, description="Most readings in one request.")
    sensing_problems_max: int = Field(
        20, ge=0, description="Problems of a batch told one by one; the rest are counted."
    )
    sensing_batch: int = Field(
        10_000, ge=1, description="Readings of a file or of a broker that are written in one transaction."
    )
    sensing_page_default: int = Field(
        1_000, ge=1, description="Datastreams or latest values when `limit` is not given."
    )
    sensing_page_max: int = Field(
        50_000, ge=1, description="Most datastreams or latest values in one answer; a greater `limit` brings these."
    )
    sensing_series_max: int = Field(
        50_000, ge=1, description="Most readings of a series in one answer; more are refused, buckets hold them."
    )
    sensing_buckets_max: int = Field(10_000, ge=1, description="Most time buckets in one answer; more are refused.")
    sensing_span_days: int = Field(
        7, ge=1, description="Days before the newest reading that a series shows when `datetime` is not given."
    )
    mqtt_url: str = Field(
        "mqtt://127.0.0.1:1883",
        description="Broker that `geocloud sensing mqtt` reads from; `mqtts://` for TLS, user and password before the "
        "host's name.",
    )
    mqtt_client_id: str = Field(
        "geocloud",
        min_length=1,
        max_length=65_000,
        description="Name under which the broker keeps what arrives while nobody reads; no two processes share it.",
    )
    sensing_areas_max: int = Field(
        1_000, ge=1, description="Most areas that readings are summed up by; more are refused."
    )


class RasterSettings(_Group):
    """Where rasters such as elevation models lie, and how much of one is read at a time."""

    rasters_dir: Path | None = Field(
        None,
        description="Folder of rasters, `<name>.tif` with `<name>.yaml` beside it; `rasters/` in the data folder "
        "if unset.",
    )
    raster_cells_max: int = Field(
        16_000_000, ge=10_000, description="Most cells of a raster that a process reads; more are refused."
    )


class Settings(_Group):
    """All groups together; made once per application or command."""

    database: DatabaseSettings = Field(default_factory=lambda: DatabaseSettings(), description="Database.")
    city: CitySettings = Field(default_factory=lambda: CitySettings(), description="City.")
    ingest: IngestSettings = Field(default_factory=lambda: IngestSettings(), description="Ingest.")
    web: WebSettings = Field(default_factory=lambda: WebSettings(), description="Web.")
    edit: EditSettings = Field(default_factory=lambda: EditSettings(), description="Editing.")
    styles: StyleSettings = Field(default_factory=lambda: StyleSettings(), description="Styles.")
    qgis: QgisSettings = Field(default_factory=lambda: QgisSettings(), description="QGIS.")
    tiles: TileSettings = Field(default_factory=lambda: TileSettings(), description="Tiles.")
    site: SiteSettings = Field(default_factory=lambda: SiteSettings(), description="Sites.")
    jobs: JobSettings = Field(default_factory=lambda: JobSettings(), description="Jobs.")
    sensing: SensingSettings = Field(default_factory=lambda: SensingSettings(), description="Sensing.")
    rasters: RasterSettings = Field(default_factory=lambda: RasterSettings(), description="Rasters.")

    @property
    def rasters_folder(self) -> Path:
        """Where rasters lie: `rasters_dir`, or the folder in the data folder."""
        return self.rasters.rasters_dir or self.database.home / "rasters"

    @property
    def tile_cache_folder(self) -> Path:
        """Where tile archives lie, see `tile_cache_dir`."""
        if self.tiles.tile_cache_dir:
            return self.tiles.tile_cache_dir
        beside = Path(__file__).resolve().parent.parent / "tile_cache"
        return beside if os.access(beside, os.W_OK) else self.database.home / "tile_cache"

    @classmethod
    def read(cls) -> Settings:
        """Settings from the environment; a SettingsError names the variable that cannot be used."""
        try:
            return cls()
        except ValidationError as exc:
            first = exc.errors()[0]
            raise _cannot_be_used(str(first["loc"][0]), str(first["msg"])) from None
        except pydantic_settings.SettingsError as exc:
            # A list that is not JSON; the sentence names the field in quotes.
            name = re.search(r'field "(\w+)"', str(exc))
            raise _cannot_be_used(name[1] if name else "?", "a JSON list is needed") from None


def _cannot_be_used(field: str, why: str) -> SettingsError:
    name = "GEOCLOUD_" + field.upper()
    return SettingsError(
        f"{name} cannot be used: {why}.",
        f"环境变量 {name} 的值不可用:{why}。",
        todo_en="docs/settings.md lists every setting and its range.",
        todo_zh="各设置及取值范围见 docs/settings.md。",
    )
