-- Overlaps of random sets: neurons drawn from `population` without replacement, independently in each language.

-- Logarithm of the number of choices of `k` out of `n`.
CREATE OR REPLACE MACRO log_choose(n, k) AS lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0);

-- P(at least `observed` in common) of two sets of sizes `a` and `b`: the hypergeometric tail.
CREATE OR REPLACE MACRO two_set_tail(population, a, b, observed) AS
CASE WHEN observed <= greatest(0, a + b - population) THEN 1.0 ELSE
    coalesce(list_sum(list_transform(range(observed, least(a, b) + 1), lambda x:
        exp(log_choose(a, x) + log_choose(population - a, b - x) - log_choose(population, b))
    )), 0.0)
END;

-- The same of any number of sets, by inclusion and exclusion; exact, but for sparse sets only.
CREATE OR REPLACE MACRO all_sets_tail(population, sizes, observed) AS
CASE WHEN observed <= 0 THEN 1.0 ELSE
    coalesce(list_sum(list_transform(range(observed, list_min(sizes) + 1), lambda r:
        (1 - 2 * ((r - observed) % 2)) * exp(
            log_choose(r - 1, observed - 1) + log_choose(population, r)
            + list_sum(list_transform(sizes, lambda n: log_choose(n, r) - log_choose(population, r)))
        )
    )), 0.0)
END;

-- P(at least `observed`) of a binomial variable; terms beyond 40 standard deviations are left out.
CREATE OR REPLACE MACRO binomial_tail(trials, chance, observed) AS
CASE
    WHEN observed <= 0 OR chance >= 1 THEN 1.0
    WHEN chance <= 0 THEN 0.0
    ELSE least(1.0, coalesce(list_sum(list_transform(
        range(observed, least(
            trials, greatest(observed, trials * chance) + 40 * sqrt(trials * chance) + 200
        )::BIGINT + 1),
        lambda x: exp(log_choose(trials, x) + x * ln(chance) + (trials - x) * ln(1 - chance))
    )), 0.0))
END;

-- P(a neuron is in at least `least_sets` of the sets that hold it with these probabilities).
CREATE OR REPLACE MACRO at_least(chances, least_sets) AS
coalesce(list_sum(list_slice(
    list_reduce(
        list_prepend([1.0::DOUBLE], list_transform(chances, lambda p: [p::DOUBLE])),
        lambda counts, p: list_transform(
            range(1, len(counts) + 2),
            lambda j: coalesce(counts[j], 0.0) * (1 - p[1]) + CASE WHEN j > 1 THEN counts[j - 1] ELSE 0.0 END * p[1]
        )
    ),
    least_sets + 1, len(chances) + 1
)), 0.0);

-- How many neurons random sets of these sizes hold in common, in at least `least_sets` of them.
CREATE OR REPLACE MACRO expected_in_common(population, sizes, least_sets) AS
population * CASE
    WHEN least_sets = len(sizes) THEN list_product(list_transform(sizes, lambda size: size / population))
    ELSE at_least(list_transform(sizes, lambda size: size / population), least_sets)
END;

-- The 95 % interval of a share (Wilson 1927), `found` of `asked`: lower and upper end.
CREATE OR REPLACE MACRO wilson(found, asked) AS list_transform(
    [-1.959963984540054e0, 1.959963984540054e0],
    lambda z: least(1, greatest(0, (
        found + z * z / 2 + z * sqrt(found * (asked - found) / asked + z * z / 4)
    ) / (asked + z * z)))
);
