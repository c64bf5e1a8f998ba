"""L14: what merchants are settled for is what the ledger says, and each thing is settled once."""

from sqlalchemy import TextClause, text

from ledger.reconciliation import Check


def _query(name: str, sql: str) -> TextClause:
    return text(f"SELECT '{name}' AS what, found.* FROM ({sql}) found LIMIT :most")


_SETTLED = """SELECT split_part(reference, '/', 2) AS settlement,
    coalesce(-sum(amount) FILTER (WHERE unit = 'cny'), 0) AS fen,
    coalesce(-sum(amount) FILTER (WHERE unit = 'coin'), 0) AS coin
    FROM ledger_transfer WHERE code = 'SETTLE' GROUP BY 1"""
_EXTRAS = """SELECT split_part(t.reference, '/', 2) AS settlement, lower(t.code) AS what,
    coalesce(sum(t.amount) FILTER (WHERE a.kind = 'merchant'), 0) AS payable,
    coalesce(-sum(t.amount) FILTER (WHERE c.kind = 'centre'), 0) AS centre FROM ledger_transfer t
    JOIN ledger_account a ON a.holder_id = t.holder_id AND a.id = t.account_id
    JOIN ledger_account c ON c.id = t.contra_id WHERE t.code IN ('FEE', 'SUBSIDY') GROUP BY 1, 2"""
_ADJUSTED = """SELECT split_part(reference, '/', 2) AS adjustment,
    coalesce(sum(amount) FILTER (WHERE unit = 'cny'), 0) AS fen,
    coalesce(-sum(amount) FILTER (WHERE unit = 'coin'), 0) AS coin
    FROM ledger_transfer WHERE code = 'ADJUST' AND reference LIKE 'adjustment/%' GROUP BY 1"""

