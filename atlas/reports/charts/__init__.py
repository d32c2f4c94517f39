"""Charts of an atlas's views, as Altair charts: for the report, and for notebooks.

Each function takes rows of the view of its name, as a query gives them: `language_overlap(a.query("FROM
language_overlap"))`. Narrow the query to one definition and run; other thresholds are another query.
"""

from atlas.reports.charts.checking import fact_check_metrics
from atlas.reports.charts.comparison import compared_layers
from atlas.reports.charts.interventions import cross_lingual, localisation
from atlas.reports.charts.neurons import layer_distribution, likn_control
from atlas.reports.charts.overlap import language_overlap

__all__ = [
    "compared_layers",
    "cross_lingual",
    "fact_check_metrics",
    "language_overlap",
    "layer_distribution",
    "likn_control",
    "localisation",
]
