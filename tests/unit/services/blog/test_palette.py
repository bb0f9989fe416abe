"""Every colour of a category can be read on either theme, and neighbours can be told apart."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import blog_service
from blog_service import palette

STYLE = (Path(blog_service.__file__).parent / "page/static/style.css").read_text()


def test_contrast_is_wcags() -> None:
    assert palette.contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert palette.contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)
    assert palette.contrast("#3B82F6", "#3B82F6") == 1


@pytest.mark.parametrize("color", palette.COLORS)
def test_text_in_and_on_every_colour_is_readable(color: str) -> None:
    shades = palette.shades(color)
    assert palette.contrast(shades.ink, color) >= 4.5
    assert palette.contrast(shades.on_light, palette.LIGHT_SURFACE) >= 4.5
    assert palette.contrast(shades.on_dark, palette.DARK_SURFACE) >= 4.5


@pytest.mark.parametrize("color", palette.COLORS[3:])
def test_borders_and_dots_stand_out_on_both_themes(color: str) -> None:
    assert palette.contrast(color, palette.LIGHT_SURFACE) >= 3
    assert palette.contrast(color, palette.DARK_SURFACE) >= 3


def test_the_surfaces_are_the_least_favourable_ones_of_the_stylesheet() -> None:
    pairs = re.findall(r"--(?:page|raised|sunken): light-dark\((#\w{6}), (#\w{6})\)", STYLE)
    assert len(pairs) == 3
    for light, dark in pairs:
        assert palette.contrast("#000000", light) >= palette.contrast("#000000", palette.LIGHT_SURFACE)
        assert palette.contrast("#FFFFFF", dark) >= palette.contrast("#FFFFFF", palette.DARK_SURFACE)


def test_no_two_colours_are_easily_confused() -> None:
    for index, first in enumerate(palette.COLORS):
        for second in palette.COLORS[index + 1 :]:
            assert palette.distance(first, second) > 0.09, (first, second)


@given(st.integers(1, 60))
def test_neighbours_differ_however_many_categories_there_are(count: int) -> None:
    assigned = list(palette.COLORS[:3])
    for _ in range(count):
        assigned.append(palette.pick(assigned))
    for first, second in pairwise(assigned):
        assert palette.distance(first, second) > 0.09
    # As evenly as can be: nothing is used three times while something was used once.
    uses = [assigned.count(color) for color in palette.COLORS]
    assert max(uses) - min(uses) <= 2


def test_the_first_category_gets_a_colour_as_well() -> None:
    assert palette.pick([]) in palette.COLORS


def test_the_stylesheet_has_a_class_for_every_colour() -> None:
    sheet = palette.stylesheet()
    for color in palette.COLORS:
        assert f".{palette.css_class(color)}{{--hue:{color};" in sheet
