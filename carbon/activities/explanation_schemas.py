"""The tree behind a transfer, as the document describes it; what is computed stands in `explanation`."""

from typing import Any

from marshmallow import fields

from kernel.http.fields import Gives, Instant


def _said(says: str, **schema: Any) -> dict[str, Any]:
    return {"description": says, **schema}


def _instant() -> fields.String:
    return fields.String(metadata={"format": "date-time"})


def _day(*, allow_none: bool = False) -> fields.String:
    return fields.String(allow_none=allow_none, metadata={"format": "date"})


class GivesMoved(Gives):
    """The transfer itself; `amount` in milli-coins, milligrams or fen by its unit."""

    id = fields.String()
    code = fields.String()
    unit = fields.String()
    amount = fields.Integer()
    occurred_at = _instant()
    recorded_at = _instant()
    expires_on = _day(allow_none=True)
    reverses_id = fields.String(allow_none=True)


class GivesSaying(Gives):
    """What the transfer's code means, for people."""

    en = fields.String()
    zh = fields.String()


class GivesStep(Gives):
    """One step of the arithmetic; both values are exact decimals, or a fraction where one would not end."""

    title_en = fields.String()
    title_zh = fields.String()
    expression = fields.String()
    value_before_rounding = fields.String()
    value_after = fields.String()
    unit = fields.String()


class GivesCited(Gives):
    """What is cited of a publication."""

    title = fields.String()
    source = fields.String()
    assumption = fields.String(allow_none=True)
    effective_from = _day()
    digest = fields.String(allow_none=True, metadata=_said("SHA-256 of the published document"))


class GivesCitedTable(GivesCited):
    """The publication a figure stands in."""

    id = fields.String()


class GivesUsedFactor(Gives):
    """The factor row that was in force, and where its figure was printed."""

    code = fields.String()
    value = fields.String(metadata=_said("as printed"))
    unit = fields.String()
    value_ng = fields.Integer(metadata=_said("whole nanograms CO2e a base unit"))
    gas_set = fields.String()
    method = fields.String()
    method_version = fields.Integer()
    data_year = fields.Integer(allow_none=True)
    valid_from = _day()
    valid_to = _day(allow_none=True)
    verified = fields.Boolean()
    assumption = fields.String(allow_none=True)
    found_by = fields.String(metadata=_said("which lookup led here: the own region or a fallback"))
    source = fields.Dict(metadata=_said("the document, as the table cites it"))
    seen_in_original = fields.Boolean()
    table = fields.Nested(GivesCitedTable)


class GivesUsedRule(GivesCited):
    """A rule as it was applied."""

    coins_milli = fields.Integer()


class GivesUsedRate(GivesCited):
    """The coin rate: `coins_milli` for `per_mg` milligrams; null where it is not as it was signed."""

    coins_milli = fields.Integer(allow_none=True)
    per_mg = fields.Integer(allow_none=True)


class GivesUsedCap(GivesUsedRule):
    """The cap: `coins_milli` a citizen and `period` for these scenarios together."""

    scenarios = fields.List(fields.String())
    period = fields.String()


class GivesCounted(Gives):
    """From kilograms to coins, in milli-coins; `cut_milli` is what the cap kept back."""

    rate = fields.Nested(GivesUsedRate)
    cap = fields.Nested(GivesUsedCap, allow_none=True)
    before_cap_milli = fields.Integer(allow_none=True, metadata=_said("null where the rate does not hold"))
    cut_milli = fields.Integer()
    credited_milli = fields.Integer()
    credited = fields.String(metadata=_said("as people read it"))


class GivesUsedEvidence(Gives):
    """How much of the assessed kilograms counts for evidence of this tier; no rule: all of them."""

    tier = fields.String()
    share_permille = fields.Integer(metadata=_said("thousandths"))
    rule = fields.Nested(GivesCited, allow_none=True)


