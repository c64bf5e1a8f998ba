-- Takes back part of a coin credit: what of it ended is first un-ended, the rest is taken down to the
-- account's floor or to `p_least` where that is higher, held coins are not touched. Returns what was
-- taken; the remainder is the fund's. What corrections took of the credit counts as taken.
-- Whether the credit's day is past is read off the balance, not off the caller's day: who waited for the
-- lock across midnight comes with yesterday's day and finds ended what others ended meanwhile.
-- The balance row is locked before the reference is written, so that a take-back that finds nothing
-- to take can say so: its reference then names no transfer.
CREATE FUNCTION ledger_take_back(p_holder uuid, p_account bigint, p_credit bigint, p_amount bigint,
    p_source text, p_reference text, p_hash bytea, p_code text, p_occurred timestamptz, p_today date,
    p_now timestamptz, p_least bigint)
RETURNS TABLE (transfer_id bigint, taken bigint, revived bigint, fresh boolean) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    v_balance ledger_balance%ROWTYPE;
    v_credit ledger_transfer%ROWTYPE;
    v_standing ledger_reference%ROWTYPE;
    v_contra bigint;
    v_bucket coin_bucket%ROWTYPE;
    v_back bigint;
    v_before bigint;
    v_taken bigint := 0;
    v_revived bigint := 0;
    v_id bigint := nextval('ledger_transfer_id');
BEGIN
    PERFORM 1 FROM ledger_balance WHERE holder_id = p_holder AND account_id = p_account FOR UPDATE;
    IF NOT FOUND THEN RAISE EXCEPTION 'no account %', p_account USING ERRCODE = 'TP006'; END IF;
    SELECT * INTO v_standing FROM ledger_reference
    WHERE holder_id = p_holder AND source = p_source AND reference = p_reference;
    IF FOUND THEN
        IF v_standing.payload_hash <> p_hash THEN
            RAISE EXCEPTION 'reference %/% has other content', p_source, p_reference USING ERRCODE = 'TP003';
        END IF;
        RETURN QUERY SELECT v_standing.transfer_id,
            coalesce((SELECT -t.amount FROM ledger_transfer t WHERE t.holder_id = p_holder
                AND t.account_id = p_account AND t.id = v_standing.transfer_id), 0),
            coalesce((SELECT t.amount FROM ledger_transfer t WHERE t.holder_id = p_holder
                AND t.account_id = p_account AND t.code = 'EXPIRE_REVERSAL' AND t.reverses_id = p_credit
                AND t.reference = p_source || '/' || p_reference), 0), false;
        RETURN;
    END IF;
    PERFORM ledger_expire(p_holder, p_account, p_today, p_now);
    SELECT * INTO v_balance FROM ledger_balance WHERE holder_id = p_holder AND account_id = p_account;
    SELECT * INTO v_credit FROM ledger_transfer
    WHERE holder_id = p_holder AND account_id = p_account AND id = p_credit;
    IF NOT FOUND OR v_credit.amount < 0 OR v_credit.expires_on IS NULL THEN
        RAISE EXCEPTION 'no credit %', p_credit USING ERRCODE = 'TP006';
    END IF;
    SELECT coalesce(-sum(t.amount), 0) INTO v_before FROM ledger_transfer t WHERE t.holder_id = p_holder
    AND t.account_id = p_account AND t.reverses_id = p_credit AND t.amount < 0;
    IF p_amount <= 0 OR v_before + p_amount > v_credit.amount THEN
        RAISE EXCEPTION 'credit % of % has % taken back, % more is too much',
            p_credit, v_credit.amount, v_before, p_amount;
    END IF;
    SELECT * INTO v_bucket FROM coin_bucket WHERE holder_id = p_holder AND account_id = p_account
    AND expires_on = v_credit.expires_on;
    v_back := p_amount;
    IF v_credit.expires_on < v_balance.next_expiry THEN v_revived := least(v_back, v_bucket.expired); END IF;
    v_taken := least(v_back, v_balance.posted - v_balance.held + v_revived
        - greatest(v_balance.floor, p_least));
    v_taken := greatest(0, v_taken);
    v_revived := least(v_revived, v_taken);
    INSERT INTO ledger_reference (holder_id, source, reference, transfer_id, payload_hash)
    VALUES (p_holder, p_source, p_reference, CASE WHEN v_taken > 0 THEN v_id END, p_hash);
    UPDATE coin_bucket SET credited = credited - v_taken, expired = expired - v_revived
    WHERE holder_id = p_holder AND account_id = p_account AND expires_on = v_credit.expires_on;
    UPDATE ledger_balance SET posted = posted + v_revived - v_taken
    WHERE holder_id = p_holder AND account_id = p_account;
    IF v_revived > 0 THEN
        SELECT expires_into INTO v_contra FROM ledger_account WHERE holder_id = p_holder AND id = p_account;
        INSERT INTO ledger_transfer (holder_id, account_id, id, contra_id, amount, unit, code, reference,
            reverses_id, occurred_at, recorded_at)
        VALUES (p_holder, p_account, nextval('ledger_transfer_id'), v_contra, v_revived, 'coin',
            'EXPIRE_REVERSAL', p_source || '/' || p_reference, p_credit, p_occurred, p_now);
    END IF;
    IF v_taken > 0 THEN
        INSERT INTO ledger_transfer (holder_id, account_id, id, contra_id, amount, unit, code, reference,
            reverses_id, occurred_at, recorded_at)
        VALUES (p_holder, p_account, v_id, v_credit.contra_id, -v_taken, 'coin', p_code,
            p_source || '/' || p_reference, p_credit, p_occurred, p_now);
    END IF;
    RETURN QUERY SELECT CASE WHEN v_taken > 0 THEN v_id END, v_taken, v_revived, true;
END $$;
