"""Who gave a card back is credited no more for it: what corrects a record of theirs may only lower it.

Neither kilograms nor coins rise, not even where the coin rate rose or a cap has room since. What a cap would
leave of the coins is cut to what stands; where no cap rules, nothing explains a cut, and the line is refused.
"""

from uuid import UUID

import polars as pl

from carbon.activities.allotment import earned_coins, with_caps
from carbon.activities.errors import CardGivenBack
from carbon.activities.recognition import GOOD, refuse
from carbon.activities.references import names_of
from kernel.bulk_text import select_frame
from kernel.call import Call
from kernel.publications.rules import Cap, coin_rate

_NAME = ("source_event_id", "revision")


def refuse_more(
    call: Call, frame: pl.DataFrame, *, partner_id: UUID, region_id: str, found_caps: list[Cap]
) -> pl.DataFrame:
    """Refuse `given_back` lines that would bring more than what they correct: card_given_back.

    Adds `coin_most` where there are such lines: what stands of the coins. A line whose own revision stands is
    left to the claims, which know whether it is a duplicate.
    """
    asked = frame.filter(GOOD & pl.col("given_back"))
    if asked.is_empty():
        return frame
    standing = select_frame(call, _STANDING, names_of(partner_id, asked), schema=_FOUND).unique()
    capped = with_caps(asked, found_caps).filter(pl.col("cap_rule_id").is_not_null())
    capped = capped.select("file_no", "line_no", capped=pl.lit(value=True))
    frame = frame.join(standing, on=_NAME, how="left", maintain_order="left")
    frame = frame.join(capped, on=["file_no", "line_no"], how="left", maintain_order="left")
    frame = frame.with_columns(coin_most=pl.when(GOOD & pl.col("given_back")).then("coin_most"))
    earned = earned_coins(coin_rate(call, region_id, day=call.today))
    more = (pl.col("carbon_mg") > pl.col("carbon_most")) | (
        pl.col("capped").is_null() & (earned > pl.col("coin_most"))
    )
    frame = refuse(frame, pl.col("given_back") & more, CardGivenBack.code, "/subject")
    return frame.drop("carbon_most", "capped")


_FOUND = {
    "source_event_id": pl.String,
    "revision": pl.Int64,
    "carbon_most": pl.Int64,
    "coin_most": pl.Int64,
}
_STANDING = (
    "SELECT k.event, k.revision, coalesce(c.carbon_mg_after, a.carbon_mg),"
    " coalesce(c.coin_milli_after, a.coin_milli)"
    " FROM unnest(CAST(%(events)s AS text[]), CAST(%(revisions)s AS int[])) AS k (event, revision)"
    " JOIN activity_reference r ON r.partner_id = %(partner)s AND r.source_event_id = k.event"
    " AND r.revision = k.revision - 1"
    " JOIN activity a ON a.citizen_id = r.citizen_id AND a.id = r.activity_id"
    " LEFT JOIN LATERAL (SELECT carbon_mg_after, coin_milli_after FROM activity_correction"
    " WHERE citizen_id = a.citizen_id AND activity_id = a.id ORDER BY number DESC LIMIT 1) c ON true"
    " WHERE NOT EXISTS (SELECT FROM activity_reference n WHERE n.partner_id = r.partner_id"
    " AND n.source_event_id = r.source_event_id AND n.revision = k.revision)"
)