class GivesHoldingRule(GivesCited):
    """The published rule that holds an activity; no figures where it is not as it was signed."""

    id = fields.String()
    measure = fields.String(allow_none=True, metadata=_said("records_a_day or metres_an_hour"))
    most = fields.Integer(allow_none=True, metadata=_said("what is beyond it is held"))


class GivesToldHold(Gives):
    """Why the coins are set aside, and what became of it."""

    state = fields.String()
    reason_zh = fields.String()
    reason_en = fields.String()
    coin_milli = fields.Integer(metadata=_said("what was set aside"))
    held_at = fields.String()
    measured = fields.Integer(allow_none=True, metadata=_said("what the rule found"))
    rule = fields.Nested(GivesHoldingRule, allow_none=True, metadata=_said("null where a person holds"))


class GivesEntry(Gives):
    """A transfer of the ledger, and how much of it is this activity's; others may share it."""

    transfer_id = fields.String()
    unit = fields.String()
    share = fields.Integer()


class GivesReplay(Gives):
    """The activity gone through once more, against every row that it rests on."""

    equal = fields.Boolean()
    digest = fields.String(
        allow_none=True, metadata=_said("SHA-256 over every number that came out; null where none did")
    )
    differs = fields.List(
        fields.String(), metadata=_said("what does not fit: digest, factor, coin_rate, cap, entry …")
    )


class GivesCitation(Gives):
    """What a node rests on outside the product, or the signed publication that says it."""

    title = fields.String(allow_none=True)
    publisher = fields.String(allow_none=True)
    document_number = fields.String(allow_none=True)
    published_year = fields.Integer(allow_none=True)
    page = fields.String(allow_none=True)
    url = fields.String(allow_none=True)
    quotation = fields.String(allow_none=True)
    digest = fields.String(allow_none=True, metadata=_said("of the publication"))


class GivesNode(Gives):
    """A node of the tree; `because` holds the nodes that it rests on."""

    node = fields.String(
        metadata=_said(
            "what it is",
            enum=["entry", "coin_rate", "cap", "hold", "kilograms", "step", "input", "factor", "document"],
        )
    )
    title = fields.Nested(GivesSaying)
    says = fields.Nested(GivesSaying, allow_none=True)
    arithmetic = fields.String(allow_none=True, metadata=_said("in exact decimals; `→` is the one floor"))
    value = fields.String(allow_none=True)
    unit = fields.String(allow_none=True)
    cites = fields.Nested(GivesCitation, allow_none=True)
    because = fields.List(fields.Nested("GivesNode"))


class GivesNamedTable(Gives):
    """A factor table by name."""

    id = fields.String()
    title = fields.String()


class GivesTableCorrection(Gives):
    """What a factor table made of an activity after it was credited; the credit itself stays as it was."""

    number = fields.Integer()
    table = fields.Nested(GivesNamedTable)
    corrects = fields.Nested(GivesNamedTable)
    reason = fields.String(metadata=_said("why the table was corrected"))
    says = fields.Nested(GivesSaying)
    carbon_mg_before = fields.Integer()
    carbon_mg_after = fields.Integer()
    coin_milli_before = fields.Integer()
    coin_milli_after = fields.Integer()
    coin_posted_milli = fields.Integer(metadata=_said("what came or went; the rest a fund bears"))
    coin_borne_milli = fields.Integer(metadata=_said("coins beyond what is justified that a fund bears"))
    carbon_transfer_id = fields.String(allow_none=True)
    coin_transfer_id = fields.String(allow_none=True)
    recorded_at = _instant()
    steps = fields.List(fields.Nested(GivesStep))
    factor = fields.Nested(
        GivesUsedFactor, allow_none=True, metadata=_said("null where only the room under a cap changed")
    )
    replays_equal = fields.Boolean()


