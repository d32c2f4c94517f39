"""The Python interface to an atlas: what can be asked of one that `atlas.open` has opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Literal, Self

from atlas.errors import UsageError
from atlas.matching import check_whole
from atlas.store import comparison, naming, queries
from atlas.store.comparison import Comparison
from atlas.store.queries import Filter
from atlas.store.reader import Reader
from atlas.store.result import Params, Result
from atlas.store.runs import StoredRun, check_run, model_of, run_in_use, stored_run
from atlas.store.thresholds import checked

__all__ = ["Atlas", "Comparison", "Params", "Result"]

Names = str | Sequence[str] | None
"""Codes or names of relations or languages, one or several; None for all."""
_NO_RUN = -1
"""What no run is called: the answer is empty where no run is meant."""
_FEW = 1000
"""Neurons up to which `likn` looks at these alone for their specificity, in place of all."""


class Atlas(Reader):
    """An atlas opened for reading. Queries bind their parameters; all text in it is untrusted.

    A `fact` argument is a fact's id (text of digits alike), or the name of its subject, or else of its object, in any
    language and case; `relation` and `language` are codes or names. One run is asked: `run`, or else the one that `use`
    named, or else the file's (`run_in_use`); `definition` goes by the same rule, and rows say which. Where thresholds
    such as `tau` are given, they stand in for those of `definition`, and the column `definition` says `at`.
    """

    _stays = True
    """Whether nobody can change the file while it is open here, so that what was found stays so."""
    _run: StoredRun | None = None
    _definition: str | None = None

    def use(
        self,
        *,
        model: str | None = None,
        method: str | None = None,
        run: int | None = None,
        definition: str | None = None,
    ) -> Self:
        """Let what is asked of this object from now on mean this run and this definition, and return it.

        A model or method alone means its run as `run_order` has them; what is not given goes by the file again. Raises
        UsageError for what is not there.
        """
        if model is not None:
            model_of(self, model)  # it names one alone
        method = None if method is None else naming.scorer_of(self, method)
        asked = (model, method, run) != (None, None, None)
        found = stored_run(self, model=model, method=method, run=run) if asked else None
        self._definition = None if definition is None else naming.definition_of(self, definition)
        self._run = found
        return self

    @property
    def in_use(self) -> StoredRun | None:
        """The run that is meant where none is named, None where there is none."""
        found = self._run or run_in_use(self)
        if self._stays:
            self._run = found
        return found

    def _meant(self, run: int | None) -> int:
        """Return the run that is asked; raises UsageError for one that is not there."""
        if run is not None:
            check_run(self, run)
            return run
        found = self.in_use
        return _NO_RUN if found is None else found.run

    def _by(self, definition: str | None) -> str:
        """Return the definition that is asked."""
        return naming.definition_of(self, definition or self._definition or naming.IN_USE)

    def _repr_html_(self) -> str:
        """Return what the atlas holds as HTML, for notebooks."""
        name = escape(str(self.path))
        if self._open is None:
            return f"<p>{name} (closed)</p>"
        holds, runs = self.query(queries.HOLDS), self.query(queries.RUNS_IN_SHORT)
        return f"<p>{name}</p>{holds._repr_html_()}{runs._repr_html_()}"

    def runs(self) -> Result:
        """Return runs with their model and how many prompts they hold."""
        return self.query(queries.RUNS)

    def definitions(self) -> Result:
        """Return the named thresholds."""
        return self.query("FROM definition ORDER BY definition")

    def facts(
        self,
        text: str | None = None,
        *,
        relation: Names = None,
        language: Names = None,
        limit: int | None = None,
    ) -> Result:
        """Return facts with their labels, those with `text` in a name or key if given, in upper or lower case."""
        check_whole("limit", limit)
        relations = naming.codes(self, relation, naming.relation_of)
        languages = naming.codes(self, language, naming.language_of)
        part = None if text is None else naming.name_of(text)
        params = {"text": part, "relations": relations, "languages": languages, "limit": limit}
        return self.query(queries.FACTS, params)

    def fact_ids(self, fact: int | str) -> list[int]:
        """Return the ids that `fact` (id, or name of a subject or else an object) stands for; UsageError if none."""
        return naming.facts_of(self, fact)

    def neurons(
        self,
        *,
        layer: int | None = None,
        neuron: int | None = None,
        run: int | None = None,
        definition: str | None = None,
        limit: int | None = None,
    ) -> Result:
        """Return the view `neuron_summary`: in how many facts and languages each neuron is a knowledge neuron.

        Raises UsageError for a layer or neuron that no model of the atlas has.
        """
        self._check_place(layer, neuron)
        wanted = Filter()
        for column, value in (("layer", layer), ("neuron", neuron), ("run", self._meant(run))):
            wanted.equal(column, value)
        return self._select("neuron_summary", definition, {}, wanted, "facts DESC, run, layer, neuron", limit)

    def knowledge_neurons(
        self,
        *,
        fact: int | str | None = None,
        relation: Names = None,
        language: Names = None,
        run: int | None = None,
        definition: str | None = None,
        tau: float | None = None,
        share: float | None = None,
        normalization: Literal["none", "layer"] | None = None,
        limit: int | None = None,
    ) -> Result:
        """Return knowledge neurons of facts in languages (METHOD 3, Eq. 6-7)."""
        given = {"tau": tau, "share": share, "normalization": normalization}
        wanted = self._facts(fact, relation, language=language, run=self._meant(run))
        order = "run, fact, language, score DESC, layer, neuron"
        return self._select("knowledge_neuron", definition, given, wanted, order, limit)

    def likn(
        self,
        *,
        fact: int | str | None = None,
        relation: Names = None,
        run: int | None = None,
        definition: str | None = None,
        tau: float | None = None,
        share: float | None = None,
        min_languages: int | None = None,
        normalization: Literal["none", "layer"] | None = None,
        specificity: bool = True,
        limit: int | None = None,
    ) -> Result:
        """Return language-independent knowledge neurons (METHOD 3, Eq. 8).

        With `specificity`, `same_relation` and `other_relations` say in how many other facts of its relation and
        of other relations the neuron is one too. It has to look at all facts: leave it out where speed counts.
        """
        given = {"tau": tau, "share": share, "min_languages": min_languages, "normalization": normalization}
        wanted = self._facts(fact, relation, run=self._meant(run))
        order = "run, fact, score DESC, layer, neuron"
        found = self._select("likn", definition, given, wanted, order, limit)
        if not specificity:
            return found
        return self._with_specificity(found, self._by(definition), given, order)

    def carried(
        self,
        *,
        fact: int | str | None = None,
        relation: Names = None,
        layer: int | None = None,
        neuron: int | None = None,
        run: int | None = None,
        definition: str | None = None,
        limit: int | None = None,
    ) -> Result:
        """Return which neuron carries which fact: the languages in which it is a knowledge neuron, and what it writes.

        `likn` says whether the fact has it as a language-independent one; `of_languages` are those that count.
        Raises UsageError for a layer or neuron that no model of the atlas has.
        """
        self._check_place(layer, neuron)
        check_whole("limit", limit)
        wanted = self._facts(fact, relation, run=self._meant(run))
        wanted.equal("layer", layer)
        wanted.equal("neuron", neuron)
        return self.query(*queries.carried(self._by(definition), wanted, limit))

    def dkn(
        self,
        *,
        fact: int | str | None = None,
        relation: Names = None,
        language: Names = None,
        run: int | None = None,
        definition: str | None = None,
        limit: int | None = None,
    ) -> Result:
        """Return sets of degenerate knowledge neurons (METHOD 3, Eq. 9-10)."""
        wanted = self._facts(fact, relation, language=language, run=self._meant(run))
        return self._select("dkn", definition, {}, wanted, "run, fact, language, cost DESC, layers, neurons", limit)

    def compare(
        self, a: str | int, b: str | int, *, method: str | None = None, definition: str | None = None
    ) -> Comparison:
        """Compare two models, each by its run of `method` that is meant, on the facts and languages that both probed.

        Models go by name or digest, or as a run's number, and `method` None is that of the run of `a` that is meant.
        Raises UsageError for unknown ones, for models without such a run, for one model given twice, and where no
        prompt is usable in both.
        """
        return comparison.compare(self, str(a), str(b), method=method, definition=self._by(definition))

    def _check_place(self, layer: int | None, neuron: int | None) -> None:
        check_whole("layer", layer)
        check_whole("neuron", neuron)
        if layer is None and neuron is None:
            return
        (most,) = self.sql("SELECT max(layers) AS layers, max(neurons) AS neurons FROM model").to_pylist()
        for what, given, count in (("layer", layer, most["layers"]), ("neuron", neuron, most["neurons"])):
            if given is not None and count is not None and not 0 <= given < count:
                raise UsageError(f"No model of {self.path} has {what} {given}: they go from 0 to {count - 1}.")

    def _facts(self, fact: int | str | None, relation: Names, **equal: object) -> Filter:
        """Return the filter for `fact`, `relation` and columns with one value; raises UsageError for unknown ones."""
        wanted = Filter()
        if fact is not None:
            wanted.one_of("fact", self.fact_ids(fact))
        wanted.of_relations(naming.codes(self, relation, naming.relation_of))
        language: Any = equal.pop("language", None)
        if language is not None:
            wanted.one_of("language", naming.codes(self, language, naming.language_of) or ())
        for column, value in equal.items():
            wanted.equal(column, value)
        return wanted

    def _thresholds(self, definition: str, given: Mapping[str, object]) -> dict[str, object]:
        """Return the thresholds of `definition` with the `given` ones in their place, none if none are given."""
        row = self.sql("FROM definition WHERE definition = ?", [naming.definition_of(self, definition)]).to_pylist()
        changed = checked({name: value for name, value in given.items() if value is not None})
        if "tau" in changed:
            changed["tau_by_language"] = []
        return {**row[0], **changed} if changed else {}

    def _select(
        self,
        view: str,
        definition: str | None,
        given: Mapping[str, object],
        wanted: Filter,
        order: str,
        limit: int | None,
    ) -> Result:
        check_whole("limit", limit)
        definition = self._by(definition)
        rows, params = queries.source(view, definition, self._thresholds(definition, given))
        parts = [queries.named(f"(SELECT * FROM {rows} {wanted.clause()})", view), f"ORDER BY {order}"]
        if limit is not None:
            parts, params = [*parts, "LIMIT $limit"], {**params, "limit": limit}
        return self.query("\n".join(parts), params | wanted.params)

    def _with_specificity(self, found: Result, definition: str, given: Mapping[str, object], order: str) -> Result:
        neurons = sorted(set(found.table["neuron"].to_pylist()))
        only = f"AND neuron IN ({', '.join(map(str, neurons)) or 'NULL'})" if len(neurons) <= _FEW else ""
        rows, params = queries.source("likn_specificity", definition, self._thresholds(definition, given))
        query = (
            f"SELECT likn.*, other.same_relation, other.other_relations\nFROM ({found.sql}) AS likn\n"
            f"JOIN (SELECT * EXCLUDE (relation) FROM {rows} WHERE run = $run {only}) AS other\n"
            f"USING (definition, run, fact, layer, neuron)\nORDER BY {order}"
        )
        return self.query(query, {**dict(found.params), **params})  # type: ignore[arg-type]
