"""The comparison of two factor tables: nothing with itself, its mirror the other way round, no row lost."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from carbon.factors.factor_rows import FactorRow, Source, WorkedExample
from carbon.factors.row_changes import CITED, FieldChange, RowChange, What, compare_rows
from carbon.methodologies.unit_algebra import GasSet

ROW = FactorRow(
    code="A",
    name_zh=None,
    name_en=None,
    scenario="metro_ride",
    region="CN-GD-SZ",
    method="per_person_km",
    method_version=1,
    value="46.7",
    unit="gCO2/person-km",
    unit_printed=None,
    gas_set=GasSet.CO2,
    variant="average",
    baseline=None,
    data_year=None,
    valid_from=None,
    valid_to=None,
    valid_from_kind="published",
    quantity_min=0,
    quantity_max=None,
    verified=False,
    assumption=None,
    note=None,
    source=Source(title="A document"),
    examples=(),
)
"""Codes, places, values and sources are drawn from few, so that much of two tables meets."""


@st.composite
def rows(draw: Any) -> FactorRow:
    unit, gas_set = draw(
        st.sampled_from(
            [("gCO2/person-km", GasSet.CO2), ("kgCO2/person-km", GasSet.CO2), ("g/trip", GasSet.CO2E)]
        )
    )
    return replace(
        ROW,
        code=draw(st.sampled_from("ABC")),
        scenario=draw(st.sampled_from(["metro_ride", "walk"])),
        region=draw(st.sampled_from(["CN", "CN-GD-SZ"])),
        variant=draw(st.sampled_from(["average", "residual"])),
        value=draw(st.sampled_from(["0", "0.0467", "46.7", "46.70", "52", "1000000"])),
        unit=unit,
        gas_set=gas_set,
        verified=draw(st.booleans()),
        data_year=draw(st.sampled_from([None, 2022, 2023])),
        source=draw(st.sampled_from([Source(title="A document"), Source(title="A document", page="3")])),
        examples=draw(st.sampled_from([(), (WorkedExample((("trips", 1),), "1", "g", "by hand"),)])),
    )


TABLES = st.lists(rows(), max_size=8, unique_by=lambda row: (row.code, row.region)).map(tuple)


@given(TABLES)
def test_a_table_does_not_differ_from_itself(table: tuple[FactorRow, ...]) -> None:
    assert compare_rows(table, table) == ()
    assert compare_rows(table, tuple(reversed(table))) == ()


@given(TABLES, TABLES)
def test_the_other_way_round_is_the_mirror(
    before: tuple[FactorRow, ...], after: tuple[FactorRow, ...]
) -> None:
    there, back = compare_rows(before, after), compare_rows(after, before)
    assert sorted(map(repr, there)) == sorted(repr(mirrored(change)) for change in back)
    turned = {What.ADDED: What.REMOVED, What.REMOVED: What.ADDED}
    assert sorted(change.what for change in there) == sorted(
        turned.get(change.what, change.what) for change in back
    )
    for change in there:
        forth, again = change.percent, mirrored(change).percent
        if forth is not None and again is not None:
            assert (1 + Fraction(forth, 100)) * (1 + Fraction(again, 100)) == 1


def mirrored(change: RowChange) -> RowChange:
    fields = tuple(FieldChange(each.field, each.after, each.before) for each in change.fields)
    return RowChange(change.after, change.before, fields)


@given(TABLES, TABLES)
def test_every_row_of_both_tables_is_told_of_once(
    before: tuple[FactorRow, ...], after: tuple[FactorRow, ...]
) -> None:
    found = compare_rows(before, after)
    same = set(before) & set(after)
    for side, table in (("before", before), ("after", after)):
        told = [getattr(change, side) for change in found if getattr(change, side) is not None]
        assert len(told) == len(set(told))
        # What is not told of stands in the other table word for word.
        assert set(table) - set(told) <= same
        assert set(told) <= set(table)
    for change in found:
        assert change.what in {What.ADDED, What.REMOVED} or change.fields
        only_cited = {each.field for each in change.fields} <= set(CITED)
        assert (change.what is What.RECITED) == (
            change.before is not None and change.after is not None and only_cited
        )


@given(TABLES, TABLES)
def test_rows_meet_only_in_one_place(before: tuple[FactorRow, ...], after: tuple[FactorRow, ...]) -> None:
    for change in compare_rows(before, after):
        old, new = change.before, change.after
        if old is None or new is None:
            continue
        assert (old.scenario, old.region, old.variant) == (new.scenario, new.region, new.variant)
        if old.code != new.code:
            for table, row in ((before, old), (after, new)):
                place = (row.scenario, row.region, row.variant)
                assert [(each.scenario, each.region, each.variant) for each in table].count(place) == 1
