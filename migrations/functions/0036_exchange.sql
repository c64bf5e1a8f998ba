-- An exchange in one round trip, with every counter a reward may have. Locks go in the order of the house:
-- use of the reward, balance, place in the queue, stock by the names of its counters, unit.

-- Takes one item of a counter: from any rich slot by `p_chance`, near the end from the lowest that is not
-- empty, so that nobody waits in a ring. Each failed try met a slot that is empty for good.
CREATE FUNCTION reward_draw(p_reward uuid, p_part text, p_chance bigint, p_plenty bigint)
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_rich integer[];
    v_slot integer;
BEGIN
    FOR v_try IN 1..32 LOOP
        SELECT array_agg(slot ORDER BY slot) FILTER (WHERE remaining >= p_plenty), min(slot)
        INTO v_rich, v_slot FROM reward_stock
        WHERE reward_id = p_reward AND part = p_part AND remaining > 0;
        EXIT WHEN v_slot IS NULL;
        IF v_rich IS NOT NULL THEN v_slot := v_rich[1 + p_chance % cardinality(v_rich)]; END IF;
        UPDATE reward_stock SET remaining = remaining - 1
        WHERE reward_id = p_reward AND part = p_part AND slot = v_slot AND remaining > 0;
        IF FOUND THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
END $$;

-- Counts one use against each limit, in the order of the periods' names; which limit is reached, or NULL.
CREATE FUNCTION reward_count_use(p_holder uuid, p_reward uuid, p_region text, p_periods text[],
    p_limits integer[])
RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    FOR v_at IN 1..cardinality(p_periods) LOOP
        INSERT INTO reward_use AS u (holder_id, reward_id, period, region_id, used)
        VALUES (p_holder, p_reward, p_periods[v_at], p_region, 1)
        ON CONFLICT (holder_id, reward_id, period) DO UPDATE SET used = u.used + 1
        WHERE u.used < p_limits[v_at];
        IF NOT FOUND THEN RETURN p_periods[v_at]; END IF;
    END LOOP;
    RETURN NULL;
END $$;

-- Draws from each counter, in the order of their names; which of them is empty, or NULL. What was held for
-- somebody who waited was drawn from the whole when it was offered. Of what others wait for only they buy:
-- asked after the draw, so that whoever joined before an item came back is seen.
CREATE FUNCTION reward_draw_all(p_reward uuid, p_region text, p_parts text[], p_per_day bigint,
    p_waits boolean, p_offered boolean, p_chance bigint, p_plenty bigint)
RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE v_part text;
BEGIN
    FOREACH v_part IN ARRAY p_parts LOOP
        CONTINUE WHEN v_part = 'whole' AND p_offered;
        IF v_part LIKE 'day/%' AND NOT EXISTS (
            SELECT FROM reward_stock WHERE reward_id = p_reward AND part = v_part) THEN
            INSERT INTO reward_stock (reward_id, part, slot, region_id, remaining)
            SELECT p_reward, v_part, s, p_region, p_per_day / 16 + (s < p_per_day % 16)::int
            FROM generate_series(0, 15) s ON CONFLICT DO NOTHING;
        END IF;
        IF NOT reward_draw(p_reward, v_part, p_chance, p_plenty) THEN RETURN v_part; END IF;
    END LOOP;
    IF p_waits AND NOT p_offered AND EXISTS (
        SELECT FROM reward_place WHERE reward_id = p_reward AND state = 'waiting') THEN
        RETURN 'others_wait';
    END IF;
    RETURN NULL;
END $$;

-- Gives one unit to a voucher: the named one, else the first that nobody has or is about to have. Who drew
-- an item from the whole finds one: there are as many free units as items.
CREATE FUNCTION reward_take_unit(p_reward uuid, p_voucher uuid, p_unit integer)
RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE v_unit integer;
BEGIN
    IF p_unit IS NULL THEN
        SELECT no INTO v_unit FROM reward_unit WHERE reward_id = p_reward AND voucher_id IS NULL
        ORDER BY no LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    ELSE
        v_unit := p_unit;
    END IF;
    UPDATE reward_unit SET voucher_id = p_voucher
    WHERE reward_id = p_reward AND no = v_unit AND voucher_id IS NULL;
    RETURN CASE WHEN FOUND THEN v_unit END;
