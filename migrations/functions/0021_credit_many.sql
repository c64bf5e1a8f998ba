-- The bulk writer's share of a credit: many balances and buckets in one round trip. The arrays come in key
-- order and balances are raised, and so locked, in that order: chunks and spends never deadlock. Whoever
-- holds a balance has its buckets to himself, so they are read after it. A bucket and the day of the next
-- expiry change once a month; all other credits raise one balance and one bucket where they lie. Every
-- lookup goes by primary key: the planner would rather read whole tables, which a chunk cannot afford. The
-- accounts are the caller's finding, by holder, kind, unit and class: they are not looked up again.
-- Returns how many of their balances were found, and the day each one's coins end.
CREATE FUNCTION ledger_credit_many(p_holders uuid[], p_accounts bigint[], p_totals bigint[], p_policy date)
RETURNS TABLE (found bigint, days date[]) LANGUAGE plpgsql VOLATILE
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
DECLARE
    v_raised bigint;
    v_next date[];
    v_latest date[];
    v_days date[];
BEGIN
    WITH raised AS (UPDATE ledger_balance b SET posted = b.posted + k.total
        FROM unnest(p_holders, p_accounts, p_totals) WITH ORDINALITY AS k (holder, account, total, place)
        WHERE b.holder_id = k.holder AND b.account_id = k.account RETURNING k.place, b.next_expiry)
    SELECT count(*), array_agg(next_expiry ORDER BY place) INTO v_raised, v_next FROM raised;
    -- The caller undoes everything unless all were found; `v_next` has a place for each only then.
    IF p_policy IS NULL OR v_raised < cardinality(p_holders) THEN
        RETURN QUERY SELECT v_raised, NULL::date[];
        RETURN;
    END IF;
    SELECT array_agg(l.latest ORDER BY k.place) INTO v_latest
    FROM unnest(p_holders, p_accounts) WITH ORDINALITY AS k (holder, account, place)
    CROSS JOIN LATERAL (SELECT max(c.expires_on) AS latest FROM coin_bucket c
        WHERE c.holder_id = k.holder AND c.account_id = k.account) l;
    SELECT array_agg(greatest(p_policy, k.latest) ORDER BY k.place) INTO v_days
    FROM unnest(v_latest) WITH ORDINALITY AS k (latest, place);
    UPDATE coin_bucket c SET credited = c.credited + k.total
    FROM unnest(p_holders, p_accounts, v_latest, p_totals) AS k (holder, account, latest, total)
    WHERE k.latest >= p_policy AND c.holder_id = k.holder AND c.account_id = k.account AND c.expires_on = k.latest;
    INSERT INTO coin_bucket (holder_id, account_id, expires_on, credited)
    SELECT k.holder, k.account, p_policy, k.total
    FROM unnest(p_holders, p_accounts, v_latest, p_totals) AS k (holder, account, latest, total)
    WHERE k.latest IS NULL OR k.latest < p_policy;
    UPDATE ledger_balance b SET next_expiry = k.day
    FROM unnest(p_holders, p_accounts, v_days, v_next) AS k (holder, account, day, next)
    WHERE k.day < k.next AND b.holder_id = k.holder AND b.account_id = k.account;
    RETURN QUERY SELECT v_raised, v_days;
END $$;
