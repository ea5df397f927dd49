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
    page.screenshot(path=tmp_path / "key.png")
    page.fill("#key", text)
    page.click("text=Go on")
    page.locator("#health[data-state=ready]").wait_for()
    page.locator("td", has_text="lake").first.wait_for()
    assert dialog.is_hidden()
    page.reload()
    page.locator("#health[data-state=ready]").wait_for()
    assert dialog.is_hidden()
    assert page.evaluate("localStorage.length") == 0
    Keys(data).revoke("page")
    dialog.wait_for(state="visible")
