"""Everything with a life: its states, which lead to which, what moves it, and a picture.

The states are those the database checks. Where a room keeps a table of transitions the page shows that
table; elsewhere each way names the function that goes it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import CheckConstraint

from app.identity import sign_in
from app.notifications.webhooks import deliveries as webhook_deliveries
from app.notifications.webhooks import endpoints as webhook_endpoints
from app.notifications.webhooks import history as webhook_history
from carbon.activities import batch_states
from carbon.activities import holds as activity_holds
from carbon.activities.recomputation import states as recomputation_states
from carbon.donations import giving
from carbon.factors import correcting
from carbon.partners import registry
from kernel.database import Base
from kernel.publications import notice, publishing, review, withdrawal
from kernel.publications.tables import UNPUBLISHED
from ledger import holds
from merchants import offline, redemption_reversal, terminals
from merchants.asks import asking
from merchants.clerks import roster, shifts
from merchants.settlement import states as settlement_states
from rewards import voucher_states
from rewards.catalogue import reward_states

ROOT = Path(__file__).parents[2]
LIVES = ("state", "outcome", "end_cause")
"""Columns that say where in its life a row is; `to_state` of a step table repeats one of them."""
_ONE_OF = re.compile(r"(\w+) IN \(([^()]*)\)")


@dataclass(frozen=True)
class Way:
    """From one state to another, and the function that goes there."""

    before: str
    after: str
    by: Callable[..., Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A thing with a life: its table and column, where it begins, its ways, and what one should know."""

    title: str
    table: str
    column: str
    begins: str
    ways: tuple[Way, ...]
    note: str = ""
    implied: tuple[str, ...] = ()
    """States that no column says: another row is absent."""


def _ways(transitions: Mapping[Any, Any]) -> tuple[Way, ...]:
    return tuple(
        Way(str(before), str(after))
        for before, following in transitions.items()
        for after in sorted(following)
    )


