"""Meters of the demo city: what each household used month by month, written as bills with a baseline.

The baseline of a bill is the same household's use in the same month of the year before; the
generator knows a year more than it bills, so that the first bill has one too.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from random import Random

from app.demo.stage import month_start

BILLED_MONTHS = 25
HEADER = "account,meter,period_start,period_end,reading_start,reading_end,unit,baseline"
SUMMER = (85, 85, 85, 90, 110, 145, 170, 170, 140, 110, 90, 85)
"""Use of electricity by month in parts of a hundred: cooling is what a southern summer costs."""


@dataclass(frozen=True)
class Meter:
    """One meter and its registers, one for each month's end, oldest first, in tenths of its unit."""

    account: str
    number: str
    unit: str
    readings: tuple[int, ...]


def electricity_meter(dice: Random, account: str, *, first: date) -> Meter:
    """A household's electricity in kWh from the month `first` on."""
    monthly = dice.randrange(1_600, 3_600)
    use = [monthly * SUMMER[(first.month - 1 + month) % 12] // 100 for month in range(_MONTHS)]
    return _meter(dice, account, f"E{account[-4:]}", "kWh", use)


def water_meter(dice: Random, account: str, *, first: date) -> Meter:
    """A household's water in cubic metres from the month `first` on."""
    del first  # water knows no season here
    monthly = dice.randrange(80, 220)
    return _meter(dice, account, f"W{account[-4:]}", "m3", [monthly] * _MONTHS)


def bill_file(meters: Iterable[Meter], *, first: date, month: int) -> bytes:
    """The bills of the `month`-th billed month (from 0), a line a meter."""
    start, end = month_start(first, 12 + month), month_start(first, 13 + month)
    lines = [HEADER, *(_bill(meter, 12 + month, start=start, end=end) for meter in meters)]
    return ("\n".join(lines) + "\n").encode()


_MONTHS = 12 + BILLED_MONTHS


def _meter(dice: Random, account: str, number: str, unit: str, use: list[int]) -> Meter:
    register = dice.randrange(10_000, 90_000)
    readings = [register]
    for month, usual in enumerate(use):
        # Households learn: a third of a percent less every month, more or less.
        register += usual * (1000 - 3 * month) // 1000 * dice.randrange(90, 111) // 100
        readings.append(register)
    return Meter(account, number, unit, tuple(readings))


def _bill(meter: Meter, month: int, *, start: date, end: date) -> str:
    before = meter.readings[month - 11] - meter.readings[month - 12]
    opened, closed = meter.readings[month], meter.readings[month + 1]
    texts = (f"{value // 10}.{value % 10}" for value in (opened, closed))
    baseline = f"{before // 10}.{before % 10}"
    return ",".join([meter.account, meter.number, str(start), str(end), *texts, meter.unit, baseline])
