"""What a run is asked to compute: the settings that name it."""

from functools import cache
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from atlas import scorers
from atlas.models.tokens import Position

METHODS = scorers.serving("build")
"""What `method` may be."""

MOST_NODES = 4096
"""Nodes that a rule may have: the weights of n nodes take n squared numbers to find."""
FIXED_NODES = 20
"""Nodes of the rules that do not adapt, and of `amig-code`."""
START_NODES = {
    "gauss-radau": {"amig": 2, "amig-mean": 2, "peel": 2, "kn": 4, "joint": 8},
    "gauss-legendre": {"amig": 2, "amig-mean": 2, "peel": 2, "kn": 4, "joint": 8},
    "clenshaw-curtis": {"amig": 2, "amig-mean": 3, "peel": 3, "kn": 3, "joint": 5},
}
"""Nodes of the first rule of those that adapt: word baselines' paths are short, that of all layers together long."""
LEAST_NODES = {"gauss-radau": 2, "gauss-legendre": 1, "clenshaw-curtis": 2}
"""Nodes of the first rule at least."""


@cache
def first_nodes(method: str, rule: str, nodes: int | None) -> int:
    """Return the nodes of the first rule, `nodes` if they are given; 0 for a scorer without a path."""
    if method == "amig-code":
        return FIXED_NODES
    if method not in START_NODES["gauss-radau"]:
        return 0
    return max(LEAST_NODES[rule], nodes or START_NODES[rule][method]) if rule in START_NODES else FIXED_NODES


def _known(name: str) -> str:
    if name not in scorers.SCORERS:
        known = {"known": scorers.listed("build"), "among": [*METHODS]}
        raise PydanticCustomError("scorer", "Input should be {known}", known)
    return name


class Settings(BaseModel):
    """The settings of a run (METHOD 2); equal settings, model and input give equal rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Annotated[str, AfterValidator(_known)] = scorers.DEFAULT
    at: Position = Field("query", description="where the neurons are: the query, or the subject's last token")
    rule: Literal["gauss-radau", "gauss-legendre", "clenshaw-curtis", "left-20", "peer-20"] = "gauss-radau"
    tolerance: float = Field(0.01, gt=0, lt=1, description="completeness error allowed, as a share of |F(w) - F(w')|")
    nodes: int | None = Field(None, ge=1, le=MOST_NODES, description="nodes to start with; None takes the method's own")
    max_nodes: int = Field(
        128, ge=1, le=MOST_NODES, description="most nodes that a layer may take", validate_default=True
    )
    floor: float = Field(
        0.05,
        ge=0,
        le=0.2,
        description="share of the prompt's maximum from which scores are stored; at most default's tau",
    )
    cuts: int = Field(20, ge=1, description="neurons that `greedy` cuts")
    seed: int = Field(0, ge=-(1 << 63), lt=1 << 63)

    @field_validator("max_nodes")
    @classmethod
    def _holds_the_first_rule(cls, most: int, given: ValidationInfo) -> int:
        """Refuse fewer nodes than the first rule takes; what is wrong before it is told first."""
        known = [given.data[name] for name in ("method", "rule", "nodes") if name in given.data]
        if len(known) == 3 and most < (least := first_nodes(*known)):
            told = {"least": least, "because": f"the first rule of `{known[0]}` has {least} nodes"}
            raise PydanticCustomError("first_nodes", "Input should be at least {least}: {because}", told)
        return most
