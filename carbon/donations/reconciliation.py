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
           JOIN publication r ON r.id = a.coin_rule_id WHERE s.carbon_mg <> a.carbon_mg_each
           OR s.coin_milli <> div(CAST(s.carbon_mg AS numeric) * CAST(r.content ->> 'coins_milli' AS numeric),
           CAST(r.content ->> 'per_mg' AS numeric))""",
    ),
)
"""L11: coins."""
