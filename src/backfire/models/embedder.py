"""Sentence embeddings of an encoder checkpoint, through transformers alone."""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backfire.errors import InputError, ModelError
from backfire.models.batching import length_batches
from backfire.models.checkpoint_files import check_vocabulary
from backfire.models.failures import named
from backfire.models.forward_pass import Progress
from backfire.models.gguf import refuse_gguf
from backfire.models.memory import tokens_to_read
from backfire.models.opening import check_device, open_folder, open_tokenizer, place, reading_dtype, resolve

if TYPE_CHECKING:
    import torch

POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""How sentence-transformers before 5.4 writes a pooling mode, in the order in which several are joined."""
POOLINGS = ("cls", "max", "mean", "lasttoken")
UNBOUNDED = 1_000_000
"""A tokenizer that sets no bound says 1e30."""


@dataclass(frozen=True)
class Recipe:
    """How token states become a vector: what a sentence-transformers folder says, or the mean."""

    poolings: tuple[str, ...] = ("mean",)
    prompt: str = ""
    """Text before each text: the folder's prompt of `default_prompt_name`."""
    lower: bool = False
    max_tokens: int | None = None


class Embedder:
    """An encoder opened by `open_embedder`; `name` is the reference that was opened."""

    def __init__(self, model: Any, tokenizer: Any, recipe: Recipe, *, name: str) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.recipe = recipe
        self.name = name

    def embed(
        self, texts: Sequence[str], *, batch_size: int = 64, progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """Vectors of length 1, in the order of `texts`: float32 [n, width].

        A text longer than the model reads is cut at the end, with a warning that counts; one without any
        token (an empty text where the tokenizer adds none) gives NaN. Token states are pooled in float32.
        `progress(done, total)` counts texts. Raises ModelError where the model gives NaN, or memory runs out.
        """
        rows = self._encode(texts)
        width = len(self.recipe.poolings) * int(self.model.config.get_text_config().hidden_size)
        made = np.full((len(rows), width), np.nan, dtype=np.float32)
        filled = [i for i, row in enumerate(rows) if row["input_ids"]]
        done = len(rows) - len(filled)
        if done and progress is not None:
            progress(done, len(rows))
        size = batch_size if self.tokenizer.pad_token_id is not None else 1
        for batch in length_batches(
            [len(rows[i]["input_ids"]) for i in filled], size, tokens_to_read(self.model)
        ):
            places = [filled[k] for k in batch]
            vectors = self._pass([rows[i] for i in places])
            if not np.isfinite(vectors).all():
                bad = places[int((~np.isfinite(vectors)).any(1).argmax())]
                raise ModelError(
                    f"{self.name} gives no finite vector for text {bad}: open it with dtype float32"
                )
            made[places] = vectors
            done += len(places)
            if progress is not None:
                progress(done, len(rows))
        return made

    def _encode(self, texts: Sequence[str]) -> list[dict[str, list[int]]]:
        recipe, bound = self.recipe, self.recipe.max_tokens
        whole = [recipe.prompt + text for text in texts]
        if recipe.lower:
            whole = [text.lower() for text in whole]
        rows = [self._tokens(text) for text in whole]
        long = [i for i, row in enumerate(rows) if bound is not None and len(row["input_ids"]) > bound]
        for i in long:
            rows[i] = self._tokens(whole[i], truncation=True, max_length=bound)
        if long:
            warnings.warn(
                f"{len(long)} of {len(rows)} texts exceed the {bound} tokens that {self.name} reads: "
                "their vectors leave out the end",
                stacklevel=3,
            )
        return rows

    def _tokens(self, text: str, **options: Any) -> dict[str, list[int]]:
        row = self.tokenizer(text, return_attention_mask=True, verbose=False, **options)
        return {name: ids for name, ids in row.items() if name in self._inputs}

    @cached_property
    def _inputs(self) -> frozenset[str]:
        return frozenset(inspect.signature(self.model.forward).parameters)

    def _pass(self, rows: list[dict[str, list[int]]]) -> NDArray[np.float32]:
        import torch

        batch = self.tokenizer.pad(rows, padding=len(rows) > 1, padding_side="right", return_tensors="pt")
        try:
            with torch.inference_mode():
                batch = batch.to(self.model.device)
                states = self.model(**batch).last_hidden_state.float()
                vectors = pooled(states, batch["attention_mask"].to(states.device), self.recipe.poolings)
                vectors = vectors / vectors.norm(dim=1, keepdim=True)
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"{self.name} ran out of memory on a batch of {len(rows)} texts: lower the batch size"
            ) from error
        array: NDArray[np.float32] = vectors.cpu().numpy()
        return array


def pooled(states: torch.Tensor, mask: torch.Tensor, poolings: Sequence[str]) -> torch.Tensor:
    """One vector a row of `states` [rows, tokens, hidden], padded on the right; several poolings are joined."""
    import torch

    inside = mask[:, :, None].bool()
    lengths = mask.sum(1)
    parts = {
        "cls": lambda: states[:, 0],
        "max": lambda: states.masked_fill(~inside, float("-inf")).amax(1),
        "mean": lambda: states.masked_fill(~inside, 0).sum(1) / lengths[:, None],
        "lasttoken": lambda: states[torch.arange(len(states), device=states.device), lengths - 1],
    }
    return torch.cat([parts[name]() for name in poolings], dim=1)


