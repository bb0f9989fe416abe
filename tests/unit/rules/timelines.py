"""How the rules are tested: every series has a timeline of three phases - well, ill, well again - in promtool's notation."""

from __future__ import annotations

from dataclasses import dataclass, field

STEP = 30
"""Seconds between two samples, and between two evaluations."""
PHASES = (20, 60, 90)
"""Minutes of the phases, unless a case has its own."""


@dataclass(frozen=True)
class Timeline:
    """A series' samples: `well` and `ill` are numbers of a gauge, or, where it counts, what each sample adds."""

    well: float | None
    ill: float | None
    counts: bool = False

    def values(self, minutes: tuple[int, int, int]) -> str:
        """The series in promtool's notation."""
        parts: list[str] = []
        total = 0.0
        for length, value in zip(minutes, (self.well, self.ill, self.well), strict=True):
            samples = length * 60 // STEP
            if value is None:
                # A series that ends does so at once, as one does whose target is gone.
                parts.append(f"stale _x{samples - 2}")
            elif self.counts:
                parts.append(f"{total:g}+{value:g}x{samples - 1}")
                total += value * samples
            else:
                parts.append(f"{value:g}x{samples - 1}")
        return " ".join(parts)


def gauge(well: float, ill: float) -> Timeline:
    """A number that is `well`, then `ill`, then `well`."""
    return Timeline(well, ill)


def always(value: float) -> Timeline:
    """A number that stays."""
    return Timeline(value, value)


def counter(well: float, ill: float) -> Timeline:
    """A counter that grows by so much from one sample to the next."""
    return Timeline(well, ill, counts=True)


def gone(value: float = 1) -> Timeline:
    """A series that is missing while things are ill."""
    return Timeline(value, None)


def only_ill(value: float = 1) -> Timeline:
    """A series that exists only while things are ill."""
    return Timeline(None, value)


@dataclass(frozen=True)
class Case:
    """One alert's series, by name; `alerts` of them fire in the phase in which things are ill.

    A series is a string in promtool's notation where three phases do not say enough.
    """

    series: dict[str, Timeline | str]
    alerts: int = 1
    minutes: tuple[int, int, int] = field(default=PHASES)

    def input_series(self) -> list[dict[str, str]]:
        """The series as promtool wants them."""
        return [
            {"series": name, "values": line if isinstance(line, str) else line.values(self.minutes)}
            for name, line in self.series.items()
        ]


def histogram(name: str, labels: str, well: float, ill: float) -> dict[str, Timeline | str]:
    """A histogram whose observations fall below `well`, then between `well` and `ill`."""
    return {
        f'{name}_bucket{{{labels}, le="{well:g}"}}': counter(10, 0),
        f'{name}_bucket{{{labels}, le="{ill:g}"}}': counter(10, 10),
        f'{name}_bucket{{{labels}, le="+Inf"}}': counter(10, 10),
        f"{name}_count{{{labels}}}": counter(10, 10),
    }
