"""The colours of categories: which one a new category gets, and how each is shown so that text stays readable.

A category has one colour, kept in the database and returned by the API. As text that single colour can't be readable on
a light and on a dark page alike, so the page derives three more from it: ink to write on it, and a shade of it for text
on either theme's surface. All reach the 4.5:1 of WCAG AA; `tests/unit/services/blog/test_palette.py` holds them to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Surfaces that coloured text stands on: the least favourable ones of each theme in `static/style.css`.
LIGHT_SURFACE = "#F3F1EC"
DARK_SURFACE = "#22262D"
READABLE = 4.5

#: The first three belong to the seeded categories. The rest keep 3:1 against both surfaces, as borders and dots need.
COLORS: tuple[str, ...] = (
    "#3B82F6",
    "#E9754A",
    "#757575",
    "#CC54C5",
    "#4B9D27",
    "#D22C57",
    "#B15901",
    "#825EB9",
    "#0196B0",
    "#9D882F",
    "#277E50",
    "#C26E89",
    "#996FFB",
    "#8486BC",
    "#3D74B0",
    "#5C9572",
)

_RGB = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Shades:
    """How one colour is shown.

    Parameters:
        color: the colour itself, for backgrounds, borders and dots.
        ink: black or white, whichever reads better on `color`.
        on_light: the colour, darkened as far as text on the light theme's surfaces needs.
        on_dark: the colour, lightened as far as text on the dark theme's surfaces needs.
    """

    color: str
    ink: str
    on_light: str
    on_dark: str


def contrast(first: str, second: str) -> float:
    """The WCAG contrast ratio of two `#RRGGBB` colours, 1 to 21."""
    bright, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def distance(first: str, second: str) -> float:
    """How different two colours look: their distance in OKLab, 0 to about 1; below 0.1 they are easily confused."""
    return math.dist(_oklab(first), _oklab(second))


def pick(assigned: Sequence[str]) -> str:
    """The colour for the next category, given those of the existing ones in their order.

    Of the colours used least so far it is the one that looks most unlike its neighbours, the last three.
    """
    uses = {color: assigned.count(color) for color in COLORS}
    neighbours = assigned[-3:]
    candidates = [color for color in COLORS if color not in neighbours]
    fewest = min(uses[color] for color in candidates)
    return max(
        (color for color in candidates if uses[color] == fewest),
        key=lambda color: min((distance(color, neighbour) for neighbour in neighbours), default=0.0),
    )


@cache
def shades(color: str) -> Shades:
    """The shades that a colour is shown in."""
    return Shades(
        color=color,
        ink=max("#FFFFFF", "#000000", key=lambda ink: contrast(ink, color)),
        on_light=_readable(color, LIGHT_SURFACE, "#000000"),
        on_dark=_readable(color, DARK_SURFACE, "#FFFFFF"),
    )


def css_class(color: str) -> str:
    """The class that sets a colour's variables, for example `hue-3b82f6`."""
    return f"hue-{color[1:].lower()}"


def stylesheet() -> str:
    """CSS variables for every colour of the palette; part of the page's stylesheet."""
    return "\n".join(
        f".{css_class(color)}{{--hue:{s.color};--hue-ink:{s.ink};--hue-on-light:{s.on_light};--hue-on-dark:{s.on_dark}}}"
        for color in COLORS
        for s in (shades(color),)
    )


def _readable(color: str, surface: str, towards: str) -> str:
    """`color`, mixed with as little of `towards` as text on `surface` needs."""
    for step in range(101):
        mixed = _mix(color, towards, step / 100)
        if contrast(mixed, surface) >= READABLE:
            return mixed
    return towards


def _mix(first: str, second: str, share: float) -> str:
    pairs = zip(_channels(first), _channels(second), strict=True)
    return "#" + "".join(f"{round((a + (b - a) * share) * 255):02X}" for a, b in pairs)


def _channels(color: str) -> _RGB:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _linear(color: str) -> _RGB:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _channels(color))
    return red, green, blue


def _luminance(color: str) -> float:
    red, green, blue = _linear(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _oklab(color: str) -> _RGB:
    red, green, blue = _linear(color)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )
