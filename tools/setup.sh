#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Packages, Python environment and libraries of the web map for `make run` (no argument), `make test` (test) and
# `make bench` (bench); QGIS alone for `make test-qgis` (qgis).
# Run again it only compares checksums. Ends with 21 when packages are missing that it may not install.
set -euo pipefail
cd "$(dirname "$0")/.."
extra="${1:-}"
postgres_min=15

say() { printf '%s\n' "$*" >&2; }

# A server with the library of PostGIS, which is a package apart from its scripts.
has_server() { [ -x "$1/bin/initdb" ] && compgen -G "$1/lib/postgis-*.so" >/dev/null; }

# Highest major version >= postgres_min whose PostGIS is installed; nothing when there is none.
installed_postgres() {
    local control major found=""
    for control in /usr/share/postgresql/*/extension/postgis.control /usr/pgsql-*/share/extension/postgis.control; do
        [ -e "$control" ] || continue
        major="$(grep -oE '[0-9]+' <<<"${control#/usr/}" | head -n1)"
        if [ "$major" -lt "$postgres_min" ] || [ "$major" -le "${found:-0}" ]; then continue; fi
        if has_server "/usr/lib/postgresql/$major" || has_server "/usr/pgsql-$major"; then
            found="$major"
        fi
    done
    printf '%s' "$found"
}

# pgRouting of the server that is used, its library as well as its scripts; nothing else needs it, so everything runs
# without it but what goes along roads.
has_routing() {
    { compgen -G "/usr/share/postgresql/$1/extension/pgrouting.control" &&
        compgen -G "/usr/lib/postgresql/$1/lib/libpgrouting*.so"; } >/dev/null ||
        { compgen -G "/usr/pgsql-$1/share/extension/pgrouting.control" &&
            compgen -G "/usr/pgsql-$1/lib/libpgrouting*.so"; } >/dev/null
}

# A Python >= 3.11, with what `python -m venv` needs.
find_python() {
    local name
    for name in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        [ -n "$name" ] && command -v "$name" >/dev/null || continue
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$name"
            return
        fi
    done
}

has_venv() { [ -n "$1" ] && "$1" -c 'import venv, ensurepip' 2>/dev/null; }

# The packages of PostgreSQL that this machine's sources offer, newest version last.
offered_postgres() {
    apt-cache search --names-only '^postgresql-[0-9]+-postgis-3$' | grep -oE '^postgresql-[0-9]+' |
        grep -oE '[0-9]+' | awk -v min="$postgres_min" '$1 >= min' | sort -n | tail -n1
}

needs_postgres=1
# A given database needs no server of its own, but the tests always make one.
if [ -n "${GEOCLOUD_DATABASE_URL:-}" ] && [ -z "$extra" ]; then needs_postgres=""; fi

root=()
may_install=""
if command -v apt-get >/dev/null; then
    if [ "$(id -u)" = 0 ]; then
        may_install=1
    elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        may_install=1
        root=(sudo)
    fi
fi

apt_install() {
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2
}

refuse() {
    say "Missing packages: $*"
    say "Install them (as root: apt-get install $*), then run this again; or let root or sudo run it."
    say "缺少软件包:$*。请由管理员安装后重试,或以 root/sudo 运行本命令。"
    exit 21
}

install_postgres() {
    local major conf=/etc/postgresql-common/createcluster.conf
    if [ -z "$may_install" ]; then
        refuse "postgresql (>= $postgres_min)" "postgresql-<version>-postgis-3"
    fi
    say "Installing PostgreSQL and PostGIS (安装 PostgreSQL 与 PostGIS) …"
    "${root[@]}" apt-get update -q >&2
    apt_install postgresql-common
    major="$(offered_postgres)"
    if [ -z "$major" ]; then
        # The release is older than PostgreSQL 15: its own script adds the PostgreSQL project's packages.
        for script in /usr/share/postgresql-common/pgdg/*.sh; do
            if [ -e "$script" ]; then "${root[@]}" "$script" -y >&2 </dev/null || true; fi
        done
        major="$(offered_postgres)"
    fi
    [ -n "$major" ] || refuse "postgresql (>= $postgres_min)" "postgresql-<version>-postgis-3"
    # The package would start a cluster of its own on port 5432, which nobody asked for.
    local kept=""
    if [ -e "$conf" ]; then kept="$(mktemp)" && cp "$conf" "$kept"; fi
    printf 'create_main_cluster = false\n' | "${root[@]}" tee "$conf" >/dev/null
    local failed=""
    apt_install "postgresql-$major" "postgresql-$major-postgis-3" || failed=1
    if [ -n "$kept" ]; then
        "${root[@]}" cp "$kept" "$conf" && rm -f "$kept"
    else
        "${root[@]}" rm -f "$conf"
    fi
    [ -z "$failed" ] || refuse "postgresql-$major" "postgresql-$major-postgis-3"
}

install_routing() {
    local major wanted
    major="$(installed_postgres)"
    if [ -z "$major" ] || has_routing "$major"; then return; fi
    wanted="postgresql-$major-pgrouting"
    if [ -n "$may_install" ]; then
        say "Installing pgRouting (安装 pgRouting) …"
        "${root[@]}" apt-get update -q >&2
        apt_install "$wanted" && return
    fi
    if [ -n "$extra" ]; then refuse "$wanted"; fi
    say "Without the package $wanted nothing is found along roads (as root: apt-get install $wanted)."
    say "缺少软件包 $wanted，按道路计算的功能不可用。"
}

install_python() {
    local python
    [ -n "$may_install" ] || refuse "python3 (>= 3.11)" python3-venv
    say "Installing Python (安装 Python) …"
    "${root[@]}" apt-get update -q >&2
    apt_install python3 python3-venv || true
    python="$(find_python)"
    if ! has_venv "$python"; then
        for python in python3.13 python3.12 python3.11; do
            if apt_install "$python" "$python-venv" 2>/dev/null; then break; fi
        done
    fi
    has_venv "$(find_python)" || refuse "python3 (>= 3.11)" python3-venv
}

has_chinese_font() { command -v fc-list >/dev/null && [ -n "$(fc-list :lang=zh-cn file)" ]; }

has_browser() { command -v chromium >/dev/null || command -v chromium-browser >/dev/null; }

has_mosquitto() { command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ]; }

# The broker of the tests of readings over MQTT, which are skipped without it.
install_mosquitto() {
    if has_mosquitto || [ -z "$may_install" ]; then return; fi
    say "Installing Mosquitto for the tests (安装测试用 Mosquitto) …"
    "${root[@]}" apt-get update -q >&2
    # The package would start a broker of its own on port 1883, which nobody asked for.
    local policy=/usr/sbin/policy-rc.d kept=1
    if [ ! -e "$policy" ]; then
        kept=""
        printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
        "${root[@]}" chmod +x "$policy"
    fi
    apt_install mosquitto || say "Mosquitto could not be installed; its tests are skipped (Mosquitto 未能安装,相关测试将跳过)."
    [ -n "$kept" ] || "${root[@]}" rm -f "$policy"
}

# npm for the libraries of the web map, a font with Chinese for labels and legends, a browser for the tests.
install_for_map() {
    local wanted=()
    if [ ! -e geocloud/web/static/vendor/.stamp ] && ! command -v npm >/dev/null; then
        if ! command -v node >/dev/null; then wanted+=(nodejs); fi
        wanted+=(npm)
    fi
    if ! has_chinese_font; then wanted+=(fontconfig fonts-noto-cjk); fi
    if [ -n "$extra" ] && ! has_browser; then wanted+=(chromium); fi
    if [ "${#wanted[@]}" = 0 ]; then return; fi
    if [ -n "$may_install" ]; then
        say "Installing what the web map needs (安装网页地图所需软件包): ${wanted[*]} …"
        "${root[@]}" apt-get update -q >&2
        apt_install "${wanted[@]}" && return
    fi
    if [ -n "$extra" ]; then refuse "${wanted[*]}"; fi
    say "The web map is not complete without these packages: ${wanted[*]} (as root: apt-get install ${wanted[*]})."
    say "缺少以下软件包，网页地图不完整：${wanted[*]}。"
}

# QGIS as Debian and Ubuntu package it, for the system's own Python.
has_qgis() { QT_QPA_PLATFORM=offscreen /usr/bin/python3 -c 'import qgis.core' 2>/dev/null; }

install_qgis() {
    local wanted=(qgis python3-qgis qgis-providers)
    if has_qgis; then return; fi
    if [ -z "$may_install" ]; then refuse "${wanted[*]}"; fi
    say "Installing QGIS (安装 QGIS) …"
    "${root[@]}" apt-get update -q >&2
    apt_install "${wanted[@]}" || refuse "${wanted[*]}"
}

if [ "$extra" = qgis ]; then
    install_qgis
    exit 0
fi
if [ -n "$needs_postgres" ] && [ -z "$(installed_postgres)" ]; then install_postgres; fi
if [ -n "$needs_postgres" ]; then install_routing; fi
install_for_map
if [ "$extra" = test ]; then install_mosquitto; fi
# Everything but the map runs without its libraries, and the page says how to get them.
tools/frontend.sh || [ -z "$extra" ]

stamp=".venv/.setup${extra:+-$extra}"
sum="$(sha256sum setup.cfg pyproject.toml constraints.txt tools/setup.sh | sha256sum | cut -d' ' -f1) $PWD"
if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null || true)" = "$sum" ]; then exit 0; fi

if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python="$(find_python)"
    if ! has_venv "$python"; then
        install_python
        python="$(find_python)"
    fi
    say "Making the Python environment (创建 Python 环境) …"
    "$python" -m venv --clear .venv
fi
say "Installing Python packages (安装 Python 包) …"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
    -e ".${extra:+[test]}" >&2
if [ "$extra" = bench ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test,bench]" >&2
fi
printf '%s' "$sum" >"$stamp"
# What is installed for the benchmarks serves the tests, and what serves the tests serves a run.
if [ "$extra" = bench ]; then printf '%s' "$sum" >.venv/.setup-test; fi
if [ -n "$extra" ]; then printf '%s' "$sum" >.venv/.setup; fi
