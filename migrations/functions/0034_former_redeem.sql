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
