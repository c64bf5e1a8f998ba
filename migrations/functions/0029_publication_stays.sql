CREATE OR REPLACE FUNCTION publication_stays() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ends CONSTANT text[] := ARRAY['state', 'ends_on', 'withdrawn_from', 'withdrawn_by'];
    asked jsonb;
    day date;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'draft' OR NEW.review_round <> 0 OR num_nonnulls(NEW.ends_on, NEW.procedure_id,
            NEW.reviewer_id, NEW.notice_until, NEW.withdrawn_from) > 0 THEN
            RAISE EXCEPTION 'a publication begins as a draft';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW IS NOT DISTINCT FROM OLD THEN
        RETURN NEW;
    END IF;
    IF OLD.state = 'published' AND NEW.state = 'corrected' THEN
        IF to_jsonb(NEW) - ARRAY['state'] <> to_jsonb(OLD) - ARRAY['state'] OR NOT EXISTS (
            SELECT FROM publication p WHERE p.corrects_id = OLD.id AND p.digest IS NULL
        ) THEN
            RAISE EXCEPTION 'what is published gives its place to what corrects it, and stays as it is';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.state IN ('published', 'withdrawn', 'corrected') THEN
        IF OLD.state IN ('withdrawn', 'corrected') OR to_jsonb(NEW) - ends <> to_jsonb(OLD) - ends
            OR NEW.state NOT IN ('published', 'withdrawn')
            OR NEW.ends_on IS DISTINCT FROM OLD.ends_on AND (NEW.ends_on IS NULL OR NEW.ends_on > OLD.ends_on)
            OR OLD.withdrawn_from IS NOT NULL AND NEW.withdrawn_from IS DISTINCT FROM OLD.withdrawn_from
            OR OLD.withdrawn_by IS NOT NULL AND NEW.withdrawn_by IS DISTINCT FROM OLD.withdrawn_by THEN
            RAISE EXCEPTION 'of what is published only the end may change, and only come nearer';
        END IF;
        RETURN NEW;
    END IF;
    IF NOT (OLD.state, NEW.state) IN (
        ('draft', 'in_review'), ('draft', 'public_notice'), ('draft', 'published'),
        ('in_review', 'in_review'), ('in_review', 'draft'), ('in_review', 'public_notice'),
        ('in_review', 'published'), ('public_notice', 'draft'), ('public_notice', 'published')
    ) THEN
        RAISE EXCEPTION 'no way leads from % to %', OLD.state, NEW.state;
    END IF;
    IF NEW.withdrawn_from IS NOT NULL
        OR NEW.ends_on IS NOT NULL AND NOT (NEW.state = 'published' AND EXISTS (
            SELECT FROM publication p
            WHERE p.id = NEW.corrects_id AND p.state = 'corrected' AND p.ends_on = NEW.ends_on
        ))
        OR NEW.review_round NOT IN (OLD.review_round, OLD.review_round + (OLD.state = 'draft')::int)
        OR NEW.state <> 'draft' AND (
            OLD.procedure_id IS NOT NULL AND NEW.procedure_id IS DISTINCT FROM OLD.procedure_id
            OR OLD.reviewer_id IS NOT NULL AND NEW.reviewer_id IS DISTINCT FROM OLD.reviewer_id
            OR OLD.notice_until IS NOT NULL
                AND (NEW.notice_from, NEW.notice_until) IS DISTINCT FROM (OLD.notice_from, OLD.notice_until)
        ) THEN
        RAISE EXCEPTION 'what was decided on the way of a publication stays decided';
    END IF;
    IF NEW.state = 'published' THEN
        day := (NEW.published_at AT TIME ZONE 'Asia/Shanghai')::date;
        SELECT content INTO asked FROM publication p
            WHERE CASE WHEN NEW.procedure_id IS NOT NULL THEN p.id = NEW.procedure_id
                ELSE p.region_id = NEW.region_id AND p.kind = 'publication_procedure'
                    AND p.subject IN (NEW.kind, 'standard') AND p.state = 'published'
                    AND p.effective_from <= day AND (p.ends_on IS NULL OR p.ends_on > day) END
            ORDER BY p.subject = NEW.kind DESC LIMIT 1;
        IF asked->>'review' = 'third_person' AND NEW.reviewer_id IS NULL
            OR (asked->>'notice_days')::int > 0 AND NEW.kind <> 'working_calendar'
                AND NEW.notice_until IS NULL
            OR NEW.notice_until >= day
            OR EXISTS (
                SELECT FROM publication_objection o LEFT JOIN objection_answer a ON a.objection_id = o.id
                WHERE o.publication_id = NEW.id AND o.review_round = NEW.review_round
                AND (a.ruling = 'upheld' OR a.ruling IS NULL AND asked->>'objections' = 'must_be_answered')
            ) THEN
            RAISE EXCEPTION 'the procedure of this publication is not at its end';
        END IF;
    END IF;
    RETURN NEW;
END $$
