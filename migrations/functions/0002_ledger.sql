-- The writers of the ledger. Each takes the holder first, does its work in one round trip, and
-- raises on refusal so that nothing of it remains. `expires_on` is the first day coins are void.

-- Posts what is due to end on one account, boundary by boundary, so that a late run gives what runs
-- on time would have given. The caller holds the balance row's lock. Returns what ended.
CREATE FUNCTION ledger_expire(p_holder uuid, p_account bigint, p_today date, p_now timestamptz)
RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_balance ledger_balance%ROWTYPE;
    v_bucket coin_bucket%ROWTYPE;
    v_contra bigint;
    v_later bigint;
    v_due bigint;
    v_total bigint := 0;
    v_id bigint;
    v_reference text;
BEGIN
    SELECT * INTO v_balance FROM ledger_balance WHERE holder_id = p_holder AND account_id = p_account FOR UPDATE;
    IF NOT FOUND OR v_balance.next_expiry > p_today THEN RETURN 0; END IF;
    SELECT expires_into INTO v_contra FROM ledger_account WHERE holder_id = p_holder AND id = p_account;
    FOR v_bucket IN
        SELECT * FROM coin_bucket WHERE holder_id = p_holder AND account_id = p_account
        AND expires_on >= v_balance.next_expiry AND expires_on <= p_today ORDER BY expires_on
    LOOP
        SELECT coalesce(sum(credited), 0) INTO v_later FROM coin_bucket
        WHERE holder_id = p_holder AND account_id = p_account AND expires_on > v_bucket.expires_on;
        v_due := greatest(0, v_balance.posted - v_balance.held - v_later);
        IF v_due > 0 THEN
            v_id := nextval('ledger_transfer_id');
            v_reference := p_account || '/' || v_bucket.expires_on;
            INSERT INTO ledger_reference (holder_id, source, reference, transfer_id, payload_hash)
            VALUES (p_holder, 'expiry', v_reference, v_id, sha256(convert_to(v_due::text, 'UTF8')));
            INSERT INTO ledger_transfer (holder_id, account_id, id, contra_id, amount, unit, code, reference,
                expires_on, occurred_at, recorded_at)
            VALUES (p_holder, p_account, v_id, v_contra, -v_due, 'coin', 'EXPIRE', v_reference,
                v_bucket.expires_on, v_bucket.expires_on::timestamp AT TIME ZONE 'Asia/Shanghai', p_now);
            UPDATE coin_bucket SET expired = expired + v_due WHERE holder_id = p_holder
            AND account_id = p_account AND expires_on = v_bucket.expires_on;
            v_balance.posted := v_balance.posted - v_due;
            v_total := v_total + v_due;
        END IF;
    END LOOP;
    UPDATE ledger_balance SET posted = v_balance.posted, next_expiry = coalesce(
        (SELECT min(expires_on) FROM coin_bucket WHERE holder_id = p_holder AND account_id = p_account
         AND expires_on > p_today), '9999-12-31')
    WHERE holder_id = p_holder AND account_id = p_account;
    RETURN v_total;
END $$;

-- Adds `p_amount` to the bucket of a day; inside a class a later credit never ends earlier. A policy
-- that ends coins today or in more than ten years is a bug: expiry would miss the one and the other
-- would pull every later credit of the class along.
CREATE FUNCTION ledger_fill_bucket(p_holder uuid, p_account bigint, p_amount bigint, p_policy date, p_today date)
RETURNS date LANGUAGE plpgsql VOLATILE AS $$
DECLARE v_day date;
BEGIN
    IF p_policy <= p_today OR p_policy > p_today + interval '10 years 31 days' THEN
        RAISE EXCEPTION 'coins credited on % cannot end on %', p_today, p_policy;
    END IF;
    SELECT greatest(p_policy, max(expires_on)) INTO v_day FROM coin_bucket
    WHERE holder_id = p_holder AND account_id = p_account;
    INSERT INTO coin_bucket AS b (holder_id, account_id, expires_on, credited)
    VALUES (p_holder, p_account, v_day, p_amount)
    ON CONFLICT (holder_id, account_id, expires_on) DO UPDATE SET credited = b.credited + p_amount;
    UPDATE ledger_balance SET next_expiry = least(next_expiry, v_day)
    WHERE holder_id = p_holder AND account_id = p_account AND next_expiry > v_day;
    RETURN v_day;