END $$;

-- One exchange. Returns 'issued', or what speaks against it: a period, a counter, or a word (then the
-- caller rolls back). `p_order` says the counters and limits. Raises what the ledger's hold raises.
CREATE FUNCTION voucher_exchange(p_holder uuid, p_voucher uuid, p_reward uuid, p_region text,
    p_periods text[], p_limits integer[], p_classes text[], p_price bigint, p_price_no integer, p_cost bigint,
    p_funding jsonb, p_merchant uuid, p_scope bigint, p_parts text[], p_per_day bigint, p_waits boolean,
    p_units boolean, p_unit integer, p_lock_s integer, p_window_s integer, p_grace_days integer,
    p_ends_at timestamptz, p_code bytea, p_step uuid, p_principal text, p_chance bigint, p_plenty bigint,
    p_today date, p_now timestamptz)
RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_accounts bigint[];
    v_against text;
    v_offered boolean := false;
    v_unit integer;
BEGIN
    v_against := reward_count_use(p_holder, p_reward, p_region, p_periods, p_limits);
    IF v_against IS NOT NULL THEN RETURN 'limit/' || v_against; END IF;
    SELECT array_agg(a.id ORDER BY array_position(p_classes, a.validity_class)) INTO v_accounts
    FROM ledger_account a WHERE a.holder_id = p_holder AND a.kind = 'citizen' AND a.unit = 'coin'
    AND a.validity_class = ANY (p_classes);
    IF v_accounts IS NULL THEN RETURN 'no_account'; END IF;
    PERFORM ledger_hold_coins(p_holder, v_accounts, p_price, 'voucher', p_voucher || '/0', NULL, p_today, p_now);
    IF p_waits THEN
        UPDATE reward_place SET state = 'taken', ended_at = p_now WHERE holder_id = p_holder
        AND reward_id = p_reward AND state = 'offered' AND held_until > p_now;
        v_offered := FOUND;
    END IF;
    v_against := reward_draw_all(p_reward, p_region, p_parts, p_per_day, p_waits, v_offered, p_chance, p_plenty);
    IF v_against IS NOT NULL THEN RETURN 'stock/' || v_against; END IF;
    IF p_units THEN
        v_unit := reward_take_unit(p_reward, p_voucher, p_unit);
        IF v_unit IS NULL THEN RETURN 'unit'; END IF;
    END IF;
    IF NOT EXISTS (SELECT FROM reward WHERE id = p_reward AND state = 'published') THEN RETURN 'withdrawn'; END IF;
    INSERT INTO voucher (holder_id, id, region_id, reward_id, state, cycle, price_coin_milli, price_no,
        cost_fen, funding, stock_parts, use_periods, unit_no, merchant_id, scope_no, lock_s,
        reversal_window_s, grace_days, issued_at, ends_at)
    VALUES (p_holder, p_voucher, p_region, p_reward, 'issued', 0, p_price, p_price_no, p_cost, p_funding,
        p_parts, p_periods, v_unit, p_merchant, p_scope, p_lock_s, p_window_s, p_grace_days, p_now, p_ends_at);
    INSERT INTO voucher_code (code_id, holder_id, voucher_id, region_id, cycle, issued_at)
    VALUES (p_code, p_holder, p_voucher, p_region, 0, p_now);
    INSERT INTO voucher_step (holder_id, voucher_id, id, region_id, to_state, cycle, principal, reason, recorded_at)
    VALUES (p_holder, p_voucher, p_step, p_region, 'issued', 0, p_principal, 'exchange', p_now);
    RETURN 'issued';
END $$;
