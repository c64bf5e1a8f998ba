"""What the addresses of pages take."""

from marshmallow import fields
from marshmallow.validate import OneOf

from app.public.why_words import LANGUAGES
from kernel.http.fields import QuerySchema, Text
from rewards.catalogue.reward_states import RewardKind

REGION_CODE = r"[A-Z0-9]+(-[A-Z0-9]+)*"


class RegionQuery(QuerySchema):
    """The region a page speaks of; the operator's own by default."""

    region = Text(most=32, pattern=REGION_CODE, load_default=None)


class ListingQuery(RegionQuery):
    """One more page of a list."""

    after = Text(most=512, load_default=None)


class RewardsPageQuery(ListingQuery):
    """One more page of the shelf, of one kind."""

    kind = fields.String(load_default=None, validate=OneOf([kind.value for kind in RewardKind]))


class LanguageQuery(QuerySchema):
    """The language of a page that stands in one; the browser's own by default."""

    lang = fields.String(load_default=None, validate=OneOf(LANGUAGES))
