"""L13: what tables corrected is what was recomputed, posted once, and borne where it was not taken."""

from ledger.reconciliation import Check, must_be_empty

# The newest correction of each activity.
NEWEST = (
    "SELECT DISTINCT ON (citizen_id, activity_id) * FROM activity_correction"
    " ORDER BY citizen_id, activity_id, number DESC"
)

L13 = Check(
    "L13",
    "Corrections sum to what was recomputed and approved; each is posted once, or borne by the fund.",
    (
        must_be_empty(
            "what was corrected differs from what was recomputed",
            """SELECT recomputation_id, p.activities, p.carbon, p.coins, c.activities AS corrected,
               c.carbon AS carbon_corrected, c.coins AS coins_corrected FROM
               (SELECT recomputation_id, sum(activities) AS activities, sum(carbon_mg_difference) AS carbon,
               sum(coin_milli_difference) AS coins FROM recomputation_part WHERE posted_at IS NOT NULL
               GROUP BY 1) p
               FULL JOIN (SELECT recomputation_id, count(*) AS activities,
               sum(carbon_mg_after - carbon_mg_before) AS carbon,
               sum(coin_milli_after - coin_milli_before) AS coins FROM activity_correction GROUP BY 1) c
               USING (recomputation_id)
               WHERE (p.activities, p.carbon, p.coins) IS DISTINCT FROM (c.activities, c.carbon, c.coins)""",
        ),
        must_be_empty(
            "a recomputation is done and a part of it is not, or not as it was approved",
            """SELECT r.id, r.state, count(*) FILTER (WHERE p.posted_at IS NULL) AS parts_left,
               sum(p.coin_milli_difference) AS coins, r.told FROM recomputation r
               JOIN recomputation_part p ON p.recomputation_id = r.id WHERE r.state = 'done' GROUP BY r.id
               HAVING bool_or(p.posted_at IS NULL) OR sum(p.coin_milli_difference)
               <> CAST(r.told #>> '{totals,coin_milli_difference}' AS bigint)
               OR sum(p.carbon_mg_difference)
               <> CAST(r.told #>> '{totals,carbon_mg_difference}' AS bigint)""",
        ),
        must_be_empty(
            "a correction does not begin where the activity stood",
            """SELECT c.activity_id, c.number, c.carbon_mg_before, c.coin_milli_before, c.borne_milli_before
               FROM activity_correction c
               LEFT JOIN activity a ON a.citizen_id = c.citizen_id AND a.id = c.activity_id
               LEFT JOIN activity_correction b ON b.citizen_id = c.citizen_id
               AND b.activity_id = c.activity_id AND b.number = c.number - 1
               WHERE a.id IS NULL OR (c.number > 1) <> (b.number IS NOT NULL)
               OR c.carbon_mg_before <> coalesce(b.carbon_mg_after, a.carbon_mg)
               OR c.coin_milli_before <> coalesce(b.coin_milli_after, a.coin_milli)
               OR c.borne_milli_before <> coalesce(b.borne_milli_after, 0)""",
        ),
        must_be_empty(
            "a correction was not posted as it says",
            """SELECT activity, number, c.carbon, t.carbon AS carbon_posted, c.coins, t.coins AS coins_posted
               FROM (SELECT citizen_id AS holder_id, CAST(activity_id AS text) AS activity,
               CAST(number AS text) AS number, carbon_mg_after - carbon_mg_before AS carbon,
               coin_posted_milli AS coins FROM activity_correction
               WHERE carbon_transfer_id IS NOT NULL OR coin_transfer_id IS NOT NULL) c
               FULL JOIN (SELECT holder_id, split_part(reference, '/', 2) AS activity,
               split_part(reference, '/', 3) AS number,
               coalesce(sum(amount) FILTER (WHERE unit = 'carbon'), 0) AS carbon,
               coalesce(sum(amount) FILTER (WHERE unit = 'coin'), 0) AS coins FROM ledger_transfer
               WHERE code = 'CORRECTION' AND starts_with(reference, 'correction/')
               AND NOT starts_with(reference, 'correction/fund/') GROUP BY 1, 2, 3) t
               USING (holder_id, activity, number)
               WHERE (c.carbon, c.coins) IS DISTINCT FROM (t.carbon, t.coins)""",
        ),
        must_be_empty(
            "the fund was charged otherwise than citizens kept",
            """SELECT recomputation_id, c.borne, t.charged FROM
               (SELECT recomputation_id, sum(borne_milli_after - borne_milli_before) AS borne
               FROM activity_correction GROUP BY 1 HAVING sum(borne_milli_after - borne_milli_before) <> 0) c
               FULL JOIN (SELECT batch_id AS recomputation_id, -sum(amount) AS charged FROM ledger_transfer
               WHERE code = 'CORRECTION' AND starts_with(reference, 'correction/fund/') GROUP BY 1
               HAVING sum(amount) <> 0) t USING (recomputation_id) WHERE c.borne IS DISTINCT FROM t.charged""",
        ),
        must_be_empty(
            "a refusal took more than a fund bore of its activity, or the fund got other than was taken",
            f"""SELECT activity, c.borne_milli_after AS borne, t.taken, t.paid FROM
               (SELECT CAST(split_part(reference, '/', CASE code WHEN 'CLAW_BACK' THEN 2 ELSE 3 END) AS uuid)
               AS activity, coalesce(-sum(amount) FILTER (WHERE code = 'CLAW_BACK'), 0) AS taken,
               coalesce(sum(amount) FILTER (WHERE code = 'CORRECTION'), 0) AS paid FROM ledger_transfer
               WHERE code IN ('CLAW_BACK', 'CORRECTION') AND starts_with(reference, 'take-back-borne/')
               GROUP BY 1) t LEFT JOIN ({NEWEST}) c ON c.activity_id = t.activity
               WHERE t.taken <> t.paid OR t.taken > coalesce(c.borne_milli_after, 0)""",
        ),
        must_be_empty(
            "corrected coins and what a cap cut are not the kilograms at the published rate",
            f"""SELECT c.activity_id, c.number, c.carbon_mg_after, c.coin_milli_after, c.coin_cut_milli_after
               FROM ({NEWEST}) c JOIN activity a ON a.citizen_id = c.citizen_id AND a.id = c.activity_id
               JOIN activity_basis b ON b.id = a.basis_id JOIN publication r ON r.id = b.coin_rule_id
               WHERE c.coin_milli_after + c.coin_cut_milli_after <>
               div(CAST(c.carbon_mg_after AS numeric) * CAST(r.content ->> 'coins_milli' AS numeric),
               CAST(r.content ->> 'per_mg' AS numeric))""",
        ),
    ),
)
