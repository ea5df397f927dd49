"""The limit on wrong credentials: some in a row, then one now and then, per address or network of IPv6."""

import pytest

from services.common.errors import TooManyFailuresError
from services.common.security import failures as module
from services.common.security.failures import Failures


@pytest.fixture
def clock():
    class Clock:
        now = 1000.0

        def __call__(self):
            return self.now

    return Clock()


def test_some_failures_in_a_row_then_one_each_time_a_token_comes_back(clock):
    failures = Failures(3, 6.0, clock)
    assert [failures.spend("10.0.0.1") for _ in range(4)] == [True, True, True, False]
    with pytest.raises(TooManyFailuresError) as told:
        failures.check("10.0.0.1")
    assert 0 < told.value.retry_after_s <= 6.0
    clock.now += told.value.retry_after_s
    failures.check("10.0.0.1")
    assert [failures.spend("10.0.0.1") for _ in range(2)] == [True, False]
    clock.now += 60.0
    assert [failures.spend("10.0.0.1") for _ in range(4)] == [True, True, True, False]


def test_addresses_are_counted_apart_and_networks_of_ipv6_together(clock):
    failures = Failures(1, 6.0, clock)
    assert failures.spend("10.0.0.1")
    assert failures.spend("10.0.0.2")
    assert failures.spend("2001:db8::1")
    assert not failures.spend("2001:db8::2")
    assert failures.spend("2001:db8:0:1::1")
    assert failures.spend("")


def test_memory_is_bounded_and_those_that_failed_most_are_remembered(clock, monkeypatch):
    monkeypatch.setattr(module, "_ADDRESSES", 100)
    failures = Failures(3, 6.0, clock)
    for _ in range(3):
        failures.spend("10.9.9.9")
    for number in range(1000):
        failures.spend(f"10.0.{number // 250}.{number % 250}")
    assert len(failures._empty_until) <= 101
    with pytest.raises(TooManyFailuresError):
        failures.check("10.9.9.9")
