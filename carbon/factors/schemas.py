"""What operators send of factor tables, and what everybody reads of them."""

from types import MappingProxyType

import marshmallow as ma
from marshmallow import fields

from carbon.factors.example_table import EXAMPLE_CSV, EXAMPLE_YAML
from carbon.factors.submission import TableFile
from kernel.http.fields import Day, Gives, Instant, PageQuery, Takes, Text
from kernel.publications.tables import STATES

LONGEST_FILE = 200_000
"""Characters; the door takes 256 KiB of JSON."""
REGION_CODE = r"[A-Z0-9]+(-[A-Z0-9]+)*"


class TakesTableFile(Takes):
    """A factor table as a file in JSON: the text of a YAML or CSV bundle; see docs/factor-tables.md."""

    into = TableFile
    examples = MappingProxyType(
        {
            "A table as YAML": {"form": "yaml", "text": EXAMPLE_YAML},
            "The same as CSV": {"form": "csv", "text": EXAMPLE_CSV},
        }
    )
    form = fields.String(required=True, validate=ma.validate.OneOf(("yaml", "csv")))
    text = Text(required=True, most=LONGEST_FILE, metadata={"description": "the file as it stands"})
    first_day = Day(
        load_default=None,
        metadata={
            "description": "Taken by the rows that have no `valid_from`, as a nominal start; refused where"
            " every row has one of its own."
        },
    )
    source = Text(
        most=2000,
        load_default=None,
        metadata={"description": "What is cited for the table as a whole; else the titles of its sources."},
    )


class TakesTablePublication(Takes):
    """Why it is published and, where rows start on a nominal day, why that day is taken."""

    examples = MappingProxyType(
        {
            "A reason": {"reason": "checked against the printed document"},
            "With nominal first days": {
                "reason": "checked against the printed document",
                "nominal_start": "the document names its year only",
            },
        }
    )
    reason = Text(required=True, least=2, most=300)
    nominal_start = Text(least=2, most=300, load_default=None)


class TablesQuery(PageQuery):
    """A page of the caller's tables, of one state."""

    state = fields.String(load_default=None, validate=ma.validate.OneOf(STATES))


class PublicTablesQuery(PageQuery):
    """A page of public tables, of one region."""

    region = Text(most=32, pattern=REGION_CODE, load_default=None)


class GivesTable(Gives):
    """A table in a list. `standing`: draft, coming, in_force, superseded or withdrawn."""

    id = fields.String()
    region = fields.String()
    subject = fields.String()
    title = fields.String()
    source = fields.String()
    assumption = fields.String(allow_none=True)
    standing = fields.String()
    effective_from = Day()
    ends_on = Day(allow_none=True)
    published_at = Instant(allow_none=True)
    rows_count = fields.Integer()
    rows_verified = fields.Integer()
    rows_assumed = fields.Integer()
    rows_unseen = fields.Integer()
    digest = fields.String(allow_none=True)


class GivesTables(Gives):
    """A page of tables, newest first."""

    items = fields.List(fields.Nested(GivesTable))
    next = fields.String(allow_none=True)


class GivesSource(Gives):
    """The document behind a figure; what is not known is null."""

    title = fields.String()
    publisher = fields.String(allow_none=True)
    document_number = fields.String(allow_none=True)
    published_on = Day(allow_none=True)
    published_year = fields.Integer(allow_none=True)
    page = fields.String(allow_none=True)
    url = fields.String(allow_none=True)
    quotation = fields.String(allow_none=True)
    seen_in = fields.String(allow_none=True)
    last_checked_on = Day(allow_none=True)


class GivesExample(Gives):
    """A worked example that travels with a row."""

    inputs = fields.Dict(keys=fields.String(), values=fields.Integer())
    expected = fields.String()
    unit = fields.String()
    source = fields.String()


class GivesFactor(Gives):
    """One row, value as printed; `valid_to` is the last day. A label says what was not seen."""

    code = fields.String()
    name_zh = fields.String(allow_none=True)
    name_en = fields.String(allow_none=True)
    scenario = fields.String()
    region = fields.String()
    method = fields.String()
    method_version = fields.Integer()
    value = fields.String()
    unit = fields.String()
    unit_printed = fields.String(allow_none=True)
    value_ng_per_base_unit = fields.Integer()
    gas_set = fields.String()
    variant = fields.String()
    baseline = fields.String(allow_none=True)
    data_year = fields.Integer(allow_none=True)
    valid_from = Day()
    valid_to = Day(allow_none=True)
    valid_from_kind = fields.String()
    quantity_min = fields.Integer()
    quantity_max = fields.Integer(allow_none=True)
    verified = fields.Boolean()
    assumption = fields.String(allow_none=True)
    seen_in_original = fields.Boolean()
    label_en = fields.String(allow_none=True)
    label_zh = fields.String(allow_none=True)
    note = fields.String(allow_none=True)
    source = fields.Nested(GivesSource)
    examples = fields.List(fields.Nested(GivesExample))


class GivesTableProof(Gives):
    """Ed25519 over the SHA-256 of the canonical document; keys at /v1/public/keys, `publication`."""

    kid = fields.Integer()
    sha256 = fields.String()
    signature = fields.String()
    holds = fields.Boolean()


class GivesTableHistory(Gives):
    """Ids of the tables before and after."""

    supersedes = fields.List(fields.String())
    superseded_by = fields.List(fields.String())
    corrects = fields.List(fields.String())
    corrected_by = fields.List(fields.String())


class GivesTableStep(Gives):
    """What happened to the table, when and why."""

    state = fields.String()
    reason = fields.String()
    recorded_at = Instant()


class GivesWholeTable(GivesTable):
    """A table with all that is known of it."""

    note = fields.String(allow_none=True)
    rows = fields.List(fields.Nested(GivesFactor))
    proof = fields.Nested(GivesTableProof, allow_none=True)
    history = fields.Nested(GivesTableHistory)
    steps = fields.List(fields.Nested(GivesTableStep))
