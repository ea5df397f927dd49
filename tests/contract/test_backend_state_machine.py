"""Every registered backend against the model, over random histories."""

from __future__ import annotations

from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from archiver.testing.harness import BackendHarness
from archiver.testing.state_machine import BackendComparison

_UNSHRUNK = set(Phase) - {Phase.shrink}  # a failure comes at once as it was found; the long profile makes it small


def test_it_behaves_like_the_model(backend_harness: BackendHarness) -> None:
    long = settings.default.max_examples > 100
    run_state_machine_as_test(
        lambda: BackendComparison(backend_harness),
        settings=settings(
            settings.default,
            max_examples=settings.default.max_examples * 2 // 5,
            stateful_step_count=40 if long else 15,
            phases=set(Phase) if long else _UNSHRUNK,
        ),
    )
