"""what is corrected has what corrects it.

A table gives its place before the one that corrects it takes it, both in one transaction. Whether somebody took
it can be asked at the commit alone: a trigger of its own, put off until then, asks it.
"""

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE FUNCTION publication_is_replaced() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF EXISTS (SELECT FROM publication p WHERE p.id = NEW.id AND p.state = 'corrected')"
        " AND NOT EXISTS (SELECT FROM publication p WHERE p.corrects_id = NEW.id AND p.digest IS NOT NULL) THEN"
        " RAISE EXCEPTION 'nothing that is published corrects %', NEW.id USING ERRCODE = 'P0001';"
        " END IF; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE CONSTRAINT TRIGGER publication_is_replaced AFTER UPDATE ON publication"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.state = 'corrected')"
        " EXECUTE FUNCTION publication_is_replaced()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER publication_is_replaced ON publication")
    op.execute("DROP FUNCTION publication_is_replaced()")
