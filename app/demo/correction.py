"""A misprint and its correction: the city first published the factor of tap water with two digits exchanged.

Three weeks ago it was found: a table that corrects it was published, and what had been credited was computed
again, approved by a second person and posted. Whoever has a water meter reads it in the own statement.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from app.demo.people import Employee
from app.demo.stage import Stage
from carbon.activities.recomputation.jobs import Proposal, approve, find_recomputation, propose
from carbon.activities.recomputation.states import Policy
from carbon.activities.recomputation.work import work_on
from carbon.factors.bundle_files import read_bundle
from carbon.factors.bundles import read_shipped
from carbon.factors.factor_rows import Bundle
from carbon.factors.publication import draft_factor_table, publish_factor_table
from carbon.factors.table_changes import predecessor
from kernel.call import Call
from kernel.errors import BrokenInvariant
from kernel.identifiers import public_id
from kernel.publications.publishing import PREFIX

MISPRINTED = "tap_water_national.yaml"
REASON = "演示:误将 0.168 刊为 0.186 / demo: 0.168 was printed as 0.186"
_EXCHANGED = (
    ("51366-2019)", "51366-2019,演示误刊)"),
    ("title_en: Tap water, GB/T 51366-2019", "title_en: Tap water, GB/T 51366-2019 (demo misprint)"),
    ('value: "0.168"', 'value: "0.186"'),
    ('expected: "0.504"', 'expected: "0.558"'),
    ("3 × 0.168", "3 × 0.186"),
    ('expected: "399.259392"', 'expected: "442.037184"'),
    ("2.376544 × 168", "2.376544 × 186"),
    ("verified: yes", "verified: no"),
)


def misprint() -> Bundle:
    """The shipped table as the city printed it first."""
    text = _shipped()
    for right, wrong in _EXCHANGED:
        text = text.replace(right, wrong)
    return read_bundle(text.encode(), form="yaml")


def correct_misprint(stage: Stage, *, at: datetime, editor: Employee, publisher: Employee) -> None:
    """Publish the correction of the misprinted table, and correct by it what was credited."""
    misprinted = stage.play(_misprinted, at=at)
    named = f'corrects: {public_id(PREFIX, misprinted)}\ncorrection_reason: "{REASON}"\n'
    text = _shipped().replace("rows:\n", f"{named}rows:\n", 1)
    bundle = read_bundle(text.encode(), form="yaml")
    table_id = stage.play(lambda call: draft_factor_table(call, bundle).id, at=at, actor=editor.actor)
    later = at + timedelta(hours=1)
    stage.play(
        lambda call: publish_factor_table(call, table_id, reason=REASON), at=later, actor=publisher.actor
    )
    proposal = Proposal(table_id=table_id, policy=Policy.UNSPENT, reason=REASON)
    job_id = stage.play(lambda call: propose(call, proposal).id, at=later, actor=editor.actor)
    run: Callable[[Callable[[Call], Any]], Any] = partial(stage.play, at=later + timedelta(minutes=1))
    work_on(run, job_id)

    def approved(call: Call) -> None:
        figures = find_recomputation(call, job_id).digest or b""
        approve(call, job_id, figures=bytes(figures), reason=REASON)

    stage.play(approved, at=later + timedelta(hours=1), actor=publisher.actor)
    run = partial(stage.play, at=later + timedelta(hours=1, minutes=1))
    work_on(run, job_id)


def _misprinted(call: Call) -> UUID:
    shipped = read_bundle(_shipped().encode(), form="yaml")
    found = predecessor(call, region_id=shipped.region, subject=shipped.subject, first_day=call.today)
    if found is None:
        raise BrokenInvariant("the city has published no table of tap water")
    return found.id


def _shipped() -> str:
    return read_shipped(MISPRINTED).decode()
