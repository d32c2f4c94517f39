"""The fixed vocabulary of warnings: how far the numbers of a run can be trusted."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """A warning and the SQL that counts how often it holds in a run; `$run` is bound."""

    name: str
    meaning: str
    sql: str


CHECKS = (
    Check(
        "single template",
        "facts in a language that rest on one usable prompt: its wording cannot be told from the fact",
        """
SELECT count(*) FROM (
    SELECT 1 FROM probe JOIN prompt USING (prompt)
    WHERE probe.run = $run AND probe.status IN ('ok', 'not_converged')
    GROUP BY prompt.fact, prompt.language HAVING count(*) = 1
)
""",
    ),
    Check(
        "not converged",
        "prompts with a layer whose scores miss the tolerance of the completeness check",
        "SELECT count(*) FROM probe WHERE run = $run AND status = 'not_converged'",
    ),
    Check(
        "model does not know the answer",
        "usable prompts whose answer is not the model's first choice",
        "SELECT count(*) FROM probe WHERE run = $run AND rank > 1",
    ),
    Check(
        "NaN in the output",
        "prompts for which the model gave no number",
        "SELECT count(*) FROM probe WHERE run = $run AND status = 'nan'",
    ),
    Check(
        "run not finished",
        "runs that were cut off: the same `atlas build` goes on",
        "SELECT count(*) FROM run WHERE run = $run AND status <> 'done'",
    ),
    Check(
        "model revision not pinned",
        "models without a revision: only the digest of the weights tells which ones they were",
        """
SELECT count(*) FROM run JOIN model USING (model)
WHERE run.run = $run AND model.revision IS NULL AND model.name NOT LIKE 'demo-%'
""",
    ),
)
