"""The paper's claims, what is asked of the atlas for each, and the rule of the verdicts (METHOD 3b, 4-6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from atlas.statistics import mean_interval

HOLDS, DOES_NOT, CANNOT_BE_SAID = "holds", "does not hold", "cannot be said"
FEWEST = 10
"""Facts below which nothing is said of a claim."""
RULE = (
    "Every claim compares two numbers of the same fact, its own and a control's. The mean difference has a 95 % "
    "interval, bootstrap over facts. The claim holds if the whole interval is above 0 and reaches the smallest "
    "difference that counts, it does not hold if the whole interval is below that difference, and otherwise, or with "
    f"fewer than {FEWEST} facts, it cannot be said."
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What is claimed: `own` is larger than `control`, in `unit`, by no less than `least`.

    `query` gives a row for each fact with the columns `own` and `control`; where the difference is measured over all
    of them at once, one row that has `facts`, `low` and `high` too. It binds `$run` and the `needs` of the study.
    """

    says: str
    own: str
    control: str
    unit: str
    least: float
    needs: str
    query: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict on a claim with its numbers, means over `facts`; None where nothing was measured."""

    claim: Claim
    verdict: str
    facts: int
    own: float | None = None
    control: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    why: str = ""

    @property
    def bounded(self) -> bool:
        """True if the difference has an interval; that of one fact has none."""
        return self.low is not None and self.high is not None and isfinite(self.low) and isfinite(self.high)


def judge(claim: Claim, rows: Sequence[Mapping[str, Any]], seed: int = 0) -> Finding:
    """Return the verdict on `claim` by `RULE`; rows without one of both numbers do not count."""
    whole = [row for row in rows if row["own"] is not None and row["control"] is not None]
    facts = sum(int(row.get("facts", 1)) for row in whole)
    if not whole:
        return Finding(claim, CANNOT_BE_SAID, 0, why="nothing was measured on both sides")
    own, control = (sum(float(row[side]) for row in whole) / len(whole) for side in ("own", "control"))
    low, high = _interval(whole, seed)
    verdict, why = _verdict(facts, low, high, claim.least)
    return Finding(claim, verdict, facts, own, control, own - control, low, high, why)


def _interval(rows: Sequence[Mapping[str, Any]], seed: int) -> tuple[float, float]:
    if "low" in rows[0]:
        low, high = (float("nan") if rows[0][end] is None else float(rows[0][end]) for end in ("low", "high"))
        return low, high
    found = mean_interval([float(row["own"]) - float(row["control"]) for row in rows], seed)
    return found.low, found.high


def _verdict(facts: int, low: float, high: float, least: float) -> tuple[str, str]:
    """Return what an interval says of a difference of at least `least`, and why it says nothing."""
    if facts < FEWEST:
        return CANNOT_BE_SAID, f"fewer than {FEWEST} facts"
    if not (isfinite(low) and isfinite(high)):
        return CANNOT_BE_SAID, "no interval"
    if high < least:
        return DOES_NOT, ""
    return (HOLDS, "") if low > 0 else (CANNOT_BE_SAID, "the interval leaves both open")


def _cut(own: str, control: str, purpose: str) -> str:
    """Return the query of what cutting neurons costs in log-odds, more being the loss, for two choices of rows."""
    cost = "-avg(effect.log_odds_change) FILTER ({})"
    return f"""
