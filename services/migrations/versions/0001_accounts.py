"""accounts: the schemas, users and the sessions of their logins

Revision ID: 0001
Revises:
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Login roles belong to whoever runs PostgreSQL: their passwords have no place in a migration.
ROLES = """
DO $$
DECLARE missing text;
BEGIN
  SELECT string_agg(wanted, ', ') INTO missing
  FROM unnest(ARRAY['user_service', 'auth_service', 'blog_service']) AS wanted
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted);
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'login roles are missing: %', missing
      USING HINT = 'Create them before migrating, as the role titanium.platform.postgresql and tests/harness do.';
  END IF;
END $$;
"""

SCHEMAS = """
CREATE SCHEMA IF NOT EXISTS users;
CREATE SCHEMA IF NOT EXISTS auth;
CREATE SCHEMA IF NOT EXISTS blog;
"""

# The keys are what makes a name or an address the same as another: NFKC, case-folded, worked out by the service.
USERS = """
CREATE TABLE users.accounts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  username text NOT NULL CHECK (char_length(username) BETWEEN 1 AND 100),
  username_key text NOT NULL CONSTRAINT accounts_username_key UNIQUE,
  email text NOT NULL CHECK (char_length(email) BETWEEN 3 AND 254),
  email_key text NOT NULL CONSTRAINT accounts_email_key UNIQUE,
  password_hash text NOT NULL,
  credentials_version int NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN users.accounts.credentials_version IS
  'Goes up when the password changes; a session that began with an older one is over.';
"""

# A family is one login; its refresh tokens follow one another. Used ones are kept until the family ends, because a
# token that comes back after it was used was stolen from one of its two holders.
AUTH = """
CREATE TABLE auth.families (
  id uuid PRIMARY KEY,
  user_id bigint NOT NULL,
  credentials_version int NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz,
  revoked_because text CHECK (revoked_because IN ('logout', 'reuse', 'password', 'account'))
);
CREATE INDEX families_user_id_idx ON auth.families (user_id);
CREATE INDEX families_expires_at_idx ON auth.families (expires_at);

CREATE TABLE auth.refresh_tokens (
  token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
  family_id uuid NOT NULL REFERENCES auth.families (id) ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  used_at timestamptz
);
CREATE INDEX refresh_tokens_family_id_idx ON auth.refresh_tokens (family_id);
"""

GRANTS = """
GRANT USAGE ON SCHEMA users TO user_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON users.accounts TO user_service;
GRANT USAGE ON SCHEMA auth TO auth_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.families, auth.refresh_tokens TO auth_service;
"""


def upgrade() -> None:
    op.execute(ROLES)
    op.execute(SCHEMAS)
    op.execute(USERS)
    op.execute(AUTH)
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute("DROP TABLE auth.refresh_tokens, auth.families, users.accounts")
    op.execute("DROP SCHEMA blog; DROP SCHEMA auth; DROP SCHEMA users;")
