"""L7 whole: the vouchers' half, and each redemption and reversal against the ledger's rows; offline scans."""

from dataclasses import replace

from sqlalchemy import TextClause, text

from ledger.reconciliation import Check
from merchants.settlement.reconciliation import L14
from rewards.reconciliation import L7 as VOUCHERS
from rewards.reconciliation import STOCK


def _query(name: str, sql: str) -> TextClause:
    return text(f"SELECT '{name}' AS what, found.* FROM ({sql}) found LIMIT :most")


_SPENT = """SELECT holder_id, reference, code, sum(amount) AS total FROM ledger_transfer
    WHERE code IN ('REDEEM', 'REDEEM_REVERSAL') GROUP BY holder_id, reference, code"""
_OWED = """SELECT holder_id, code, split_part(reference, '/', 2) || '/' || split_part(reference, '/', 3) AS use,
    sum(amount) AS total FROM ledger_transfer WHERE code IN ('PAYABLE', 'PAYABLE_REVERSAL') GROUP BY 1, 2, 3"""

L7 = replace(
    VOUCHERS,
    queries=(
        *VOUCHERS.queries,
        _query(
            "a redemption and the coins spent differ",
            f"""SELECT coalesce(r.voucher_id || '/' || r.cycle, t.reference) AS use, r.coin_milli, t.total
                FROM redemption r FULL JOIN (SELECT * FROM ({_SPENT}) s WHERE code = 'REDEEM') t
                ON t.holder_id = r.holder_id AND t.reference = 'voucher/' || r.voucher_id || '/' || r.cycle
                WHERE r.coin_milli IS DISTINCT FROM -t.total""",
        ),
        _query(
            "a reversal and the coins returned differ",
            f"""SELECT coalesce(r.voucher_id || '/' || r.cycle, t.reference) AS use, r.coin_milli, t.total
                FROM (SELECT r.* FROM redemption r JOIN redemption_reversal b ON b.redemption_id = r.id) r
                FULL JOIN (SELECT * FROM ({_SPENT}) s WHERE code = 'REDEEM_REVERSAL') t
                ON t.holder_id = r.holder_id
                AND t.reference = 'voucher/' || r.voucher_id || '/' || r.cycle || '/reversal'
                WHERE r.coin_milli IS DISTINCT FROM t.total""",
        ),
        _query(
            "what is owed for a redemption differs from its cost",
            f"""SELECT r.voucher_id || '/' || r.cycle AS use, r.cost_fen, coalesce(o.total, 0) AS owed,
                coalesce(u.total, 0) AS reversed FROM redemption r
                LEFT JOIN redemption_reversal b ON b.redemption_id = r.id
                LEFT JOIN ({_OWED}) o ON o.holder_id = r.merchant_id AND o.code = 'PAYABLE'
                AND o.use = r.voucher_id || '/' || r.cycle
                LEFT JOIN ({_OWED}) u ON u.holder_id = r.merchant_id AND u.code = 'PAYABLE_REVERSAL'
                AND u.use = r.voucher_id || '/' || r.cycle
                WHERE r.cost_fen <> coalesce(o.total, 0)
                OR coalesce(u.total, 0) <> CASE WHEN b.redemption_id IS NULL THEN 0 ELSE -r.cost_fen END""",
        ),
        _query(
            "a redeemed voucher has no standing redemption, or a live one has",
            """SELECT v.id AS voucher, v.cycle, v.state FROM voucher v
               LEFT JOIN redemption r ON r.voucher_id = v.id AND r.cycle = v.cycle
               LEFT JOIN redemption_reversal b ON b.redemption_id = r.id
               WHERE (v.state IN ('redeemed', 'settled')) <> (r.id IS NOT NULL AND b.redemption_id IS NULL)""",
        ),
    ),
)
OFFLINE = Check(
    "offline",
    "An offline scan uses its voucher once or is a case with both parties; funders owe what they bear.",
    (
        _query(
            "an offline scan and its case or redemption differ",
            """SELECT r.terminal_id, r.counter, r.outcome FROM offline_record r
               LEFT JOIN offline_conflict f ON f.terminal_id = r.terminal_id AND f.counter = r.counter
               LEFT JOIN redemption d ON d.id = r.redemption_id
               WHERE (r.outcome = 'conflict') <> (f.id IS NOT NULL)
               OR (r.outcome = 'redeemed' AND (d.voucher_id, d.cycle, d.terminal_id)
                   IS DISTINCT FROM (r.voucher_id, r.cycle, r.terminal_id))""",
        ),
        _query(
            "the chain of a till has a gap or a link that does not hold",
            """SELECT terminal_id, counter FROM (SELECT terminal_id, counter, previous_hash,
               lag(counter, 1, 0::bigint) OVER chain AS before, lag(record_hash) OVER chain AS hash
               FROM offline_record WINDOW chain AS (PARTITION BY terminal_id ORDER BY counter)) linked
               WHERE counter <> before + 1
               OR previous_hash <> coalesce(hash, decode(repeat('00', 32), 'hex'))""",
        ),
        _query(
            "what is owed for a conflict differs from what the funders bear",
            """SELECT f.id AS conflict, f.liable, f.cost_fen, coalesce(t.total, 0) AS owed FROM offline_conflict f
               FULL JOIN (SELECT holder_id, split_part(reference, '/', 2) AS till,
               split_part(reference, '/', 3) AS counter, sum(amount) AS total FROM ledger_transfer
               WHERE code = 'PAYABLE' AND reference LIKE 'offline/%' GROUP BY 1, 2, 3) t
               ON t.holder_id = f.merchant_id AND t.till = f.terminal_id::text AND t.counter = f.counter::text
               WHERE coalesce(t.total, 0) <> CASE WHEN f.liable = 'funders' THEN f.cost_fen ELSE 0 END""",
        ),
        _query(
            "a case names no other party",
            """SELECT id AS conflict, cause FROM offline_conflict WHERE cause NOT IN ('late', 'frozen')
               AND num_nonnulls(other_terminal_id, other_principal) <> 1""",
        ),
    ),
)
CHECKS = (L7, STOCK, OFFLINE, L14)
