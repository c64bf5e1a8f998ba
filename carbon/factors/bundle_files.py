"""Factor tables as files: YAML for people, CSV and .xlsx for spreadsheets, the same checks for all.

A YAML bundle is a mapping with `kind: factor_table`, the fields of the table, `sources` by a short
name, and `rows`, each naming its source and carrying `examples`. A CSV bundle has one line a row: the
table's fields as `table_name` … (equal on every line), the row's fields, `source_title` …, and one
example as `example_inputs` (JSON), `example_expected`, `example_unit`, `example_source`. Every value is
text as printed; an empty cell or absent key is "not known". Numbers, days and units may be printed in
full-width signs and Chinese words: `normalised` lists each cell that was read otherwise than it stands.
All faults of a file are named at once.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

from carbon.activities.adapters.csv_cells import read_header, split_cells
from carbon.activities.adapters.text_lines import split_lines
from carbon.examples import compare
from carbon.factors.bundle_fields import Faults, Fields
from carbon.factors.bundle_lines import (
    COLUMNS,
    EXAMPLE_FIELDS,
    KIND,
    REQUIRED,
    ROW_FIELDS,
    SOURCE_FIELDS,
    TABLE_FIELDS,
    Line,
    Places,
    nest,
)
from carbon.factors.bundle_sheets import nest_sheet
from carbon.factors.bundles import read_shipped, shipped_names
from carbon.factors.factor_rows import Bundle, FactorRow, Source, WorkedExample
from carbon.factors.plain_yaml import read_lined_yaml
from carbon.methodologies.registry import METHODS
from carbon.methodologies.unit_algebra import GasSet, parse_plain_decimal
from kernel.errors import Kind, Refusal

VARIANTS = ("average", "residual", "fossil")
VALID_FROM_KINDS = ("published", "nominal")
Form = Literal["yaml", "csv", "xlsx"]
_ROWS_MAX = 2_000
_CSV_LINE_BYTES_MAX = 16_384


class BundleRefused(Refusal):
    """The factor table has faults; each is named with its place."""

    kind = Kind.INVALID
    title_zh = "因子表文件存在错误"

    def __init__(self, faults: Faults) -> None:
        """`errors` are all faults; the first hundred are given as facts too."""
        self.errors = tuple(faults.errors)
        first = self.errors[0]
        super().__init__(
            f"{len(self.errors)} faults, first {first.code} at {first.pointer}: {first.detail}",
            pointer=first.pointer,
            errors=[vars(error) for error in self.errors[:100]],
        )


def read_bundle(data: bytes, *, form: Form) -> Bundle:
    """A factor table, every row checked and every example recomputed.

    Refusals: YamlNotPlain, FileEmpty, HeaderDiffers, FileTooLarge, WorkbookUnreadable, WorkbookTooLarge,
    BundleRefused (with all faults of the rows).
    """
    faults = Faults()
    bundle = _read_table(_NESTED[form](data, faults), faults)
    if faults.errors:
        raise BundleRefused(faults)
    return bundle


def read_shipped_bundle(name: str) -> Bundle:
    """A shipped factor table by its file name; see `shipped_bundle_names`."""
    return read_bundle(read_shipped(name), form="csv" if name.endswith(".csv") else "yaml")


def shipped_bundle_names() -> list[str]:
    """The file names of the shipped factor tables, without the other shipped data."""
    marks = (f"kind: {KIND}\n".encode(), b"table_name,")
    return [name for name in shipped_names() if any(mark in read_shipped(name)[:400] for mark in marks)]


def _read_table(value: Mapping[str, Any], faults: Faults) -> Bundle:
    table = Fields(value, pointer="", faults=faults, known=(*TABLE_FIELDS, "kind", "sources", "rows"))
    table.choice("kind", (KIND,))
    sources = _read_sources(table.raw("sources"), faults)
    rows = table.raw("rows")
    if not isinstance(rows, list) or not 0 < len(rows) <= _ROWS_MAX:
        table.fault("field_wrong_type", "rows", f"a list of 1 to {_ROWS_MAX} rows")
        rows = []
    region = table.text("region")
    bundle = Bundle(
        name=table.text("name"),
        subject=table.text("subject"),
        region=region,
        title_zh=table.text("title_zh"),
        title_en=table.text("title_en"),
        note=table.maybe_text("note"),
        assumption=table.maybe_text("assumption"),
        corrects=table.maybe_text("corrects"),
        correction_reason=table.maybe_text("correction_reason"),
        rows=tuple(
            _read_row(row, f"/rows/{index}", sources=sources, region=region, faults=faults)
            for index, row in enumerate(rows)
        ),
    )
    if (bundle.corrects is None) is not (bundle.correction_reason is None):
        missing = "corrects" if bundle.corrects is None else "correction_reason"
        table.fault("field_missing", missing, "a correction names its table and says why")
    _refuse_collisions(bundle, faults)
    return replace(bundle, normalised=tuple(faults.normalised))


def _read_sources(value: Any, faults: Faults) -> dict[str, Source]:
    if not isinstance(value, Mapping):
        faults.add("field_wrong_type", "/sources", "sources by a short name")
        return {}
    return {name: _read_source(each, f"/sources/{name}", faults) for name, each in value.items()}


def _read_source(value: Any, pointer: str, faults: Faults) -> Source:
    fields = Fields(value, pointer=pointer, faults=faults, known=SOURCE_FIELDS)
    return Source(
        title=fields.text("title"),
        publisher=fields.maybe_text("publisher"),
        document_number=fields.maybe_text("document_number"),
        published_on=fields.maybe_day("published_on"),
        published_year=fields.maybe_whole("published_year"),
        page=fields.maybe_text("page"),
        url=fields.maybe_text("url"),
        quotation=fields.maybe_text("quotation"),
        seen_in=fields.maybe_text("seen_in"),
        last_checked_on=fields.maybe_day("last_checked_on"),
    )


def _read_row(
    value: Any, pointer: str, *, sources: Mapping[str, Source], region: str, faults: Faults
) -> FactorRow:
    fields = Fields(value, pointer=pointer, faults=faults, known=(*ROW_FIELDS, "source", "examples"))
    source = fields.text("source")
    if source and source not in sources:
        fields.fault("source_unknown", "source", "no source of this name stands in sources")
    version = fields.maybe_whole("method_version")
    value, unit = fields.number("value"), fields.unit("unit")
    row = FactorRow(
        code=fields.text("code"),
        name_zh=fields.maybe_text("name_zh"),
        name_en=fields.maybe_text("name_en"),
        scenario=fields.text("scenario"),
        region=fields.maybe_text("region") or region,
        method=fields.choice("method", METHODS),
        method_version=1 if version is None else version,
        value=value,
        value_printed=fields.printed("value", read_as=value),
        value_place=fields.maybe_text("value_place"),
        other_value=fields.maybe_number("other_value"),
        other_place=fields.maybe_text("other_place"),
        unit=unit,
        unit_printed=fields.maybe_text("unit_printed") or fields.printed("unit", read_as=unit),
        gas_set=GasSet(fields.choice("gas_set", GasSet)),
        variant=fields.choice("variant", VARIANTS, default="average"),
        baseline=fields.maybe_text("baseline"),
        data_year=fields.maybe_year("data_year"),
        valid_from=fields.maybe_day("valid_from"),
        valid_to=fields.maybe_day("valid_to"),
        valid_from_kind=fields.choice("valid_from_kind", VALID_FROM_KINDS),
        quantity_min=fields.maybe_whole("quantity_min") or 0,
        quantity_max=fields.maybe_whole("quantity_max"),
        verified=fields.choice("verified", ("yes", "no")) == "yes",
        assumption=fields.maybe_text("assumption"),
        note=fields.maybe_text("note"),
        source=sources.get(source, Source(title="")),
        examples=_read_examples(fields, faults),
    )
    if row.assumption and row.verified:
        fields.fault("assumption_verified", "verified", "an assumption is never verified")
    if row.valid_from and row.valid_to and row.valid_to < row.valid_from:
        fields.fault("window_reversed", "valid_to", "the last day is before the first")
    _look_at_other_value(row, fields)
    if not row.examples:
        fields.fault("example_missing", "examples", "a row carries at least one worked example")
    _recompute(row, pointer, faults)
    return row


def _look_at_other_value(row: FactorRow, fields: Fields) -> None:
    """What a document prints elsewhere is another number, and both have their places."""
    told = ("value_place", "other_value", "other_place")
    missing = [name for name in told if getattr(row, name) is None]
    if 0 < len(missing) < len(told):
        fields.fault("conflict_incomplete", missing[0], f"{', '.join(told)} come together or not at all")
    if not row.other_value:
        return
    try:
        other = parse_plain_decimal(row.other_value)
    except Refusal as refusal:
        fields.fault(refusal.code, "other_value", str(refusal))
        return
    with suppress(Refusal):  # of a value that is no number itself the arithmetic tells
        if parse_plain_decimal(row.value) == other:
            fields.fault("conflict_without_difference", "other_value", "the value is the same in both places")


def _read_examples(row: Fields, faults: Faults) -> tuple[WorkedExample, ...]:
    value = row.raw("examples")
    if value is None:
        return ()
    if not isinstance(value, list):
        row.fault("field_wrong_type", "examples", "a list of examples")
        return ()
    examples = []
    for index, each in enumerate(value):
        pointer = f"{row.pointer}/examples/{index}"
        fields = Fields(each, pointer=pointer, faults=faults, known=EXAMPLE_FIELDS)
        stated = fields.raw("inputs")
        names = list(stated) if isinstance(stated, Mapping) else []
        inputs = Fields(stated, pointer=f"{pointer}/inputs", faults=faults, known=names)
        examples.append(
            WorkedExample(
                inputs=tuple(sorted((name, inputs.maybe_whole(name) or 0) for name in names)),
                expected=fields.number("expected"),
                unit=fields.mass("unit"),
                source=fields.text("source"),
            )
        )
    return tuple(examples)


def _recompute(row: FactorRow, pointer: str, faults: Faults) -> None:
    """Convert the factor and give every example back; what refuses or differs is a fault."""
    if not row.value or not row.unit:
        return  # what is not there was named
    try:
        in_use = row.in_use()
    except Refusal as refusal:
        faults.add_refusal(refusal, f"{pointer}/value")
        return
    for index, example in enumerate(row.examples):
        place = f"{pointer}/examples/{index}"
        try:
            assessed = in_use.method.assess(dict(example.inputs), in_use.factor)
            result = compare(
                row.code,
                nanograms=assessed.nanograms,
                carbon_mg=assessed.carbon_mg,
                expected=example.expected,
                unit=example.unit,
            )
        except Refusal as refusal:
            faults.add_refusal(refusal, place)
            continue
        if not result.passed:
            faults.add("example_differs", place, f"{result.exact} {result.unit}, not {example.expected}")


def _refuse_collisions(bundle: Bundle, faults: Faults) -> None:
    """One code once in a region, and for one scenario, region and day at most one row."""
    codes: set[tuple[str, str]] = set()
    asked: dict[tuple[str, str], list[FactorRow]] = defaultdict(list)
    for index, row in enumerate(bundle.rows):
        if (row.code, row.region) in codes:
            faults.add(
                "code_repeated",
                f"/rows/{index}/code",
                f"{row.code} stands twice for {row.region}; a second value of the document is other_value",
            )
        codes.add((row.code, row.region))
        same = asked[row.scenario, row.region]
        other = next((each for each in same if _share_a_day(row, each)), None)
        if other is not None:
            faults.add("rows_overlap", f"/rows/{index}/valid_from", f"{other.code} holds on the same days")
        same.append(row)


def _share_a_day(a: FactorRow, b: FactorRow) -> bool:
    if a.valid_from is None or b.valid_from is None:
        return False
    return a.holds_on(b.valid_from) or b.holds_on(a.valid_from)


def _nest_csv(data: bytes, faults: Faults) -> dict[str, Any]:
    lines = split_lines(data, line_bytes_max=_CSV_LINE_BYTES_MAX)
    names, lines = read_header(lines, required=REQUIRED, optional=COLUMNS)
    cells = split_cells(lines, names).iter_rows(named=True)
    return nest((Line(each["line_no"], each, code=each["line_code"]) for each in cells), faults, Places())


_NESTED: dict[Form, Callable[[bytes, Faults], dict[str, Any]]] = {
    "yaml": lambda data, _: read_lined_yaml(data),
    "csv": _nest_csv,
    "xlsx": nest_sheet,
}
