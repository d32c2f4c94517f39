"""Integrity checks: SQL that returns the rows that are wrong, and what to do about them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """Rows that should not be there; `harmless` ones are a warning."""

    name: str
    remedy: str
    sql: str
    harmless: bool = False


_REBUILD = "the atlas was written to by something else; build it again into a new file"

CHECKS = (
    Check(
        "runs that are not done",
        "the same `atlas build` goes on where it stopped",
        "SELECT run, method, status FROM run WHERE status <> 'done'",
        harmless=True,
    ),
    Check(
        "prompts without their fact, template or label",
        "`atlas import` the data set that they come from",
        """
SELECT prompt FROM prompt
LEFT JOIN fact USING (fact) LEFT JOIN template USING (template) LEFT JOIN fact_label USING (fact, language)
WHERE fact.relation IS NULL OR template.text IS NULL OR fact_label.subject IS NULL
""",
    ),
    Check("runs without their model", _REBUILD, "SELECT run FROM run ANTI JOIN model USING (model)"),
    Check("probes without their run", _REBUILD, "SELECT run, prompt FROM probe ANTI JOIN run USING (run)"),
    Check("probes without their prompt", _REBUILD, "SELECT run, prompt FROM probe ANTI JOIN prompt USING (prompt)"),
    Check("probes that come twice", _REBUILD, "SELECT run, prompt FROM probe GROUP BY run, prompt HAVING count(*) > 1"),
    Check(
        "usable probes without a probability",
        _REBUILD,
        "SELECT run, prompt FROM probe WHERE status IN ('ok', 'not_converged') AND probability IS NULL",
    ),
    Check(
        "scores without their probe",
        _REBUILD,
        "SELECT DISTINCT run, prompt FROM attribution ANTI JOIN probe USING (run, prompt)",
    ),
    Check(
        "scores that come twice",
        _REBUILD,
        "SELECT run, prompt, layer, neuron FROM attribution GROUP BY ALL HAVING count(*) > 1",
    ),
    Check(
        "scores of neurons that the model does not have",
        _REBUILD,
        """
SELECT DISTINCT run, attribution.layer, attribution.neuron
FROM attribution JOIN run USING (run) JOIN model USING (model)
WHERE attribution.layer >= model.layers OR attribution.neuron >= model.neurons
""",
    ),
    Check(
        "layers whose scores do not add up to what their completeness error says",
        _REBUILD,
        """
SELECT run, prompt, layer FROM probe_layer
WHERE abs(score_sum - (f - f_baseline)) > completeness_error + 1e-6
""",
    ),
)
"""In the order in which they are told."""
