"""What looks odd in a drafted table, said and never refused: a person decides.

A row is compared with the one it follows, and with the rows of its scenario and unit that are in force in
other regions today. What is found is kept with the draft as a code and figures, and put in words here.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import select

from carbon.factors.factor_rows import FactorRow
from carbon.factors.row_changes import compare_rows, percent_in_words, percent_moved
from carbon.factors.tables import Factor
from carbon.methodologies.registry import FOOTPRINTS
from carbon.methodologies.unit_algebra import Measure, convert_factor, parse_factor_unit
from kernel.call import Call
from kernel.publications.tables import Publication

MOVED_TIMES, APART_TIMES = 2, 5
"""A value may move by this factor, and regions be this far apart, before it is said."""

MOVED, GRID_HIGHER, APART = "value_moved_much", "grid_factor_higher", "regions_far_apart"
TWICE = "printed_twice"


class Said(NamedTuple):
    """A warning's sentence in two languages; the figures stand in braces."""

    en: str
    zh: str


SENTENCES: Mapping[str, Said] = MappingProxyType(
    {
        MOVED: Said(
            "more than {times} times what it was, or less than one part in {times}:"
            " {before} before, {after} now",
            "与前一张表相差超过 {times} 倍:原为 {before},现为 {after}",
        ),
        GRID_HIGHER: Said(
            "a grid factor that is higher than the one before ({percent} %): each saved kilowatt-hour counts"
            " more; {before} before, {after} now",
            "电网因子高于前一版({percent}%),同样的节电量将折算更多减排量:原为 {before},现为 {after}",
        ),
        APART: Said(
            "more than {times} times apart from {other_region}: {other} there, {after} here",
            "与 {other_region} 相差超过 {times} 倍:该地区为 {other},本表为 {after}",
        ),
        TWICE: Said(
            "the document prints {after} in one place ({place}) and {other} in another ({other_place});"
            " the first counts",
            "文件两处不一致:{place} 为 {after},{other_place} 为 {other};以前者为准",
        ),
    }
)


@dataclass(frozen=True)
class Oddity:
    """What is odd about a row; `facts` are the figures of its sentence, as printed."""

    code: str
    row: str
    region: str
    facts: dict[str, str]


class Neighbour(NamedTuple):
    """A row in force in a region: its value in arithmetic, then where it is and how it is printed."""

    value_ng: int
    region: str
    printed: str


Kind = tuple[str, Measure, str]
"""What is comparable: a scenario, what is counted, and the gases."""


def warnings_of(call: Call, rows: Sequence[FactorRow], *, predecessor: Sequence[FactorRow]) -> list[Oddity]:
    """What is odd about rows that would follow those of `predecessor`, in the order of `rows`."""
    before = {
        id(change.after): change.before
        for change in compare_rows(predecessor, rows)
        if change.after is not None and change.before is not None
    }
    neighbours = _in_force(call, {row.scenario for row in rows})
    found: list[Oddity] = []
    for row in rows:
        old = before.get(id(row))
        found += [] if old is None else _moved(old, row)
        found += _apart(row, neighbours)
        found += _printed_twice(row)
    return found


def in_words(kept: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Kept warnings with their sentences."""
    return [
        {
            "code": each["code"],
            "row": each["row"],
            "region": each["region"],
            "text_en": SENTENCES[each["code"]].en.format(**each["facts"]),
            "text_zh": SENTENCES[each["code"]].zh.format(**each["facts"]),
        }
        for each in kept
    ]


def _moved(before: FactorRow, after: FactorRow) -> list[Oddity]:
    old, new = _kind_and_value(before), _kind_and_value(after)
    if old.kind != new.kind:
        return []
    facts = {"before": _printed(before), "after": _printed(after)}
    found = []
    if _apart_by(old.value_ng, new.value_ng, times=MOVED_TIMES):
        found.append(Oddity(MOVED, after.code, after.region, {**facts, "times": str(MOVED_TIMES)}))
    percent = percent_moved(before, after)
    if (
        after.method not in FOOTPRINTS
        and new.kind[1] is Measure.WATT_HOUR
        and percent is not None
        and percent > 0
    ):
        told = {**facts, "percent": percent_in_words(percent)}
        found.append(Oddity(GRID_HIGHER, after.code, after.region, told))
    return found


def _apart(row: FactorRow, neighbours: Mapping[Kind, Sequence[Neighbour]]) -> list[Oddity]:
    """The row beside the lowest and the highest of other regions: one warning, of the lowest if both."""
    own = _kind_and_value(row)
    ordered = neighbours.get(own.kind, ())
    for way in (ordered, reversed(ordered)):
        farthest = next((each for each in way if each.region != row.region), None)
        if farthest is not None and _apart_by(own.value_ng, farthest.value_ng, times=APART_TIMES):
            facts = {
                "times": str(APART_TIMES),
                "other_region": farthest.region,
                "other": farthest.printed,
                "after": _printed(row),
            }
            return [Oddity(APART, row.code, row.region, facts)]
    return []


def _printed_twice(row: FactorRow) -> list[Oddity]:
    if row.other_value is None:
        return []
    facts = {
        "after": _printed(row),
        "place": row.value_place or "",
        "other": f"{row.other_value} {row.unit}",
        "other_place": row.other_place or "",
    }
    return [Oddity(TWICE, row.code, row.region, facts)]


def _apart_by(a: int, b: int, *, times: int) -> bool:
    """Whether one of two values is more than `times` the other; zero is far from all but zero."""
    return max(a, b) > times * min(a, b)


class _Value(NamedTuple):
    kind: Kind
    value_ng: int


def _kind_and_value(row: FactorRow) -> _Value:
    converted = convert_factor(row.value, row.unit, gas_set=row.gas_set)
    return _Value((row.scenario, converted.measure, row.gas_set.value), converted.value_ng)


def _printed(row: FactorRow) -> str:
    return f"{row.value} {row.unit}"


def _in_force(call: Call, scenarios: Iterable[str]) -> Mapping[Kind, Sequence[Neighbour]]:
    """The rows of some scenarios that are in force today, in all regions, the lowest value first."""
    found: dict[Kind, list[Neighbour]] = defaultdict(list)
    for row in call.db.scalars(
        select(Factor)
        .join(Publication, Publication.id == Factor.publication_id)
        .where(
            Factor.scenario.in_(list(scenarios)),
            Factor.valid_from <= call.today,
            Factor.valid_to.is_(None) | (Factor.valid_to > call.today),
            Publication.state == "published",
            Publication.effective_from <= call.today,
            Publication.ends_on.is_(None) | (Publication.ends_on > call.today),
        )
    ):
        kind = (row.scenario, parse_factor_unit(row.unit).measure, row.gas_set)
        found[kind].append(Neighbour(row.value_ng, row.region_id, f"{row.value} {row.unit}"))
    return {kind: sorted(several) for kind, several in found.items()}
