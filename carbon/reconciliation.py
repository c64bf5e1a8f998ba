"""L10, L11 and L13: kilograms are where they were admitted, and a credit is its activities or its share of a gift."""

from carbon.activities.recomputation.reconciliation import L13, NEWEST
from carbon.donations.reconciliation import GIVEN, NUMBERED, SHARED
from ledger.reconciliation import Check, must_be_empty

L10 = Check(
    "L10",
    "Every gram admitted, given or shared out is in the ledger once, and what was taken back is gone.",
    (
        must_be_empty(
            "admitted kilograms differ from what citizens were credited",
            """SELECT a.admitted, t.credited FROM
               (SELECT coalesce(sum(carbon_mg), 0) AS admitted FROM activity) a,
               (SELECT coalesce(sum(amount), 0) AS credited FROM ledger_transfer
                WHERE code = 'CREDIT_CARBON' AND reference LIKE 'activity/%') t
               WHERE a.admitted <> t.credited""",
        ),
        must_be_empty(
            "a source event credits more than one activity that stands",
            """SELECT b.partner_id, a.source_event_id, count(*) AS standing FROM activity a
               JOIN activity_basis b ON b.id = a.basis_id
               LEFT JOIN activity_reversal r ON r.citizen_id = a.citizen_id AND r.activity_id = a.id
               WHERE r.activity_id IS NULL GROUP BY 1, 2 HAVING count(*) > 1""",
        ),
        must_be_empty(
            "an activity has no reference of its own",
            """SELECT a.id AS activity_id FROM activity a LEFT JOIN activity_basis b ON b.id = a.basis_id
               LEFT JOIN activity_reference r ON r.partner_id = b.partner_id AND r.source_event_id = a.source_event_id
               AND r.revision = a.revision AND r.activity_id = a.id AND r.citizen_id = a.citizen_id
               WHERE r.activity_id IS NULL""",
        ),
        must_be_empty(
            "an activity names a row that does not stand",
            """SELECT a.basis_id, a.batch_id FROM
               (SELECT DISTINCT basis_id, batch_id FROM activity) a
               LEFT JOIN activity_basis b ON b.id = a.basis_id
               LEFT JOIN activity_batch t ON t.id = a.batch_id
               WHERE b.id IS NULL OR (a.batch_id IS NOT NULL AND t.id IS NULL)""",
        ),
        must_be_empty(
            "kilograms taken back differ from the reversed activities",
            """SELECT r.activity_id, r.carbon_mg, t.amount FROM activity_reversal r
               LEFT JOIN ledger_transfer t ON t.holder_id = r.citizen_id AND t.id = r.carbon_transfer_id
               WHERE r.carbon_mg > 0 AND t.amount IS DISTINCT FROM -r.carbon_mg""",
        ),
        *GIVEN,
        *NUMBERED,
    ),
)
L11 = Check(
    "L11",
    "A credit is the sum of its activities or its share of a gift; what was taken back is posted or borne.",
    (
        must_be_empty(
            "a coin credit differs from its activities",
            """SELECT t.id, t.amount, a.total FROM
               (SELECT citizen_id, coin_transfer_id AS id, sum(coin_milli) AS total FROM activity
                WHERE coin_transfer_id IS NOT NULL GROUP BY 1, 2) a
               FULL JOIN (SELECT holder_id, id, amount FROM ledger_transfer
                WHERE code = 'CREDIT' AND reference LIKE 'activity/%') t
               ON t.holder_id = a.citizen_id AND t.id = a.id WHERE t.amount IS DISTINCT FROM a.total""",
        ),
        must_be_empty(
            "a carbon credit differs from its activities",
            """SELECT t.id, t.amount, a.total FROM
               (SELECT citizen_id, carbon_transfer_id AS id, sum(carbon_mg) AS total FROM activity
                WHERE carbon_transfer_id IS NOT NULL GROUP BY 1, 2) a
               FULL JOIN (SELECT holder_id, id, amount FROM ledger_transfer
                WHERE code = 'CREDIT_CARBON' AND reference LIKE 'activity/%') t
               ON t.holder_id = a.citizen_id AND t.id = a.id WHERE t.amount IS DISTINCT FROM a.total""",
        ),
        must_be_empty(
            "coins and what a cap cut are not the kilograms at the published rate",
            """SELECT a.id AS activity_id, a.carbon_mg, a.coin_milli, a.coin_cut_milli FROM activity a
               JOIN activity_basis b ON b.id = a.basis_id
               JOIN publication r ON r.id = b.coin_rule_id WHERE a.coin_milli + a.coin_cut_milli <>
               div(CAST(a.carbon_mg AS numeric) * CAST(r.content ->> 'coins_milli' AS numeric),
               CAST(r.content ->> 'per_mg' AS numeric))""",
        ),
        must_be_empty(
            "a reversal says other figures than its activity",
            f"""SELECT r.activity_id, r.coin_milli, a.coin_milli AS credited, r.coin_absorbed_milli, r.carbon_mg,
               a.carbon_mg AS admitted FROM activity_reversal r
               LEFT JOIN activity a ON a.citizen_id = r.citizen_id AND a.id = r.activity_id
               LEFT JOIN ({NEWEST}) c ON c.citizen_id = a.citizen_id AND c.activity_id = a.id
               WHERE coalesce(c.coin_milli_after, a.coin_milli) IS DISTINCT FROM r.coin_milli
               OR coalesce(c.carbon_mg_after, a.carbon_mg) IS DISTINCT FROM r.carbon_mg
               OR r.coin_absorbed_milli NOT BETWEEN 0 AND r.coin_milli""",
        ),
        must_be_empty(
            "coins taken back differ from what a reversal took",
            """SELECT activity, r.coin_milli, r.coin_absorbed_milli, t.first_id, t.taken FROM
               (SELECT *, citizen_id AS holder_id, CAST(activity_id AS text) AS activity
               FROM activity_reversal WHERE coin_milli <> coin_absorbed_milli) r
               FULL JOIN (SELECT holder_id, split_part(reference, '/', 2) AS activity, min(id) AS first_id,
               max(id) AS last_id, -sum(amount) AS taken FROM ledger_transfer
               WHERE code = 'CLAW_BACK' AND unit = 'coin' AND starts_with(reference, 'take-back/')
               GROUP BY 1, 2) t USING (holder_id, activity)
               WHERE r.coin_milli - r.coin_absorbed_milli IS DISTINCT FROM t.taken
               OR r.coin_transfer_id NOT BETWEEN t.first_id AND t.last_id""",
        ),
        must_be_empty(
            "a fund was paid back more than it bore",
            """SELECT t.activity, t.paid, r.coin_absorbed_milli FROM
               (SELECT holder_id, split_part(reference, '/', 2) AS activity, -sum(amount) AS paid
               FROM ledger_transfer WHERE code = 'CLAW_BACK' AND starts_with(reference, 'take-back-late/')
               GROUP BY 1, 2) t LEFT JOIN activity_reversal r
               ON r.citizen_id = t.holder_id AND CAST(r.activity_id AS text) = t.activity
               WHERE t.paid > coalesce(r.coin_absorbed_milli, 0)""",
        ),
        must_be_empty(
            "what a cap counts differs from what it gave the activities that stand",
            f"""SELECT holder_id AS citizen, region_id, subject, period, period_start, u.used, a.given FROM
               (SELECT holder_id, region_id, subject, period, period_start, sum(used) AS used FROM cap_usage
               GROUP BY 1, 2, 3, 4, 5) u
               FULL JOIN (SELECT a.citizen_id AS holder_id, b.region_id, p.subject, p.content ->> 'period' AS period,
               CASE p.content ->> 'period' WHEN 'month' THEN CAST(date_trunc('month', CAST(a.business_day AS
               timestamp)) AS date) ELSE a.business_day END AS period_start, sum(coalesce(c.coin_milli_after, a.coin_milli)) AS given
               FROM activity a JOIN activity_basis b ON b.id = a.basis_id
               JOIN publication p ON p.id = b.cap_rule_id
               LEFT JOIN activity_reversal r ON r.citizen_id = a.citizen_id AND r.activity_id = a.id
               LEFT JOIN ({NEWEST}) c ON c.citizen_id = a.citizen_id AND c.activity_id = a.id
               WHERE r.activity_id IS NULL GROUP BY 1, 2, 3, 4, 5) a
               USING (holder_id, region_id, subject, period, period_start)
               WHERE coalesce(u.used, 0) <> coalesce(a.given, 0)""",
        ),
        *SHARED,
    ),
)
CHECKS = (L10, L11, L13)
