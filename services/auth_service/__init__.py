"""Login, sessions and access tokens. Owns the database schema `auth`."""
