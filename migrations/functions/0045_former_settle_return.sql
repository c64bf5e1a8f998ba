-- What came back and is past its day: the citizen's own doing ends it now, anybody else's gives it
-- a bucket of grace. The caller holds the lock. Returns what ended and what was given grace.
CREATE FUNCTION ledger_settle_return(p_holder uuid, p_account bigint, p_hold bigint, p_cause text,
    p_grace_on date, p_today date, p_now timestamptz)
RETURNS TABLE (ended bigint, graced bigint) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_due bigint;
    v_left bigint;
    v_part bigint;
    v_id bigint;
    v_contra bigint;
    v_bucket coin_bucket%ROWTYPE;
BEGIN
    SELECT greatest(0, b.posted - b.held - coalesce((SELECT sum(c.credited) FROM coin_bucket c
        WHERE c.holder_id = p_holder AND c.account_id = p_account AND c.expires_on > p_today), 0))
    INTO v_due FROM ledger_balance b WHERE b.holder_id = p_holder AND b.account_id = p_account;
    IF v_due = 0 THEN RETURN QUERY SELECT 0::bigint, 0::bigint; RETURN; END IF;
    IF p_grace_on IS NOT NULL THEN
        INSERT INTO coin_bucket AS b (holder_id, account_id, expires_on, credited)
        VALUES (p_holder, p_account, p_grace_on, v_due)
        ON CONFLICT (holder_id, account_id, expires_on) DO UPDATE SET credited = b.credited + v_due;
        UPDATE ledger_balance SET next_expiry = least(next_expiry, p_grace_on)
        WHERE holder_id = p_holder AND account_id = p_account;
        INSERT INTO coin_regrace (holder_id, account_id, hold_id, amount, grace_on, cause)
        VALUES (p_holder, p_account, p_hold, v_due, p_grace_on, p_cause);
        RETURN QUERY SELECT 0::bigint, v_due;
        RETURN;
    END IF;
    SELECT expires_into INTO v_contra FROM ledger_account WHERE holder_id = p_holder AND id = p_account;
    v_id := nextval('ledger_transfer_id');
    INSERT INTO ledger_reference (holder_id, source, reference, transfer_id, payload_hash)
    VALUES (p_holder, 'expiry', p_account || '/return/' || p_hold, v_id, sha256(convert_to(v_due::text, 'UTF8')));
    INSERT INTO ledger_transfer (holder_id, account_id, id, contra_id, amount, unit, code, reference, hold_id,
        occurred_at, recorded_at)
    VALUES (p_holder, p_account, v_id, v_contra, -v_due, 'coin', 'EXPIRE', p_account || '/return/' || p_hold,
        p_hold, p_now, p_now);
    UPDATE ledger_balance SET posted = posted - v_due WHERE holder_id = p_holder AND account_id = p_account;
    -- Returned coins are the latest in use: they ended in the latest buckets that are past.
    v_left := v_due;
    FOR v_bucket IN SELECT * FROM coin_bucket WHERE holder_id = p_holder AND account_id = p_account
        AND expires_on <= p_today AND credited > expired ORDER BY expires_on DESC
    LOOP
        EXIT WHEN v_left = 0;
        v_part := least(v_left, v_bucket.credited - v_bucket.expired);
        UPDATE coin_bucket SET expired = expired + v_part WHERE holder_id = p_holder
        AND account_id = p_account AND expires_on = v_bucket.expires_on;
        v_left := v_left - v_part;
    END LOOP;
    RETURN QUERY SELECT v_due, 0::bigint;
END $$;
