"""refresh retry: which request a refresh token was used for

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE auth.refresh_tokens ADD COLUMN used_for bytea CHECK (octet_length(used_for) = 32)",
    )
    op.execute(
        "COMMENT ON COLUMN auth.refresh_tokens.used_for IS "
        "'Hash of the Idempotency-Key of the request that used the token: the same request may come again.'"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE auth.refresh_tokens DROP COLUMN used_for")
