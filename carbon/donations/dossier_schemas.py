"""What is read of a dossier: its documents, what the project rests on, and what looks like it."""

from marshmallow import fields

from carbon.donations.documents import DOCUMENT
from carbon.donations.giving import PROJECT
from carbon.donations.tables import DOCUMENT_KINDS, MEDIA_TYPES, SCHEMES
from kernel.http.fields import Gives, Instant, PublicId


class GivesDocument(Gives):
    """A document without its bytes."""

    id = PublicId(DOCUMENT)
    project_id = PublicId(PROJECT)
    place = fields.Integer()
    kind = fields.String(metadata={"enum": list(DOCUMENT_KINDS)})
    media_type = fields.String(metadata={"enum": list(MEDIA_TYPES)})
    sha256 = fields.Function(lambda row: bytes(row.digest).hex(), metadata={"type": "string"})
    content_bytes = fields.Integer()
    added_at = Instant()


class GivesDocuments(Gives):
    """A dossier's documents in the order in which they came, at most twenty."""

    items = fields.List(fields.Nested(GivesDocument))


class GivesRegistration(Gives):
    """A number of another scheme."""

    scheme = fields.String(metadata={"enum": list(SCHEMES)})
    number = fields.String()


class GivesLikeness(Gives):
    """A project that looks like this one."""

    project_id = PublicId(PROJECT)
    why = fields.String(metadata={"enum": ["same_document", "same_enterprise_and_days"]})


class GivesClaims(Gives):
    """What a project rests on. `meters` counts what is claimed; of their numbers only hashes are kept."""

    meters = fields.Integer()
    registrations = fields.List(fields.Nested(GivesRegistration))
    records = fields.Integer()
    records_of_others = fields.Integer(
        metadata={"description": "of the records, those credited to citizens or taken by another project"}
    )
    likenesses = fields.List(fields.Nested(GivesLikeness))