MACHINES = (
    Machine(
        title="Voucher 券",
        table="voucher",
        column="state",
        begins="issued",
        ways=_ways(voucher_states.TRANSITIONS),
        note="`rewards/voucher_states.py`. A lock that ran out counts as issued, no job unlocks. Closing is a"
        " voucher that ended while a terminal may have honoured it without asking: it waits for it. From"
        " redeemed a reversal leads back, as the next cycle, until it is settled. Steps: `voucher_step`.",
    ),
    Machine(
        title="Redemption 核销",
        table="redemption_reversal",
        column="outcome",
        begins="redeemed",
        implied=("redeemed",),
        ways=(
            Way("redeemed", "issued", redemption_reversal.reverse),
            Way("redeemed", "expired", redemption_reversal.reverse),
        ),
        note="A redemption's row never changes; a reversal is a row of its own, at most one. Its outcome is"
        " what becomes of the voucher: it lives again, or its days are over and the coins go back.",
    ),
    Machine(
        title="Offline scan 离线核销记录",
        table="offline_record",
        column="outcome",
        begins="written",
        implied=("written",),
        ways=tuple(Way("written", end, offline.hand_in) for end in ("redeemed", "conflict", "refused")),
        note="Written and signed by the terminal, it stands here from the moment it is handed in and never"
        " changes. A conflict is a row of `offline_conflict` that names both parties and who bears it.",
    ),
    Machine(
        title="Settlement 结算单",
        table="settlement",
        column="state",
        begins="open",
        ways=_ways(settlement_states.TRANSITIONS),
        note="`merchants/settlement/states.py`. Open while its rows are claimed; closed its lines and"
        " figures stand for good. Disputed leads to confirmed when somebody answered: what is upheld is"
        " adjusted in a later settlement. Each change is a row of `settlement_step`.",
    ),
    Machine(
        title="Adjustment of a settlement 结算调整",
        table="settlement_adjustment",
        column="state",
        begins="proposed",
        ways=_ways(settlement_states.DECISIONS),
        note="`merchants/settlement/states.py`. Proposed by one person, decided once by another. Approved it"
        " is booked, and stands as a line in the next settlement that can bear it.",
    ),
    Machine(
        title="Coins held for a voucher 冻结的碳币",
        table="ledger_hold_end",
        column="outcome",
        begins="held",
        implied=("held",),
        ways=(Way("held", "posted", holds.spend), Way("held", "voided", holds.release)),
        note="A hold's row never changes; its end is a row of its own, at most one. Posted is spent, voided"
        " is given back. A transfer has no states: what was wrong is reversed by another transfer.",
    ),
    Machine(
        title="Reward 权益",
        table="reward",
        column="state",
        begins="draft",
        ways=_ways(reward_states.TRANSITIONS),
        note="`rewards/catalogue/reward_states.py`. Published by another person than who drafted it or set"
        " its picture, and sold between `sells_from` and `sells_until` while there is stock. A withdrawn one"
        " leaves the vouchers bought before as they are. Each change is a row of `reward_step`, and so is"
        " each picture that a draft is given.",
    ),
    Machine(
        title="Place in a queue 候补名额",
        table="reward_place",
        column="state",
        begins="waiting",
        ways=_ways(reward_states.PLACE_TRANSITIONS),
        note="`rewards/catalogue/reward_states.py`. Offered is held for its owner until `held_until`; what is"
        " not taken by then passes on to the next in the queue.",
    ),
    Machine(
        title="Terminal 收银终端",
        table="terminal",
        column="state",
        begins="waiting",
        ways=(
            Way("waiting", "paired", terminals.pair),
            Way("waiting", "revoked", terminals.revoke),
            Way("paired", "revoked", terminals.revoke),
        ),
        note="A pairing code works once and for a short time; a revoked terminal never comes back.",
    ),
    Machine(
        title="Question to a voucher's owner 顾客确认",
        table="redemption_ask",
        column="state",
        begins="asked",
        ways=(
            Way("asked", "confirmed", asking.answer),
            Way("asked", "declined", asking.answer),
            Way("asked", "overridden", asking.override),
        ),
        note="Past `answer_by` without an answer it reads as lapsed, without a row that says so. No answer"
        " changes.",
    ),
    Machine(
        title="Clerk's shift 店员当班",
        table="clerk_shift",
        column="end_cause",
        begins="open",
        implied=("open",),
        ways=(
            Way("open", "signed_out", shifts.sign_out),
            Way("open", "replaced", shifts.sign_in),
            Way("open", "pin_set", roster.set_pin),
            Way("open", "dismissed", roster.dismiss),
            Way("open", "terminal_revoked", terminals.revoke),
        ),
        note="It also ends, without a row that says so, after twelve hours. A terminal has one open shift,"
        " and so has a clerk.",
    ),
    Machine(
        title="Batch of activities 行为批次",
        table="activity_batch",
        column="state",
        begins="created",
        ways=_ways(batch_states.TRANSITIONS),
        note="`carbon/activities/batch_states.py`. Running leads to running when a worker was cut off and"
        " another takes the lines that are left; cancelled it is only while no line was taken. Each change"
        " is a row of `activity_batch_step`.",
    ),
    Machine(
        title="Recomputation 重新核算",
        table="recomputation",
        column="state",
        begins="draft",
        ways=_ways(recomputation_states.TRANSITIONS),
        note="`carbon/activities/recomputation/states.py`. What was posted before it was cancelled stays."
        " Each change is a row of `recomputation_step`.",
    ),
    Machine(
        title="Activity on hold 核查中的行为",
        table="activity_hold",
        column="state",
        begins="held",
        ways=_ways(activity_holds.TRANSITIONS),
        note="`carbon/activities/holds.py`. Once an activity; its citizen appeals once while it is held, and"
        " another person than who held it decides. Each change is said in the audit trail.",
    ),
    Machine(
        title="Data partner 数据合作方",
        table="partner",
        column="state",
        begins="active",
        ways=_ways(registry.TRANSITIONS),
        note="`carbon/partners/registry.py`. While suspended its key opens nothing.",
    ),
    Machine(
        title="Publication (factor table, rule) 发布物(因子表、规则)",
        table="publication",
        column="state",
        begins="draft",
        ways=(
            Way("draft", "in_review", review.submit),
            Way("in_review", "draft", review.send_back),
            Way("in_review", "public_notice", notice.give_notice),
            Way("draft", "public_notice", notice.give_notice),
            Way("public_notice", "draft", review.send_back),
            *(Way(before, "published", publishing.publish) for before in UNPUBLISHED),
            Way("published", "withdrawn", withdrawal.withdraw),
            Way("published", "corrected", correcting.take_place),
        ),
        note="Drafted by one person, approved by a second and published by a third, or by the second where"
        " the region's procedure asks for no review; frozen from then on. An approval is `reviewer_id`. A"
        " successor or a withdrawal closes it by `ends_on`, it stays published and is looked up for its"
        " days; withdrawn is what never came into force, corrected what another took the place of. Steps:"
        " `publication_step`.",
    ),
    Machine(
        title="Donation project 捐赠项目",
        table="donation_project",
        column="state",
        begins="declared",
        ways=(Way("declared", "approved", giving.approve), Way("declared", "rejected", giving.reject)),
        note="Decided once, by another person than the one who declared it.",
    ),
    Machine(
        title="Webhook 接收地址",
        table="webhook_endpoint",
        column="state",
        begins="waiting",
        ways=_ways(webhook_endpoints.TRANSITIONS),
        note="`app/notifications/webhooks/endpoints.py`. The first ping that is answered switches it on; days"
        " of failures, a 410 or its owner pause it. What comes while it is paused waits. Each change is said"
        " in the audit trail.",
    ),
    Machine(
        title="Delivery of a webhook 消息投递",
        table="webhook_delivery",
        column="state",
        begins="waiting",
        ways=(
            Way("waiting", "delivered", webhook_deliveries.note),
            Way("waiting", "dead", webhook_deliveries.note),
            Way("delivered", "waiting", webhook_history.redeliver),
            Way("dead", "waiting", webhook_history.redeliver),
        ),
        note="Sent again it keeps its id and body. Each attempt that ended is a row of `webhook_attempt`.",
    ),
    Machine(
        title="Sign-in session 登录会话",
        table="sign_in_session",
        column="end_cause",
        begins="open",
        implied=("open",),
        ways=(Way("open", "signed_out", sign_in.sign_out), Way("open", "token_reused", sign_in.refresh)),
        note="It also ends, without a row that says so, when its refresh token is not used for"
        " its whole life.",
    ),
)


