"""Fixtures that every test may use; each fixture module has one owner and one subject."""

pytest_plugins = ["tests.fixtures_redis", "tests.fixtures_scoring"]
