"""Tables that correct the official one, and recomputations led through their life in one go."""

from uuid import UUID

from carbon.activities.recomputation.jobs import Proposal, approve, find_recomputation, propose
from carbon.activities.recomputation.states import Policy
from carbon.activities.recomputation.tables import Recomputation
from carbon.activities.recomputation.work import work_on
from carbon.factors.bundle_files import read_bundle
from carbon.factors.bundles import read_shipped
from carbon.factors.publication import draft_factor_table, publish_factor_table
from kernel.call import Call
from kernel.identifiers import public_id
from kernel.publications.tables import Publication
from tests.carbon.city import OFFICIAL, as_operator
from tests.conftest import Database

TEXT = read_shipped(OFFICIAL).decode()
REASON = "misprint in the guide's table 3"
OFFICIAL_GRAMS = "46.7"


def corrected_text(corrects: UUID, grams: str, *, text: str = TEXT, reason: str = REASON) -> str:
    """The official table with another figure for a kilometre by metro, such as `93.4`."""
    # Its examples: 10 km in kilograms, and 12,347 m in grams.
    milli = int(grams.replace(".", "") + "0" * (1 - len(grams.partition(".")[2])))
    kilograms, metres = milli * 10, milli * 12_347
    head = f"corrects: {public_id('pub', corrects)}\ncorrection_reason: {reason}\n"
    changed = (
        text.replace('value: "46.7"', f'value: "{grams}"')
        .replace('expected: "0.467"', f'expected: "{kilograms // 10_000}.{kilograms % 10_000:04}"')
        .replace('expected: "576.6049"', f'expected: "{metres // 10_000}.{metres % 10_000:04}"')
    )
    return changed.replace("kind: factor_table\n", f"kind: factor_table\n{head}", 1)


def published(call: Call, *, subject: str = "transport") -> Publication:
    """The factor table that is in force."""
    from sqlalchemy import select  # noqa: PLC0415 - only here

    found = select(Publication).where(
        Publication.kind == "factor_table",
        Publication.state == "published",
        Publication.subject == subject,
    )
    return call.db.scalars(found).one()


def publish_correction(call: Call, corrects: UUID, grams: str) -> UUID:
    """Draft and publish a correction by two persons; the table that corrects."""
    bundle = read_bundle(corrected_text(corrects, grams).encode(), form="yaml")
    drafted = draft_factor_table(as_operator(call), bundle)
    return publish_factor_table(as_operator(call), drafted.id, reason="checked").id


def proposed(database: Database, table_id: UUID, policy: Policy = Policy.UNSPENT) -> UUID:
    """A recomputation whose dry run is done."""
    proposal = Proposal(table_id=table_id, policy=policy, reason=REASON)
    job_id: UUID = database.run(lambda call: propose(as_operator(call), proposal).id)
    assert work_on(database.run, job_id)
    return job_id


def approve_it(database: Database, job_id: UUID) -> Recomputation:
    """Let another person approve what the dry run found."""

    def work(call: Call) -> Recomputation:
        other = as_operator(call)
        found = find_recomputation(other, job_id)
        return approve(other, job_id, figures=bytes(found.digest or b""), reason="as simulated")

    return database.run(work)


def recompute(database: Database, table_id: UUID, policy: Policy = Policy.UNSPENT) -> Recomputation:
    """Propose, compute, approve and post; the recomputation as it ended."""
    job_id = proposed(database, table_id, policy)
    approve_it(database, job_id)
    assert work_on(database.run, job_id)
    return database.run(lambda call: find_recomputation(as_operator(call), job_id))


def correct(database: Database, grams: str, policy: Policy = Policy.UNSPENT) -> Recomputation:
    """Publish a correction of the table in force, and recompute by it."""
    corrects = database.run(lambda call: published(call).id)
    table_id = database.run(lambda call: publish_correction(call, corrects, grams))
    return recompute(database, table_id, policy)
