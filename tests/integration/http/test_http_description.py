"""What the interface says of itself: the page, its document, and paths that there are not."""


def test_the_page_and_its_parts_are_served_and_load_nothing_from_elsewhere(service):
    page = service.get("/")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    for path in ("forebay.css", "js/app.js", "icon.svg", "vendor/uPlot.min.js", "vendor/uPlot.min.css"):
        assert path in page.text
        assert service.get(f"/{path}").status_code == 200
    assert "://" not in page.text


def test_an_unknown_path_and_method_are_problems(service):
    answer = service.get("/v2/samples")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:forebay:problem:not-found")
    assert answer.headers["content-type"] == "application/problem+json"
    assert service.request("DELETE", "/v1/samples").status_code == 405


def test_the_description_of_the_interface_has_examples(service):
    paths = service.get("/openapi.json").json()["paths"]
    assert {"/v1/samples", "/write", "/api/v2/write", "/v1/copy", "/health/ready", "/metrics"} <= set(paths)
    examples = paths["/v1/samples"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    assert service.post("/v1/samples", examples["rows"]["value"]).json()["refused"] == []
    assert service.post("/v1/samples", examples["columns"]["value"]).json()["refused"] == []
    assert not [path for path, methods in paths.items() for it in methods.values() if "422" in it["responses"]]
    line = paths["/write"]["post"]["requestBody"]["content"]["text/plain"]["example"]
    assert service.post("/write", line.encode(), "text/plain").status_code == 204
