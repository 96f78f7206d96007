"""What can be seen from the HTML alone of WCAG 2.2 AA: names, labels, ids, headings, landmarks, language."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from lxml import html

from tests.web.house import GOOD, Browser, House

#: Pages whose content a script draws, heading included.
DRAWN = ("replay", "modeler/", "diff/")


def pages(house: House, language: str = "zh") -> dict[str, str]:
    """Return ``{name: HTML}`` of every kind of page, forms with errors among them."""
    house.task("甲")
    task = house.task("乙")
    owner, li, admin = (house.browser(who, language=language) for who in ("owner", "li", "admin"))
    done = house.task("丙")
    path = f"/task/{done.id}"
    li.post(path, {**li.fields(path), **GOOD})
    house.run_jobs()
    paths = [
        "/", "/calendar", "/?view=overdue", "/?q=nothing", "/notices", "/instances", "/instances?q=nothing", f"/instance/{task.instance_id}",
        f"/instance/{done.instance_id}", f"/instance/{task.instance_id}/report", f"/instance/{task.instance_id}/replay", "/definitions",
        "/definitions/bid", "/definitions/bid/1/conformance", "/diff/bid", "/modeler/bid", "/modeler/new", "/incidents", "/start", "/start/bid", "/nothing", path,
    ]
    found = {p: owner.get(p).text for p in paths}
    found["login"] = house.browser().get("/login").text
    found["login wrong"] = house.browser().post("/login", {"user": "x", "password": "y"}, from_page="/login").text
    found["task"] = li.get(f"/task/{task.id}").text
    found["task errors"] = _wrong(li, f"/task/{task.id}")
    found["task closed"] = li.post(path, {**GOOD, "_once": "x"}).text
    found["assign"] = owner.get(f"/task/{task.id}/assign").text
    found["people"] = admin.get("/people").text
    found["person"] = admin.get("/people/li").text
    return found


def _wrong(browser: Browser, path: str) -> str:
    typed = {**browser.fields(path), "bid_no": "x", "pages": "x", "tax": "x", "copy": "x", "checks": "x", "lines.0._row": "1", "lines.0.qty": "x"}
    return browser.post(path, typed).text


@pytest.fixture
def documents(house: House) -> dict[str, html.HtmlElement]:
    return {name: html.document_fromstring(text) for name, text in pages(house).items()}


def test_every_page_keeps_the_rules_that_html_shows(documents: dict[str, html.HtmlElement]) -> None:
    problems: list[str] = []
    for name, page in documents.items():
        for rule in (_language, _title, _one_heading, _headings_in_order, _ids_once, _references, _labels, _names, _spoken_as_written, _tables, _skip_link, _errors):
            problems += [f"{name}: {p}" for p in rule(name, page)]

    assert problems == []


def test_in_english_too_a_control_is_called_what_is_written_on_it(house: House) -> None:
    problems: list[str] = []
    for name, text in pages(house, language="en").items():
        problems += [f"{name}: {p}" for p in _spoken_as_written(name, html.document_fromstring(text))]

    assert problems == []


def _outside_templates(page: html.HtmlElement, path: str) -> list[html.HtmlElement]:
    return [e for e in page.xpath(path) if not e.xpath("ancestor::template") and not e.xpath("ancestor::noscript")]


def _text(element: html.HtmlElement) -> str:
    return " ".join(element.text_content().split())


def _language(name: str, page: html.HtmlElement) -> list[str]:
    return [] if page.get("lang") in ("zh-CN", "en") else ["no language"]


def _title(name: str, page: html.HtmlElement) -> list[str]:
    title = page.findtext(".//title") or ""
    return [] if len(title) > 3 and not title.startswith(" ·") else [f"title {title!r}"]


def _one_heading(name: str, page: html.HtmlElement) -> list[str]:
    count = len(_outside_templates(page, "//h1"))
    return [] if count == 1 or any(d in name for d in DRAWN) else [f"{count} h1"]


def _headings_in_order(name: str, page: html.HtmlElement) -> list[str]:
    levels = [int(h.tag[1]) for h in _outside_templates(page, "//h1|//h2|//h3|//h4")]
    return [f"heading {b} after {a}" for a, b in itertools.pairwise(levels) if b > a + 1]


def _ids_once(name: str, page: html.HtmlElement) -> list[str]:
    counted = Counter(e.get("id") for e in _outside_templates(page, "//*[@id]"))
    return [f"id {i} stands {n} times" for i, n in counted.items() if n > 1]


def _references(name: str, page: html.HtmlElement) -> list[str]:
    ids = {e.get("id") for e in page.xpath("//*[@id]")}
    wrong = []
    for attribute in ("aria-describedby", "aria-labelledby", "for", "aria-controls"):
        for element in _outside_templates(page, f"//*[@{attribute}]"):
            wrong += [f"{attribute}={i} points nowhere" for i in (element.get(attribute) or "").split() if i not in ids]
    wrong += [f"{a.get('href')} points nowhere" for a in _outside_templates(page, "//a[starts-with(@href, '#')]") if (a.get("href") or "")[1:] not in ids]
    return wrong


def _labels(name: str, page: html.HtmlElement) -> list[str]:
    labelled = {label.get("for") for label in page.xpath("//label[@for]")}
    return [
        f"{e.tag} {e.get('name')} has no label"
        for e in _outside_templates(page, "//input[not(@type='hidden')]|//select|//textarea")
        if e.get("id") not in labelled and not e.get("aria-label") and not e.xpath("ancestor::label")
    ]


def _names(name: str, page: html.HtmlElement) -> list[str]:
    wrong = [f"{e.tag} without a name" for e in _outside_templates(page, "//button|//a[@href]") if not _text(e) and not e.get("aria-label")]
    wrong += ["a region without a name" for e in page.xpath("//*[@role='region']|//nav|//aside") if not e.get("aria-label") and not e.get("aria-labelledby")]
    wrong += ["a fieldset without a legend" for e in page.xpath("//fieldset") if e.find("legend") is None]
    return wrong


def _spoken_as_written(name: str, page: html.HtmlElement) -> list[str]:
    """Who says aloud what they see reaches the control: its name contains its words."""
    return [
        f"{_text(e)!r} is called {e.get('aria-label')!r}"
        for e in page.xpath("//button[@aria-label]|//a[@aria-label]")
        if _text(e) and not _text(e).isdecimal() and _text(e) not in (e.get("aria-label") or "")
    ]


def _tables(name: str, page: html.HtmlElement) -> list[str]:
    return [f"th {_text(e)} without scope" for e in page.xpath("//th[not(@scope)]")]


def _skip_link(name: str, page: html.HtmlElement) -> list[str]:
    first = page.xpath("//body//a[@href]")[0]
    return [] if first.get("href") == "#main" and page.xpath("//main[@id='main'][@tabindex='-1']") else ["no skip link"]


def _errors(name: str, page: html.HtmlElement) -> list[str]:
    """An input with an error says so, and names the error that explains it."""
    wrong = []
    for element in _outside_templates(page, "//p[@class='error'][starts-with(@id, 'e-')]"):
        id = element.get("id")
        if not page.xpath(f"//*[contains(concat(' ', @aria-describedby, ' '), ' {id} ')]"):
            wrong.append(f"nothing is described by {id}")
    return wrong


def test_a_form_with_errors_names_every_one_of_them_in_its_summary(documents: dict[str, html.HtmlElement]) -> None:
    page = documents["task errors"]

    linked = {a.get("href") for a in page.xpath("//section[@role='alert']//a")}
    assert {"#f-bid_no", "#f-pages", "#f-tax", "#f-copy", "#f-checks", "#f-lines.0.qty", "#f-lines.0.item"} <= linked


def test_state_is_told_by_words_not_colour_alone(house: House) -> None:
    house.task(hours=3)
    page = house.browser("li").get("/").text
    assert "一天内到期" in page

    house.clock.advance(hours=4)
    assert "已逾期" in house.browser("li").get("/").text
