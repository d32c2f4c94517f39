"""The report in a real Chromium: quiet, readable by everyone, and better with scripts than without."""

import csv
import os
import shutil

import pytest
from reports.sample import HOSTILE, facts

from atlas.reports import addresses

playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright (extra dev)")

pytestmark = pytest.mark.slow

FLAGS = (
    "--no-sandbox",  # a container's root has no user namespaces
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
KINDS = ("overview", "relation", "fact", "neuron", "language", "edit", "evaluation")


@pytest.fixture(scope="session")
def browser():
    """One headless Chromium for all tests; skipped where none is installed, unless the tests must have one."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        message = "no Chromium is installed (Debian: apt-get install chromium)"
        if os.environ.get("ATLAS_TEST_BROWSER") == "required":
            pytest.fail(message)
        pytest.skip(message)
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=found, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def address_of(site):
    """The address of a page of each kind, as a browser takes it."""
    fact = facts().facts[0]
    first = {kind: sorted((site / kind).rglob("*.html"))[0] for kind in ("neurons", "edits", "evaluations")}
    paths = {
        "overview": site / "index.html",
        "relation": site / addresses.relation("P36"),
        "fact": site / addresses.fact(fact.id),
        "neuron": first["neurons"],
        "language": site / addresses.language("ar"),
        "edit": first["edits"],
        "evaluation": first["evaluations"],
        "hostile": site / addresses.fact(facts().facts[3].id),
    }
    return {kind: path.as_uri() for kind, path in paths.items()}


@pytest.fixture
def open_page(browser, site):
    """Opens pages and notes what a reader's browser would complain of; at the end there must be nothing."""
    contexts, complaints = [], []

    def note_request(request):
        if not request.url.startswith((site.as_uri(), "data:,", "blob:")):
            complaints.append(f"request of {request.url}")

    def run(address, **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", note_request)
        page.goto(address)
        return page

    yield run
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_no_serious_fault(open_page, address_of, kind, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(address_of[kind], color_scheme=scheme)
    # In the dark the page is the same but for its colours.
    rules = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}
    options = {"resultTypes": ["violations"], "preload": False, **rules}
    found = Axe().run(page, options=options).response["violations"]
    serious = [
        (fault["id"], fault["nodes"][0]["html"][:200], fault["nodes"][0].get("failureSummary"))
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize("kind", [*KINDS, "hostile"])
def test_a_phone_needs_no_scrolling_sideways(open_page, address_of, kind):
    page = open_page(address_of[kind], viewport={"width": 360, "height": 740}, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("kind", ["overview", "fact", "language"])
def test_a_phone_shows_small_charts_at_their_own_size(open_page, address_of, kind):
    page = open_page(address_of[kind], viewport={"width": 375, "height": 740}, has_touch=True)
    sizes = page.locator(".chart svg").evaluate_all(
        "all => all.map(svg => [svg.getBoundingClientRect().width, svg.viewBox.baseVal.width])"
    )
    assert sizes
    assert all(shown <= own + 1 for shown, own in sizes), sizes
    assert all(shown >= min(own, 480) - 1 for shown, own in sizes), sizes


def test_search_finds_names_of_every_language_and_neurons(open_page, address_of, site):
    page = open_page(address_of["overview"])
    box = page.get_by_role("combobox")
    for text, found in (("فرنسا", "France → Paris"), ("PARIS fra", "France → Paris"), ("P36", "capital")):
        box.fill(text)
        assert found in page.get_by_role("option").first.inner_text()
    neuron = sorted((site / "neurons").rglob("*.html"))[0]
    box.fill(f"{neuron.parent.name} {neuron.stem}")
    box.press("Enter")
    page.wait_for_url(neuron.as_uri())


def test_search_by_keyboard(open_page, address_of):
    page = open_page(address_of["fact"])
    page.keyboard.press("/")
    page.keyboard.type("capital")
    page.get_by_role("option").first.wait_for()
    page.keyboard.press("ArrowDown")
    assert page.get_by_role("combobox").get_attribute("aria-activedescendant").startswith("found-")
    page.keyboard.press("Escape")
    assert not page.locator("#found").is_visible()


def test_what_is_found_is_followed_only_where_it_is_seen(open_page, address_of):
    page = open_page(address_of["fact"])
    box = page.get_by_role("combobox")
    box.fill("capital")
    page.get_by_role("option").first.wait_for()
    page.keyboard.press("Tab")
    assert not page.locator("#found").is_visible()
    box.press("Enter")
    page.get_by_role("option").first.wait_for()
    assert page.url == address_of["fact"]
    box.press("Enter")
    page.wait_for_url("**/relations/P36.html")


def test_search_says_when_there_is_nothing(open_page, address_of):
    page = open_page(address_of["overview"])
    page.get_by_role("combobox").fill("no such thing anywhere")
    page.get_by_text("Nothing found").wait_for()


def test_tables_sort_by_number_and_by_text(open_page, address_of):
    page = open_page(address_of["neuron"])
    table = page.locator('table[data-name^="facts-"]').first
    names = table.get_by_role("columnheader").all_inner_texts()
    for name in ("score", "relation"):
        number = next(n for n, text in enumerate(names, start=1) if text.startswith(name))
        heading = table.get_by_role("columnheader").nth(number - 1)
        for expected in ("descending", "ascending") if name == "score" else ("ascending", "descending"):
            heading.get_by_role("button").click()
            assert heading.get_attribute("aria-sort") == expected
            cells = table.locator(f"tbody tr td:nth-child({number})").evaluate_all(
                "cells => cells.map(cell => cell.dataset.v ?? cell.textContent.trim())"
            )
            values = [float(cell) if name == "score" else cell for cell in cells]
            assert values == sorted(values, reverse=expected == "descending")


def test_facts_are_sorted_by_the_names_that_are_read(open_page, address_of):
    page = open_page(address_of["relation"])
    table = page.locator('table[data-name^="facts-"]').first
    names = table.locator("tbody tr td:nth-child(1)")
    before = names.all_inner_texts()
    table.get_by_role("columnheader").first.get_by_role("button").click()
    assert names.all_inner_texts() == sorted(before)


def test_rows_are_filtered(open_page, address_of):
    page = open_page(address_of["edit"])
    rows = page.locator('table[data-name="outcomes"] tbody tr')
    every = rows.count()
    page.get_by_label("Filter rows of Prompts before and after").fill("locality zh-hans")
    kept = rows.filter(visible=True).count()
    assert 0 < kept < every
    assert page.get_by_text(f"{kept} of {every} rows").is_visible()
    saved = page.evaluate("csvOf(document.querySelector('table[data-name=outcomes]'))")
    assert len(list(csv.reader(saved.splitlines()))) == 1 + kept


def test_a_table_is_saved_as_csv(open_page, address_of):
    page = open_page(address_of["hostile"])
    table = page.locator('table[data-name^="prompts-"]').first
    with page.expect_download() as download:
        table.locator("xpath=ancestor::section[1]").get_by_role("button", name="Save CSV").click()
    with open(download.value.path(), encoding="utf-8-sig", newline="") as file:
        head, *rows = csv.reader(file)
    assert head[:2] == ["language", "text"]
    assert len(rows) == table.locator("tbody tr").count()
    assert any(HOSTILE in row[1] for row in rows)


def test_a_saved_fact_has_its_name_and_its_id(open_page, address_of):
    page = open_page(address_of["relation"])
    table = page.locator('table[data-name^="facts-"]').first
    head, *rows = csv.reader(
        page.evaluate("""csvOf(document.querySelector('table[data-name^="facts-"]'))""").splitlines()
    )
    assert head[:3] == ["fact", "fact id", "of languages"]
    assert [row[0] for row in rows] == table.locator("tbody tr td:nth-child(1)").all_inner_texts()
    assert {row[1] for row in rows} == {str(fact.id) for fact in facts().facts[:3]}


def test_a_saved_text_is_no_formula(open_page, address_of):
    page = open_page(address_of["fact"])
    row = page.evaluate("""() => {
        const table = document.querySelector("table:has(td.n)");
        const [text, number] = [table.querySelector("td:not(.n)"), table.querySelector("td.n")];
        for (const [cell, value] of [[text, "=1+1"], [number, "-0.5"]]) cell.dataset.v = value;
        return csvOf(table).split("\\r\\n")[1];
    }""")
    assert {"'=1+1", "-0.5"} <= set(row.split(","))


def test_pages_are_whole_without_scripts(open_page, address_of):
    page = open_page(address_of["fact"], java_script_enabled=False)
    assert not page.get_by_role("search").is_visible()
    assert page.locator("tbody tr").count() > 20
    page.locator("summary").first.click()
    assert page.locator("pre").first.is_visible()


def test_print_holds_the_widest_table(open_page, address_of):
    page = open_page(address_of["evaluation"], viewport={"width": 1046, "height": 700})  # A4, landscape, in its margins
    page.emulate_media(media="print")
    widths = page.locator("table").evaluate_all("all => all.map(table => table.getBoundingClientRect().width)")
    assert 1046 < max(widths) <= 1.5 * 1046, "a browser shrinks a page by a third at most"


def test_print_leaves_the_tools_out(open_page, address_of):
    page = open_page(address_of["fact"])
    page.emulate_media(media="print", color_scheme="dark")
    care = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--care')")
    assert care.strip() == "#fbf3e1", "what is printed is light"
    assert not page.locator("form.search").is_visible()
    assert not page.locator(".tools").first.is_visible()
    assert page.locator("h1").is_visible()
