"""L10 and L11 for activities: kilograms are where they were admitted, and a credit is its activities."""

from sqlalchemy import TextClause, text

from ledger.reconciliation import Check


def _query(name: str, sql: str) -> TextClause:
    return text(f"SELECT '{name}' AS what, found.* FROM ({sql}) found LIMIT :most")


L10 = Check(
    "L10",
    "Every gram admitted by an activity is on its citizen once, and what was taken back is gone.",
    (
        _query(
            "admitted kilograms differ from what citizens were credited",
            """SELECT a.admitted, t.credited FROM
               (SELECT coalesce(sum(carbon_mg), 0) AS admitted FROM activity) a,
               (SELECT coalesce(sum(amount), 0) AS credited FROM ledger_transfer
                WHERE code = 'CREDIT_CARBON' AND reference LIKE 'activity/%') t
               WHERE a.admitted <> t.credited""",
        ),
        _query(
            "a source event credits more than one activity that stands",
            """SELECT a.partner_id, a.source_event_id, count(*) AS standing FROM activity a
               LEFT JOIN activity_reversal r ON r.citizen_id = a.citizen_id AND r.activity_id = a.id
               WHERE r.activity_id IS NULL GROUP BY 1, 2 HAVING count(*) > 1""",
        ),
        _query(
            "an activity has no reference of its own",
            """SELECT a.id AS activity_id FROM activity a LEFT JOIN activity_reference r
               ON r.partner_id = a.partner_id AND r.source_event_id = a.source_event_id
               AND r.revision = a.revision AND r.activity_id = a.id AND r.citizen_id = a.citizen_id
               WHERE r.activity_id IS NULL""",
        ),
        _query(
            "kilograms taken back differ from the reversed activities",
            """SELECT r.activity_id, r.carbon_mg, t.amount FROM activity_reversal r
               LEFT JOIN ledger_transfer t ON t.holder_id = r.citizen_id AND t.id = r.carbon_transfer_id
               WHERE r.carbon_mg > 0 AND t.amount IS DISTINCT FROM -r.carbon_mg""",
        ),
    ),
)
L11 = Check(
    "L11",
    "A credit is the sum of its activities, in coins and in kilograms.",
    (
        _query(
            "a coin credit differs from its activities",
            """SELECT t.id, t.amount, a.total FROM
               (SELECT citizen_id, coin_transfer_id AS id, sum(coin_milli) AS total FROM activity
                WHERE coin_transfer_id IS NOT NULL GROUP BY 1, 2) a
               FULL JOIN (SELECT holder_id, id, amount FROM ledger_transfer
                WHERE code = 'CREDIT' AND reference LIKE 'activity/%') t
               ON t.holder_id = a.citizen_id AND t.id = a.id WHERE t.amount IS DISTINCT FROM a.total""",
        ),
        _query(
            "a carbon credit differs from its activities",
            """SELECT t.id, t.amount, a.total FROM
               (SELECT citizen_id, carbon_transfer_id AS id, sum(carbon_mg) AS total FROM activity
                WHERE carbon_transfer_id IS NOT NULL GROUP BY 1, 2) a
               FULL JOIN (SELECT holder_id, id, amount FROM ledger_transfer
                WHERE code = 'CREDIT_CARBON' AND reference LIKE 'activity/%') t
               ON t.holder_id = a.citizen_id AND t.id = a.id WHERE t.amount IS DISTINCT FROM a.total""",
        ),
    ),
)
CHECKS = (L10, L11)
