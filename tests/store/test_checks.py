"""The integrity checks find what is wrong, and nothing in an atlas that is right."""

import pytest
from hypothesis import given, settings
from store.world import SAMPLE, World, batch, fill, worlds

import atlas
from atlas.store import integrity, views
from atlas.store.digest import digest
from atlas.store.warnings import UsageWarning


@pytest.fixture
def writer(path):
    with atlas.open(path, "a") as opened:
        fill(opened, SAMPLE)
        yield opened


def failing(writer):
    return {result.check.name: result.rows for result in integrity.run(writer) if not result.ok}


@pytest.mark.slow
@settings(settings.get_profile("store"), max_examples=5)
@given(worlds())
def test_nothing_is_wrong_with_what_the_writer_wrote(holding, world):
    with holding(world) as (writer, _):
        assert failing(writer) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "name", "rows"),
    [
        ("UPDATE run SET status = 'running'", "runs that are not done", 1),
        ("DELETE FROM fact", "rows of prompt without their fact", 2),
        ("DELETE FROM template", "rows of prompt without their template", 8),
        ("DELETE FROM model", "rows of run without their model", 1),
        ("DELETE FROM prompt", "rows of probe without their prompt", 8),
        ("INSERT INTO fact FROM fact", "rows of fact that come twice", 2),
        ("INSERT INTO probe FROM probe", "rows of probe that come twice", 8),
        ("DELETE FROM probe WHERE place = 0", "rows of attribution without their probe", 1),
        ("DELETE FROM probe WHERE place = 0", "rows of probe_layer without their probe", 1),
        ("UPDATE attribution SET run = 5", "rows of attribution without their probe", 8),
        ("INSERT INTO attribution FROM attribution LIMIT 3", "scores that come twice or out of order", 1),
        ("UPDATE probe SET probability = NULL", "scored probes without a probability, or others with one", 8),
        ("UPDATE probe SET max_score = 2", "probes whose largest score is not among their scores", 8),
        ("UPDATE model SET neurons = 1", "scores of neurons that the model does not have", 2),
        (
            "UPDATE probe_layer SET score_sum = 9",
            "layers whose scores do not add up to what their completeness error says",
            24,
        ),
        (
            "UPDATE run SET method = 'joint'; UPDATE probe_layer SET f = 9",
            "prompts whose joint scores do not add up to what their completeness error says",
            8,
        ),
    ],
)
def test_damage_is_found(writer, damage, name, rows):
    writer.sql(damage)
    assert failing(writer)[name] == rows


@pytest.mark.slow
def test_a_result_shows_the_first_rows(writer):
    writer.sql("UPDATE run SET status = 'failed'")
    result = next(each for each in integrity.run(writer) if not each.ok)
    assert result.check.harmless
    assert result.sample.to_pylist()[0]["status"] == "failed"


@pytest.mark.slow
@settings(settings.get_profile("store"), max_examples=5)
@given(worlds())
def test_the_digest_is_of_the_content_alone(holding, world):
    reversed_order = list(reversed(range(len(world.probes))))
    with holding(world) as (writer, _):
        one = digest(writer)
    with holding(world, reversed_order) as (writer, run):
        assert digest(writer) == one
        writer.finish_run(run, "failed")
        assert digest(writer) != one


def test_the_digest_counts_copies(writer):
    one = digest(writer)
    writer.sql("INSERT INTO attribution FROM attribution")
    assert digest(writer) != one


@pytest.mark.slow
def test_batches_leave_the_scores_in_order(path):
    with atlas.open(path, "a") as writer:
        run = fill(writer, World(SAMPLE.relations, ()))
        writer.add_facts(SAMPLE.facts())
        writer.add_prompts(SAMPLE.prompt(probe) for probe in SAMPLE.probes)
        for number in (3, 0, 1, 2, 7, 6, 5, 4):
            writer.load_batch(batch(SAMPLE, run, [number]))
        writer.finish_run(run)
        assert failing(writer) == {}


def test_the_vocabulary_of_warnings_is_that_of_the_view():
    text = views.text("usage_warning")
    assert all(f"'{warning}' AS warning" in text for warning in UsageWarning)
    assert text.count("AS warning") == len(UsageWarning)
    assert all(warning.meaning.endswith(".") for warning in UsageWarning)


def test_what_is_in_use_and_not_there_is_chosen_anew():
    remedies = {check.name: check.remedy for check in integrity.CHECKS}
    assert "`atlas use --definition default`" in remedies["rows of in_use without their definition"]
    assert "`atlas use --newest`" in remedies["rows of in_use without their run"]
    assert "`atlas import`" in remedies["rows of prompt without their template"]
