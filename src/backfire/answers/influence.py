"""What training on a data set is predicted to do to refusing, to first order and by a pilot; parts of the audit's schema.

Signs: above 0, a step of training along the data moves the probe's margin up, that is towards refusing on harmful
prompts (`refusal`), towards helpful answers on benign ones (`benign`), towards either of two samples of one decision,
which should be neither (`placebo`).
"""

from __future__ import annotations

from backfire.answers.estimates import Count, Estimate, Part, Unit


class ProbeInfluence(Part):
    """The data's influence on one probe set, or on one stratum of one."""

    probes: Count
    """Prompts that gave a probe: a response to count up and one to count down."""
    asked: Count
    """Prompts that were asked."""
    coverage: Unit
    """probes / asked."""
    sampled: Count
    """Probes of which the policy sampled both sides itself."""
    cosine: Estimate | None = None
    """Between the data's step (minus the gradient of the DPO loss) and the gradient of the mean probe margin. The interval is a
    delete-a-shard jackknife, and the noise bias of the two norms is removed."""
    point: float | None = None
    """The cosine's estimate where there is no conclusion, for ranks alone: no number to report."""
    adam_sign: float | None = None
    """The same cosine with the sign of the data's step in its place, as Adam's first steps would go."""
    projection: Estimate | None = None
    """Change of the mean probe margin, in nats per unit of learning rate of plain gradient descent on the DPO loss."""
    undetermined: str | None = None
    """Why there is no conclusion, such as `fewer than 30 probes`."""


class PairsDoingDamage(Part):
    """The fewest pairs that carry a given part of the push away from refusing."""

    share: Unit
    """Of all pairs read."""
    rows: tuple[int, ...]
    """Row numbers from 1, strongest push first; the first 1,000."""
    of_damage: Unit
    """Part of the summed negative influence that they carry."""


class PilotOutcome(Part):
    """A few steps of DPO on the data and what they did to the probes; the policy itself was left as it was.

    The intervals are over probe prompts. Which pairs the pilot drew, the seed, and all later steps are not in them.
    """

    steps: Count
    pairs: Count
    """Pairs that the steps were taken on."""
    lr: float
    beta: float
    batch_size: Count
    trained: str | None = None
    """Which parameters the steps moved, in words."""
    seconds: float | None = None
    """That the pilot took."""
    tokens_trained: Count | None = None
    """Tokens that went forward and backward in the steps."""
    tokens_read: Count | None = None
    """Tokens that went forward only."""
    tokens_generated: Count | None = None
    """Tokens of the answers to the probe prompts."""
    margins: tuple[float, ...]
    """Mean refusal margin before the first step and after each, in nats."""
    margin_change: Estimate | None = None
    """Of the mean refusal margin over the whole pilot, in nats: above 0 is towards refusing. Left out for a single probe."""
    margin_probes: Count | None = None
    """Probes whose margin was read: of a model of 50 million parameters or more 64 at most."""
    refused_before: Unit | None = None
    """Share of the probe prompts that are refused, answered greedily, of those that could be scored both times."""
    refused_after: Unit | None = None
    refusal_change: Estimate | None = None
    """The difference of the two, with its paired interval (Agresti and Min 2005)."""
    chosen_change: Estimate | None = None
    """Of the mean log-probability of chosen responses, in nats, over up to 64 pairs that steps were taken on. Below 0 the pilot made
    them less likely, although it was to prefer them: likelihood displacement (Razin et al. 2024, arXiv 2410.08847)."""
    rejected_change: Estimate | None = None
    """The same of their rejected responses."""
    scored: Count = 0
    unscored: Count = 0
    """Probe prompts of which the judge could not say before or after whether they are refused."""


