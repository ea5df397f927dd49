"""The page of an archive that asks for a key: a field for it, kept for the tab, and asked again when it has ended."""

import pytest

from archiver.security import Keys, Role
from archiver.testing.service import running_service


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    text, _ = Keys(data).create("page", [Role.READ])
    with running_service(data) as service:
        yield service.url, data, text


def test_a_key_is_asked_for_kept_for_the_tab_and_asked_for_again(archive, opened, tmp_path):
    url, data, text = archive
    page, _ = opened(url, "#/archive", viewport={"width": 400, "height": 800})
    dialog = page.locator("#key-dialog")
    dialog.wait_for(state="visible")
    page.keyboard.press("Escape")
    page.fill("#key", "forebay_wrong")
    page.keyboard.press("Enter")
    page.get_by_text("not valid, or not any more").wait_for()
    (tmp_path / "key.png").write_bytes(page.screenshot())
    page.fill("#key", text)
    with page.expect_response(answered):
        page.click("text=Go on")
    dialog.wait_for(state="hidden")
    with page.expect_response(answered):
        page.reload()
    assert dialog.is_hidden()
    assert text not in page.evaluate("JSON.stringify(localStorage)")
    Keys(data).revoke("page")
    page.reload()
    dialog.wait_for(state="visible")


def answered(answer):
    return "/v1/" in answer.url and answer.ok


def test_a_wrong_key_is_tried_once_and_a_revoked_one_is_asked_for_however_often_it_came(tmp_path, opened):
    text, _ = Keys(tmp_path).create("page", [Role.READ])
    other, _ = Keys(tmp_path).create("other", [Role.READ])
    with running_service(tmp_path) as service:
        page, _ = opened(service.url, "#/storage")
        dialog, note = page.locator("#key-dialog"), page.locator("#key-note")
        dialog.wait_for(state="visible")
        asked = []
        page.on("request", lambda request: asked.append(request.headers.get("authorization")))
        for wrong in ("forebay_wrong", "a key with spaces", "schlüssel"):
            page.fill("#key", wrong)
            page.click("text=Go on")
            note.filter(has_text="not valid, or not any more").wait_for()
        assert [one for one in asked if one] == ["Bearer forebay_wrong"]
        page.fill("#key", text)
        page.keyboard.press("Enter")
        dialog.wait_for(state="hidden")
        page.locator("#letters", has_text="None waits").wait_for()
        Keys(tmp_path).revoke("page")
        for _ in range(4):  # each time with a burst of requests: the archive soon looks at no wrong key any more
            page.evaluate("(text) => sessionStorage.setItem('forebay-key', text)", text)
            page.reload()
            dialog.wait_for(state="visible")
        page.fill("#key", "forebay_wrong")
        page.keyboard.press("Enter")
        note.filter(has_text="too many wrong credentials").wait_for()
        page.fill("#key", other)
        page.keyboard.press("Enter")
        dialog.wait_for(state="hidden")
        page.locator("#letters", has_text="None waits").wait_for()
