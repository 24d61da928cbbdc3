import pytest


@pytest.mark.parametrize("number", range(6))
def test_good(number):
    pass