class Predicted(Part):
    """What one predictor by hidden states says: forward passes only, no step of training.

    `activation-contrast`, `projection-difference`: in distances between a compliance and a refusal of the policy; above 0 the chosen
    side is the nearer one to the policy's refusals (`value`), to its helpful answers to benign prompts (`benign`), or to either of two
    samples of one decision, which should be neither (`placebo`). `ches`: how alike the two sides are in the last hidden states, at 1 the
    same; `placebo` is what two samples of one decision of the policy have.
    """

    pairs: Count
    """Pairs that could be read."""
    value: Estimate | None = None
    """With a 95% interval. Left out where undetermined."""
    benign: Estimate | None = None
    placebo: Estimate | None = None
    undetermined: str | None = None
    """Why there is no value, such as `fewer than 30 probes`."""
    reasons: dict[str, str] | None = None
    """Why there is none of `benign` or of `placebo`, where their prompts were asked."""
    layer: Count
    """The block whose output was read, from 1: of the first two that at which the refusal probes agree most, of `ches` the last."""
    layers: Count
    """Blocks of the policy."""
    agreement: Unit | None = None
    """How much of single refusal probes' squared difference is common to all, at that block."""
    numbers: dict[str, Estimate] | None = None
    """Beside it. The first two: `refusal_cosine`, `benign_cosine` and `placebo_cosine`, between the mean difference of the pairs and that
    of the probes, without the noise bias of the two norms. `ches`: the likeness with `sides_swapped`, and that of the pairs in which
    `both_refuse` or which are `nearly_identical`."""
    counts: dict[str, Count] | None = None
    """`ches`: pairs in which `both_refuse`, that are `nearly_identical`, and in which `displacement_expected`."""
    rows: tuple[int, ...] = ()
    """`ches`: the first 1,000 rows in which likelihood displacement is to be expected, the likeliest first."""


class PredictionCost(Part):
    """What a prediction was expected to take, before it began, and what it took."""

    expected_seconds: float
    """By arithmetic of tokens, at a speed that was measured on a few pairs and prompts."""
    expected_bytes: Count
    """Of memory, at most."""
    tokens_read: Count
    """Tokens that were expected to go through the model, a backward pass counted as its price in forward passes."""
    tokens_generated: Count
    seconds: float | None = None
    """What it took."""


class SafetyInfluence(Part):
    """First-order safety influence of a data set on a policy; the headline is that on the refusal probe."""

    cosine: float | None = None
    """`refusal.cosine.value`; left out where undetermined. These four are what a cell of `results.json` carries."""
    low: float | None = None
    high: float | None = None
    probes: Count
    policy: str
    """Identity of the model that is to be trained."""
    parameters: str
    """Which parameters the gradients are of."""
    trained: Count
    """How many numbers these parameters are."""
    pairs: Count
    """Pairs that were read."""
    shards: Count
    """Disjoint parts of the pairs, whole groups of prompts together, that the interval deletes one by one."""
    refusal: ProbeInfluence
    strata: dict[str, ProbeInfluence]
    """The refusal probe by kind of prompt."""
    benign: ProbeInfluence | None = None
    """Helpful answers against needless refusals on benign prompts: the other side of the trade."""
    placebo: ProbeInfluence | None = None
    """Two samples of one decision, which have no direction in common: the push on their margin over |d| times the
    *refusal* probes' |v|, so that it is seen in the units of the refusal's cosine."""
    wording: float | None = None
    """The same from bags of words, no model: the text-only rival."""
    predictors: dict[str, Predicted] | None = None
    """By hidden states instead of gradients, by the predictor's name."""
    pilot: PilotOutcome | None = None
    """Where one was asked for."""
    failed: dict[str, str] | None = None
    """Parts of this answer that failed, `influence`, `states`, a predictor by its name, or `pilot`, each with its reason; the
    others stand."""
    damage: PairsDoingDamage | None = None
    epsilon: float | None = None
    """Length of the step that single pairs' influence was read at, by two forward passes."""
    epsilon_agrees: bool | None = None
    """Whether half that step gave the same."""
    cost: PredictionCost | None = None
    file: str | None = None
    """Where the column of single pairs' influence stands."""
    limits: str
    """Where it was found to hold and where to fail."""