END $$;

-- The guard. `p_d` changes posted, `p_h` changes held. Posts what is due and tries once more before
-- it refuses: TP001 not enough, TP002 frozen, TP006 no such account.
CREATE FUNCTION ledger_move(p_holder uuid, p_account bigint, p_d bigint, p_h bigint, p_today date,
    p_now timestamptz, p_when_frozen boolean, p_to_floor boolean)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE v_balance ledger_balance%ROWTYPE;
BEGIN
    FOR v_try IN 1..2 LOOP
        UPDATE ledger_balance SET posted = posted + p_d, held = held + p_h
        WHERE holder_id = p_holder AND account_id = p_account
        AND (p_d - p_h >= 0 OR posted + p_d - held - p_h >= CASE WHEN p_to_floor THEN floor ELSE 0 END)
        AND (NOT frozen OR p_when_frozen)
        AND (p_d > 0 OR p_d = p_h OR next_expiry > p_today);
        IF FOUND THEN RETURN; END IF;
        SELECT * INTO v_balance FROM ledger_balance
        WHERE holder_id = p_holder AND account_id = p_account FOR UPDATE;
        IF NOT FOUND THEN RAISE EXCEPTION 'no account %', p_account USING ERRCODE = 'TP006'; END IF;
        EXIT WHEN v_try = 2 OR v_balance.next_expiry > p_today;
        PERFORM ledger_expire(p_holder, p_account, p_today, p_now);
    END LOOP;
    IF v_balance.frozen AND NOT p_when_frozen THEN
        RAISE EXCEPTION 'account % is frozen', p_account USING ERRCODE = 'TP002';
    END IF;
    RAISE EXCEPTION 'account % has too little', p_account USING ERRCODE = 'TP001';
END $$;

-- Claims a reference. True when it is new; false when the same content stands already; TP003 otherwise.
CREATE FUNCTION ledger_claim(p_holder uuid, p_source text, p_reference text, p_id bigint, p_hash bytea)
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE v_hash bytea;
BEGIN
    INSERT INTO ledger_reference (holder_id, source, reference, transfer_id, payload_hash)
    VALUES (p_holder, p_source, p_reference, p_id, p_hash) ON CONFLICT DO NOTHING;
    IF FOUND THEN RETURN true; END IF;
    SELECT payload_hash INTO v_hash FROM ledger_reference
    WHERE holder_id = p_holder AND source = p_source AND reference = p_reference;
    IF v_hash IS DISTINCT FROM p_hash THEN
        RAISE EXCEPTION 'reference %/% has other content', p_source, p_reference USING ERRCODE = 'TP003';
    END IF;
    RETURN false;
END $$;

-- One transfer, guarded or folded. Returns its id and whether it stood already.
CREATE FUNCTION ledger_post(p_holder uuid, p_account bigint, p_contra bigint, p_amount bigint, p_unit text,
    p_code text, p_source text, p_reference text, p_hash bytea, p_movement uuid, p_batch uuid,
    p_reverses bigint, p_expires_on date, p_occurred timestamptz, p_today date, p_now timestamptz,
    p_guarded boolean, p_when_frozen boolean, p_to_floor boolean)
RETURNS TABLE (transfer_id bigint, replayed boolean, bucket date) LANGUAGE plpgsql VOLATILE AS $$
DECLARE v_id bigint := nextval('ledger_transfer_id'); v_day date;
BEGIN
    IF NOT ledger_claim(p_holder, p_source, p_reference, v_id, p_hash) THEN
        RETURN QUERY SELECT r.transfer_id, true, t.expires_on FROM ledger_reference r
        LEFT JOIN ledger_transfer t ON t.holder_id = p_holder AND t.account_id = p_account AND t.id = r.transfer_id
        WHERE r.holder_id = p_holder AND r.source = p_source AND r.reference = p_reference;
        RETURN;
    END IF;
    IF p_guarded THEN
        PERFORM ledger_move(p_holder, p_account, p_amount, 0, p_today, p_now, p_when_frozen, p_to_floor);
        IF p_expires_on IS NOT NULL THEN
            v_day := ledger_fill_bucket(p_holder, p_account, p_amount, p_expires_on, p_today);
        END IF;
    END IF;
    INSERT INTO ledger_transfer (holder_id, account_id, id, contra_id, amount, unit, code, reference,
        movement_id, batch_id, reverses_id, expires_on, occurred_at, recorded_at)
    VALUES (p_holder, p_account, v_id, p_contra, p_amount, p_unit, p_code, p_source || '/' || p_reference,
        p_movement, p_batch, p_reverses, v_day, p_occurred, p_now);
    RETURN QUERY SELECT v_id, false, v_day;
