-- What an exchange and a redemption write, each in one round trip and in the lock order of the house:
-- use of the reward, voucher, balance, stock. What the services decide is decided before; a condition of
-- an UPDATE that does not hold is raised, or said by name where the service has a refusal for it.

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

-- Moves a locked voucher on and writes the step of its life; the caller knows that it may.
CREATE FUNCTION voucher_advance(p_holder uuid, p_voucher uuid, p_from text, p_cycle integer, p_to text,
    p_session uuid, p_until timestamptz, p_by uuid, p_step uuid, p_principal text, p_reason text,
    p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE v_region text;
BEGIN
    UPDATE voucher SET state = p_to, lock_session = p_session, locked_until = p_until, lock_by = p_by
    WHERE holder_id = p_holder AND id = p_voucher AND state = p_from AND cycle = p_cycle
    RETURNING region_id INTO v_region;
    IF NOT FOUND THEN RAISE EXCEPTION 'a locked voucher changed under us'; END IF;
    INSERT INTO voucher_step (holder_id, voucher_id, id, region_id, from_state, to_state, cycle, principal,
        reason, recorded_at)
    VALUES (p_holder, p_voucher, p_step, v_region, p_from, p_to, p_cycle, p_principal, p_reason, p_now);
END $$;

-- One redemption of a locked voucher: its hold is spent to the merchant, each funder owes its share, the
-- voucher moves on, and the redemption and its news stand. `p_payables` names funder, fen, contra
-- account and payload hash (hexadecimal) of each share, in their order. Raises what the ledger raises.
CREATE FUNCTION voucher_redeem(p_holder uuid, p_voucher uuid, p_from text, p_cycle integer, p_price bigint,
    p_till bigint, p_spend_hash bytea, p_owed bigint, p_merchant uuid, p_payables jsonb, p_step uuid,
    p_principal text, p_reason text, p_redemption uuid, p_region text, p_reward uuid, p_store uuid,
    p_terminal uuid, p_cost bigint, p_reversible_until timestamptz, p_news uuid, p_subject text,
    p_news_region text, p_today date, p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_spent bigint;
    v_fresh boolean;
    v_share jsonb;
    v_posted record;
    v_payables jsonb := '[]';
    v_use text := p_voucher || '/' || p_cycle;
BEGIN
    SELECT sum(amount), bool_and(fresh) INTO v_spent, v_fresh FROM ledger_spend_holds(p_holder, 'voucher', v_use,
        p_till, 'REDEEM', 'voucher', v_use, p_spend_hash, p_now, p_today, p_now);
    IF v_spent IS DISTINCT FROM p_price OR NOT v_fresh THEN
        RAISE EXCEPTION 'a live voucher''s hold is its price and was never spent';
    END IF;
    FOR v_share IN SELECT * FROM jsonb_array_elements(p_payables) LOOP
        SELECT * INTO v_posted FROM ledger_post(p_merchant, p_owed, (v_share ->> 'contra')::bigint,
            (v_share ->> 'cost_fen')::bigint, 'cny', 'PAYABLE', 'voucher',
            v_use || '/payable/' || (v_share ->> 'funder_id'), decode(v_share ->> 'hash', 'hex'), NULL, NULL,
            NULL, NULL, p_now, p_today, p_now, false, false, false);
        v_payables := v_payables || jsonb_build_object('funder_id', v_share ->> 'funder_id', 'cost_fen',
            (v_share ->> 'cost_fen')::bigint, 'transfer_id', v_posted.transfer_id);
    END LOOP;
    PERFORM voucher_advance(p_holder, p_voucher, p_from, p_cycle, 'redeemed', NULL, NULL, NULL, p_step,
        p_principal, p_reason, p_now);
    INSERT INTO redemption (id, region_id, holder_id, voucher_id, cycle, reward_id, merchant_id, store_id,
        terminal_id, coin_milli, cost_fen, payables, business_day, redeemed_at, reversible_until)
    VALUES (p_redemption, p_region, p_holder, p_voucher, p_cycle, p_reward, p_merchant, p_store, p_terminal,
        p_price, p_cost, v_payables, p_today, p_now, p_reversible_until);
    INSERT INTO outgoing (id, region_id, event, subject, facts, recorded_at)
    VALUES (p_news, p_news_region, 'voucher.redeemed', p_subject, '{}', p_now);
END $$;
