"""Lines of a chunk that depend on each other are taken in steps, and come to what they would one by one.

What a line finds may be what an earlier one did: the revision that it corrects, room under its citizen's
caps, days of a meter, slots of time, coins to take back. Such lines stay in their order; all others go
together. Mostly nothing is corrected, and there is one step.
"""

import polars as pl

from carbon.activities.meters import METERED
from carbon.activities.recognition import GOOD

STEPS_MOST = 20
"""Of a chunk; whoever cuts chunks ends one before the line that would need another step."""
_CORRECTS = pl.col("corrects_revision") > 0


def in_steps(frame: pl.DataFrame, *, claims_trips: bool = False) -> list[pl.DataFrame]:
    """Cut a recognised chunk into parts that are taken one after another."""
    if not depend(frame, claims_trips=claims_trips):
        return [frame]
    steps = frame.with_columns(step=steps_of(frame, person="citizen_id"))
    return steps.partition_by("step", maintain_order=True, include_key=False)


def depend(frame: pl.DataFrame, *, claims_trips: bool) -> bool:
    """Whether one line may have to be taken before another is looked at.

    It corrects something; or it may be refused for its meter, or where trips claim their time for that, and
    then its name is free for the next.
    """
    repeated = (METERED | pl.lit(claims_trips)) & pl.col("source_event_id").is_duplicated()
    return bool(frame.filter(GOOD).select(_CORRECTS.any() | repeated.any()).item())


def steps_of(frame: pl.DataFrame, *, person: str, most: int | None = None) -> pl.Series:
    """The step of each line, up to the first line that is beyond `most` steps; `person` is whose column.

    A fact's lines go one a step, and a correction is the only line of its person in a step.
    """
    fact_next: dict[str, int] = {}
    person_with_others: dict[str, int] = {}
    person_alone: dict[str, int] = {}
    steps = []
    for fact, who, corrects, good in frame.select(
        "source_event_id", person, _CORRECTS, outcome=GOOD
    ).iter_rows():
        if not good:
            steps.append(0)
            continue
        step = max(fact_next.get(fact, 0), (person_alone if corrects else person_with_others).get(who, 0))
        if step == most:
            break
        fact_next[fact] = person_alone[who] = step + 1
        person_with_others[who] = step + 1 if corrects else step
        steps.append(step)
    return pl.Series("step", steps, dtype=pl.Int64)