END $$;

-- Sets coins aside across validity classes in spending order. All rows are locked in id order first;
-- the same reference again returns what stands (TP003 when the amount differs).
CREATE FUNCTION ledger_hold_coins(p_holder uuid, p_accounts bigint[], p_amount bigint, p_purpose text,
    p_reference text, p_until timestamptz, p_today date, p_now timestamptz)
RETURNS TABLE (account_id bigint, hold_id bigint, amount bigint) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    v_account bigint;
    v_rest bigint := p_amount;
    v_part bigint;
    v_standing bigint;
BEGIN
    PERFORM 1 FROM ledger_balance b WHERE b.holder_id = p_holder AND b.account_id = ANY (p_accounts)
    ORDER BY b.account_id FOR UPDATE;
    SELECT sum(h.amount) INTO v_standing FROM ledger_hold h
    WHERE h.holder_id = p_holder AND h.purpose = p_purpose AND h.reference = p_reference;
    IF v_standing IS NOT NULL THEN
        IF v_standing <> p_amount THEN
            RAISE EXCEPTION 'hold %/% has other content', p_purpose, p_reference USING ERRCODE = 'TP003';
        END IF;
        RETURN QUERY SELECT h.account_id, h.id, h.amount FROM ledger_hold h
        WHERE h.holder_id = p_holder AND h.purpose = p_purpose AND h.reference = p_reference ORDER BY h.id;
        RETURN;
    END IF;
    FOREACH v_account IN ARRAY p_accounts LOOP
        EXIT WHEN v_rest = 0;
        PERFORM ledger_expire(p_holder, v_account, p_today, p_now);
        SELECT least(v_rest, greatest(0, b.posted - b.held)) INTO v_part FROM ledger_balance b
        WHERE b.holder_id = p_holder AND b.account_id = v_account;
        CONTINUE WHEN coalesce(v_part, 0) = 0;
        PERFORM ledger_move(p_holder, v_account, 0, v_part, p_today, p_now, false, false);
        INSERT INTO ledger_hold (holder_id, account_id, id, amount, purpose, reference, expires_at, recorded_at)
        VALUES (p_holder, v_account, nextval('ledger_transfer_id'), v_part, p_purpose, p_reference, p_until, p_now);
        v_rest := v_rest - v_part;
    END LOOP;
    IF v_rest > 0 THEN RAISE EXCEPTION 'short of %', v_rest USING ERRCODE = 'TP001'; END IF;
    RETURN QUERY SELECT h.account_id, h.id, h.amount FROM ledger_hold h
    WHERE h.holder_id = p_holder AND h.purpose = p_purpose AND h.reference = p_reference ORDER BY h.id;
END $$;

-- Locks the balances of a hold set in account order: spend, release and reversal meet here first, so
-- two of them on one set wait for each other instead of deadlocking between balance and hold end.
CREATE FUNCTION ledger_lock_held(p_holder uuid, p_purpose text, p_held text)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM 1 FROM ledger_balance b WHERE b.holder_id = p_holder AND b.account_id IN
        (SELECT h.account_id FROM ledger_hold h WHERE h.holder_id = p_holder AND h.purpose = p_purpose
         AND h.reference = p_held) ORDER BY b.account_id FOR UPDATE;
END $$;

-- Spends a whole hold set: one transfer a class. Returns what was spent; false in `fresh` when the
-- same spend stood already. TP004 when the set was released or spent for something else.
CREATE FUNCTION ledger_spend_holds(p_holder uuid, p_purpose text, p_held text, p_contra bigint, p_code text,
    p_source text, p_reference text, p_hash bytea, p_occurred timestamptz, p_today date, p_now timestamptz)
