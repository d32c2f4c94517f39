"""What a run is asked to compute: the settings that name it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from atlas import scorers
from atlas.models.tokens import Position

METHODS = scorers.serving("build")
"""What `method` may be."""

MOST_NODES = 4096
"""Nodes that a rule may have: the weights of n nodes take n squared numbers to find."""


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
    max_nodes: int = Field(128, ge=1, le=MOST_NODES, description="most nodes that a layer may take")
    floor: float = Field(0.05, ge=0, lt=1, description="scores below this share of the prompt's maximum are not stored")
    cuts: int = Field(20, ge=1, description="neurons that `greedy` cuts")
    seed: int = Field(0, ge=-(1 << 63), lt=1 << 63)
