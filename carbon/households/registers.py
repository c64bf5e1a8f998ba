"""A cumulative register becomes use: what ran through a meter between two readings, in whole base units.

A register shows a number below its modulus and starts again at zero. What it counted is the one amount that
fits both numbers and is plausible for the days between; where none fits (it ran backwards, or somebody read
another meter) or several do (too long ago to tell how often it went round), nothing is counted: a guess
would be a saving or a debt that nobody made. An estimate counts nothing either: the next actual reading says
what it was, and the days between are then known by that.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import pairwise


class Course(StrEnum):
    """What became of a register between two readings."""

    COUNTED = "counted"
    ROLLED_OVER = "rolled_over"
    BACKWARDS = "register_backwards"
    IMPLAUSIBLE = "use_implausible"
    AMBIGUOUS = "use_ambiguous"


@dataclass(frozen=True, kw_only=True)
class Register:
    """A dial: it shows 0 to `modulus` less one, and a step is `resolution` base units times `multiplier`.

    The multiplier is that of the transformers before the meter; 1 in a home.
    """

    modulus: int
    resolution: int
    multiplier: int = 1

    @property
    def step(self) -> int:
        """Base units of one step of the dial."""
        return self.resolution * self.multiplier


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the register showed when `day` began."""

    day: date
    register: int
    estimated: bool = False


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Half-open days between two readings and what was used in them; `used` is 0 where nothing is known."""

    first_day: date
    end_day: date
    course: Course
    used: int

    @property
    def is_known(self) -> bool:
        """Whether `used` is what ran through the meter."""
        return self.course in {Course.COUNTED, Course.ROLLED_OVER}

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.end_day - self.first_day).days


def interval(register: Register, earlier: Reading, later: Reading, *, use_day_most: int) -> Interval:
    """What was used between two readings of one meter; `use_day_most` base units a day are plausible."""
    bound = use_day_most * (later.day - earlier.day).days
    used = (later.register - earlier.register) % register.modulus * register.step
    fell = later.register < earlier.register
    if used > bound:
        course = Course.BACKWARDS if fell else Course.IMPLAUSIBLE
    elif used + register.modulus * register.step <= bound:
        course = Course.AMBIGUOUS
    else:
        course = Course.ROLLED_OVER if fell else Course.COUNTED
    known = course in {Course.COUNTED, Course.ROLLED_OVER}
    return Interval(first_day=earlier.day, end_day=later.day, course=course, used=used if known else 0)


def intervals(register: Register, readings: Iterable[Reading], *, use_day_most: int) -> list[Interval]:
    """From each actual reading to the next, in the order of their days; one reading a day."""
    actual = sorted((each for each in readings if not each.estimated), key=lambda each: each.day)
    return [
        interval(register, earlier, later, use_day_most=use_day_most) for earlier, later in pairwise(actual)
    ]
