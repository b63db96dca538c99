"""No message shows the hub's tokens, wherever an error brings them from."""

from __future__ import annotations

import pickle

import pytest

from backfire.errors import InputError, TemplateError, setting
from backfire.models.failures import standing

TOKEN = "hf_abcdefghijklmnop"


@pytest.mark.parametrize("name", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])
def test_a_token_is_masked_in_every_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv(name, TOKEN)
    assert str(TemplateError(f"401 with Bearer {TOKEN}: bad")) == "401 with Bearer ***: bad"
    failed: dict[str, str] = {}
    with standing(failed, "policy"):
        raise RuntimeError(f"out of memory at {TOKEN}")
    with standing(failed, "tokens"):
        raise InputError(f"no {TOKEN}")
    assert not any(TOKEN in reason for reason in failed.values())


def test_without_a_token_messages_are_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "none")
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    assert str(InputError("none of them")) == "none of them"


def test_what_the_hub_answers_reaches_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    from backfire.errors import ModelError
    from backfire.models.opening import open_model

    monkeypatch.setenv("HF_TOKEN", TOKEN)

    def answer(*_: object, **__: object) -> str:
        raise OSError(f"403 Forbidden for token {TOKEN}")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", answer)
    with pytest.raises(ModelError) as caught:
        open_model("somebody/some-model")
    assert TOKEN not in str(caught.value)


def test_a_message_names_a_setting_as_each_surface_spells_it() -> None:
    error = InputError(f"there is no label: name its column by {setting('label_column')}")
    assert str(error) == "there is no label: name its column by label_column"
    assert error.spelled(lambda name: f"--{name}") == "there is no label: name its column by --label_column"
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.marked) == (str(error), error.marked)
    around = InputError(f"a.csv: {error.marked}")
    assert around.spelled(str.upper).endswith("by LABEL_COLUMN")
