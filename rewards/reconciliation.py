"""L7, the voucher's half: what is held for vouchers is what live vouchers cost, and stock adds up."""

from sqlalchemy import TextClause, text

from ledger.reconciliation import Check
from rewards.voucher_states import HELD, OUT, one_of


def _query(name: str, sql: str) -> TextClause:
    return text(f"SELECT '{name}' AS what, found.* FROM ({sql}) found LIMIT :most")


_LIVE_HOLDS = """SELECT h.holder_id, h.reference, sum(h.amount) AS total FROM ledger_hold h
    LEFT JOIN ledger_hold_end e USING (holder_id, account_id, id)
    WHERE h.purpose = 'voucher' AND e.id IS NULL GROUP BY h.holder_id, h.reference"""

L7 = Check(
    "L7",
    "Coins held for live vouchers sum to their prices; a voucher and cycle is used and reversed at most once.",
    (
        _query(
            "a live voucher and its held coins differ",
            f"""SELECT v.id AS voucher, v.cycle, v.state, v.price_coin_milli, coalesce(h.total, 0) AS held
                FROM voucher v LEFT JOIN ({_LIVE_HOLDS}) h
                ON h.holder_id = v.holder_id AND h.reference = v.id || '/' || v.cycle
                WHERE coalesce(h.total, 0) <> CASE WHEN {one_of("v.state", HELD)}
                THEN v.price_coin_milli ELSE 0 END""",
        ),
        _query(
            "coins are held for no voucher",
            f"""SELECT h.reference, h.total FROM ({_LIVE_HOLDS}) h LEFT JOIN voucher v
                ON v.holder_id = h.holder_id AND h.reference = v.id || '/' || v.cycle WHERE v.id IS NULL""",
        ),
        _query(
            "a use of a voucher has no code id of its own",
            """SELECT v.id AS voucher, v.cycle, count(c.code_id) AS codes FROM voucher v
               LEFT JOIN voucher_code c ON c.holder_id = v.holder_id AND c.voucher_id = v.id
               GROUP BY v.holder_id, v.id, v.cycle HAVING count(c.code_id) <> v.cycle + 1""",
        ),
        _query(
            "a voucher is not where its last step left it",
            """SELECT v.id AS voucher, v.state, v.cycle, s.to_state, s.cycle AS step_cycle FROM voucher v
               LEFT JOIN LATERAL (SELECT to_state, cycle FROM voucher_step s WHERE s.holder_id = v.holder_id
               AND s.voucher_id = v.id ORDER BY s.id DESC LIMIT 1) s ON true
               WHERE s.to_state IS DISTINCT FROM v.state OR s.cycle IS DISTINCT FROM v.cycle""",
        ),
    ),
)
STOCK = Check(
    "stock",
    "What is left of a reward and what is out as vouchers is what was put in.",
    (
        _query(
            "a stock does not add up",
            f"""SELECT r.id AS reward, r.stock_total, coalesce(s.total, 0) AS remaining,
                coalesce(v.total, 0) AS out FROM reward r
                LEFT JOIN (SELECT reward_id, sum(remaining) AS total FROM reward_stock GROUP BY 1) s
                ON s.reward_id = r.id
                LEFT JOIN (SELECT reward_id, count(*) AS total FROM voucher WHERE {one_of("state", OUT)}
                GROUP BY 1) v ON v.reward_id = r.id
                WHERE r.stock_total <> coalesce(s.total, 0) + coalesce(v.total, 0)""",
        ),
        _query(
            "the count of a reward for one person is wrong",
            f"""SELECT u.reward_id AS reward, u.used, coalesce(v.total, 0) AS out FROM reward_use u
                LEFT JOIN (SELECT holder_id, reward_id, count(*) AS total FROM voucher
                WHERE {one_of("state", OUT)} GROUP BY 1, 2) v USING (holder_id, reward_id)
                WHERE u.used <> coalesce(v.total, 0)""",
        ),
    ),
)
CHECKS = (L7, STOCK)
