"""What Titanium's services share: settings, the app factory, database, cache, tokens, rate limits, metrics."""