def states_page() -> str:
    """Render the page in Markdown."""
    return "\n".join((*_opening(), *_machines(), "", *_vocabularies())) + "\n"


def checked_values() -> dict[tuple[str, str], tuple[str, ...]]:
    """By table and column, the words that the database takes there, as its CHECK constraints say."""
    for path in sorted(ROOT.rglob("tables.py")):
        if not {".venv", "tests"} & set(path.relative_to(ROOT).parts):
            import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for table in Base.metadata.sorted_tables:
        for check in sorted(
            str(each.sqltext) for each in table.constraints if isinstance(each, CheckConstraint)
        ):
            for column, words in _ONE_OF.findall(check):
                known = tuple(re.findall(r"'([^']*)'", words))
                found[table.name, column] = max(found.get((table.name, column), ()), known, key=len)
    return found


def states_of(machine: Machine) -> tuple[str, ...]:
    """Every state there is, those that an absent row stands for first."""
    return (*machine.implied, *checked_values()[machine.table, machine.column])


def _opening() -> Iterator[str]:
    yield "# States 状态"
    yield ""
    yield "Written from the code by `python -m app.reference_pages`; a test compares. The database refuses"
    yield "any other word (CHECK); a state changes by a conditional UPDATE or by a row that"
    yield "can be there only once."
    yield ""
    yield "本页由代码生成。数据库只接受下列状态;状态变更均为带条件的更新或唯一的一行。"


def _machines() -> Iterator[str]:
    for machine in MACHINES:
        yield from ("", f"## {machine.title}", "", f"`{machine.table}.{machine.column}`. {machine.note}", "")
        yield "```mermaid"
        yield "stateDiagram-v2"
        yield f"    [*] --> {machine.begins}"
        yield from (f"    {way.before} --> {way.after}" for way in machine.ways)
        left = {way.before for way in machine.ways}
        reached = {machine.begins, *(way.after for way in machine.ways)}
        for state in states_of(machine):
            if state not in left:
                yield f"    {state} --> [*]" if state in reached else f"    {state}"
        yield "```"
        if any(way.by for way in machine.ways):
            yield from ("", "| from 原状态 | to 新状态 | by 途径 |", "|---|---|---|")
            yield from (f"| {way.before} | {way.after} | `{_place(way)}` |" for way in machine.ways)


def _place(way: Way) -> str:
    return "" if way.by is None else f"{way.by.__module__.replace('.', '/')}.py {way.by.__name__}"


def _vocabularies() -> Iterator[str]:
    yield "## Other closed words 其他受限取值"
    yield ""
    yield "| column 列 | words 取值 |"
    yield "|---|---|"
    shown = {(machine.table, machine.column) for machine in MACHINES}
    for (table, column), words in sorted(checked_values().items()):
        if (table, column) not in shown:
            yield f"| `{table}.{column}` | {', '.join(f'`{word}`' for word in words)} |"
