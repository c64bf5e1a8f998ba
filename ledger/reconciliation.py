"""Recomputes the invariants from the rows and names what does not hold.

Each check is a set of queries that must return nothing; a row is a finding with figures. They read
one snapshot and take no lock that a writer waits for. Rooms above add their own checks (L7, L10,
L11) with the same dataclass; L8 is shown by killing, L9 comes with seals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import TextClause, text

from kernel.call import Call
from ledger.chart import GUARDED, MOVES

MOST_FINDINGS = 20
TIME_LIMIT = "15min"


@dataclass(frozen=True)
class Check:
    """One invariant: its name in `ledger/README.md`, a sentence, and queries that must find nothing."""

    name: str
    title: str
    queries: Sequence[TextClause]


@dataclass(frozen=True)
class Finding:
    """What does not hold, with the figures of the row that shows it."""

    figures: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """A check and what it found; holds when that is nothing."""

    check: Check
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def reconcile(call: Call, checks: Sequence[Check]) -> list[Outcome]:
    """Run every check in the caller's transaction; open it REPEATABLE READ for one consistent picture."""
    # This is no request: it may read for long.
    call.db.execute(text(f"SET LOCAL statement_timeout = '{TIME_LIMIT}'"))
    # Whole tables are joined. Just after a large import nothing is counted yet, the planner takes them for
    # small and would compare each row with each: minutes instead of a second.
    call.db.execute(text("SET LOCAL enable_nestloop = off"))
    call.db.execute(text("SET LOCAL work_mem = '64MB'"))
    outcomes = []
    for check in checks:
        found: list[Finding] = []
        for query in check.queries:
            rows = call.db.execute(query, {"today": call.today, "most": MOST_FINDINGS})
            found += [Finding(dict(row)) for row in rows.mappings()]
        outcomes.append(Outcome(check, tuple(found)))
    return outcomes


def must_be_empty(name: str, sql: str) -> TextClause:
    """A query of a check: `sql` may use `:today`; each row it gives is a finding called `name`."""
    return text(f"SELECT '{name}' AS what, found.* FROM ({sql}) found LIMIT :most")


_GUARDED = ", ".join(f"'{kind.value}'" for kind in sorted(GUARDED))
_CHART = ", ".join(
    f"('{m.code}', '{m.unit}', '{m.owner}', '{m.contra}', {'+' in m.sign.value}, {'-' in m.sign.value})"
    for m in MOVES
)

# As `folds.py` reads them: the newest checkpoint of an account, and what was posted behind the newest mark.
_LATEST_CHECKPOINTS = "SELECT DISTINCT ON (account_id) account_id, amount FROM ledger_checkpoint ORDER BY account_id, up_to_xact DESC"
_NEWEST_MARK = "coalesce((SELECT CAST(CAST(up_to_xact AS text) AS bigint) FROM ledger_checkpoint ORDER BY ledger_checkpoint.up_to_xact DESC LIMIT 1), 0)"
_NUMBER = "CAST(CAST(t.xact AS text) AS bigint)"

