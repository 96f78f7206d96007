from tests.service.conftest import house  # noqa: F401  the fixture
