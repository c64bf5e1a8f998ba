"""What operators send of factor tables, and what everybody reads of them."""

from types import MappingProxyType

import marshmallow as ma
from marshmallow import fields

from carbon.factors.example_table import EXAMPLE_CSV, EXAMPLE_YAML
from carbon.factors.submission import TableFile
from kernel.http.fields import Day, Gives, Instant, PageQuery, PublicId, QuerySchema, Takes, Text, Whole
from kernel.publications.publishing import PREFIX
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


class WorkbookQuery(QuerySchema):
    """What goes with a workbook: the same as beside a table in JSON."""

    first_day = Day(load_default=None, metadata={"description": "taken by the rows that have none"})
    source = Text(most=2000, load_default=None, metadata={"description": "cited for the table as a whole"})


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


class RowsQuery(PublicTablesQuery):
    """A page of public tables, whose rows are given."""

    limit = Whole(least=1, most=50, load_default=20, metadata={"description": "tables, not rows"})


class ChangesQuery(QuerySchema):
    """With which table to compare."""

    against = PublicId(
        PREFIX,
        load_default=None,
        metadata={"description": "A table that you may see; else the one that this one follows."},
    )


class GivesTable(Gives):
    """A table in a list.

    `standing`: a state before publication; coming, in_force, superseded, corrected, withdrawn.
    """

    id = fields.String()
    region = fields.String()
    subject = fields.String()
    title = fields.String()
    source = fields.String()
    assumption = fields.String(allow_none=True)
    standing = fields.String()
    effective_from = Day()
    ends_on = Day(allow_none=True)
    withdrawn_from = Day(allow_none=True)
    notice_until = Day(allow_none=True)
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
    """One row; `value` is the plain decimal, `value_printed` the cell where it reads otherwise.

    `other_value` is what the same document prints at `other_place`; `value`, at `value_place`, counts.
    `valid_to` is the last day. A label says what was not seen.
    """

    code = fields.String()
    name_zh = fields.String(allow_none=True)
    name_en = fields.String(allow_none=True)
    scenario = fields.String()
    region = fields.String()
    method = fields.String()
    method_version = fields.Integer()
    value = fields.String()
    value_printed = fields.String(allow_none=True)
    unit = fields.String()
    unit_printed = fields.String(allow_none=True)
    value_place = fields.String(allow_none=True)
    other_value = fields.String(allow_none=True)
    other_place = fields.String(allow_none=True)
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
    credits = fields.Boolean(metadata={"description": "false of an emission: no activity is assessed by it"})
    assumption = fields.String(allow_none=True)
    seen_in_original = fields.Boolean()
    label_en = fields.String(allow_none=True)
    label_zh = fields.String(allow_none=True)
    note = fields.String(allow_none=True)
    source = fields.Nested(GivesSource)
    examples = fields.List(fields.Nested(GivesExample))


class GivesPublicFactor(GivesFactor):
    """A row with its table and how that stands."""

    table = fields.String()
    standing = fields.String()


class GivesPublicFactors(Gives):
    """The rows of a page of tables, the newest table first."""

    items = fields.List(fields.Nested(GivesPublicFactor))
    next = fields.String(allow_none=True)


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


class GivesNormalised(Gives):
    """A cell that was read otherwise than it is printed; `pointer` is its place in the file."""

    line = fields.Integer(allow_none=True)
    pointer = fields.String()
    field = fields.String()
    printed = fields.String()
    read_as = fields.String()


class GivesWarning(Gives):
    """What looks odd about a row; it stops nobody. Under review and on notice it is looked for anew."""

    code = fields.String()
    row = fields.String(metadata={"description": "the code of the row"})
    region = fields.String()
    text_en = fields.String()
    text_zh = fields.String()


class GivesTableStep(Gives):
    """What happened to the table, when and why."""

    state = fields.String()
    reason = fields.String()
    recorded_at = Instant()


class GivesWholeTable(GivesTable):
    """A table with all that is known of it."""

    note = fields.String(allow_none=True)
    correction_reason = fields.String(allow_none=True)
    normalised = fields.List(fields.Nested(GivesNormalised))
    warnings = fields.List(fields.Nested(GivesWarning))
    rows = fields.List(fields.Nested(GivesFactor))
    proof = fields.Nested(GivesTableProof, allow_none=True)
    history = fields.Nested(GivesTableHistory)
    steps = fields.List(fields.Nested(GivesTableStep))


class GivesFieldChange(Gives):
    """One field as printed before and after; null is not known."""

    field = fields.String()
    before = fields.String(allow_none=True)
    after = fields.String(allow_none=True)


class GivesFigure(Gives):
    """What a row says, and under which code."""

    code = fields.String()
    value = fields.String()
    unit = fields.String()
    gas_set = fields.String()


class GivesRowChange(Gives):
    """A row that is not as it was. `what`: added, removed, changed, or recited (only its source differs).

    `percent` is how far the value moved, to two decimals; `percent_exact` the same as a fraction. Both are
    null where the two values are not of one measure and gas set, or the first is zero.
    """

    what = fields.String()
    code = fields.String()
    name_zh = fields.String(allow_none=True)
    name_en = fields.String(allow_none=True)
    scenario = fields.String()
    region = fields.String()
    variant = fields.String()
    before = fields.Nested(GivesFigure, allow_none=True)
    after = fields.Nested(GivesFigure, allow_none=True)
    percent = fields.String(allow_none=True)
    percent_exact = fields.String(allow_none=True)
    fields_ = fields.List(fields.Nested(GivesFieldChange), attribute="fields", data_key="fields")


class GivesChangeCounts(Gives):
    """How many rows of each sort; `unchanged` are of the later table."""

    added = fields.Integer()
    removed = fields.Integer()
    changed = fields.Integer()
    recited = fields.Integer()
    unchanged = fields.Integer()


class GivesTableChanges(Gives):
    """What a table says otherwise than another; `against` is null for one that follows none."""

    table = fields.String()
    against = fields.String(allow_none=True)
    counts = fields.Nested(GivesChangeCounts)
    fields_ = fields.List(fields.Nested(GivesFieldChange), attribute="fields", data_key="fields")
    rows = fields.List(fields.Nested(GivesRowChange))


class GivesChangelogEntry(Gives):
    """A published table, and in one line what it says otherwise than the one it follows."""

    table = fields.String()
    against = fields.String(allow_none=True)
    region = fields.String()
    subject = fields.String()
    title = fields.String()
    effective_from = Day()
    published_at = Instant(allow_none=True)
    counts = fields.Nested(GivesChangeCounts)
    line_en = fields.String()
    line_zh = fields.String()


class GivesChangelog(Gives):
    """A page of published tables, newest first."""

    items = fields.List(fields.Nested(GivesChangelogEntry))
    next = fields.String(allow_none=True)
