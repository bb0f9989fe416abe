"""Sessions: a login, its access tokens and its refresh tokens."""
