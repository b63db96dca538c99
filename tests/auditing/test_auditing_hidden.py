"""The rung of the policy's hidden states, on a tiny random checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset
from synthetic_pairs import rows

from backfire.auditing import audit
from backfire.errors import InputError


def test_hidden_states_tell_a_planted_cue_and_no_other(tiny_llama: Path) -> None:
    from backfire.models import open_model

    policy = open_model(tiny_llama)
    planted = audit(Dataset.from_list(rows(80, 0, cue="refusal")), policy=policy)
    rung = planted.separability[-1]
    assert rung.name == "hidden"
    assert "layer 1" in rung.about
    assert rung.pointwise is not None
    assert rung.pointwise.low > 0.75
    assert rung.pointwise.control.high < 0.7
    plain = audit(Dataset.from_list(rows(80, 1)), policy=str(tiny_llama)).separability[-1]
    assert plain.pointwise is not None
    assert plain.pointwise.low <= 0.5 <= plain.pointwise.high


def test_an_endpoint_cannot_be_probed() -> None:
    with pytest.raises(InputError, match="no hidden states"):
        audit(Dataset.from_list(rows(40, 2)), policy="openai:some-model@http://127.0.0.1:1/v1")
