"""The same little stack as the git host's tests."""

from unit.githost.conftest import aws, person, stack  # noqa: F401 - fixtures
