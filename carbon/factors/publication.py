"""A factor table is drafted from a file and published by another person; its rows are laid out then.

What counts is the frozen content of the publication: publishing reads the rows back from it, converts
each factor exactly, recomputes every worked example, and refuses the whole table at the first fault.
"""

from dataclasses import asdict
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, text

from carbon.examples import compare
from carbon.factors.correcting import require_cover, table_to_correct, take_place
from carbon.factors.errors import ExampleDiffers, FactorsOverlap, FirstDayUnknown, NotAFactorTable
from carbon.factors.factor_rows import Bundle, FactorRow
from carbon.factors.plausibility import warnings_of
from carbon.factors.stored_rows import as_json, read_row
from carbon.factors.table_changes import predecessor, rows_of
from carbon.factors.tables import Factor
from kernel.call import Call
from kernel.errors import NotFound, require
from kernel.identifiers import new_id
from kernel.publications.publishing import Draft, draft, publish
from kernel.publications.shapes import FACTOR_TABLE
from kernel.publications.tables import Publication
from kernel.tenancy import Region

ASSUMPTION = "/assumption"
"""What the subject of a table of assumptions ends with: it stands beside the official one."""


def draft_factor_table(call: Call, bundle: Bundle, *, source: str | None = None) -> Publication:
    """Keep a table as a draft of the caller's, with what was read otherwise and what looks odd.

    One that corrects another begins on the day of that one. Refuses FirstDayUnknown, NotCorrectable,
    CorrectionCoversLess, and what `draft` refuses.
    """
    first = bundle.valid_from
    if first is None:
        raise FirstDayUnknown(f"{bundle.name} has a row without a first day")
    titles = dict.fromkeys(row.source.title for row in bundle.rows)
    # Their rows may not share a day.
    subject = bundle.subject + ASSUMPTION if bundle.assumption else bundle.subject
    corrected = None
    if bundle.corrects is not None:
        corrected = table_to_correct(call, bundle.corrects, region_id=bundle.region, subject=subject)
        require_cover(corrected, bundle.rows)
        first = corrected.effective_from
    before = corrected or predecessor(call, region_id=bundle.region, subject=subject, first_day=first)
    odd = warnings_of(call, bundle.rows, predecessor=[] if before is None else rows_of(before))
    return draft(
        call,
        Draft(
            region_id=bundle.region,
            kind=FACTOR_TABLE,
            subject=subject,
            title=f"{bundle.title_zh} / {bundle.title_en}",
            content={
                "name": bundle.name,
                "note": bundle.note,
                "rows": [as_json(asdict(row)) for row in bundle.rows],
                "normalised": [vars(each) for each in bundle.normalised],
                "warnings": [vars(each) for each in odd],
                **({} if corrected is None else {"correction_reason": bundle.correction_reason}),
            },
            source=source or "; ".join(titles),
            effective_from=first,
            assumption=bundle.assumption,
            corrects_id=None if corrected is None else corrected.id,
        ),
    )


def publish_factor_table(call: Call, publication_id: UUID, *, reason: str) -> Publication:
    """Publish a drafted table and lay out its rows.

    One that corrects another takes its place. Refuses, in this order: NotFound, NotAFactorTable, what the
    unit algebra refuses, ExampleDiffers, NotCorrectable, what `publish` refuses, FactorsOverlap.
    """
    publication = call.db.get(Publication, publication_id)
    if publication is None:
        raise NotFound("no such publication")
    require(publication.kind == FACTOR_TABLE, NotAFactorTable())
    rows = [read_row(stored) for stored in publication.content["rows"]]
    for row in rows:
        recompute_examples(row)
    # One table a region at a time: the overlap below is a look at what others have published.
    regions = select(Region.id).where(Region.id.in_({row.region for row in rows})).order_by(Region.id)
    call.db.execute(regions.with_for_update(key_share=True))
    take_place(call, publication, reason=reason)
    published = publish(call, publication_id, reason=reason)
    call.db.add_all(laid_out(row, published) for row in rows)
    call.db.flush()  # the overlap is asked of the rows as they stand
    clash = call.db.execute(_OVERLAPS, {"publication": publication_id}).first()
    if clash is not None:
        raise FactorsOverlap(f"{clash.code} and {clash.other}", scenario=clash.scenario)
    return published


def recompute_examples(row: FactorRow) -> None:
    """Convert the factor and give every example back; refuses ExampleDiffers at the first that differs."""
    in_use = row.in_use()
    for example in row.examples:
        assessed = in_use.method.assess(dict(example.inputs), in_use.factor)
        result = compare(
            row.code,
            nanograms=assessed.nanograms,
            carbon_mg=assessed.carbon_mg,
            expected=example.expected,
            unit=example.unit,
        )
        if not result.passed:
            raise ExampleDiffers(f"{row.code}: {result.exact} {result.unit}, not {example.expected}")


def laid_out(row: FactorRow, publication: Publication) -> Factor:
    """The row as lookups and arithmetic use it; its id is new. Refuses FirstDayUnknown."""
    factor = row.in_use().factor
    if row.valid_from is None:
        raise FirstDayUnknown(row.code)
    return Factor(
        id=new_id(),
        publication_id=publication.id,
        region_id=row.region,
        code=row.code,
        scenario=row.scenario,
        method=row.method,
        method_version=row.method_version,
        value=row.value,
        unit=row.unit,
        value_ng=factor.value_ng,
        gas_set=row.gas_set.value,
        data_year=row.data_year,
        valid_from=row.valid_from,
        valid_to=None if row.valid_to is None else row.valid_to + timedelta(days=1),
        quantity_min=factor.quantity_min,
        quantity_max=factor.quantity_max,
        verified=row.verified,
        assumption=row.assumption or publication.assumption,
        notes={
            "source": as_json(asdict(row.source)),
            "seen_in_original": row.source.seen_in_original,
            "variant": row.variant,
            "baseline": row.baseline,
            "value_printed": row.value_printed,
            "unit_printed": row.unit_printed,
            "value_place": row.value_place,
            "other_value": row.other_value,
            "other_place": row.other_place,
            "valid_from_kind": row.valid_from_kind,
            "note": row.note,
        },
    )


_OVERLAPS = text(
    "SELECT f.code, o.code AS other, f.scenario FROM factor f JOIN publication p ON p.id = f.publication_id"
    " JOIN factor o ON o.region_id = f.region_id AND o.scenario = f.scenario AND o.id <> f.id"
    " JOIN publication q ON q.id = o.publication_id AND q.state = 'published'"
    " WHERE f.publication_id = :publication"
    " AND daterange(f.valid_from, f.valid_to) * daterange(p.effective_from, p.ends_on)"
    " && (daterange(o.valid_from, o.valid_to) * daterange(q.effective_from, q.ends_on)) LIMIT 1"
)
