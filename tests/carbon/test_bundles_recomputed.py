"""Every example of every shipped row, worked a second time straight from the files: none of our code is used.

A few lines of schoolbook arithmetic in exact fractions, with a table of units of their own. What the product
computes and what this computes agree, or one of the two is wrong.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "carbon" / "factors" / "bundles"
GRAMS = {"mg": Fraction(1, 1_000), "g": Fraction(1), "kg": Fraction(1_000), "t": Fraction(1_000_000)}
KINDS = {
    "person-km": ("metres of a person", 1_000),
    "vehicle-km": ("metres of a vehicle", 1_000),
    "trip": ("trips", 1),
    "piece": ("pieces", 1),
    "box": ("pieces", 1),
    "time": ("pieces", 1),
    "0.5kg": ("grams", 500),
    "kg": ("grams", 1_000),
    "kWh": ("watt-hours", 1_000),
    "L": ("millilitres", 1_000),
    "m3": ("millilitres", 1_000_000),
    "t-water": ("millilitres", 1_000_000),
    "GJ": ("kilojoules", 1_000_000),
    "12days": ("days", 12),
    "step": ("steps", 1),
}
"""What a unit names after the stroke: what is counted, and how many of it."""


def below(baseline: str, actual: str, saved: str) -> Callable[[Mapping[str, Fraction]], Fraction]:
    """What was saved, said outright or as the difference to a baseline."""
    return lambda given: given[saved] if saved in given else max(given[baseline] - given[actual], Fraction(0))


AMOUNTS: dict[str, tuple[str, Callable[[Mapping[str, Fraction]], Fraction]]] = {
    "per_person_km": ("metres of a person", lambda given: given["distance_m"]),
    "per_trip": ("trips", lambda given: given["trips"]),
    "per_count": ("pieces", lambda given: given["count"]),
    "per_mass": ("grams", lambda given: given["mass_g"]),
    "per_step": ("steps", lambda given: given["steps"]),
    "saving_electricity": ("watt-hours", below("baseline_wh", "actual_wh", "saved_wh")),
    "saving_water": ("millilitres", below("baseline_ml", "actual_ml", "saved_ml")),
    "saving_gas": ("millilitres", below("baseline_gas_ml", "actual_gas_ml", "saved_gas_ml")),
    "saving_heat": ("kilojoules", below("baseline_kj", "actual_kj", "saved_kj")),
    "generation": ("watt-hours", lambda given: given["generated_wh"]),
    "day_block": ("days", lambda given: Fraction(given["standing_hours"] // 24)),
    "growth": (
        "millilitres",
        lambda given: given["growth_l"] * 1_000 * (1 - given["buffer_permille"] / 1_000),
    ),
    "emission_electricity": ("watt-hours", lambda given: given["actual_wh"]),
    "emission_heat": ("kilojoules", lambda given: given["actual_kj"]),
    "emission_fuel_volume": ("millilitres", lambda given: given["fuel_ml"]),
    "emission_fuel_mass": ("grams", lambda given: given["mass_g"]),
    "emission_person_km": ("metres of a person", lambda given: given["distance_m"]),
    "emission_vehicle_km": (
        "metres of a vehicle",
        lambda given: given["vehicle_distance_m"] * given["share_permille"] / 1_000,
    ),
}
"""How much of what is counted the inputs of a method say."""


def rows_of(text: str, *, is_csv: bool) -> Iterator[dict[str, Any]]:
    """The rows of a table with their examples, every value as the text that stands there."""
    if not is_csv:
        for row in yaml.load(text, Loader=yaml.BaseLoader)["rows"]:  # noqa: S506 - the loader of plain texts
            yield row | {"examples": row.get("examples", [])}
        return
    for line in csv.DictReader(io.StringIO(text)):
        example = {
            name: json.loads(line[f"example_{name}"]) if name == "inputs" else line[f"example_{name}"]
            for name in ("inputs", "expected", "unit")
            if line[f"example_{name}"]
        }
        yield line | {"examples": [example] if example else []}


def faults_of(text: str, *, is_csv: bool) -> list[str]:
    """Rows without an example, and examples that come to something else."""
    faults = []
    for row in rows_of(text, is_csv=is_csv):
        if not row["examples"]:
            faults.append(f"{row['code']} has no example")
        for example in row["examples"]:
            got = comes_to(row, example)
            if got != example["expected"]:
                faults.append(f"{row['code']}: {got}, not {example['expected']}")
    return faults


def comes_to(row: Mapping[str, Any], example: Mapping[str, Any]) -> str:
    """What an example comes to, with as many decimals as it prints."""
    worked = worked_out(row, {name: Fraction(amount) for name, amount in example["inputs"].items()})
    return rounded(worked / GRAMS[mass_of(example["unit"])], like=example["expected"])


def worked_out(row: Mapping[str, Any], given: Mapping[str, Fraction]) -> Fraction:
    """Grams, exactly."""
    mass, _, thing = row["unit"].partition("/")
    counted, each = KINDS[thing]
    asked, amount = AMOUNTS[row["method"]]
    assert counted == asked, f"{row['code']}: {row['unit']} by {row['method']}"
    return Fraction(row["value"]) * GRAMS[mass_of(mass)] * amount(given) / each


def mass_of(unit: str) -> str:
    return re.sub("CO2e?$", "", unit)


def rounded(exact: Fraction, *, like: str) -> str:
    """Rounded half up, with as many decimals as are printed."""
    decimals = len(like.partition(".")[2])
    shifted = exact * 10**decimals
    whole = int(
        (Decimal(shifted.numerator) / Decimal(shifted.denominator)).quantize(Decimal(1), ROUND_HALF_UP)
    )
    digits = str(whole).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits


def tables() -> list[Path]:
    """Every file that is a factor table: of YAML by its first key, of CSV by its first column."""
    return sorted(
        path
        for path in FOLDER.iterdir()
        if re.search(r"^kind: factor_table$|^table_name,", path.read_text(encoding="utf-8"), re.MULTILINE)
        and path.suffix in {".yaml", ".csv"}
    )


@pytest.mark.parametrize("path", tables(), ids=lambda path: path.stem)
def test_every_row_has_an_example_and_every_example_comes_out_again(path: Path) -> None:
    assert faults_of(path.read_text(encoding="utf-8"), is_csv=path.suffix == ".csv") == []


@pytest.mark.parametrize("path", tables(), ids=lambda path: path.stem)
def test_a_slip_of_one_digit_in_any_row_is_found(path: Path) -> None:
    is_csv = path.suffix == ".csv"
    text = path.read_text(encoding="utf-8")
    for row in rows_of(text, is_csv=is_csv):
        nearest = Decimal(row["value"]) + Decimal((0, (1,), _last_place(row["value"])))
        slipped = {**row, "value": str(nearest)}
        found = [each for each in row["examples"] if comes_to(slipped, each) != each["expected"]]
        assert found, f"{row['code']}: {nearest} would pass"


def _last_place(value: str) -> int:
    return int(Decimal(value).as_tuple().exponent)


def test_all_shipped_tables_are_looked_at() -> None:
    assert len(tables()) >= 30
    read = sum(1 for path in tables() for _ in rows_of(path.read_text("utf-8"), is_csv=path.suffix == ".csv"))
    assert read >= 290


def test_every_comparison_that_ships_comes_out_again() -> None:
    text = (FOLDER / "equivalences.yaml").read_text("utf-8")
    for row in yaml.load(text, Loader=yaml.BaseLoader)["figures"]:  # noqa: S506 - the loader of plain texts
        thing = row["unit"].partition("/")[2]
        ((_, amount),) = row["example"]["inputs"].items()
        if thing == "tree-year":
            got = Fraction(amount) / 1_000_000 / Fraction(row["value"])
        else:
            got = Fraction(row["value"]) * Fraction(amount) / KINDS[thing][1]
        assert rounded(got, like=row["example"]["expected"]) == row["example"]["expected"], row["code"]


def test_every_price_that_ships_comes_out_again() -> None:
    text = (FOLDER / "equivalences.yaml").read_text("utf-8")
    prices = yaml.load(text, Loader=yaml.BaseLoader)["prices"]  # noqa: S506 - the loader of plain texts
    assert len(prices) == 3
    for row in prices:
        milligrams = {"CNY/kg": 10**6, "CNY/t": 10**9}[row["unit"]]
        assert Fraction(row["paid_fen"]) / 100 / Fraction(row["carbon_mg"]) * milligrams == Fraction(
            row["value"]
        )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('value: "46.7"', 'value: "46.8"', "SZ-METRO-2021: 0.468, not 0.467"),
        ('expected: "0.269"', 'expected: "0.27"', None),
        ('expected: "0.269"', 'expected: "0.270"', "SZ-BUS-2021: 0.269, not 0.270"),
        ("{distance_m: 10000}", "{distance_m: 10001}", None),
        ("gCO2/person-km", "kgCO2/person-km", "SZ-METRO-2021: 467.000, not 0.467"),
        ("examples:", "instances:", "SZ-METRO-2021 has no example"),
    ],
)
def test_a_table_that_was_broken_on_purpose_is_seen(old: str, new: str, said: str | None) -> None:
    text = (FOLDER / "shenzhen_transport_2021.yaml").read_text(encoding="utf-8")
    assert old in text
    faults = faults_of(text.replace(old, new, 1), is_csv=False)
    assert (said in faults) if said is not None else faults == []