def open_embedder(reference: str | Path, *, device: str | None = None, dtype: str = "auto") -> Embedder:
    """Open an encoder: a checkpoint folder or a hub name.

    Of a folder of sentence-transformers its pooling (cls, mean, max, lasttoken), default prompt, lower case
    and `max_seq_length` hold; of any other the mean over its tokens, as far as tokenizer and positions reach.
    `device` and `dtype` as in `open_model`. Only safetensors are opened, no remote code. Raises ModelError,
    which names the fix, also for a folder with modules that are not applied here (such as Dense).
    """
    from transformers import AutoModel

    name = str(reference)
    if name.startswith("openai:"):
        raise InputError(f"{name} is an endpoint: embeddings come from a checkpoint folder or a hub name")
    check_device(device)
    folder = resolve(name)
    refuse_gguf(name, folder, "the checkpoint folder of a text encoder")
    tokenizer = open_tokenizer(folder)
    numbers = reading_dtype(folder, dtype, device)
    model = place(open_folder(AutoModel, folder, numbers, **_without_pooler(folder)), device)
    check_vocabulary(tokenizer, model, name)
    recipe = _recipe(name, folder, tokenizer, model)
    embedder = Embedder(model, tokenizer, recipe, name=name)
    try:
        if model.config.is_encoder_decoder:
            raise ValueError("its last states are a decoder's")
        embedder.embed(["quagga"])
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{name} ({type(model).__name__}) gives no token states for a text alone: name a text encoder"
        ) from error
    return embedder


def _without_pooler(folder: Path) -> dict[str, Any]:
    """A BERT's own pooler is not read here, and many encoders were saved without its weights."""
    from transformers import MODEL_MAPPING, AutoConfig

    with named(
        f"{folder} has no config.json that transformers can open without remote code: name another encoder"
    ):
        settings = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    kind = MODEL_MAPPING.get(type(settings), None)
    pooler = kind is not None and "add_pooling_layer" in inspect.signature(kind.__init__).parameters
    return {"add_pooling_layer": False} if pooler else {}


def _recipe(name: str, folder: Path, tokenizer: Any, model: Any) -> Recipe:
    if not (folder / "modules.json").is_file():
        return Recipe(max_tokens=_max_tokens(None, tokenizer, model))
    modules = [(m["type"].rpartition(".")[2], m["path"]) for m in _settings(folder / "modules.json")]
    kinds = [kind for kind, _ in modules]
    if other := [k for k in kinds if k not in ("Transformer", "Pooling", "Normalize", "Dropout")]:
        raise ModelError(
            f"{name} has a module {other[0]}, which is not applied here: name an encoder without it"
        )
    if kinds[:2] != ["Transformer", "Pooling"] or kinds.count("Pooling") > 1 or modules[0][1]:
        raise ModelError(
            f"{name} has the modules {', '.join(kinds)} in its modules.json: name an encoder whose folder holds "
            "the Transformer itself and then one Pooling"
        )
    pooling = _settings(_module_file(name, folder, modules[1][1]))
    general = _settings(folder / "config_sentence_transformers.json", optional=True)
    chosen = general.get("default_prompt_name")
    prompt = (general.get("prompts") or {}).get(chosen) or ""
    if prompt and not pooling.get("include_prompt", True):
        raise ModelError(
            f"{name} leaves its prompt {prompt[:40]!r} out of the pooling, which is not done here: "
            "set default_prompt_name to null in its config_sentence_transformers.json"
        )
    inner = _settings(folder / "sentence_bert_config.json", optional=True)
    return Recipe(
        poolings=_poolings(name, pooling),
        prompt=prompt,
        lower=bool(inner.get("do_lower_case")),
        max_tokens=_max_tokens(inner.get("max_seq_length"), tokenizer, model),
    )


def _poolings(name: str, settings: dict[str, Any]) -> tuple[str, ...]:
    given = settings.get("pooling_mode") or [mode for key, mode in POOLING_KEYS.items() if settings.get(key)]
    modes = (given,) if isinstance(given, str) else tuple(given) or ("mean",)
    if other := [mode for mode in modes if mode not in POOLINGS]:
        raise ModelError(f"{name} pools by {other[0]!r}: name an encoder that pools by {', '.join(POOLINGS)}")
    return modes


def _max_tokens(stated: int | None, tokenizer: Any, model: Any) -> int | None:
    """What the folder states, or else the tokenizer, as far as there are positions.

    RoBERTa and its kin number positions from the padding token on, so that some are never used.
    """
    bounds = [stated or tokenizer.model_max_length]
    bounds.append(getattr(model.config.get_text_config(), "max_position_embeddings", None) or 0)
    for part, module in model.named_modules():
        if part.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            bounds.append(module.num_embeddings - module.padding_idx - 1)
    known = [int(b) for b in bounds if 0 < b < UNBOUNDED]
    return min(known) if known else None


def _module_file(name: str, folder: Path, path: str) -> Path:
    """The settings of a module; `resolve` leaves sub-folders of a hub model out, so they are fetched here."""
    file = folder / path / "config.json"
    if not file.is_file() and not Path(name).expanduser().is_dir():
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError

        try:
            return Path(hf_hub_download(name, f"{path}/config.json", revision=folder.name))
        except (HfHubHTTPError, OSError) as error:
            raise ModelError(
                f"{name} does not give {path}/config.json ({type(error).__name__}): download the whole model "
                f"(`hf download {name} --local-dir FOLDER`) and name its folder"
            ) from error
    return file


def _settings(file: Path, *, optional: bool = False) -> Any:
    if optional and not file.is_file():
        return {}
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read as JSON ({error}): download the encoder again") from error