SELECT effect.fact, {cost.format(own)} AS own, {cost.format(control)} AS control
FROM intervention_effect AS effect JOIN run USING (run)
WHERE evaluation = $evaluation AND purpose = '{purpose}' AND action = 'suppress'
GROUP BY effect.fact
"""


GATHERED = "CREATE TEMP TABLE study_likn AS FROM likn_control_of(definition_of('default', $run), NULL) WHERE run = $run"
"""LIKN of the study's run and their controls: what two claims and a table ask for, computed once."""
_OWN = "source = 'top' AND effect.run = $run"
_LIKN = "SELECT fact, {} AS own, {} AS control FROM study_likn"
_EDITS = """
SELECT
    edit.fact,
    avg({0}) FILTER (edit.source LIKE 'likn%') AS own,
    avg({0}) FILTER (edit.source = 'random') AS control
FROM edit JOIN edit_outcome USING (edit)
WHERE edit.status <> 'not_converged' AND measure = '{1}' AND list_contains($edits::BIGINT[], edit)
GROUP BY edit.fact
"""
_DKN = """
WITH tried AS (SELECT DISTINCT fact, language FROM knockout_effect WHERE run = $run AND replace = 'zero')
SELECT
    fact,
    avg(((fact, language) IN (SELECT (fact, language) FROM dkn_of(definition_of('default', $run))))::INTEGER) AS own,
    avg(((fact, language) IN (SELECT (fact, language) FROM dkn_control_of(definition_of('default', $run))))::INTEGER)
        AS control
FROM tried
GROUP BY fact
"""
_CHECK = """
SELECT
    (
        SELECT count(DISTINCT fact) FROM claim JOIN verdict USING (claim)
        WHERE evaluation = $check AND split = 'test' AND condition = 'plain' AND truth IS NOT NULL
    ) AS facts,
    own.auroc AS own, model.auroc AS control,
    own.auroc_over_probability_low AS low, own.auroc_over_probability_high AS high
FROM fact_check_metrics AS own JOIN fact_check_metrics AS model USING (evaluation, condition)
WHERE evaluation = $check AND condition = 'plain' AND own.evidence = 'dkn' AND model.evidence = 'probability'
    AND coalesce(own.source_language, own.relation, own.language) IS NULL AND own.unusable < own.claims
    AND coalesce(model.source_language, model.relation, model.language) IS NULL
"""
_LOSS = "loss of log-odds"

CLAIMS = (
    Claim("Localisation: cutting the neurons found costs the answer",
          "the fact's neurons cut to zero", "as many random neurons", _LOSS, 0.1, "zero",
          _cut(_OWN, "source = 'top' AND run.method = 'random'", "localisation")),
    Claim("Localisation: they are the fact's, not the relation's",
          "the fact's neurons, values of another fact (swap)", "those of another fact of the relation", _LOSS, 0.1,
          "swap", _cut(_OWN, "source = 'other'", "localisation")),
    Claim("LIKN: languages share neurons of a fact more than of different facts",
          "LIKN", "LIKN where languages have different facts of the relation", "neurons a fact", 0.1, "likn",
          _LIKN.format("in_exchanged_facts_own", "in_exchanged_facts")),
    Claim("LIKN: they come of training",
          "LIKN", "LIKN of the untrained twin", "neurons a fact", 0.1, "likn", _LIKN.format("observed", "twin_likn")),
    Claim("Across languages: LIKN act in a language more than another language's neurons do",
          "LIKN cut to zero", "as many neurons of another language", _LOSS, 0.1, "zero",
          _cut("source = 'likn'", "source = 'top' AND effect.languages <> [effect.measured]", "cross-lingual")),
    Claim("Across languages: LIKN are the fact's, not the relation's",
          "LIKN, values of another fact (swap)", "LIKN of another fact of the relation", _LOSS, 0.1, "swap",
          _cut("source = 'likn'", "source = 'other'", "cross-lingual")),
    Claim("Editing: a change at LIKN in one language carries over to the others",
          "new answers in other languages, edited at LIKN", "edited at random neurons, fitted equally well",
          "share of prompts", 0.05, "edits", _EDITS.format("argmax_after::INTEGER", "transfer")),
    Claim("Editing: a change at LIKN spares other facts",
          "answers of other facts kept, edited at LIKN", "edited at random neurons, fitted equally well",
          "share of prompts", 0.05, "edits", _EDITS.format("same_argmax::INTEGER", "locality")),
    Claim("DKN: sets that only together carry the answer are more than chance",
          "languages of a fact with a DKN", "with one among random sets of the same layers", "share", 0.05, "dkn",
          _DKN),
    Claim("Fact checking: DKN tell true from wrong better than the model's own probability",
          "AUROC of DKN", "AUROC of the probability", "AUROC", 0.01, "check", _CHECK),
)  # fmt: skip
"""The claims in the order of the paper's experiments; the smallest differences that count are a choice."""
