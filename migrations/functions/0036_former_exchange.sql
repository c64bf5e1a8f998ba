-- Takes one item: from any rich slot by `p_chance`, near the end from the lowest that is not empty, so
-- that nobody waits in a ring. Each failed try met a slot that is empty for good. False when all are.
CREATE FUNCTION reward_draw(p_reward uuid, p_chance bigint, p_plenty bigint)
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_rich integer[];
    v_slot integer;
BEGIN
    FOR v_try IN 1..32 LOOP
        SELECT array_agg(slot ORDER BY slot) FILTER (WHERE remaining >= p_plenty), min(slot)
        INTO v_rich, v_slot FROM reward_stock WHERE reward_id = p_reward AND remaining > 0;
        EXIT WHEN v_slot IS NULL;
        IF v_rich IS NOT NULL THEN v_slot := v_rich[1 + p_chance % cardinality(v_rich)]; END IF;
        UPDATE reward_stock SET remaining = remaining - 1
        WHERE reward_id = p_reward AND slot = v_slot AND remaining > 0;
        IF FOUND THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
END $$;

-- One exchange. Returns 'issued', or what speaks against it: 'limit', 'no_account', 'sold_out' (then the
-- caller rolls back). Raises what the ledger's hold raises.
CREATE FUNCTION voucher_exchange(p_holder uuid, p_voucher uuid, p_reward uuid, p_region text,
    p_limit bigint, p_classes text[], p_price bigint, p_cost bigint, p_funding jsonb, p_merchant uuid,
    p_scope bigint, p_lock_s integer, p_window_s integer, p_grace_days integer, p_ends_at timestamptz,
    p_code bytea, p_step uuid, p_principal text, p_chance bigint, p_plenty bigint, p_today date,
    p_now timestamptz)
RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE v_accounts bigint[];
BEGIN
    INSERT INTO reward_use AS u (holder_id, reward_id, region_id, used) VALUES (p_holder, p_reward, p_region, 1)
    ON CONFLICT (holder_id, reward_id) DO UPDATE SET used = u.used + 1 WHERE u.used < p_limit;
    IF NOT FOUND THEN RETURN 'limit'; END IF;
    SELECT array_agg(a.id ORDER BY array_position(p_classes, a.validity_class)) INTO v_accounts
    FROM ledger_account a WHERE a.holder_id = p_holder AND a.kind = 'citizen' AND a.unit = 'coin'
    AND a.validity_class = ANY (p_classes);
    IF v_accounts IS NULL THEN RETURN 'no_account'; END IF;
    PERFORM ledger_hold_coins(p_holder, v_accounts, p_price, 'voucher', p_voucher || '/0', NULL, p_today, p_now);
    IF NOT reward_draw(p_reward, p_chance, p_plenty) THEN RETURN 'sold_out'; END IF;
    INSERT INTO voucher (holder_id, id, region_id, reward_id, state, cycle, price_coin_milli, cost_fen,
        funding, merchant_id, scope_no, lock_s, reversal_window_s, grace_days, issued_at, ends_at)
    VALUES (p_holder, p_voucher, p_region, p_reward, 'issued', 0, p_price, p_cost, p_funding, p_merchant,
        p_scope, p_lock_s, p_window_s, p_grace_days, p_now, p_ends_at);
    INSERT INTO voucher_code (code_id, holder_id, voucher_id, region_id, cycle, issued_at)
    VALUES (p_code, p_holder, p_voucher, p_region, 0, p_now);
    INSERT INTO voucher_step (holder_id, voucher_id, id, region_id, to_state, cycle, principal, reason, recorded_at)
    VALUES (p_holder, p_voucher, p_step, p_region, 'issued', 0, p_principal, 'exchange', p_now);
    RETURN 'issued';
END $$;
