"""A report as a reader meets it: pages that hold together, say what the atlas says, and do no harm."""

import re
import shutil
from functools import partial
from pathlib import PurePosixPath
from xml.etree import ElementTree

import pytest
from reports.html import Parsed
from reports.sample import BIDI, HOSTILE, LANGUAGES, LONG, ODD, PATH, QUOTES, RELATIONS, facts

import atlas
from atlas import schema
from atlas.errors import UsageError
from atlas.reports import Selection, addresses, write
from atlas.reports import site as sites
from atlas.reports.pages.shared import Draft
from atlas.reports.site import Kind

SAFE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")


@pytest.mark.slow
def test_every_fact_relation_language_and_edit_has_a_page(written, pages):
    _, counts = written
    assert counts["facts"] == len(facts().facts)
    assert counts["relations"] == len(RELATIONS)
    assert counts["languages"] == len(LANGUAGES)
    assert counts["edits"] == 1
    assert counts["evaluations"] == 3  # two tables of one evaluation, and fact checking
    assert sum(counts.values()) == len(pages)


def test_neuron_pages_are_those_of_knowledge_neurons(pages, opened):
    query = """
        SELECT DISTINCT layer, neuron FROM knowledge_neuron_all JOIN run USING (run)
        WHERE definition = 'default' AND method = 'amig' AND twin_of IS NULL
    """
    wanted = {addresses.neuron(row["layer"], row["neuron"]) for row in opened.sql(query).to_pylist()}
    assert {address for address in pages if address.startswith("neurons/")} == wanted


@pytest.mark.slow
def test_two_models_by_one_scorer_stand_side_by_side(written, pages, opened):
    _, counts = written
    assert counts["comparisons"] == 1
    (address,) = [address for address in pages if address.startswith("comparisons/")]
    known = opened.compare("masked", "causal").facts.to_pylist()[0]
    text = [part.strip() for part in pages[address].text]
    assert {str(known[name]) for name in ("facts", "in_a", "in_b", "in_both")} <= set(text)
    assert address in pages["index.html"].addresses


def test_every_link_and_anchor_resolves_inside_the_site(pages, site):
    for address, page in pages.items():
        for target in page.addresses:
            if target == "data:,":
                continue
            path, _, anchor = target.partition("#")
            assert ":" not in path, f"{address} asks for {target}"
            reached = (site / address).parent / path if path else site / address
            assert reached.resolve().is_file(), f"{address} leads to {target}"
            if anchor:
                there = pages[reached.resolve().relative_to(site.resolve()).as_posix()]
                assert anchor in there.ids, f"{address} leads to {target}"


def test_the_overview_is_written_when_all_that_it_leads_to_is_there(pages, site):
    written = {address: (site / address).stat().st_mtime_ns for address in pages}
    assert written["index.html"] == max(written.values())


def test_ids_are_unique_in_a_page(pages):
    for address, page in pages.items():
        assert len(page.ids) == len(set(page.ids)), address


def test_first_paint_needs_the_page_and_one_stylesheet(pages):
    for page in pages.values():
        asked = [attributes for tag, attributes in page.seen if tag in ("link", "script", "img", "iframe")]
        assert [a.get("rel") for a in asked] == ["icon", "stylesheet", None]
        assert "defer" in asked[2]
        assert not any(name.startswith("on") for _, attributes in page.seen for name in attributes)


def test_text_of_models_and_data_stays_text(pages):
    known = {tag for page in pages.values() for tag, _ in page.seen}
    assert not known & {"b", "iframe", "img", "object", "base"}
    for page in pages.values():
        assert [tag for tag, _ in page.seen].count("script") == 1
    everything = "".join(text for page in pages.values() for text in page.text)
    for text in (HOSTILE, QUOTES, PATH, BIDI, "{{ 7 * 7 }}", "]]>"):
        assert text in everything


def test_files_are_named_by_what_is_harmless(site):
    for path in site.rglob("*"):
        assert SAFE_NAME.fullmatch(path.name.removeprefix(".")), path
    assert not list(site.parent.glob("etc*"))


def test_search_scripts_hold_ascii_alone(site):
    assert (site / "search.js").read_text("utf-8").isascii()


def test_pages_stay_small(site):
    assert max(path.stat().st_size for path in site.rglob("*.html")) < 300_000


@pytest.mark.slow
def test_a_selection_bounds_the_site(db, tmp_path):
    with atlas.open(db) as reader:
        counts = write(reader, tmp_path / "site", Selection(facts=2, relations=["P36"])).pages
    assert (counts["facts"], counts["relations"]) == (2, 1)
    names = [path.stem for path in (tmp_path / "site" / "facts").iterdir()]
    assert set(names) <= {str(fact.id) for fact in facts().facts[:3]}


def test_an_unknown_relation_is_named(db, tmp_path):
    with atlas.open(db) as reader, pytest.raises(UsageError, match="no relation 'P999' in "):
        write(reader, tmp_path / "site", Selection(relations=["P999"]))


def _renamed(writer, column, old, new):
    """Write `new` for `old` in a column of every table, and in the lists of its name."""
    for name, table in schema.TABLES.items():
        for found in table.columns:
            if found.name == column:
                writer.sql(f'UPDATE "{name}" SET "{column}" = $new WHERE "{column}" = $old', {"new": new, "old": old})
            elif found.name == f"{column}s" and found.type == "VARCHAR[]":
                lists = f"list_transform({column}s, lambda x: CASE WHEN x = $old THEN $new ELSE x END)"
                writer.sql(f'UPDATE "{name}" SET {column}s = {lists}', {"new": new, "old": old})