class GivesArithmetic(Gives):
    """What led from an action to kilograms and coins; nothing in it tells whose it was, where or when."""

    scenario = fields.String()
    business_day = _day()
    inputs = fields.Dict(
        keys=fields.String(), values=fields.Integer(), metadata=_said("the method's inputs by name")
    )
    carbon_mg = fields.Integer()
    carbon = fields.String(metadata=_said("as people read it"))
    reason = fields.String(allow_none=True)
    steps = fields.List(fields.Nested(GivesStep))
    factor = fields.Nested(GivesUsedFactor)
    evidence = fields.Nested(GivesUsedEvidence)
    coins = fields.Nested(GivesCounted)
    superseded = fields.Boolean(metadata=_said("whether its source has corrected it since"))
    digest = fields.String(metadata=_said("SHA-256 over every number of the assessment"))
    replays_equal = fields.Boolean(metadata=_said("whether the same inputs give the same numbers today"))
    replay = fields.Nested(GivesReplay)
    tree = fields.Nested(GivesNode)


class GivesExplainedActivity(GivesArithmetic):
    """One activity with everything that led from it to kilograms and coins."""

    id = fields.String()
    occurred_at = _instant()
    facts = fields.Dict(allow_none=True, metadata=_said("what the partner's form says beside the inputs"))
    entries = fields.List(fields.Nested(GivesEntry))
    hold = fields.Nested(GivesToldHold, allow_none=True)
    corrections = fields.List(
        fields.Nested(GivesTableCorrection), metadata=_said("by factor tables, since; nothing above changes")
    )


class GivesSharedActivity(GivesArithmetic):
    """What a link opens."""

    link_ends_at = _instant()


class GivesLink(Gives):
    """A link as it was made: told once, kept nowhere."""

    path = fields.String(metadata=_said("of the page; the address of the site goes in front"))
    ends_at = Instant()


class GivesShareRate(Gives):
    """The coin rate of a share."""

    publication = fields.String()
    title = fields.String()
    source = fields.String()
    coins_milli = fields.Integer()
    per_mg = fields.Integer()
    signature_holds = fields.Boolean()


class GivesShareOrigin(Gives):
    """A donation whose serials the share is made of."""

    certificate_id = fields.String()
    certificate = fields.String(metadata=_said("the address of its page"))
    carbon_mg = fields.Integer(metadata=_said("of the whole donation"))
    share_mg = fields.Integer(metadata=_said("of it in this share"))
    first_serial = fields.Integer()
    last_serial = fields.Integer()
    enterprise = fields.String()
    project = fields.String()
    verifier = fields.String()
    document = fields.String()
    exclusivity_statement = fields.String()
    signature_holds = fields.Boolean()


class GivesExplainedShare(Gives):
    """A share of kilograms that enterprises gave."""

    kind = fields.String()
    allocation_id = fields.String()
    reason = fields.String()
    rule = fields.String(metadata=_said("`equal` or `need`", enum=["equal", "need"]))
    weight = fields.Integer(metadata=_said("what this share weighed among all; 1 where shares are equal"))
    allocated_at = _instant()
    carbon_mg = fields.Integer()
    carbon_shown = fields.String()
    coin_milli = fields.Integer()
    coin_shown = fields.String()
    coin_rate = fields.Nested(GivesShareRate)
    rounding = fields.String()
    given_by = fields.List(fields.Nested(GivesShareOrigin))
    digest = fields.String()
    replays = fields.Boolean()


class GivesExplanation(Gives):
    """Why a citizen has these coins or kilograms, down to the printed figure and its document."""

    kind = fields.String(
        metadata=_said(
            "what stands behind it; `plain` is told by `says` alone, `unexplained` is a finding",
            enum=["activities", "pool_share", "correction", "table_correction", "plain", "unexplained"],
        )
    )
    transfer = fields.Nested(GivesMoved)
    says = fields.Nested(GivesSaying)
    activities = fields.List(fields.Nested(GivesExplainedActivity), metadata=_said("the first 200"))
    activities_count = fields.Integer(metadata=_said("how many there are"))
    share = fields.Nested(GivesExplainedShare, allow_none=True)
    replays_equal = fields.Boolean(
        allow_none=True,
        metadata=_said("of the activities or the share given; null where nothing was computed"),
    )
