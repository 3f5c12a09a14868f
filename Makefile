# SPDX-License-Identifier: Apache-2.0
# Each command does its own set-up: quick when nothing changed, told what is missing when it cannot.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run test test-qgis pictures pictures-qgis pictures-reports bench lint setup docs constraints

help:
	@echo "make run    a city that answers on http://127.0.0.1:8600/ (一键运行)"
	@echo "make test   all tests, on a real PostGIS (测试)"
	@echo "make test-qgis   the projects for QGIS, in real QGIS (QGIS 工程测试)"
	@echo "make pictures    pictures of the web map for the documentation (文档截图)"
	@echo "make lint   ruff and mypy (代码检查)"
	@echo "make bench  benchmarks with a table (性能测试)"
	@echo "make setup  packages and Python environment only (仅安装环境)"

setup:
	@tools/setup.sh

run: setup
	@.venv/bin/geocloud up

# Files of tests side by side, each whole, for a database of its own serves all of its tests; then, with the machine to
# themselves, those that drive a browser and those that run notebooks.
TESTERS ?= auto
ALONE := tests/browser tests/notebooks
test:
	@tools/setup.sh test
	@failed=0; \
	.venv/bin/pytest -n $(TESTERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ALONE:%=--ignore=%) || failed=$$?; \
	.venv/bin/pytest $(ALONE) || failed=$$?; \
	exit $$failed

# The same tests run by `make test` are skipped where QGIS is not installed; this installs it.
test-qgis:
	@tools/setup.sh test
	@tools/setup.sh qgis
	.venv/bin/pytest tests/qgis

# The pictures of docs/gis-staff.md, from the small demo city that `make run` serves at CITY.
CITY ?= http://127.0.0.1:8600
DRAW := QT_QPA_PLATFORM=offscreen /usr/bin/python3 tools/qgis_picture.py
PICTURE := $(DRAW) $(CITY)/qgis/city.qgz
pictures-qgis:
	@tools/setup.sh qgis
	mkdir -p docs/pictures
	$(PICTURE) docs/pictures/qgis-city.png
	$(PICTURE) docs/pictures/qgis-town.png 115.93,36.42,116.07,36.52
	$(PICTURE) docs/pictures/qgis-sheet.png sheet
	$(DRAW) $(CITY)/qgis/emergency.qgz docs/pictures/qgis-emergency.png 115.93,36.42,116.07,36.52
	$(DRAW) $(CITY)/qgis/water.qgz docs/pictures/qgis-water.png 115.70,36.25,116.30,36.70
	$(DRAW) $(CITY)/qgis/parking.qgz docs/pictures/qgis-parking.png 115.95,36.43,116.03,36.48

# The pictures of the web map in README.md and docs/, from the demo city served at CITY.
pictures:
	@tools/setup.sh test
	.venv/bin/python tools/map_pictures.py $(CITY) docs/pictures

lint:
	@tools/setup.sh test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# The pictures of docs/planners.md: pages of reports on the demo city in the database.
pictures-reports:
	.venv/bin/python tools/report_pictures.py docs/pictures

bench:
	@tools/setup.sh bench
	.venv/bin/python -m benchmarks

# docs/settings.md and docs/exit-codes.md from the code.
docs:
	.venv/bin/python tools/document.py

# The versions that were tested, after a dependency was added or raised.
constraints:
	.venv/bin/pip freeze --exclude-editable > constraints.txt