L1 = Check(
    "L1",
    "In each unit, running balances and folds sum to zero, and every transfer stands where the chart allows.",
    (
        must_be_empty(
            "units do not sum to zero",
            f"""SELECT unit, sum(amount) AS off_by FROM (
                SELECT a.unit, b.posted AS amount FROM ledger_balance b
                JOIN ledger_account a ON a.holder_id = b.holder_id AND a.id = b.account_id
                UNION ALL SELECT a.unit, c.amount FROM ({_LATEST_CHECKPOINTS}) c
                JOIN ledger_account a ON a.id = c.account_id
                UNION ALL SELECT t.unit, CASE WHEN a.kind IN ({_GUARDED}) THEN 0 ELSE t.amount END - t.amount
                FROM ledger_transfer t
                JOIN ledger_account a ON a.holder_id = t.holder_id AND a.id = t.account_id
                WHERE {_NUMBER} >= {_NEWEST_MARK}) sides
                GROUP BY unit HAVING sum(amount) <> 0""",
        ),
        must_be_empty(
            "a checkpoint differs from the transfers before it",
            f"""SELECT c.account_id, c.amount, coalesce(t.total, 0) AS transfers FROM ({_LATEST_CHECKPOINTS}) c
                LEFT JOIN (SELECT account_id, sum(amount) AS total FROM (
                    SELECT t.account_id, sum(t.amount) AS amount FROM ledger_transfer t
                    WHERE {_NUMBER} < {_NEWEST_MARK} GROUP BY t.account_id
                    UNION ALL SELECT t.contra_id, -sum(t.amount) FROM ledger_transfer t
                    WHERE {_NUMBER} < {_NEWEST_MARK} GROUP BY t.contra_id) sides
                    GROUP BY account_id) t USING (account_id)
                WHERE c.amount <> coalesce(t.total, 0)""",
        ),
        must_be_empty(
            "a transfer stands outside the chart",
            f"""SELECT t.id, t.code, t.unit, a.kind AS owner, c.kind AS contra FROM ledger_transfer t
                LEFT JOIN ledger_account a ON a.holder_id = t.holder_id AND a.id = t.account_id
                LEFT JOIN ledger_account c ON c.id = t.contra_id
                LEFT JOIN (VALUES {_CHART}) m (code, unit, owner, contra, ins, outs)
                ON m.code = t.code AND m.unit = t.unit AND m.owner = a.kind AND m.contra = c.kind
                WHERE m.code IS NULL OR a.unit <> t.unit OR c.unit <> t.unit
                OR NOT CASE WHEN t.amount > 0 THEN m.ins ELSE m.outs END""",
        ),
    ),
)
L2 = Check(
    "L2",
    "A running balance is the sum of its transfers.",
    (
        must_be_empty(
            "a balance differs from its transfers",
            """SELECT b.account_id, b.posted, coalesce(t.total, 0) AS transfers FROM ledger_balance b
               LEFT JOIN (SELECT holder_id, account_id, sum(amount) AS total FROM ledger_transfer
               GROUP BY holder_id, account_id) t USING (holder_id, account_id)
               WHERE b.posted <> coalesce(t.total, 0)""",
        ),
    ),
)
L3 = Check(
    "L3",
    "Available never falls below zero by a spend or a hold; take-backs may go to the floor.",
    (
        must_be_empty(
            "available is below the floor, or further below zero than take-backs took",
            """SELECT b.account_id, b.posted, b.held, b.floor, coalesce(t.taken, 0) AS taken FROM ledger_balance b
               LEFT JOIN (SELECT holder_id, account_id, -sum(amount) AS taken FROM ledger_transfer
               WHERE code IN ('CORRECTION', 'CLAW_BACK') AND amount < 0 GROUP BY 1, 2) t
               USING (holder_id, account_id)
               WHERE b.posted - b.held < b.floor OR b.posted - b.held < -coalesce(t.taken, 0)""",
        ),
    ),
)
L4 = Check(
    "L4",
    "Live holds sum to what is held; buckets sum to credits and grace; nothing that has ended waits unseen.",
    (
        must_be_empty(
            "held differs from the live holds",
            """SELECT b.account_id, b.held, coalesce(h.total, 0) AS live FROM ledger_balance b
               LEFT JOIN (SELECT h.holder_id, h.account_id, sum(h.amount) AS total FROM ledger_hold h
               LEFT JOIN ledger_hold_end e USING (holder_id, account_id, id) WHERE e.id IS NULL
               GROUP BY h.holder_id, h.account_id) h USING (holder_id, account_id)
               WHERE b.held <> coalesce(h.total, 0)""",
        ),
        must_be_empty(
            "buckets differ from credits and grace",
            """SELECT a.id AS account_id, coalesce(k.total, 0) AS buckets,
               coalesce(c.total, 0) + coalesce(g.total, 0) AS credits_and_grace FROM ledger_account a
               LEFT JOIN (SELECT holder_id, account_id, sum(credited) AS total FROM coin_bucket
               GROUP BY 1, 2) k ON k.holder_id = a.holder_id AND k.account_id = a.id
               LEFT JOIN (SELECT holder_id, account_id, sum(amount) AS total FROM ledger_transfer
               WHERE amount > 0 AND expires_on IS NOT NULL OR code = 'CLAW_BACK'
               OR code = 'CORRECTION' AND amount < 0 AND reverses_id IS NOT NULL GROUP BY 1, 2) c
               ON c.holder_id = a.holder_id AND c.account_id = a.id
               LEFT JOIN (SELECT holder_id, account_id, sum(amount) AS total FROM coin_regrace
               GROUP BY 1, 2) g ON g.holder_id = a.holder_id AND g.account_id = a.id
               WHERE a.kind = 'citizen' AND a.unit = 'coin'
               AND coalesce(k.total, 0) <> coalesce(c.total, 0) + coalesce(g.total, 0)""",
        ),
        must_be_empty(
            "coins have ended although none are marked due",
            """SELECT b.account_id, b.posted, b.held, b.next_expiry FROM ledger_balance b
               JOIN ledger_account a ON a.holder_id = b.holder_id AND a.id = b.account_id
               WHERE a.kind = 'citizen' AND a.unit = 'coin' AND b.next_expiry > :today
               AND b.posted - b.held > coalesce((SELECT sum(k.credited) FROM coin_bucket k
               WHERE k.holder_id = b.holder_id AND k.account_id = b.account_id AND k.expires_on > :today), 0)""",
        ),
    ),
)
L5 = Check(
    "L5",
    "A reference is applied at most once per holder, and every transfer of a business fact has one.",
    (
        must_be_empty(
            "a reference names a transfer that is not there",
            """SELECT r.source, r.reference, r.transfer_id FROM ledger_reference r
               LEFT JOIN ledger_transfer t ON t.holder_id = r.holder_id AND t.id = r.transfer_id
               WHERE t.id IS NULL AND r.transfer_id IS NOT NULL""",
        ),
        must_be_empty(
            "one reference moved an account twice under one code",
            """SELECT holder_id, account_id, reference, code, count(*) AS times FROM ledger_transfer
               GROUP BY holder_id, account_id, reference, code HAVING count(*) > 1""",
        ),
        must_be_empty(
            "a transfer has no reference",
            """SELECT t.id, t.reference FROM ledger_transfer t
               LEFT JOIN ledger_reference r ON r.holder_id = t.holder_id
               AND t.reference = CASE WHEN r.source = 'expiry' THEN r.reference
                                      ELSE r.source || '/' || r.reference END
               WHERE r.holder_id IS NULL""",
        ),
    ),
)
L6 = Check(
    "L6",
    "A reversal mirrors its original exactly once; coins that ended are marked in their bucket.",
    (
        must_be_empty(
            "a redemption was reversed twice or not mirrored",
            """SELECT o.id, o.amount, count(*) AS reversals, sum(r.amount) AS reversed FROM ledger_transfer r
               JOIN ledger_transfer o ON o.holder_id = r.holder_id AND o.account_id = r.account_id
               AND o.id = r.reverses_id WHERE r.code = 'REDEEM_REVERSAL'
               GROUP BY o.holder_id, o.account_id, o.id, o.amount
               HAVING count(*) <> 1 OR sum(r.amount) <> -o.amount""",
        ),
        must_be_empty(
            "a reversal has no original",
            """SELECT r.id, r.reverses_id FROM ledger_transfer r LEFT JOIN ledger_transfer o
               ON o.holder_id = r.holder_id AND o.account_id = r.account_id AND o.id = r.reverses_id
               WHERE r.code IN ('REDEEM_REVERSAL', 'EXPIRE_REVERSAL') AND o.id IS NULL""",
        ),
        must_be_empty(
            "what ended differs from what the buckets say",
            """SELECT account_id, coalesce(t.total, 0) AS ended, coalesce(k.total, 0) AS buckets FROM
               (SELECT holder_id, account_id, -sum(amount) AS total FROM ledger_transfer
               WHERE code IN ('EXPIRE', 'EXPIRE_REVERSAL') GROUP BY 1, 2) t
               FULL JOIN (SELECT holder_id, account_id, sum(expired) AS total FROM coin_bucket
               GROUP BY 1, 2) k USING (holder_id, account_id)
               WHERE coalesce(t.total, 0) <> coalesce(k.total, 0)""",
        ),
        must_be_empty(
            "more ended of a bucket than it was credited",
            """SELECT account_id, expires_on, credited, expired FROM coin_bucket WHERE expired > credited""",
        ),
    ),
)
L12 = Check(
    "L12",
    "The legs of each movement sum to zero, or its credit leg waits in clearing.",
    (
        must_be_empty(
            "the legs of a movement do not sum to zero",
            """SELECT m.movement_id, m.total, coalesce(p.amount, 0) AS pending FROM
               (SELECT movement_id, sum(amount) AS total FROM ledger_transfer
               WHERE movement_id IS NOT NULL GROUP BY movement_id) m
               FULL JOIN ledger_pending_leg p USING (movement_id)
               WHERE coalesce(m.total, 0) + coalesce(p.amount, 0) <> 0""",
        ),
        must_be_empty(
            "a rolled transfer differs from its legs",
            """SELECT t.id, t.amount, p.total FROM
               (SELECT account_id, rolled_into, sum(amount) AS total FROM ledger_pending_leg
               WHERE rolled_into IS NOT NULL GROUP BY 1, 2) p
               LEFT JOIN ledger_transfer t ON t.account_id = p.account_id AND t.id = p.rolled_into
               WHERE t.amount IS DISTINCT FROM p.total""",
        ),
    ),
)

CHECKS = (L1, L2, L3, L4, L5, L6, L12)