RETURNS TABLE (transfer_id bigint, amount bigint, fresh boolean) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    v_hold ledger_hold%ROWTYPE;
    v_first bigint := nextval('ledger_transfer_id');
    v_id bigint := v_first;
    v_fresh boolean := ledger_claim(p_holder, p_source, p_reference, v_first, p_hash);
    v_count integer := 0;
BEGIN
    IF v_fresh THEN
        PERFORM ledger_lock_held(p_holder, p_purpose, p_held);
        FOR v_hold IN SELECT * FROM ledger_hold h WHERE h.holder_id = p_holder AND h.purpose = p_purpose
            AND h.reference = p_held ORDER BY h.account_id
        LOOP
            v_count := v_count + 1;
            IF v_count > 1 THEN v_id := nextval('ledger_transfer_id'); END IF;
            INSERT INTO ledger_hold_end (holder_id, account_id, id, outcome, transfer_id, recorded_at)
            VALUES (p_holder, v_hold.account_id, v_hold.id, 'posted', v_id, p_now) ON CONFLICT DO NOTHING;
            IF NOT FOUND THEN RAISE EXCEPTION 'hold % ended', v_hold.id USING ERRCODE = 'TP004'; END IF;
            PERFORM ledger_move(p_holder, v_hold.account_id, -v_hold.amount, -v_hold.amount, p_today, p_now,
                false, false);
            INSERT INTO ledger_transfer (holder_id, account_id, id, contra_id, amount, unit, code, reference,
                hold_id, occurred_at, recorded_at)
            VALUES (p_holder, v_hold.account_id, v_id, p_contra, -v_hold.amount, 'coin', p_code,
                p_source || '/' || p_reference, v_hold.id, p_occurred, p_now);
        END LOOP;
        IF v_count = 0 THEN RAISE EXCEPTION 'no hold %', p_held USING ERRCODE = 'TP004'; END IF;
    END IF;
    RETURN QUERY SELECT t.id, -t.amount, v_fresh FROM ledger_hold h
    JOIN ledger_hold_end e ON e.holder_id = h.holder_id AND e.account_id = h.account_id AND e.id = h.id
    JOIN ledger_transfer t ON t.holder_id = e.holder_id AND t.account_id = e.account_id AND t.id = e.transfer_id
    WHERE h.holder_id = p_holder AND h.purpose = p_purpose AND h.reference = p_held ORDER BY t.id;
END $$;

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

-- Releases a whole hold set. TP004 when it was spent; releasing twice changes nothing.
CREATE FUNCTION ledger_release_holds(p_holder uuid, p_purpose text, p_held text, p_cause text,
    p_grace_on date, p_today date, p_now timestamptz)
RETURNS TABLE (released bigint, ended bigint, graced bigint) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    v_hold ledger_hold%ROWTYPE;
    v_outcome text;
    v_fate record;
    v_released bigint := 0;
    v_ended bigint := 0;
    v_graced bigint := 0;
    v_count integer := 0;
BEGIN
    PERFORM ledger_lock_held(p_holder, p_purpose, p_held);
    FOR v_hold IN SELECT * FROM ledger_hold h WHERE h.holder_id = p_holder AND h.purpose = p_purpose
        AND h.reference = p_held ORDER BY h.account_id
    LOOP
        v_count := v_count + 1;
        INSERT INTO ledger_hold_end (holder_id, account_id, id, outcome, recorded_at)
        VALUES (p_holder, v_hold.account_id, v_hold.id, 'voided', p_now) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            SELECT e.outcome INTO v_outcome FROM ledger_hold_end e WHERE e.holder_id = p_holder
            AND e.account_id = v_hold.account_id AND e.id = v_hold.id;
            IF v_outcome = 'posted' THEN
                RAISE EXCEPTION 'hold % was spent', v_hold.id USING ERRCODE = 'TP004';
            END IF;
            CONTINUE;
        END IF;
        PERFORM ledger_expire(p_holder, v_hold.account_id, p_today, p_now);
        PERFORM ledger_move(p_holder, v_hold.account_id, 0, -v_hold.amount, p_today, p_now, true, false);
        SELECT * INTO v_fate FROM ledger_settle_return(p_holder, v_hold.account_id, v_hold.id, p_cause,
            p_grace_on, p_today, p_now);
        v_released := v_released + v_hold.amount;
        v_ended := v_ended + v_fate.ended;
        v_graced := v_graced + v_fate.graced;
    END LOOP;
    IF v_count = 0 THEN RAISE EXCEPTION 'no hold %', p_held USING ERRCODE = 'TP004'; END IF;
    RETURN QUERY SELECT v_released, v_ended, v_graced;
