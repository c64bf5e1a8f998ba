"""L7, the voucher's half: what is held for vouchers is what live vouchers cost, and stock adds up."""

from sqlalchemy import TextClause, text

from ledger.reconciliation import Check
from rewards.voucher_states import HELD, OUT, one_of


def _query(name: str, sql: str, *, where: str = "true") -> TextClause:
    return text(f"SELECT '{name}' AS what, found.* FROM ({sql}) found WHERE {where} LIMIT :most")


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
    "What is left of a reward, out as vouchers and held for who waits is what was put in, by day and store too.",
    (
        _query(
            "a stock does not add up",
            f"""SELECT s.reward_id AS reward, s.part, s.remaining, coalesce(v.total, 0) AS out,
                coalesce(p.total, 0) AS held, CASE WHEN s.part = 'whole' THEN r.stock_total
                WHEN s.part LIKE 'day/%' THEN r.stock_per_day ELSE (SELECT (e ->> 'stock')::bigint
                FROM jsonb_array_elements(r.stores) e WHERE s.part = 'store/' || (e ->> 'scope_no')) END AS put_in
                FROM (SELECT reward_id, part, sum(remaining) AS remaining FROM reward_stock GROUP BY 1, 2) s
                JOIN reward r ON r.id = s.reward_id
                LEFT JOIN (SELECT reward_id, part, count(*) AS total FROM voucher, unnest(stock_parts) part
                WHERE {one_of("state", OUT)} GROUP BY 1, 2) v ON v.reward_id = s.reward_id AND v.part = s.part
                LEFT JOIN (SELECT reward_id, 'whole' AS part, count(*) AS total FROM reward_place
                WHERE state = 'offered' GROUP BY 1) p ON p.reward_id = s.reward_id AND p.part = s.part""",
            where="put_in IS DISTINCT FROM remaining + out + held",
        ),
        _query(
            "a reward or a voucher has no counter",
            """SELECT r.id AS reward, 'whole' AS part FROM reward r WHERE NOT EXISTS
               (SELECT FROM reward_stock s WHERE s.reward_id = r.id AND s.part = 'whole')
               UNION ALL SELECT v.reward_id, part FROM voucher v, unnest(v.stock_parts) part WHERE NOT EXISTS
               (SELECT FROM reward_stock s WHERE s.reward_id = v.reward_id AND s.part = part)""",
        ),
        _query(
            "the count of a reward for one person is wrong",
            f"""SELECT u.reward_id AS reward, u.period, u.used, coalesce(v.total, 0) AS out FROM reward_use u
                LEFT JOIN (SELECT holder_id, reward_id, period, count(*) AS total
                FROM voucher, unnest(use_periods) period
                WHERE {one_of("state", OUT)} GROUP BY 1, 2, 3) v USING (holder_id, reward_id, period)
                WHERE u.used <> coalesce(v.total, 0)""",
        ),
        _query(
            "a unit is not with the one voucher that is for it",
            f"""SELECT coalesce(u.reward_id, v.reward_id) AS reward, coalesce(u.no, v.unit_no) AS unit,
                u.voucher_id AS with_voucher, v.id AS voucher FROM reward_unit u
                FULL JOIN (SELECT id, reward_id, unit_no FROM voucher WHERE unit_no IS NOT NULL
                AND {one_of("state", OUT)}) v ON v.reward_id = u.reward_id AND v.unit_no = u.no
                WHERE u.voucher_id IS DISTINCT FROM v.id""",
        ),
    ),
)
CHECKS = (L7, STOCK)