@pytest.mark.slow
def test_a_report_holds_any_name(db, tmp_path):
    path, odd = tmp_path / "odd.duckdb", " ".join(ODD)
    shutil.copy(db, path)
    with atlas.open(path, "a") as writer:
        for column, old in (("language", "ar"), ("relation", "P36"), ("method", "amig")):
            _renamed(writer, column, old, odd)
        for text in (
            "UPDATE model SET name = ? || name",
            "UPDATE relation SET name = ?",
            "UPDATE language SET name = ?",
        ):
            writer.sql(text, [odd])
        writer.sql("UPDATE fact_label SET subject = ?, object = ? WHERE language = 'en'", [odd, odd])
    with atlas.open(path) as reader:
        written = write(reader, tmp_path / "site")
    assert written.failed == {}
    assert written.pages["facts"] == len(facts().facts)
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text("utf-8")
        for picture in re.findall("<svg.*?</svg>", text, re.DOTALL):
            assert ElementTree.fromstring(picture) is not None
        limit = 20 * LONG if page.parent.name in ("languages", "relations") else LONG  # their SQL names them
        assert len(text) < limit, page


@pytest.mark.slow
@pytest.mark.usefixtures("of_two_facts")
def test_a_page_or_kind_of_page_that_fails_is_named_and_the_others_are_written(db, tmp_path, monkeypatch):
    def failing(whole, snapshot):
        first, *others = whole.pages(snapshot)
        yield Draft(first.address, lambda: 1 / 0)
        yield from others

    for kind in ("facts", "neurons"):
        monkeypatch.setitem(sites.KINDS, kind, Kind(partial(failing, sites.KINDS[kind])))
    monkeypatch.setitem(sites.KINDS, "runs", Kind(lambda snapshot: [None][1], lambda snapshot: [lambda: {}["x"]]))
    with atlas.open(db) as reader:
        written = write(reader, tmp_path / "site")
    pages = {name: why for name, why in written.failed.items() if name.endswith(".html")}
    assert sorted(address.partition("/")[0] for address in pages) == ["facts", "neurons"]
    assert set(written.failed) - set(pages) == {"runs", "overview: part 1"}
    for address, why in pages.items():
        assert why == "ZeroDivisionError: division by zero"
        assert "ZeroDivisionError" in (tmp_path / "site" / address).read_text("utf-8")
    assert (written.pages["facts"], written.pages["overview"]) == (2, 1)
    assert len(list((tmp_path / "site").rglob("*.html"))) == sum(written.pages.values())


@pytest.mark.slow
@pytest.mark.usefixtures("of_two_facts")
def test_a_report_may_be_written_again_and_leaves_nothing_behind(db, site, tmp_path):
    folder = shutil.copytree(site, tmp_path / "site")
    (folder / "facts" / "mine.txt").write_text("kept")
    with atlas.open(db) as reader:
        counts = write(reader, folder).pages
    assert len(list(folder.rglob("*.html"))) == sum(counts.values())
    assert (folder / "facts" / "mine.txt").read_text() == "kept"


@pytest.mark.slow
def test_a_report_leaves_the_opened_atlas_as_it_was(opened, tmp_path):
    query = "SELECT count(*) AS n FROM knowledge_neuron_at(tau := 0.9)"
    before = opened.sql(query)
    write(opened, tmp_path / "site", Selection(facts=1))
    assert opened.sql(query) == before
    assert len(set(opened.sql("FROM likn_all")["definition"].to_pylist())) > 1


@pytest.mark.slow
def test_the_same_atlas_gives_the_same_bytes(db, site, tmp_path):
    with atlas.open(db) as reader:
        write(reader, tmp_path / "site")
    for path in site.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "site" / path.relative_to(site)).read_bytes(), path


@pytest.mark.slow
def test_an_atlas_without_runs_has_pages(tmp_path):
    with atlas.open(tmp_path / "a.duckdb", "w") as writer:
        writer.add_facts(facts())
    with atlas.open(tmp_path / "a.duckdb") as reader:
        written = write(reader, tmp_path / "site")
    assert "No model has been run yet" in written.page.read_text("utf-8")
    assert written.pages["facts"] == len(facts().facts)
    page = Parsed(written.page.read_text("utf-8"))
    assert {address.partition("#")[2] for address in page.addresses} - {""} <= {*page.ids}


@pytest.mark.parametrize("code", ["zh", "zh-Hant", "es-419"])
def test_a_language_is_named_to_the_browser_by_its_code(code):
    assert addresses.tag(code) == code
    assert addresses.language(code) == f"languages/{code}.html"


@pytest.mark.parametrize("code", ["P36", "en", "zh-hans", "con", "", "..", "a/b", "P" * 300, "É", "P36 ", "p36\n"])
def test_addresses_stay_inside_their_folder(code):
    for address in (addresses.relation(code), addresses.language(code)):
        path = PurePosixPath(address)
        assert len(path.parts) == 2
        assert SAFE_NAME.fullmatch(path.name)
        assert path.stem not in ("con", "..")
