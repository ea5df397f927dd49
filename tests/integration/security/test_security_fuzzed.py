"""Whatever is sent to any door that the OpenAPI document knows: never a 500, and no error without its form."""

import httpx
import pytest

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402

from archiver.testing.service import running_service  # noqa: E402

ENDLESS = r"/v1/live"
EXAMPLES = 12


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running_service(tmp_path_factory.mktemp("fuzzed") / "data") as service:
        lines = "\n".join(f"m,element=BAR:T{number % 3} value={number} {10**18 + number}" for number in range(30))
        httpx.post(f"{service.url}/write", content=lines.encode()).raise_for_status()
        yield service


@pytest.mark.timeout(600)
def test_nothing_makes_it_stumble(service):
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json").exclude(path_regex=ENDLESS)
    stumbled, sent, doors = {}, 0, 0
    for found in schema.get_all_operations():
        operation = found.ok()
        doors += 1

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def send(case):
            nonlocal sent
            sent += 1
            answer = case.call(timeout=60)
            kind = answer.headers.get("content-type", [""])[0]
            if answer.status_code == 500 or (answer.status_code >= 400 and "json" not in kind):
                stumbled[case.operation.label] = (
                    answer.status_code,
                    kind,
                    answer.text[:300],
                    case.as_curl_command()[:600],
                )

        send()
    assert stumbled == {}, service.errors()[-3000:]
    assert doors > 20
    assert sent > 10 * doors / 2
