"""Factor tables as anybody reads them: every row with its source, and what came before and after.

All of it comes from the frozen content that the signature covers, never from a copy.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select

from carbon.factors.factor_rows import FactorRow
from carbon.factors.plausibility import in_words, warnings_of
from carbon.factors.table_changes import predecessor_of, rows_of
from carbon.listing import newest_first
from kernel.call import Call
from kernel.errors import NotFound
from kernel.identifiers import public_id
from kernel.paging import Page, PageRequest
from kernel.publications.publishing import PREFIX, signature_holds
from kernel.publications.review import steps_of
from kernel.publications.shapes import FACTOR_TABLE
from kernel.publications.tables import PUBLIC_STATES, Publication

UNSEEN_EN, UNSEEN_ZH = "not seen in the original", "未见原文"
CSV_COLUMNS = (
    *("table_id", "code", "name_zh", "name_en", "scenario", "region", "method", "method_version"),
    *("value", "value_printed", "unit", "unit_printed", "value_ng_per_base_unit", "gas_set"),
    *("value_place", "other_value", "other_place"),
    *("variant", "baseline", "data_year", "valid_from", "valid_to", "valid_from_kind"),
    *("verified", "assumption"),
    *("seen_in_original", "source_title", "source_publisher", "source_document_number"),
    *("source_published_year", "source_page", "source_url", "source_quotation", "source_seen_in"),
)


def public_tables(call: Call, page: PageRequest, *, region_id: str | None = None) -> Page[dict[str, Any]]:
    """Tables that are or were published, of one region or of all, newest first."""
    found = published_tables(call, page, region_id=region_id)
    return Page([summary(table, today=call.today) for table in found.items], found.next)


def public_rows(call: Call, page: PageRequest, *, region_id: str | None = None) -> Page[dict[str, Any]]:
    """The rows of a page of public tables, each with its table; `page` counts tables."""
    found = published_tables(call, page, region_id=region_id)
    rows = [
        {**_row(table, row), "table": public_id(PREFIX, table.id), "standing": stands}
        for table, stands in ((each, standing(each, today=call.today)) for each in found.items)
        for row in rows_of(table)
    ]
    return Page(rows, found.next)


def published_tables(call: Call, page: PageRequest, *, region_id: str | None = None) -> Page[Publication]:
    """The publications behind `public_tables`."""
    query = select(Publication).where(Publication.kind == FACTOR_TABLE, Publication.state.in_(PUBLIC_STATES))
    if region_id is not None:
        query = query.where(Publication.region_id == region_id)
    return newest_first(call, query, Publication.id, page, binding=f"public-tables/{region_id}")


def own_tables(call: Call, page: PageRequest, *, state: str | None = None) -> Page[dict[str, Any]]:
    """Tables of the caller's region, drafts too, newest first."""
    query = select(Publication).where(Publication.kind == FACTOR_TABLE, Publication.region_id == call.region)
    if state is not None:
        query = query.where(Publication.state == state)
    found = newest_first(call, query, Publication.id, page, binding=f"tables/{call.region}/{state}")
    return Page([summary(table, today=call.today) for table in found.items], found.next)


def public_table(call: Call, publication_id: UUID, *, at: str | None = None) -> Publication:
    """A table that is or was published; refuses NotFound, for drafts too. `at` points at what named it."""
    found = call.db.get(Publication, publication_id)
    if found is None or found.kind != FACTOR_TABLE or found.state not in PUBLIC_STATES:
        raise NotFound("no such factor table", pointer=at)
    return found


def seen_table(call: Call, publication_id: UUID, *, at: str | None = None) -> Publication:
    """A table of the caller's region, drafts too, or a public one; refuses NotFound."""
    found = call.db.get(Publication, publication_id)
    if found is not None and found.kind == FACTOR_TABLE and found.region_id == call.region:
        return found
    return public_table(call, publication_id, at=at)


def summary(table: Publication, *, today: date) -> dict[str, Any]:
    """What a list shows of a table."""
    rows = rows_of(table)
    return {
        "id": public_id(PREFIX, table.id),
        "region": table.region_id,
        "subject": table.subject,
        "title": table.title,
        "source": table.source,
        "assumption": table.assumption,
        "standing": standing(table, today=today),
        "effective_from": table.effective_from,
        "ends_on": table.ends_on,
        "withdrawn_from": table.withdrawn_from,
        "notice_until": table.notice_until,
        "published_at": table.published_at,
        "rows_count": len(rows),
        "rows_verified": sum(row.verified for row in rows),
        "rows_assumed": sum(bool(row.assumption or table.assumption) for row in rows),
        "rows_unseen": sum(not row.source.seen_in_original for row in rows),
        "digest": None if table.digest is None else bytes(table.digest).hex(),
    }


