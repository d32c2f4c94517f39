"""The first schema."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE atlas_info (
    key VARCHAR NOT NULL,
    value VARCHAR NOT NULL
);

CREATE TABLE language (
    language VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    rtl BOOLEAN NOT NULL
);

CREATE TABLE relation (
    relation VARCHAR NOT NULL,
    name VARCHAR NOT NULL
);

CREATE TABLE fact (
    fact BIGINT NOT NULL,
    relation VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    object VARCHAR NOT NULL
);

CREATE TABLE fact_label (
    fact BIGINT NOT NULL,
    language VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    object VARCHAR NOT NULL
);

CREATE TABLE template (
    template BIGINT NOT NULL,
    relation VARCHAR NOT NULL,
    language VARCHAR NOT NULL,
    text VARCHAR NOT NULL,
    held_out BOOLEAN NOT NULL,
    ends_in_object BOOLEAN NOT NULL
);

CREATE TABLE prompt (
    prompt BIGINT NOT NULL,
    fact BIGINT NOT NULL,
    language VARCHAR NOT NULL,
    template BIGINT NOT NULL,
    text VARCHAR NOT NULL,
    answer VARCHAR NOT NULL
);

CREATE TABLE model (
    model BIGINT NOT NULL,
    name VARCHAR NOT NULL,
    family VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    layers USMALLINT NOT NULL,
    neurons UINTEGER NOT NULL,
    hidden UINTEGER NOT NULL,
    vocabulary UINTEGER NOT NULL,
    revision VARCHAR,
    digest VARCHAR NOT NULL
);

CREATE TABLE run (
    run BIGINT NOT NULL,
    model BIGINT NOT NULL,
    method VARCHAR NOT NULL,
    settings VARCHAR NOT NULL,
    seed BIGINT NOT NULL,
    versions VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    started TIMESTAMP NOT NULL,
    finished TIMESTAMP
);

CREATE TABLE probe (
    place UINTEGER NOT NULL,
    run BIGINT NOT NULL,
    prompt BIGINT NOT NULL,
    status VARCHAR NOT NULL,
    probability DOUBLE,
    mean_probability DOUBLE,
    rank INTEGER,
    prediction VARCHAR,
    tokens VARCHAR,
    max_score FLOAT
);

CREATE TABLE probe_layer (
    place UINTEGER NOT NULL,
    run BIGINT NOT NULL,
    prompt BIGINT NOT NULL,
    layer USMALLINT NOT NULL,
    score_sum DOUBLE,
    f DOUBLE,
    f_baseline DOUBLE,
    completeness_error DOUBLE,
    nodes INTEGER NOT NULL
);

CREATE TABLE attribution (
    place UINTEGER NOT NULL,
    run BIGINT NOT NULL,
    prompt BIGINT NOT NULL,
    layer USMALLINT NOT NULL,
    neuron UINTEGER NOT NULL,
    score FLOAT NOT NULL
);

CREATE TABLE knockout (
    run BIGINT NOT NULL,
    prompt BIGINT NOT NULL,
    "set" BIGINT NOT NULL,
    control BOOLEAN NOT NULL,
    size UTINYINT NOT NULL,
    layers USMALLINT[] NOT NULL,
    neurons UINTEGER[] NOT NULL,
    before DOUBLE NOT NULL,
    after DOUBLE NOT NULL,
    twin BIGINT
);

CREATE TABLE neuron_token (
    model BIGINT NOT NULL,
    layer USMALLINT NOT NULL,
    neuron UINTEGER NOT NULL,
    direction VARCHAR NOT NULL,
    rank USMALLINT NOT NULL,
    token VARCHAR NOT NULL,
    score FLOAT NOT NULL
);

CREATE TABLE intervention (
    intervention BIGINT NOT NULL,
    evaluation BIGINT NOT NULL,
    purpose VARCHAR NOT NULL,
    run BIGINT NOT NULL,
    fact BIGINT NOT NULL,
    languages VARCHAR[] NOT NULL,
    source VARCHAR NOT NULL,
    action VARCHAR NOT NULL,
    scope VARCHAR NOT NULL,
    layers USMALLINT[] NOT NULL,
    neurons UINTEGER[] NOT NULL,
    prompt BIGINT NOT NULL,
    related BOOLEAN NOT NULL,
    probability_before DOUBLE NOT NULL,
    probability_after DOUBLE NOT NULL,
    rank_before INTEGER NOT NULL,
    rank_after INTEGER NOT NULL,
    argmax_before BOOLEAN NOT NULL,
    argmax_after BOOLEAN NOT NULL
);

CREATE TABLE edit (
    edit BIGINT NOT NULL,
    model BIGINT NOT NULL,
    fact BIGINT NOT NULL,
    run BIGINT,
    object VARCHAR NOT NULL,
    languages VARCHAR[] NOT NULL,
    method VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    settings VARCHAR NOT NULL,
    layers USMALLINT[] NOT NULL,
    neurons UINTEGER[] NOT NULL,
    digest VARCHAR NOT NULL,
    file VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    created TIMESTAMP NOT NULL
);

CREATE TABLE edit_outcome (
    edit BIGINT NOT NULL,
    measure VARCHAR NOT NULL,
    prompt BIGINT NOT NULL,
    answer VARCHAR NOT NULL,
    known BOOLEAN NOT NULL,
    probability_before DOUBLE NOT NULL,
    probability_after DOUBLE NOT NULL,
    rank_before INTEGER NOT NULL,
    rank_after INTEGER NOT NULL,
    argmax_before BOOLEAN NOT NULL,
    argmax_after BOOLEAN NOT NULL,
    same_argmax BOOLEAN NOT NULL,
    kl DOUBLE NOT NULL
);

CREATE TABLE claim (
    claim BIGINT NOT NULL,
    fact BIGINT,
    language VARCHAR NOT NULL,
    relation VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    object VARCHAR NOT NULL,
    texts VARCHAR[] NOT NULL,
    condition VARCHAR NOT NULL,
    truth BOOLEAN,
    split VARCHAR
);

CREATE TABLE verdict (
    evaluation BIGINT NOT NULL,
    run BIGINT NOT NULL,
    claim BIGINT NOT NULL,
    evidence VARCHAR NOT NULL,
    source_language VARCHAR NOT NULL,
    score DOUBLE,
    threshold DOUBLE,
    supported BOOLEAN,
    status VARCHAR NOT NULL
);

CREATE TABLE definition (
    definition VARCHAR NOT NULL,
    tau DOUBLE NOT NULL,
    tau_by_language MAP(VARCHAR, DOUBLE) NOT NULL,
    share DOUBLE NOT NULL,
    min_languages INTEGER,
    normalization VARCHAR NOT NULL,
    t_low DOUBLE NOT NULL,
    t_high DOUBLE NOT NULL,
    absolute BOOLEAN NOT NULL,
    strict BOOLEAN NOT NULL,
    relation_share DOUBLE NOT NULL
)
"""

DEFINITIONS = """
INSERT INTO definition VALUES
    ('default', 0.2, MAP {}, 0.5, NULL, 'none', 0.2, 0.25, false, false, 0.7),
    ('strict', 0.2, MAP {}, 0.5, NULL, 'none', 0.2, 0.25, false, true, 0.7),
    ('paper', 0.2, MAP {'en': 0.3, 'zh': 0.2, 'zh-hans': 0.2}, 0.5, NULL, 'none', 0.2, 0.25, true, false, 0.7)
"""


def upgrade() -> None:
    """Make the tables and the definitions that every atlas starts with."""
    for statement in TABLES.split(";"):
        op.execute(statement)
    op.execute(DEFINITIONS)
