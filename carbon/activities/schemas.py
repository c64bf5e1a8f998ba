"""What a partner sends for one record, and what a line becomes."""

from marshmallow import fields

from kernel.http.fields import Gives, Takes, Text


class TakesRecord(Takes):
    """The fields are judged by the same adapter that reads files, so that both doors are one."""

    record = fields.Dict(keys=Text(most=64), required=True)


class GivesOutcome(Gives):
    """What became of the record."""

    outcome = fields.String()
    code = fields.String(allow_none=True)
    activity_id = fields.String(allow_none=True)
