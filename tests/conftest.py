"""Settings that all tests share."""

import os

from hypothesis import HealthCheck, settings

# No test asserts a time; in CI the examples are the same each run, at home they are new ones.
settings.register_profile("home", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("home"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "home")