END $$;

-- Mirrors a spent hold set exactly once, whatever reference asks: each mirrored transfer claims a
-- reference `reversed/<its id>`, and a second claim is TP005. With `p_new_held` the coins are held again under that
-- reference in the same statement; without, they return and, if past their day, get grace.
CREATE FUNCTION ledger_reverse_spend(p_holder uuid, p_purpose text, p_held text, p_new_held text,
    p_until timestamptz, p_code text, p_source text, p_reference text, p_hash bytea, p_cause text,
    p_grace_on date, p_occurred timestamptz, p_today date, p_now timestamptz)
RETURNS TABLE (transfer_id bigint, amount bigint, fresh boolean) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    v_spent record;
    v_first bigint := nextval('ledger_transfer_id');
    v_id bigint := v_first;
    v_hold bigint;
    v_fresh boolean := ledger_claim(p_holder, p_source, p_reference, v_first, p_hash);
    v_count integer := 0;
BEGIN
    IF v_fresh THEN
        PERFORM ledger_lock_held(p_holder, p_purpose, p_held);
        FOR v_spent IN SELECT h.account_id, h.id, h.amount, e.transfer_id, t.contra_id FROM ledger_hold h
            JOIN ledger_hold_end e ON e.holder_id = h.holder_id AND e.account_id = h.account_id
                AND e.id = h.id AND e.outcome = 'posted'
            JOIN ledger_transfer t ON t.holder_id = e.holder_id AND t.account_id = e.account_id
                AND t.id = e.transfer_id
            WHERE h.holder_id = p_holder AND h.purpose = p_purpose AND h.reference = p_held ORDER BY h.account_id
        LOOP
            v_count := v_count + 1;
            IF v_count > 1 THEN v_id := nextval('ledger_transfer_id'); END IF;
            INSERT INTO ledger_reference (holder_id, source, reference, transfer_id, payload_hash)
            VALUES (p_holder, 'reversed', v_spent.transfer_id::text, v_id, p_hash) ON CONFLICT DO NOTHING;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'transfer % was reversed', v_spent.transfer_id USING ERRCODE = 'TP005';
            END IF;
            IF p_new_held IS NULL THEN
                PERFORM ledger_expire(p_holder, v_spent.account_id, p_today, p_now);
            END IF;
            PERFORM ledger_move(p_holder, v_spent.account_id, v_spent.amount,
                CASE WHEN p_new_held IS NULL THEN 0 ELSE v_spent.amount END, p_today, p_now, true, false);
            INSERT INTO ledger_transfer (holder_id, account_id, id, contra_id, amount, unit, code, reference,
                hold_id, reverses_id, occurred_at, recorded_at)
            VALUES (p_holder, v_spent.account_id, v_id, v_spent.contra_id, v_spent.amount, 'coin', p_code,
                p_source || '/' || p_reference, v_spent.id, v_spent.transfer_id, p_occurred, p_now);
            IF p_new_held IS NOT NULL THEN
                v_hold := nextval('ledger_transfer_id');
                INSERT INTO ledger_hold (holder_id, account_id, id, amount, purpose, reference, expires_at, recorded_at)
                VALUES (p_holder, v_spent.account_id, v_hold, v_spent.amount, p_purpose, p_new_held, p_until, p_now);
            ELSE
                PERFORM ledger_settle_return(p_holder, v_spent.account_id, v_spent.id, p_cause, p_grace_on,
                    p_today, p_now);
            END IF;
        END LOOP;
        IF v_count = 0 THEN RAISE EXCEPTION 'nothing spent under %', p_held USING ERRCODE = 'TP004'; END IF;
    END IF;
    RETURN QUERY SELECT t.id, t.amount, v_fresh FROM ledger_hold h
    JOIN ledger_hold_end e ON e.holder_id = h.holder_id AND e.account_id = h.account_id AND e.id = h.id
    JOIN ledger_reference r ON r.holder_id = h.holder_id AND r.source = 'reversed'
        AND r.reference = e.transfer_id::text
    JOIN ledger_transfer t ON t.holder_id = h.holder_id AND t.account_id = h.account_id AND t.id = r.transfer_id
    WHERE h.holder_id = p_holder AND h.purpose = p_purpose AND h.reference = p_held ORDER BY t.id;
