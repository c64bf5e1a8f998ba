"""L7 whole: the vouchers' half, and each redemption and reversal against the ledger's rows."""

from dataclasses import replace

from sqlalchemy import TextClause, text

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
               WHERE (v.state = 'redeemed') <> (r.id IS NOT NULL AND b.redemption_id IS NULL)""",
        ),
    ),
)
CHECKS = (L7, STOCK)
