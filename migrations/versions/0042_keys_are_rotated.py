"""keys are rotated.

A key's times may come nearer and a key may be revoked, once; nothing of it goes back, by SQL neither.
"""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

_MOVES_ON = """
CREATE FUNCTION signing_key_moves_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.signs_from > OLD.signs_from
        OR (OLD.retired_at IS NOT NULL AND (NEW.retired_at IS NULL OR NEW.retired_at > OLD.retired_at))
        OR (OLD.revoked_because IS NOT NULL AND NEW.revoked_because IS DISTINCT FROM OLD.revoked_because)
    THEN RAISE EXCEPTION 'a signing key never goes back'; END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.add_column("signing_key", sa.Column("revoked_because", sa.Text()))
    op.create_check_constraint(
        op.f("ck_signing_key_revoked_is_retired"),
        "signing_key",
        "revoked_because IS NULL OR retired_at IS NOT NULL",
    )
    op.execute("GRANT UPDATE (signs_from, retired_at, revoked_because) ON signing_key TO tanpuhui_app")
    op.execute(_MOVES_ON)
    op.execute(
        "CREATE TRIGGER signing_key_moves_on BEFORE UPDATE ON signing_key"
        " FOR EACH ROW EXECUTE FUNCTION signing_key_moves_on()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER signing_key_moves_on ON signing_key")
    op.execute("DROP FUNCTION signing_key_moves_on")
    op.execute("REVOKE UPDATE (signs_from, retired_at, revoked_because) ON signing_key FROM tanpuhui_app")
    op.drop_constraint(op.f("ck_signing_key_revoked_is_retired"), "signing_key")
    op.drop_column("signing_key", "revoked_because")
