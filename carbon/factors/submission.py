"""A factor table on its way through an operation centre: sent in as a file, decided on, published.

What a file does not say, a person decides and signs for: a first day that is missing, and a start that
is only nominal. A centre speaks for its own region and the regions below it.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Literal
from uuid import UUID

from carbon.factors.bundle_files import read_bundle
from carbon.factors.errors import FirstDayUnused, NominalStartUndecided, NotAFactorTable, RegionNotYours
from carbon.factors.factor_rows import Bundle
from carbon.factors.publication import draft_factor_table, publish_factor_table
from kernel.audit import audit
from kernel.call import Call
from kernel.errors import NotFound, require
from kernel.identifiers import public_id
from kernel.publications.publishing import PREFIX
from kernel.publications.shapes import FACTOR_TABLE
from kernel.publications.tables import PUBLIC_STATES, Publication
from kernel.tenancy import upward

NOMINAL = "nominal"


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """A bundle as sent. `first_day` is taken, as a nominal start, by rows that have none."""

    form: Literal["yaml", "csv"]
    text: str
    first_day: date | None = None
    source: str | None = None


def submit(call: Call, sent: TableFile) -> Publication:
    """Read, check and keep a table as a draft of the caller's.

    Refuses, in this order: what `read_bundle` refuses (with every fault of the file), what `submit_bundle`
    refuses.
    """
    bundle = read_bundle(sent.text.encode(), form=sent.form)
    return submit_bundle(call, bundle, first_day=sent.first_day, source=sent.source, at="/body")


def submit_bundle(
    call: Call, read: Bundle, *, first_day: date | None, source: str | None, at: str
) -> Publication:
    """Keep a table that was read as a draft of the caller's; `at` points at what goes beside it.

    Refuses, in this order: FirstDayUnused, RegionNotYours, FirstDayUnknown, what `draft` refuses.
    """
    bundle = _with_first_day(read, first_day, at=at)
    require(bundle.region == call.region, RegionNotYours(region=bundle.region, pointer="/region"))
    for region in {row.region for row in bundle.rows}:
        require(call.region in upward(call.db, region), RegionNotYours(region=region, pointer="/rows"))
    drafted = draft_factor_table(call, bundle, source=source)
    audit(call, "draft", subject=public_id(PREFIX, drafted.id), kind=FACTOR_TABLE, rows=len(bundle.rows))
    return drafted


def put_in_force(
    call: Call, publication_id: UUID, *, reason: str, nominal_start: str | None = None
) -> Publication:
    """Publish a draft of the caller's region; `nominal_start` is why nominal first days are taken.

    Refuses, in this order: NotFound, NotAFactorTable, NominalStartUndecided, what `publish_factor_table`
    refuses.
    """
    table = own_table(call, publication_id)
    nominal = [row["code"] for row in table.content["rows"] if row["valid_from_kind"] == NOMINAL]
    if nominal and nominal_start is None:
        raise NominalStartUndecided(pointer="/body/nominal_start", rows=nominal[:100])
    said = reason if nominal_start is None else f"{reason} · {NOMINAL} start: {nominal_start}"
    return publish_factor_table(call, table.id, reason=said)


def own_table(call: Call, publication_id: UUID) -> Publication:
    """A factor table of the caller's region, draft or published; refuses NotFound, NotAFactorTable."""
    publication = call.db.get(Publication, publication_id)
    if publication is None or publication.region_id != call.region:
        raise NotFound("no such publication")
    require(publication.kind == FACTOR_TABLE, NotAFactorTable())
    return publication


def known_table(call: Call, publication_id: UUID) -> Publication:
    """A factor table of any region, draft or published; refuses NotFound, NotAFactorTable.

    What an operator asks for is published, or of the own region: of another's draft nobody hears.
    """
    publication = call.db.get(Publication, publication_id)
    if publication is None:
        raise NotFound("no such publication")
    abroad = call.actor.region_id is not None and publication.region_id != call.actor.region_id
    require(not abroad or publication.state in PUBLIC_STATES, NotFound("no such publication"))
    require(publication.kind == FACTOR_TABLE, NotAFactorTable())
    return publication


def _with_first_day(bundle: Bundle, first_day: date | None, *, at: str) -> Bundle:
    if first_day is None:
        return bundle
    open_rows = any(row.valid_from is None for row in bundle.rows)
    require(open_rows, FirstDayUnused(pointer=f"{at}/first_day"))
    rows = tuple(
        replace(row, valid_from=first_day, valid_from_kind=NOMINAL) if row.valid_from is None else row
        for row in bundle.rows
    )
    return replace(bundle, rows=rows)
