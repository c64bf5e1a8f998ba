"""What a partner sends to open a batch, and what it reads of its batches and their lines."""

from types import MappingProxyType

from marshmallow import fields

from carbon.activities.batch_records import BATCH, Opening
from carbon.activities.batch_results import OUTCOMES
from kernel.http.fields import Gives, Instant, PageQuery, PublicId, Takes, Text, Whole


def _said(what: str) -> dict[str, str]:
    return {"description": what}


class TakesOpening(Takes):
    """A batch to open."""

    into = Opening
    examples = MappingProxyType(
        {
            "A file of lines": {"reference": "rides-2026-11-01", "adapter": "ndjson"},
            "A workbook of an office": {"reference": "laundry-2026-11", "adapter": "xlsx"},
            "Taps of a metro, with a station list": {"reference": "taps-2026-11", "adapter": "shenzhen_tong"},
        }
    )
    reference = Text(required=True, most=128)
    adapter = Text(required=True, most=64)


class TakesCancellation(Takes):
    """Why a batch is called off, for whoever reads its story."""

    examples = MappingProxyType({"A reason": {"reason": "the wrong month was exported"}})
    reason = Text(most=300, load_default=None)


class LinesQuery(PageQuery):
    """Which lines of a batch."""

    outcome = Text(most=16, pattern="|".join(OUTCOMES), load_default=None)


class GivesBatchOutcome(Gives):
    """Lines that came out alike."""

    outcome = fields.String()
    code = fields.String(allow_none=True)
    lines = Whole()
    text_zh = fields.String()
    text_en = fields.String()


class GivesBatchFailure(Gives):
    """Why a whole batch was refused."""

    code = fields.String()
    pointer = fields.String(allow_none=True)
    detail = fields.String(allow_none=True)
    text_zh = fields.String()
    text_en = fields.String()


class GivesBatch(Gives):
    """A batch: where it is, how many lines are done and how fast, and how they came out."""

    id = PublicId(BATCH)
    reference = fields.String()
    adapter = fields.String()
    state = fields.String()
    content_bytes = Whole(allow_none=True)
    content_lines = Whole(
        allow_none=True,
        metadata=_said(
            "lines of the content, a header and blank lines among them: the number of its last line."
            " `null` before the content came, and for a workbook"
        ),
    )
    lines_done = Whole(metadata=_said("lines that have an outcome; a header and blank lines get none"))
    lines_per_second = Whole(
        allow_none=True,
        metadata=_said(
            "lines a second of work, rounded down: of about the last half minute of it while the batch is"
            " `running`, of all of it once it ended. `null` until that is known"
        ),
    )
    seconds_left = Whole(
        allow_none=True,
        metadata=_said(
            "seconds of work that the rest takes at that pace, rounded up; time in which the batch waits, as"
            " for other partners' turns, comes on top. `null` unless it is `running` and both are known"
        ),
    )
    accepted = Whole(metadata=_said("lines so far that were credited, or assessed and came to nothing"))
    duplicate = Whole(metadata=_said("lines so far whose record was taken before"))
    rejected = Whole(metadata=_said("lines so far that were refused"))
    outcomes = fields.List(fields.Nested(GivesBatchOutcome))
    superseded = Whole(metadata=_said("lines, among those above, that took an earlier record's place"))
    failure = fields.Nested(GivesBatchFailure, allow_none=True)
    waits_for = fields.String(
        allow_none=True,
        metadata=_said(
            "the code of what keeps the batch from going on, by no fault of its file, such as"
            " `partner_suspended` or `no_rule_in_force`; it goes on by itself once that is over"
        ),
    )
    waits_detail = fields.String(allow_none=True, metadata=_said("what there is to say of it, for people"))
    cancelled_because = fields.String(allow_none=True)
    created_at = Instant()
    started_at = Instant(
        allow_none=True, metadata=_said("when a worker took it up for the first time; `null` until then")
    )
    finished_at = Instant(allow_none=True)


class GivesBatches(Gives):
    """A page of batches."""

    items = fields.List(fields.Nested(GivesBatch))
    next = fields.String(allow_none=True)


class GivesBatchLine(Gives):
    """What became of one line."""

    line = Whole()
    outcome = fields.String()
    code = fields.String(allow_none=True)
    pointer = fields.String(allow_none=True)
    text_zh = fields.String()
    text_en = fields.String()
    detail = fields.String(allow_none=True)


class GivesBatchLines(Gives):
    """A page of lines."""

    items = fields.List(fields.Nested(GivesBatchLine))
    next = fields.String(allow_none=True)
