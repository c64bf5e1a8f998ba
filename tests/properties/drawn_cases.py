"""Records and rules as the two worlds are sent them: drawn so that much of it meets.

A few citizens, days, events and meters, so that records repeat and correct each other and fill one cap;
amounts where a milligram or a milli-coin is floored away; instants at borders of days, months and tables.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import combinations, pairwise
from typing import Any

from hypothesis import strategies as st

from tests.properties.two_worlds import OTHERS, OWN, Deed, Parcel, Record, Rule

METRES_MOST = 2**63 // 46_700_000
"""Of a metro ride of 46.7 g a kilometre: its nanograms still fit into 64 bits."""


@dataclass(frozen=True)
class Case:
    """The rules of an example and what comes in."""

    rules: tuple[Rule, ...]
    parcels: tuple[Parcel, ...]
    tiers: tuple[str, ...] = ("device_verified",)
    """Of the partner's contract."""


def mostly(usual: st.SearchStrategy[Any], seldom: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One in five is `seldom`: `one_of` knows no weights."""
    return st.integers(0, 4).flatmap(lambda number: seldom if number == 3 else usual)


NEAR = (
    "2026-11-20T12:00:00+08:00",  # this very moment
    "2026-11-20T08:30:00+08:00",
    "2026-11-20T00:00:00+08:00",
    "2026-11-19T23:59:59.999999+08:00",
    "2026-11-19T12:30:00+08:00",
    "2026-11-19T16:00:00Z",
)
BORDERS = (
    "2026-11-20T12:00:00.000001+08:00",
    "2026-11-24T09:00:00+08:00",
    "2026-11-19T11:59:59+08:00",
    "2026-11-17T12:00:00+08:00",
    "2026-11-17T11:59:59+08:00",
    "2026-11-01T00:00:00+08:00",
    "2026-10-31T23:59:59+08:00",
    "2021-12-01T00:00:00+08:00",
    "2021-11-30T23:59:59+08:00",
    "2019-11-30T12:00:00+08:00",
    "2018-01-01T00:00:00+08:00",
    "2017-12-31T23:59:59+08:00",
    "2015-01-01T00:00:00+08:00",
    "2014-12-31T23:59:59+08:00",
)
METRES = mostly(st.integers(0, 800), st.sampled_from([1, 2, 21, 22, 214, 215, 642, 643]))
FAR = st.sampled_from([10**6, METRES_MOST, METRES_MOST + 1, 2**63 - 1, 2**63])
MILLILITRES = st.one_of(st.integers(0, 6), st.sampled_from([59, 60, 10**6]))
DAYS = st.sampled_from([1, 5, 9, 20, 27]).map(lambda day: f"2026-10-{day:02}T00:00:00+08:00")


def quantity(scenario: str, unit: str, amounts: st.SearchStrategy[int]) -> st.SearchStrategy[Record]:
    """Facts by a bare quantity."""
    return st.builds(
        lambda at, amount: {"scenario": scenario, "occurred_at": at, "quantity": amount, "unit": unit},
        st.sampled_from(NEAR),
        amounts,
    )


METERED = st.builds(
    lambda days, baseline, actual: {
        "scenario": "household_water_saving",
        "started_at": min(days),
        "occurred_at": max(days),
        "inputs": {"baseline_ml": baseline, "actual_ml": actual},
    },
    st.tuples(DAYS, DAYS),
    st.sampled_from([20_000, 90_000]),
    st.sampled_from([0, 19_999, 50_000]),
)
RIDES = mostly(
    quantity("metro_ride", "m", METRES), quantity("bus_ride", "trip", st.sampled_from([0, 1, 1, 2, 3]))
)
SAVINGS = st.one_of(METERED, quantity("household_water_saving", "ml", MILLILITRES))
ODD = st.one_of(
    quantity("metro_ride", "m", FAR),
    st.builds(
        lambda at, inputs: {"scenario": "metro_ride", "occurred_at": at, "inputs": inputs},
        st.sampled_from(NEAR),
        st.sampled_from([{"distance_m": 300}, {"trips": 1}, {"distance_m": 300, "trips": 1}]),
    ),
    quantity("household_electricity_saving", "Wh", st.just(500)),
    quantity("teleport", "m", st.just(500)),
)
FACTS = mostly(RIDES, SAVINGS)
BEFORE = st.sampled_from([None, None, 1, 4, 5, 10, 40, 400, 3_000])
"""Minutes from the start of a trip to its end."""
CLOCKS = (*NEAR, "2026-11-20T08:33:00+08:00", "2026-11-20T08:36:00+08:00", "2026-11-20T08:20:00+08:00")
STATED = st.sampled_from([None, None, "device_verified", "self_check_in", "self_check_in", "photo", "heard"])


@st.composite
def timed_facts(draw: st.DrawFn) -> Record:
    """Trips that begin somewhere before they end, most of them at a few times, and what they rest on."""
    fact = draw(FACTS)
    if "started_at" not in fact:
        fact |= {"occurred_at": draw(st.sampled_from(CLOCKS))}
        minutes = draw(BEFORE)
        if minutes is not None:
            ends = datetime.fromisoformat(fact["occurred_at"])
            fact |= {"started_at": (ends - timedelta(minutes=minutes)).isoformat()}
    tier = draw(STATED)
    return fact if tier is None else {**fact, "evidence": tier}


_SPOILED: tuple[Record, ...] = (
    {"quantity": -5},
    {"unit": "furlong"},
    {"unit": None},
    {"occurred_at": "2026-02-30T10:00:00+08:00"},
    {"occurred_at": "2026-11-20T10:00:00"},
    {"started_at": "2026-11-30T10:00:00+08:00"},
    {"subject": "two words"},
    {"subject": None},
    {"scenario": "Metro"},
    {"corrects_revision": -1},
    {"corrects_revision": 20_000},
    {"source_event_id": "e" * 129},
)
SPOILED: dict[str, tuple[Record, ...]] = {
    "csv": _SPOILED,
    "ndjson": (
        *_SPOILED,
        {"quantity": "12"},
        {"quantity": 1.5},
        {"colour": "red"},
        {"inputs": {"parsecs": 1}},
        {"inputs": []},
        {"subject": ""},
    ),
    "utility_bills": (
        {"unit": "l"},
        {"baseline": ""},
        {"baseline": "-1"},
        {"reading_end": "1e3"},
        {"reading_end": "99"},
        {"reading_end": "100.1234567"},
        {"period_start": "2026-02-30"},
        {"period_end": "2026-08-01"},
        {"account": "two words"},
    ),
}
"""What is wrong in each form of file. A single record is JSON, so what only JSON knows is for that form."""
CARDS = st.sampled_from((*OWN, OWN[0], OWN[0]))


def oddities(form: str) -> st.SearchStrategy[Record]:
    """What makes a record another than most: its card, its day, its fact, or something wrong."""
    spoiled = st.sampled_from(SPOILED[form])
    if form == "utility_bills":
        return st.one_of(st.fixed_dictionaries({"account": st.sampled_from(OTHERS)}), spoiled)
    card = st.fixed_dictionaries({"subject": st.sampled_from(OTHERS)})
    day = st.fixed_dictionaries({"occurred_at": st.sampled_from(BORDERS)})
    return st.one_of(card, day, day, ODD, spoiled)


NEW, AGAIN, OTHER_CARD, OTHER_CONTENT = ("new", "again", "other card", "other content")
CORRECTED, WITHDRAWN, ODDLY = ("corrected", "withdrawn", "corrected oddly")
FRESH = (*[NEW] * 5, AGAIN, OTHER_CONTENT)
EVERY = (*FRESH, CORRECTED, CORRECTED, WITHDRAWN, ODDLY)


@st.composite
def records(
    draw: st.DrawFn,
    *,
    ways: tuple[str, ...],
    cards: st.SearchStrategy[str],
    facts: st.SearchStrategy[Record] = FACTS,
) -> list[Record]:
    """Records of a few facts, each in one of the ways; some change places, also with what they correct."""
    drawn: list[Record] = []
    latest: dict[str, int] = {}
    for _ in range(draw(st.integers(6, 12))):
        way = draw(st.sampled_from(ways)) if drawn else NEW
        former = draw(st.sampled_from(drawn)) if drawn else {}
        event = former.get("source_event_id", f"e{len(drawn)}")
        same = {"source_event_id": event, "subject": former.get("subject")}
        if way == NEW:
            event = f"e{len(drawn)}"
            record = {"source_event_id": event, "subject": draw(cards), **draw(facts)}
            latest[event] = 1
        elif way == AGAIN:
            record = dict(former)
        elif way == OTHER_CARD:
            record = {**former, "subject": draw(cards)}
        elif way == OTHER_CONTENT:
            kept = {name: former[name] for name in ("corrects_revision",) if name in former}
            record = {**draw(facts), **same, **kept}
        elif way in {CORRECTED, WITHDRAWN}:
            fact = {**former, "quantity": 0} if way == WITHDRAWN and "unit" in former else draw(facts)
            record = {**fact, **same, "corrects_revision": latest[event]}
            latest[event] += 1
        else:
            record = {**draw(facts), **same, "corrects_revision": draw(st.integers(0, 4))}
        drawn.append(record)
    for one, other in draw(st.lists(st.tuples(_PLACES, _PLACES), max_size=2)):
        first, second = one % len(drawn), other % len(drawn)
        drawn[first], drawn[second] = drawn[second], drawn[first]
    return drawn


@st.composite
def parcels(
    draw: st.DrawFn, drawn: list[Record], *, forms: tuple[str, ...], lanes: int
) -> tuple[Parcel, ...]:
    """The records cut into files, a few of them made odd, and what happens after each file."""
    cuts = sorted({0, len(drawn), *draw(st.sets(st.integers(2, len(drawn) - 2), min_size=1, max_size=2))})
    found = []
    for first, last in pairwise(cuts):
        form = draw(st.sampled_from(forms))
        part = drawn[first:last]
        for place in draw(st.sets(st.integers(0, len(part) - 1), max_size=2)):
            part[place] = {**part[place], **draw(oddities(form))}
        size = draw(st.sampled_from((2, 3, 4, 100, 100)))
        deed = draw(DEEDS)
        found.append(Parcel(records=tuple(part), form=form, chunk_lines=size, lanes=lanes, deed=deed))
    return tuple(found)


_PLACES = st.integers(0, 13)
DEEDS = st.sampled_from(
    [
        None,
        *[Deed(what="spend")] * 4,
        Deed(what="hold"),
        Deed(what="withdraw", citizen=1),
        Deed(what="consent", citizen=1),
        Deed(what="hand_on", citizen=2),
        Deed(what="give_back", citizen=0),
        Deed(what="wait", days=1),
        Deed(what="wait", days=12),
    ]
)
COINS = st.sampled_from([1, 3_000, 9_000, 40_000])
PERIODS = st.sampled_from(["day", "month"])
MONTH = st.just("month")
RATES = st.sampled_from([(1000, 10_000), (3, 7), (1, 1)])


def cap(
    subject: str, *scenarios: str, since: date = date(2018, 1, 1), periods: st.SearchStrategy[str] = PERIODS
) -> st.SearchStrategy[Rule]:
    """A cap of some size."""
    return st.builds(
        lambda coins, period: Rule(
            kind="cap",
            subject=subject,
            content={"scenarios": list(scenarios), "period": period, "coins_milli": coins},
            since=since,
        ),
        COINS,
        periods,
    )


RIDING, SAVING = ("metro_ride", "bus_ride"), ("household_water_saving",)
CAPS = st.one_of(
    st.just(()),
    st.tuples(cap("all", *RIDING, *SAVING)),
    st.tuples(cap("transit", *RIDING)),
    st.tuples(cap("all", *RIDING, *SAVING)),
    st.tuples(cap("transit", *RIDING), cap("household", *SAVING)),
    st.tuples(cap("transit", *RIDING), cap("transit", *RIDING, since=date(2026, 11, 19))),
    st.tuples(cap("transit", *RIDING), cap("transit", "metro_ride", since=date(2026, 11, 20))),
    # A month whose cap changes inside it.
    st.tuples(
        cap("transit", *RIDING, periods=MONTH),
        cap("transit", *RIDING, since=date(2026, 11, 19), periods=MONTH),
        cap("transit", *RIDING, since=date(2026, 11, 20), periods=MONTH),
    ),
)


@st.composite
def rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    """A coin rate and caps."""
    coins, per = draw(RATES)
    rate = Rule(kind="coin_rate", subject="standard", content={"coins_milli": coins, "per_mg": per})
    return (rate, *draw(CAPS))


@st.composite
def cases(draw: st.DrawFn, *, ways: tuple[str, ...], cards: st.SearchStrategy[str], lanes: int) -> Case:
    """Rules, and records in files."""
    drawn = draw(records(ways=ways, cards=cards))
    sent = draw(parcels(drawn, forms=("ndjson", "csv"), lanes=lanes))
    return Case(rules=draw(rules()), parcels=sent)


TIERS = st.sampled_from(
    [
        ("device_verified",),
        ("self_check_in",),
        ("device_verified", "self_check_in"),
        ("device_verified", "self_check_in"),
        ("device_verified", "self_check_in", "photo"),
    ]
)


@st.composite
def timed_rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    """Shares of tiers, and classes of trips that claim five minutes, days or months."""
    share = Rule(kind="evidence_tier", subject="self_check_in", content={"share_permille": 333})
    slot = draw(mostly(st.just("five_minutes"), st.sampled_from(["day", "month"])))
    scenarios = draw(st.sampled_from([RIDING, ("metro_ride",), (*RIDING, *SAVING)]))
    since = draw(mostly(st.just(date(2018, 1, 1)), st.just(date(2026, 11, 20))))
    claims = Rule(
        kind="trip_claims",
        subject="rail",
        content={"scenarios": list(scenarios), "slot": slot},
        since=since,
    )
    return (*draw(rules()), share, claims)


@st.composite
def holding_rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    """Rules that hold what is too many of a day or too fast, with limits that records often meet."""
    since = draw(mostly(st.just(date(2018, 1, 1)), st.just(date(2026, 11, 20))))
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["a_hold", "b_hold", "c_hold"]),
                st.sampled_from(["records_a_day", "records_a_day", "metres_an_hour"]),
                st.sampled_from([RIDING, ("metro_ride",), (*RIDING, *SAVING)]),
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda each: each[0],
        )
    )
    limits = {"records_a_day": st.integers(1, 4), "metres_an_hour": st.sampled_from([1, 500, 2_000])}
    return tuple(
        Rule(
            kind="automatic_hold",
            subject=subject,
            content={"scenarios": list(scenarios), "measure": measure, "most": draw(limits[measure])},
            since=since,
        )
        for subject, measure, scenarios in drawn
    )


@st.composite
def held_cases(draw: st.DrawFn, *, ways: tuple[str, ...], cards: st.SearchStrategy[str], lanes: int) -> Case:
    """Rules that hold records as they come in, and records in files, in half of the cases with a start."""
    timed = draw(st.booleans())
    drawn = draw(records(ways=ways, cards=cards, **({"facts": timed_facts()} if timed else {})))
    sent = draw(parcels(drawn, forms=("ndjson", "csv"), lanes=lanes))
    others = draw(timed_rules() if timed else rules())
    return Case(rules=(*others, *draw(holding_rules())), parcels=sent)


@st.composite
def timed_cases(draw: st.DrawFn, *, ways: tuple[str, ...], cards: st.SearchStrategy[str], lanes: int) -> Case:
    """Rules by which trips claim their time and evidence its share, a contract, and records in files."""
    drawn = draw(records(ways=ways, cards=cards, facts=timed_facts()))
    sent = draw(parcels(drawn, forms=("ndjson", "csv"), lanes=lanes))
    return Case(rules=draw(timed_rules()), parcels=sent, tiers=draw(TIERS))


_ENDS = ("2026-09-01", "2026-09-11", "2026-10-01", "2026-10-21", "2026-11-01", "2026-11-20")
BILLED = st.sampled_from(
    [
        *combinations(
            ("2026-09-01", "2026-09-11", "2026-10-01", "2026-10-21", "2026-11-01", "2026-11-20"), 2
        ),
        ("2026-10-21", "2026-11-24"),
        ("2019-11-20", "2019-12-10"),
        ("2019-11-01", "2019-11-20"),
        ("2025-01-01", "2026-11-01"),
        ("2026-11-01", "2026-11-01"),
    ]
)
BILL: dict[str, st.SearchStrategy[Any]] = {
    "account": CARDS,
    "meter": st.sampled_from(["m-1", "m-2"]),
    "reading_start": st.just("100"),
    "reading_end": st.sampled_from(["100", "101", "104.999999", "120"]),
    "unit": mostly(st.just("m3"), st.sampled_from(["m³", "kWh"])),
    "baseline": st.sampled_from(["5", "9"]),
}


@st.composite
def bills(draw: st.DrawFn) -> list[Record]:
    """Bills of a few meters whose periods often meet; some come again, with other readings or not."""
    drawn: list[Record] = []
    for _ in range(draw(st.integers(5, 12))):
        bill = {name: draw(values) for name, values in BILL.items()}
        bill["period_start"], bill["period_end"] = draw(BILLED)
        former = draw(st.none() | st.sampled_from(drawn)) if drawn else None
        if former is not None:
            kept = draw(st.sets(st.sampled_from(sorted(bill)), min_size=5))
            bill |= {name: former[name] for name in kept}
        drawn.append(bill)
    return drawn


@st.composite
def bill_cases(draw: st.DrawFn) -> Case:
    """Rules, and bills in files."""
    sent = draw(parcels(draw(bills()), forms=("utility_bills",), lanes=draw(st.integers(1, 2))))
    return Case(rules=draw(rules()), parcels=sent)


RATE = Rule(kind="coin_rate", subject="standard", content={"coins_milli": 1000, "per_mg": 10_000})
A_DAY = Rule(
    kind="cap",
    subject="all",
    content={"scenarios": [*RIDING, *SAVING], "period": "day", "coins_milli": 3_000},
)


def ride(event: str, card: str, *, metres: int, at: str = NEAR[1], corrects: int | None = None) -> Record:
    """A metro ride; 100 m bring 467 milli-coins."""
    more = {} if corrects is None else {"corrects_revision": corrects}
    fact = {"scenario": "metro_ride", "occurred_at": at, "quantity": metres, "unit": "m"}
    return {"source_event_id": event, "subject": card, **fact, **more}


EVERY_DAY = Case(
    rules=(RATE, A_DAY),
    parcels=(
        Parcel(
            records=tuple(
                ride(f"{card}-{at}", card, metres=100)
                for card in (OWN[0], *OTHERS)
                for at in (*NEAR, *BORDERS)[:: 1 if card == OWN[0] else 3]
            ),
            form="csv",
        ),
    ),
)
"""One card on every day, and the others on some, in one chunk."""
FULL_CAPS = Case(
    rules=(RATE, A_DAY),
    parcels=(
        Parcel(
            records=tuple(
                ride(f"{card}-{number}", card, metres=300) for number in range(4) for card in OWN[:2]
            ),
            chunk_lines=4,
            deed=Deed(what="spend"),
        ),
        Parcel(
            records=(
                *(ride(f"more-{number}", OWN[0], metres=500) for number in range(3)),
                *(ride(f"{card}-0", card, metres=100, corrects=1) for card in OWN[:2]),
                *(ride(f"late-{number}", card, metres=300) for number in range(2) for card in OWN),
            )
        ),
    ),
)
"""Caps reached in the middle of a chunk and in the next; spent; then corrected for two at once."""
A_MONTH, MORE_OF_IT = (
    Rule(
        kind="cap",
        subject="transit",
        content={"scenarios": [*RIDING], "period": "month", "coins_milli": coins},
        since=since,
    )
    for coins, since in ((3_000, date(2018, 1, 1)), (20_000, date(2026, 11, 20)))
)
CHANGED_CAP = Case(
    rules=(RATE, A_MONTH, MORE_OF_IT),
    parcels=(
        Parcel(
            records=(
                *(
                    ride(f"{card}-before", card, metres=5_000, at="2026-11-19T09:00:00+08:00")
                    for card in OWN[:2]
                ),
                *(ride(f"{card}-{number}", card, metres=1_000) for number in range(5) for card in OWN[:2]),
            )
        ),
    ),
)
"""A cap that rises inside its month: who was cut before has the room of what was given, in one chunk too."""


def _trip(event: str, card: str, starts: str, ends: str, corrects: int | None = None) -> Record:
    started = {"started_at": f"2026-11-19T{starts}:00+08:00"}
    return {**ride(event, card, metres=300, at=f"2026-11-19T{ends}:00+08:00", corrects=corrects), **started}


ONE_TIME = Case(
    rules=(
        RATE,
        Rule(
            kind="trip_claims",
            subject="rail",
            content={"scenarios": ["metro_ride"], "slot": "five_minutes"},
        ),
    ),
    parcels=(
        Parcel(
            records=(
                _trip("e1", OWN[0], "08:00", "08:30"),
                _trip("e2", OWN[0], "08:20", "08:40"),
                _trip("e2", OWN[0], "08:40", "08:50"),
                _trip("e1", OWN[0], "09:00", "09:30", corrects=1),
                _trip("e3", OWN[0], "08:10", "08:20"),
                _trip("e4", OWN[1], "08:10", "08:20"),
                _trip("e3", OWN[0], "08:45", "08:55", corrects=1),
                {**_trip("e2", OWN[0], "08:40", "08:50", corrects=1), "quantity": 0},
                _trip("e3", OWN[0], "08:45", "08:55", corrects=1),
                _trip("e5", OWN[0], "08:10", "08:20"),
            ),
            chunk_lines=100,
        ),
    ),
)
"""A time taken, moved, given back and taken again by lines of one chunk."""
_THREE = tuple(ride(f"of-{card}", card, metres=300) for card in OWN)
AFTERWARDS = Case(
    rules=(RATE, A_DAY),
    parcels=(
        Parcel(records=_THREE, deed=Deed(what="withdraw", citizen=1)),
        Parcel(records=(*_THREE, ride("too-late", OWN[1], metres=100)), deed=Deed(what="hand_on", citizen=2)),
        Parcel(
            records=(ride(f"of-{OWN[0]}", OWN[0], metres=200), *_THREE, ride("heirs", OWN[2], metres=100))
        ),
    ),
)
"""What stands comes again after a withdrawal and after a card was handed on, and behind what differs."""
GIVEN_BACK = Case(
    rules=(RATE, A_DAY),
    parcels=(
        Parcel(records=_THREE, deed=Deed(what="give_back", citizen=0)),
        Parcel(
            records=(
                ride(f"of-{OWN[0]}", OWN[0], metres=301, corrects=1),
                ride(f"of-{OWN[0]}", OWN[0], metres=200, corrects=1),
                ride(f"of-{OWN[0]}", OWN[0], metres=250, corrects=2),
                ride(f"of-{OWN[2]}", OWN[2], metres=300, corrects=1),
            ),
            deed=Deed(what="hand_on", citizen=2),
        ),
        Parcel(
            records=(
                ride(f"of-{OWN[2]}", OWN[2], metres=100, corrects=2),
                ride("heirs", OWN[2], metres=100),
                ride(f"of-{OWN[2]}", OWN[2], metres=200, corrects=3),
                ride(f"of-{OWN[2]}", OWN[2], metres=0, corrects=3),
                ride("heirs", OWN[2], metres=200, corrects=1),
                ride(f"of-{OWN[0]}", OWN[0], metres=0, corrects=2),
            )
        ),
    ),
)
"""Corrections of a card that is nobody's, and of one that is another's now, up and down, in chains."""
HELD_AFTER_TWO, HELD_ABOVE_A_WALK = (
    Rule(
        kind="automatic_hold",
        subject=subject,
        content={"scenarios": [*RIDING], "measure": measure, "most": most},
    )
    for subject, measure, most in (
        ("many", "records_a_day", 2),
        ("quick", "metres_an_hour", 1_000),
    )
)
TOO_MANY = Case(
    rules=(RATE, A_DAY, HELD_AFTER_TWO, HELD_ABOVE_A_WALK),
    parcels=(
        Parcel(
            records=(
                *(ride(f"{card}-{number}", card, metres=150) for number in range(4) for card in OWN[:2]),
                _trip("slow", OWN[2], "08:00", "08:30"),
                _trip("fast", OWN[2], "09:00", "09:05"),
                ride(f"{OWN[0]}-0", OWN[0], metres=100, corrects=1),
                ride(f"{OWN[0]}-3", OWN[0], metres=100, corrects=1),
                ride("zero", OWN[2], metres=0),
                ride("later", OWN[2], metres=40),
            ),
            chunk_lines=5,
            deed=Deed(what="spend"),
        ),
        Parcel(records=tuple(ride(f"more-{number}", OWN[1], metres=120) for number in range(2))),
    ),
)
"""What is beyond the second of a day, or walking pace, is held, whatever the chunk or the cap."""