L14 = Check(
    "L14",
    "What merchants are settled for is what the ledger says; each use, case and adjustment is settled once.",
    (
        _query(
            "a settlement and its lines differ",
            """SELECT s.id AS settlement, s.payable_fen, l.payable, s.coin_milli, l.coin, s.line_count, l.lines
               FROM settlement s LEFT JOIN (SELECT settlement_id, count(*) AS lines, sum(payable_fen) AS payable,
               sum(coin_milli) AS coin FROM settlement_line GROUP BY 1) l ON l.settlement_id = s.id
               WHERE s.state <> 'open' AND (s.payable_fen, s.coin_milli, s.line_count)
               IS DISTINCT FROM (coalesce(l.payable, 0), coalesce(l.coin, 0), coalesce(l.lines, 0))""",
        ),
        _query(
            "a settlement and what the ledger settled differ",
            f"""SELECT coalesce(s.id::text, t.settlement) AS settlement, s.payable_fen, t.fen, s.coin_milli,
                t.coin FROM (SELECT * FROM settlement WHERE state <> 'open') s
                FULL JOIN ({_SETTLED}) t ON t.settlement = s.id::text
                WHERE (coalesce(s.payable_fen, 0), coalesce(s.coin_milli, 0))
                <> (coalesce(t.fen, 0), coalesce(t.coin, 0)) OR s.id IS NULL""",
        ),
        _query(
            "a line differs from the use it claims",
            """SELECT l.settlement_id AS settlement, l.what, l.subject_id, l.payable_fen, l.coin_milli
               FROM settlement_line l LEFT JOIN redemption r ON r.id = l.subject_id
               LEFT JOIN redemption_reversal b ON b.redemption_id = l.subject_id
               WHERE l.what = 'redemption' AND (l.payable_fen, l.coin_milli)
               IS DISTINCT FROM (r.cost_fen, r.coin_milli)
               OR l.what = 'reversal' AND (b.redemption_id IS NULL
               OR (-l.payable_fen, -l.coin_milli) IS DISTINCT FROM (r.cost_fen, r.coin_milli))""",
        ),
        _query(
            "a line differs from the case it claims",
            """SELECT l.settlement_id AS settlement, l.subject_id, l.payable_fen, f.cost_fen, f.liable
               FROM settlement_line l LEFT JOIN offline_conflict f ON f.id = l.subject_id
               WHERE l.what = 'conflict' AND (l.payable_fen, l.coin_milli, 'funders')
               IS DISTINCT FROM (f.cost_fen, 0, f.liable)""",
        ),
        _query(
            "funders and the operation centre do not give what the merchant gets",
            """SELECT l.settlement_id AS settlement, l.what, l.subject_id, l.payable_fen, l.centre_fen
               FROM settlement_line l WHERE l.payable_fen + l.centre_fen
               <> (SELECT coalesce(sum((s ->> 'fen')::bigint), 0) FROM jsonb_array_elements(l.shares) s)""",
        ),
        _query(
            "a reversal is not settled with its redemption",
            """SELECT l.subject_id AS redemption, l.settlement_id AS settlement, o.settlement_id AS reversed_in
               FROM (SELECT * FROM settlement_line WHERE what = 'redemption') l
               JOIN redemption_reversal b ON b.redemption_id = l.subject_id
               LEFT JOIN settlement_line o ON o.subject_id = l.subject_id AND o.what = 'reversal'
               WHERE o.settlement_id IS DISTINCT FROM l.settlement_id""",
        ),
        _query(
            "a voucher is settled without its redemption, or not settled with it",
            """SELECT v.id AS voucher, v.cycle, v.state, l.settlement_id AS settlement FROM voucher v
               LEFT JOIN redemption r ON r.voucher_id = v.id AND r.cycle = v.cycle
               LEFT JOIN redemption_reversal b ON b.redemption_id = r.id
               LEFT JOIN settlement_line l ON l.subject_id = r.id AND l.what = 'redemption'
               AND b.redemption_id IS NULL
               WHERE (v.state = 'settled') <> (l.settlement_id IS NOT NULL)""",
        ),
        _query(
            "a fee or subsidy differs from what the ledger took or gave",
            f"""SELECT coalesce(l.settlement_id::text, t.settlement) AS settlement,
                coalesce(l.what, t.what) AS extra, l.payable_fen, t.payable, l.centre_fen, t.centre
                FROM (SELECT * FROM settlement_line WHERE what IN ('fee', 'subsidy')) l
                FULL JOIN ({_EXTRAS}) t ON t.settlement = l.settlement_id::text AND t.what = l.what
                WHERE (l.payable_fen, l.centre_fen) IS DISTINCT FROM (t.payable, t.centre)""",
        ),
        _query(
            "an adjustment and what the ledger adjusted differ",
            f"""SELECT coalesce(a.id::text, t.adjustment) AS adjustment, a.state, a.payable_fen, t.fen
                FROM settlement_adjustment a FULL JOIN ({_ADJUSTED}) t ON t.adjustment = a.id::text
                LEFT JOIN settlement_line l ON l.subject_id = a.id AND l.what = 'adjustment'
                WHERE CASE WHEN a.state = 'approved' THEN a.payable_fen ELSE 0 END <> coalesce(t.fen, 0)
                OR CASE WHEN a.state = 'approved' THEN a.coin_milli ELSE 0 END <> coalesce(t.coin, 0)
                OR l.subject_id IS NOT NULL AND (a.state <> 'approved'
                OR (l.payable_fen, l.coin_milli) <> (a.payable_fen, a.coin_milli))""",
        ),
        _query(
            "a settlement is not where its last step left it, or paid without the bank",
            """SELECT s.id AS settlement, s.state, p.paid_fen, t.amount FROM settlement s
               LEFT JOIN settlement_payment p ON p.settlement_id = s.id
               LEFT JOIN ledger_transfer t ON t.code = 'PAID' AND t.reference = 'settlement/' || s.id || '/paid'
               LEFT JOIN LATERAL (SELECT to_state FROM settlement_step e WHERE e.settlement_id = s.id
               ORDER BY e.id DESC LIMIT 1) e ON true
               WHERE e.to_state IS DISTINCT FROM s.state
               OR (s.state = 'paid') <> (p.settlement_id IS NOT NULL)
               OR p.paid_fen <> s.payable_fen OR coalesce(-t.amount, 0) <> coalesce(p.paid_fen, 0)""",
        ),
    ),
)
