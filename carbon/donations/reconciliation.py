"""The donations' half of L10 and L11: what was verified, given and shared out stands in the ledger as it is told.

Each fact is compared with its own transfer, both ways round, so that neither may change, vanish or come
from nowhere alone.
"""

from ledger.reconciliation import must_be_empty

GIVEN = (
    must_be_empty(
        "an approved project and the kilograms admitted for it differ",
        """SELECT p.id AS project, p.state, p.carbon_mg, t.id AS transfer, t.amount FROM
           (SELECT * FROM donation_project WHERE state = 'approved') p
           FULL JOIN (SELECT * FROM ledger_transfer WHERE code = 'CREDIT_CARBON'
           AND starts_with(reference, 'project/')) t
           ON t.holder_id = p.enterprise_id AND t.reference = 'project/' || p.id
           WHERE p.carbon_mg IS DISTINCT FROM t.amount""",
    ),
    must_be_empty(
        "a donation and the kilograms that left its enterprise differ",
        """SELECT d.id AS donation, d.carbon_mg, t.id AS transfer, t.amount FROM
           (SELECT g.*, p.enterprise_id FROM donation g JOIN donation_project p ON p.id = g.project_id) d
           FULL JOIN (SELECT * FROM ledger_transfer WHERE code = 'DONATE' AND amount < 0) t
           ON t.holder_id = d.enterprise_id AND t.id = d.transfer_id
           AND t.reference = 'donation/' || d.id || '/out'
           WHERE d.carbon_mg IS DISTINCT FROM -t.amount""",
    ),
    must_be_empty(
        "more was given of a project than was approved",
        """SELECT p.id AS project, p.state, p.carbon_mg, sum(d.carbon_mg) AS given FROM donation d
           JOIN donation_project p ON p.id = d.project_id GROUP BY p.id
           HAVING p.state <> 'approved' OR sum(d.carbon_mg) > p.carbon_mg""",
    ),
    must_be_empty(
        "a share of the pool and the kilograms its citizen got differ",
        """SELECT s.allocation_id AS allocation, s.citizen_id AS citizen, s.carbon_mg, t.id AS transfer, t.amount
           FROM pool_share s FULL JOIN (SELECT * FROM ledger_transfer WHERE code = 'ALLOCATE' AND amount > 0) t
           ON t.holder_id = s.citizen_id AND t.id = s.carbon_transfer_id
           AND t.reference = 'allocation/' || s.allocation_id || '/' || s.citizen_id || '/in'
           WHERE s.carbon_mg IS DISTINCT FROM t.amount""",
    ),
)
"""L10: kilograms."""
NUMBERED = (
    must_be_empty(
        "a donation and its serials differ",
        """SELECT d.id AS donation, d.carbon_mg, l.first_serial, l.last_serial FROM donation d
           FULL JOIN pool_lot l ON l.donation_id = d.id AND l.region_id = d.region_id
           WHERE d.carbon_mg IS DISTINCT FROM l.last_serial - l.first_serial + 1""",
    ),
    must_be_empty(
        "serials of a region have a gap, or its book counts others",
        """SELECT region_id, b.numbered, l.serials, l.last FROM pool_book b
           FULL JOIN (SELECT region_id, sum(last_serial - first_serial + 1) AS serials, max(last_serial) AS last
           FROM pool_lot GROUP BY 1) l USING (region_id)
           WHERE coalesce(b.numbered, 0) <> coalesce(l.serials, 0)
           OR coalesce(b.numbered, 0) <> coalesce(l.last, 0)""",
    ),
    must_be_empty(
        "what became of a lot differs from how far it was given out",
        """SELECT l.donation_id AS donation, l.next_serial, u.shared, u.withdrawn FROM pool_lot l
           LEFT JOIN (SELECT donation_id, count(*) FILTER (WHERE outside) AS outside,
           coalesce(sum(n) FILTER (WHERE citizen_id IS NOT NULL), 0) AS shared,
           coalesce(sum(n) FILTER (WHERE citizen_id IS NULL), 0) AS withdrawn FROM
           (SELECT s.*, s.last_serial - s.first_serial + 1 AS n, s.region_id <> k.region_id
            OR s.first_serial < k.first_serial OR s.last_serial > k.last_serial AS outside
            FROM pool_serial_use s JOIN pool_lot k USING (donation_id)) uses GROUP BY 1) u
           ON u.donation_id = l.donation_id
           WHERE l.next_serial - l.first_serial <> coalesce(u.shared, 0) OR coalesce(u.outside, 0) <> 0
           OR coalesce(u.withdrawn, 0) <> CASE WHEN l.withdrawn_at IS NULL THEN 0
                                               ELSE l.last_serial - l.next_serial + 1 END""",
    ),
    must_be_empty(
        "a share of the pool and its serials differ",
        """SELECT s.allocation_id AS allocation, s.citizen_id AS citizen, s.carbon_mg, u.total FROM pool_share s
           LEFT JOIN (SELECT citizen_id, allocation_id, sum(last_serial - first_serial + 1) AS total
           FROM pool_serial_use WHERE citizen_id IS NOT NULL GROUP BY 1, 2) u USING (citizen_id, allocation_id)
           WHERE s.carbon_mg IS DISTINCT FROM u.total""",
    ),
    must_be_empty(
        "a pool and the serials that wait in it differ",
        """SELECT r.id AS region, coalesce(p.total, 0) AS pool, coalesce(l.total, 0) AS serials FROM region r
           LEFT JOIN (SELECT a.region_id, sum(b.posted) + coalesce(sum(w.waiting), 0) AS total
           FROM ledger_account a JOIN ledger_balance b ON b.holder_id = a.holder_id AND b.account_id = a.id
           LEFT JOIN (SELECT account_id, sum(amount) AS waiting FROM ledger_pending_leg
           WHERE code = 'DONATE' AND rolled_into IS NULL GROUP BY 1) w ON w.account_id = a.id
           WHERE a.kind = 'pool' AND a.unit = 'carbon' GROUP BY 1) p ON p.region_id = r.id
           LEFT JOIN (SELECT region_id, sum(last_serial - next_serial + 1) AS total FROM pool_lot
           WHERE withdrawn_at IS NULL GROUP BY 1) l ON l.region_id = r.id
           WHERE coalesce(p.total, 0) <> coalesce(l.total, 0)""",
    ),
    must_be_empty(
        "a withdrawal and the kilograms that left the pool differ",
        """SELECT w.donation_id AS donation, w.carbon_mg, t.id AS transfer, t.amount, l.withdrawn_at FROM
           donation_withdrawal w FULL JOIN (SELECT t.* FROM ledger_transfer t JOIN ledger_account a
           ON a.holder_id = t.holder_id AND a.id = t.account_id AND a.kind = 'pool'
           WHERE t.code = 'CLAW_BACK') t
           ON t.id = w.transfer_id AND t.reference = 'withdrawal/' || w.donation_id
           LEFT JOIN pool_lot l ON l.donation_id = w.donation_id
           WHERE w.carbon_mg IS DISTINCT FROM -t.amount
           OR w.carbon_mg IS DISTINCT FROM l.last_serial - l.next_serial + 1""",
    ),
    must_be_empty(
        "a line of the spending plan counts other than what was shared out under it",
        """SELECT c.id AS campaign, c.allocated_mg, coalesce(s.total, 0) AS shared FROM pool_campaign c
           LEFT JOIN (SELECT a.campaign_id, sum(h.carbon_mg) AS total FROM pool_allocation a
           JOIN pool_share h ON h.allocation_id = a.id GROUP BY 1) s ON s.campaign_id = c.id
           WHERE c.allocated_mg <> coalesce(s.total, 0)""",
    ),
    must_be_empty(
        "a record counts for an approved project and for somebody else",
        """SELECT e.project_id AS project, e.partner_id AS partner, e.source_event_id FROM donation_event e
           JOIN donation_project p ON p.id = e.project_id AND p.state = 'approved'
           LEFT JOIN activity_reference r ON r.partner_id = e.partner_id
           AND r.source_event_id = e.source_event_id
           WHERE r.activity_id IS DISTINCT FROM e.project_id""",
    ),
)
"""L10 too: which kilograms."""
SHARED = (
    must_be_empty(
        "a share of the pool and the coins its citizen got differ",
        """SELECT s.allocation_id AS allocation, s.citizen_id AS citizen, s.coin_milli, t.id AS transfer, t.amount
           FROM pool_share s FULL JOIN (SELECT * FROM ledger_transfer WHERE code = 'CREDIT'
           AND starts_with(reference, 'allocation/')) t
           ON t.holder_id = s.citizen_id AND t.id = s.coin_transfer_id
           AND t.reference = 'allocation/' || s.allocation_id || '/' || s.citizen_id
           WHERE s.coin_milli IS DISTINCT FROM t.amount""",
    ),
    must_be_empty(
        "a share of the pool is not what its allocation gave each",
        """SELECT s.allocation_id AS allocation, s.citizen_id AS citizen, s.carbon_mg, a.carbon_mg_each,
           s.coin_milli FROM pool_share s JOIN pool_allocation a ON a.id = s.allocation_id
           JOIN publication r ON r.id = a.coin_rule_id JOIN (SELECT allocation_id, sum(weight) AS weights
           FROM pool_share GROUP BY 1) w ON w.allocation_id = a.id
           WHERE s.carbon_mg <> a.carbon_mg_each
           OR s.carbon_mg - div(CAST(a.carbon_mg AS numeric) * s.weight, w.weights) NOT IN (0, 1)
           OR s.coin_milli <> div(CAST(s.carbon_mg AS numeric) * CAST(r.content ->> 'coins_milli' AS numeric),
           CAST(r.content ->> 'per_mg' AS numeric))""",
    ),
)
"""L11: coins."""
