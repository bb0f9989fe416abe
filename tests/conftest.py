"""What holds for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine is no failure: an example may take as long as it does.
settings.register_profile("titanium", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("titanium")
