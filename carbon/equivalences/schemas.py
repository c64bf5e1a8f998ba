"""What is asked of comparisons, and what everybody reads of them."""

from marshmallow import fields

from carbon.equivalences.figures import CARBON
from kernel.http.fields import Gives, QuerySchema, Whole
from kernel.units import INT64_MAX, NANOGRAMS_PER_MILLIGRAM

MOST_MG = INT64_MAX // NANOGRAMS_PER_MILLIGRAM
"""More than nine thousand tonnes."""


class EquivalencesQuery(QuerySchema):
    """How much carbon dioxide is to be compared; the figures alone where none is."""

    carbon_mg = Whole(
        least=1,
        most=MOST_MG,
        load_default=None,
        metadata={"description": f"milligrams, given back as `{CARBON}`; only trees and prices compare them"},
    )


class GivesEquivalenceSource(Gives):
    """Where the figure is published; what is not known is null."""

    title = fields.String()
    publisher = fields.String(allow_none=True)
    published_year = fields.String(allow_none=True)
    url = fields.String(allow_none=True)
    seen_in = fields.String(allow_none=True)


class GivesEquivalence(Gives):
    """One published figure. `whole` is what the asked milligrams come to, rounded down, or null."""

    scenario = fields.String()
    code = fields.String()
    method = fields.String(metadata={"description": "standard_coal or trees"})
    name_zh = fields.String()
    name_en = fields.String()
    value = fields.String(metadata={"description": "exactly as printed"})
    unit = fields.String()
    basis = fields.String(metadata={"description": "of standard coal: 当量值, 等价值 or 参考折标"})
    verified = fields.Boolean()
    source = fields.Nested(GivesEquivalenceSource)
    whole = fields.Integer(allow_none=True)


class GivesCarbonPrice(Gives):
    """What somebody paid once for kilograms, as published; nobody is promised it."""

    scenario = fields.String()
    code = fields.String()
    name_zh = fields.String()
    name_en = fields.String()
    value = fields.String(metadata={"description": "exactly as printed"})
    unit = fields.String(metadata={"description": "CNY/kg or CNY/t"})
    basis = fields.String(metadata={"description": "兑换价, 成交价 or 挂牌中间价"})
    verified = fields.Boolean()
    source = fields.Nested(GivesEquivalenceSource)
    paid_fen = fields.Integer(metadata={"description": "what was paid, for `carbon_mg`"})
    carbon_mg = fields.Integer()
    fen_per_tonne = fields.Integer(metadata={"description": "rounded down"})
    worth_fen = fields.Integer(
        allow_none=True,
        metadata={"description": "what the asked milligrams come to at this price, rounded down, or null"},
    )


class GivesEquivalences(Gives):
    """All comparisons and prices; none of them is a reduction."""

    carbon_mg = fields.Integer(allow_none=True)
    items = fields.List(fields.Nested(GivesEquivalence))
    prices = fields.List(fields.Nested(GivesCarbonPrice))
