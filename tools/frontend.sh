#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Libraries of the web map and of notebooks' maps, by package-lock.json, into geocloud/web/static/vendor/ (not in git).
# Run again it only compares a checksum. Ends with 21 when npm is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
vendor=geocloud/web/static/vendor

say() { printf '%s\n' "$*" >&2; }

sum="$(sha256sum package.json package-lock.json tools/frontend.sh | sha256sum | cut -d' ' -f1)"
if [ "$(cat "$vendor/.stamp" 2>/dev/null || true)" = "$sum" ]; then exit 0; fi

if ! command -v npm >/dev/null; then
    say "The libraries of the web map are not installed, and npm, which installs them, is missing."
    say "Install Node.js with npm (as root: apt-get install nodejs npm), then run tools/frontend.sh again."
    say "网页地图的前端库尚未安装,且缺少 npm。请安装 Node.js 与 npm 后重新运行 tools/frontend.sh。"
    exit 21
fi

say "Installing the libraries of the web map (安装网页地图前端库) …"
# No script of a package is run: files are copied, nothing is built.
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2

fresh="$vendor.new"
rm -rf "$fresh"
put() { mkdir -p "$fresh/$1" && cp "${@:2}" "$fresh/$1/"; }
put maplibre-gl node_modules/maplibre-gl/dist/maplibre-gl{,-shared,-worker}.mjs \
    node_modules/maplibre-gl/dist/maplibre-gl.css node_modules/maplibre-gl/LICENSE.txt
# For pages without a server, see docs/pmtiles.html.
put pmtiles node_modules/pmtiles/{dist/pmtiles.js,package.json}
# For notebooks, which write it into the pages they save.
put leaflet node_modules/leaflet/{dist/leaflet.js,dist/leaflet.css,LICENSE}
# Maps from served to written code are of no use where the written code is not served.
find "$fresh" -type f \( -name '*.mjs' -o -name '*.js' \) -exec sed -i '/^\/\/# sourceMappingURL=/d' {} +
printf '%s' "$sum" >"$fresh/.stamp"
rm -rf "$vendor"
mv "$fresh" "$vendor"