END $$;

-- Takes back part of a coin credit: what of it ended is first un-ended, the rest is taken down to the
-- account's floor, held coins are not touched. Returns what was taken; the remainder is the fund's.
-- The balance row is locked before the reference is written, so that a take-back that finds nothing
-- to take can say so: its reference then names no transfer.
CREATE FUNCTION ledger_take_back(p_holder uuid, p_account bigint, p_credit bigint, p_amount bigint,
    p_source text, p_reference text, p_hash bytea, p_code text, p_occurred timestamptz, p_today date,
    p_now timestamptz)
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
    AND t.account_id = p_account AND t.reverses_id = p_credit AND t.code = p_code;
    IF p_amount <= 0 OR v_before + p_amount > v_credit.amount THEN
        RAISE EXCEPTION 'credit % of % has % taken back, % more is too much',
            p_credit, v_credit.amount, v_before, p_amount;
    END IF;
    SELECT * INTO v_bucket FROM coin_bucket WHERE holder_id = p_holder AND account_id = p_account
    AND expires_on = v_credit.expires_on;
    v_back := p_amount;
    IF v_credit.expires_on <= p_today THEN v_revived := least(v_back, v_bucket.expired); END IF;
    v_taken := least(v_back, v_balance.posted - v_balance.held + v_revived - v_balance.floor);
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

-- The bulk writer's share of a credit: many balances and buckets in one round trip. The arrays come in
-- key order and rows are locked in that order, so chunks and spends never deadlock. Every lookup goes by
-- primary key: the planner would rather read whole tables, which a chunk of 5,000 cannot afford, and
-- without the LIMIT 1 it would start from all accounts of the kind and compare each with each.
-- Returns how many of the accounts were found of this kind and unit, and the day each one's coins end.
CREATE FUNCTION ledger_credit_many(p_kind text, p_unit text, p_holders uuid[], p_accounts bigint[],
    p_totals bigint[], p_policy date)
RETURNS TABLE (found bigint, days date[]) LANGUAGE plpgsql VOLATILE
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
DECLARE
    v_found bigint;
    v_days date[];
BEGIN
    SELECT count(*) INTO v_found FROM unnest(p_holders, p_accounts) AS k (holder, account)
    CROSS JOIN LATERAL (SELECT 1 FROM ledger_balance b WHERE b.holder_id = k.holder
        AND b.account_id = k.account FOR UPDATE) locked
    CROSS JOIN LATERAL (SELECT 1 FROM ledger_account a WHERE a.holder_id = k.holder AND a.id = k.account
        AND a.kind = p_kind AND a.unit = p_unit LIMIT 1) known;
    IF p_policy IS NULL THEN
        UPDATE ledger_balance b SET posted = b.posted + k.total
        FROM unnest(p_holders, p_accounts, p_totals) AS k (holder, account, total)
        WHERE b.holder_id = k.holder AND b.account_id = k.account;
        RETURN QUERY SELECT v_found, NULL::date[];
        RETURN;
    END IF;
    SELECT array_agg(greatest(p_policy, l.latest) ORDER BY k.place) INTO v_days
    FROM unnest(p_holders, p_accounts) WITH ORDINALITY AS k (holder, account, place)
    CROSS JOIN LATERAL (SELECT max(c.expires_on) AS latest FROM coin_bucket c
        WHERE c.holder_id = k.holder AND c.account_id = k.account) l;
    INSERT INTO coin_bucket AS c (holder_id, account_id, expires_on, credited)
    SELECT k.holder, k.account, k.day, k.total
    FROM unnest(p_holders, p_accounts, v_days, p_totals) AS k (holder, account, day, total)
    ON CONFLICT (holder_id, account_id, expires_on) DO UPDATE SET credited = c.credited + excluded.credited;
    UPDATE ledger_balance b SET posted = b.posted + k.total, next_expiry = least(b.next_expiry, k.day)
    FROM unnest(p_holders, p_accounts, v_days, p_totals) AS k (holder, account, day, total)
    WHERE b.holder_id = k.holder AND b.account_id = k.account;
    RETURN QUERY SELECT v_found, v_days;
END $$;
