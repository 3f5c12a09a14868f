# SPDX-License-Identifier: Apache-2.0
"""Pictures of the web map for the documentation: `.venv/bin/python tools/map_pictures.py ADDRESS FOLDER`.

ADDRESS is that of a served demo city, such as http://127.0.0.1:8600. Needs playwright (the test extra) and the system's
Chromium. `make pictures` does it all.
"""

from __future__ import annotations

import io
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

__all__ = ["Picture", "main"]

_SOFTWARE = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
_DESK, _PHONE = (1280, 800), (390, 844)
# A map is done when it looks the same for this long; one that never does is an error.
_STILL_S, _MOST_S = 4.0, 180.0
_BYTES_MAX = 700_000


@dataclass(frozen=True)
class Picture:
    """A view of the map: what stands after `#` in its address, the size of the window, and what is pressed, with what
    then appears."""

    name: str
    view: str
    size: tuple[int, int] = _DESK
    press: tuple[str, str] | None = None


_PICTURES = (
    Picture("map-8", "at=8.3/36.42/115.95&lang=zh&dark=0"),
    Picture("map-12", "at=12/36.45/115.98&lang=zh&dark=0"),
    Picture("map-15", "at=15/36.44/116.0&lang=zh&dark=0"),
    Picture("map-phone", "at=13/36.45/115.98&lang=zh&dark=0", _PHONE),
    Picture("map-dark", "at=12.4/36.45/115.98&lang=en&dark=1"),
    Picture(
        "map-planning",
        "at=14/36.45/115.98&lang=zh&dark=0&plan=check&site=area/115.974,36.444/115.986,36.445/115.985,36.455/115.973,36.454",
        press=("[data-act=run]", ".answer"),
    ),
)


def main(address: str, folder: Path) -> int:
    """0 when all pictures were made."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("Chromium is not installed: apt-get install chromium", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", *_SOFTWARE])
        try:
            for picture in _PICTURES:
                data = _small(_taken(browser, f"{address.rstrip('/')}/map#{picture.view}", picture.size, picture.press))
                if len(data) > _BYTES_MAX:
                    print(f"{picture.name}: {len(data):,} bytes, more than {_BYTES_MAX:,}", file=sys.stderr)
                    return 1
                (folder / f"{picture.name}.png").write_bytes(data)
                print(f"{folder / picture.name}.png {len(data):,} bytes")
        finally:
            browser.close()
    return 0


def _taken(browser: Browser, url: str, size: tuple[int, int], press: tuple[str, str] | None = None) -> bytes:
    """The page once it has loaded and stopped changing; RuntimeError when it says an error."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    errors: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(message.text)

    page.on("console", said)
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.goto(url)
    page.wait_for_load_state("networkidle", timeout=_MOST_S * 1000)
    if press is not None:
        page.click(press[0])
        page.wait_for_selector(press[1])
    shot = _still(page)
    page.close()
    if errors:
        raise RuntimeError(f"{url}: {errors[0]}")
    return shot


def _still(page: Page) -> bytes:
    """The picture that has not changed for a while."""
    end = time.monotonic() + _MOST_S
    last, since = b"", time.monotonic()
    while time.monotonic() < end:
        shot = page.screenshot()
        if shot != last:
            last, since = shot, time.monotonic()
        elif time.monotonic() - since >= _STILL_S:
            return shot
        page.wait_for_timeout(300)
    raise RuntimeError(f"{page.url}: still changing after {_MOST_S:.0f} s")


def _small(data: bytes) -> bytes:
    """The picture as it is, or in 256 colours when it is too large; the colours of classes are kept."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    if out.tell() <= _BYTES_MAX:
        return out.getvalue()
    out = io.BytesIO()
    image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