def standing(publication: Publication, *, today: date) -> str:
    """A state before publication, withdrawn, corrected, coming, in_force or superseded, on a day."""
    if publication.state != "published":
        return publication.state
    if publication.effective_from > today:
        return "coming"
    if publication.ends_on is None or publication.ends_on > today:
        return "in_force"
    return "withdrawn" if publication.withdrawn_from == publication.ends_on else "superseded"


def whole_table(call: Call, table: Publication) -> dict[str, Any]:
    """The table with its rows, signature, history and steps; who took a step is not said."""
    return {
        **summary(table, today=call.today),
        "note": table.content["note"],
        "correction_reason": table.content.get("correction_reason"),
        # Tables that were drafted before anything was read otherwise or found odd have no such lists.
        "normalised": table.content.get("normalised", []),
        "warnings": in_words(_warnings(call, table)),
        "rows": [_row(table, row) for row in rows_of(table)],
        "proof": None if table.signature is None else _proof(call, table),
        "history": _history(call, table),
        "steps": [
            {"state": step.state, "reason": step.reason, "recorded_at": step.recorded_at}
            for step in steps_of(call, table)
        ],
    }


def _warnings(call: Call, table: Publication) -> list[dict[str, Any]]:
    """What looks odd: as kept at drafting; while others judge it, as the tables stand that day."""
    if table.state not in {"in_review", "public_notice"}:
        kept: list[dict[str, Any]] = table.content.get("warnings", [])
        return kept
    before = predecessor_of(call, table)
    rows = [] if before is None else rows_of(before)
    return [vars(each) for each in warnings_of(call, rows_of(table), predecessor=rows)]


def rows_csv(*tables: Publication) -> str:
    """The rows as CSV with CSV_COLUMNS, values exactly as printed."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for table in tables:
        for printed in rows_of(table):
            row = _row(table, printed)
            source = {f"source_{name}": value for name, value in row["source"].items()}
            cells = {**row, **source, "table_id": public_id(PREFIX, table.id)}
            writer.writerow({name: _cell(cells[name]) for name in CSV_COLUMNS})
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    # A spreadsheet would run what begins so; a factor's printed value never does.
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _row(table: Publication, row: FactorRow) -> dict[str, Any]:
    seen, in_use = row.source.seen_in_original, row.in_use()
    return {
        **{name: getattr(row, name) for name in _AS_STORED},
        "gas_set": row.gas_set.value,
        "credits": in_use.method.credits,
        "value_ng_per_base_unit": in_use.factor.value_ng,
        "assumption": row.assumption or table.assumption,
        "seen_in_original": seen,
        "label_en": None if seen else UNSEEN_EN,
        "label_zh": None if seen else UNSEEN_ZH,
        "source": asdict(row.source),
        "examples": [{**asdict(example), "inputs": dict(example.inputs)} for example in row.examples],
    }


def _proof(call: Call, table: Publication) -> dict[str, Any]:
    return {
        "kid": table.kid,
        "sha256": bytes(table.digest or b"").hex(),
        "signature": bytes(table.signature or b"").hex(),
        "holds": signature_holds(call, table),
    }


def _history(call: Call, table: Publication) -> dict[str, Any]:
    same = select(Publication.id).where(
        Publication.region_id == table.region_id,
        Publication.kind == table.kind,
        Publication.subject == table.subject,
        Publication.state.in_(PUBLIC_STATES),
        Publication.id != table.id,
    )
    before = call.db.scalars(same.where(Publication.ends_on == table.effective_from))
    after = call.db.scalars(same.where(Publication.effective_from == table.ends_on))
    corrected = call.db.scalars(
        select(Publication.id).where(
            Publication.corrects_id == table.id, Publication.state.in_(PUBLIC_STATES)
        )
    )
    return {
        "supersedes": _named(before),
        "superseded_by": _named(after) if table.ends_on is not None else [],
        "corrects": [] if table.corrects_id is None else _named([table.corrects_id]),
        "corrected_by": _named(corrected),
    }


def _named(ids: Iterable[UUID]) -> list[str]:
    return [public_id(PREFIX, each) for each in ids]


_AS_STORED = (
    *("code", "name_zh", "name_en", "scenario", "region", "method", "method_version", "value", "unit"),
    *("value_place", "other_value", "other_place"),
    *("value_printed", "unit_printed", "variant", "baseline", "data_year", "valid_from", "valid_to"),
    *("valid_from_kind", "quantity_min", "quantity_max", "verified", "note"),
)
