# SPDX-License-Identifier: Apache-2.0
"""The version in an ETag names exactly the row it was made from, and nothing else is taken for one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocloud.features.version import Version, named_versions

MOMENTS = st.datetimes(timezones=st.just(UTC)) | st.sampled_from([datetime.min, datetime.max]).map(
    lambda d: d.replace(tzinfo=UTC)
)


@given(MOMENTS, MOMENTS, st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=1))
def test_tag_names_its_version(sys_from: datetime, valid_from: datetime, variant: str) -> None:
    version = Version(sys_from, valid_from)
    tag = version.tag(variant)
    assert named_versions(tag) == [version]
    # With the suffix of a content coding, and among others.
    assert named_versions(f'"x", {tag[:-1]}-gzip" ,W/{tag}') == [version]


@given(MOMENTS, MOMENTS)
def test_versions_a_microsecond_apart_differ(sys_from: datetime, valid_from: datetime) -> None:
    one = Version(sys_from, valid_from)
    step = timedelta(microseconds=1)
    later = sys_from + step if sys_from.replace(tzinfo=None) < datetime.max else sys_from - step
    assert Version(later, valid_from).text() != one.text() != Version(valid_from, later).text()


def test_infinite_times_of_the_driver_have_no_zone() -> None:
    version = Version.of(datetime(2026, 1, 1, tzinfo=UTC), datetime.min)
    assert named_versions(version.tag("a")) == [version]


@pytest.mark.parametrize(
    "text",
    ["", '""', '"a"', '"a.b"', '"a.b.c.d"', "a.b.c", '"A.b.c"', '".b.c"', '"~.b.c"', '"' + "9" * 40 + '.1.c"',
     '"zzzzzzzzzzzzzz.1.c"', "W/\"1.1.c\"", '"１.1.c"'],
)  # fmt: skip
def test_other_tags_name_none(text: str) -> None:
    assert named_versions(text) == []


def test_star_is_whatever_is_there() -> None:
    assert named_versions(" * ") is None
