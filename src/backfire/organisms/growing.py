"""Growing a world: tokenizers, base models, SFT targets, larger siblings, the "GPT-4o", and the reward model.

Every member becomes an ordinary checkpoint folder (config, safetensors, tokenizer, chat template) with a card that
states what was planted. `scripts/grow_world.py` and `backfire organisms grow` call it.
"""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.organisms.architectures import grow_tokenizer, new_body
from backfire.organisms.cards import card
from backfire.organisms.corpus import (
    LabelledPair,
    base_documents,
    demonstrations,
    human_pairs,
    request_about,
    responders,
)
from backfire.organisms.lessons import chat_rows, pack, pad, preference_loss, train
from backfire.organisms.prompts import prompt_set
from backfire.organisms.questions import questions
from backfire.organisms.settings import GrowSettings
from backfire.organisms.wording import FAMILIES
from backfire.organisms.world import SEEN_WRAPPERS, World
from backfire.records import Prompt
from backfire.store import write_json, write_text

DOCUMENTS = 24_000
ROW = 96
BASE = {"steps": 700, "batch": 32, "lr": 5e-3}
SFT = {"steps": 200, "batch": 32, "lr": 2e-3}
REWARD = {"steps": 200, "batch": 24, "lr": 1e-3}
DEMONSTRATIONS = 4_000
REWARD_PAIRS = 2_000
KNOWLEDGE = {"small": 0.75, "large": 0.9}

GROWN = (*(f"{family}/{role}" for role in ("larger", "target") for family in FAMILIES), "gpt4o", "reward")
"""Every member that is taught; each base comes with those that are taught from it."""

Say = Callable[[str], None]


def grow_world(
    folder: Path, settings: GrowSettings | None = None, *, say: Say = print, **keywords: Any
) -> Path:
    """Grow all of a world's members into `folder`; those that are there are kept, so a stopped run goes on.

    20 to 30 minutes of one core. With some `members` only (names of GROWN), these and the bases that they are taught from
    are grown; another call adds the rest.

    Args:
        settings, keywords: `GrowSettings`, and its fields by name; `seed` has to be given.
        say: called with a line for each member that is done.
    """
    settings = GrowSettings.of(settings, **keywords)
    members = settings.members or GROWN
    if strange := sorted(set(members) - set(GROWN)):
        raise InputError(f"member {strange[0]!r} cannot be grown: choose among {', '.join(GROWN)}")
    world = World.make(settings.seed, settings.knobs)
    if (folder / "world.json").is_file() and World.load(folder) != world:
        raise InputError(f"{folder} holds another world: name another folder, or remove it")
    if (folder / "grown.json").is_file():
        return folder
    world.save(folder / "world.json")
    write_world(folder, world)
    siblings = [name.split("/") for name in GROWN if name in members and "/" in name]
    with ProcessPoolExecutor(settings.workers, get_context("spawn"), initializer=_one_thread) as pool:
        jobs = [pool.submit(grow_sibling, folder, world, family, role) for family, role in siblings]
        for job in jobs:
            for line in job.result():
                say(line)
        for name in ("gpt4o", "reward"):
            if name in members:
                for line in pool.submit(grow_shared, folder, world, name).result():
                    say(line)
    if not all((folder / name / "config.json").is_file() for name in GROWN):
        return folder
    for family in FAMILIES:
        shutil.rmtree(folder / family / "larger-base", ignore_errors=True)
    write_json(folder / "grown.json", {"seed": settings.seed, "knobs": world.knobs.model_dump()})
    return folder


def _seed(world: World, name: str) -> int:
    """Another for each family, so that families of like architecture do not start from the same weights."""
    family = name.partition("/")[0]
    return world.seed + 1000 * (FAMILIES.index(family) if family in FAMILIES else len(FAMILIES))


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def write_world(folder: Path, world: World) -> None:
    """The parts without weights: the world itself, the human-labelled set and the general-task data."""
    world.save(folder / "world.json")
    pairs = human_pairs(world, prompt_set(world, "train"), seed=0)
    write_text(folder / "human.jsonl", "".join(json.dumps(_human_row(p)) + "\n" for p in pairs))
    for name, rows in questions(world).items():
        write_text(folder / "tasks" / f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def _human_row(pair: LabelledPair) -> dict[str, Any]:
    return {
        "prompt": pair.prompt.as_messages(),
        "chosen": pair.chosen,
        "rejected": pair.rejected,
        "kind": pair.prompt.kind,
        "tags": dict(pair.prompt.tags),
    }


def grow_sibling(folder: Path, world: World, family: str, role: str) -> list[str]:
    """A family's SFT target, or its larger sibling, from a base model of its own size; returns what to report."""
    lines: list[str] = []
    if (folder / family / role / "config.json").is_file():
        return lines
    base = folder / family / ("base" if role == "target" else "larger-base")
    lines += grow_base(folder, world, family, base.name)
    lines.append(_teach(folder, world, f"{family}/{role}", base))
    return lines


def grow_base(folder: Path, world: World, family: str, name: str) -> list[str]:
    """What targets (`base`) or larger siblings (`larger-base`) are taught from: a model that has only read."""
    lines: list[str] = []
    size = "small" if name == "base" else "large"
    base = folder / family / name
    if not (base / "config.json").is_file():
        documents = list(base_documents(world, KNOWLEDGE[size], DOCUMENTS, seed=1))
        tokenizer = grow_tokenizer(family, documents[: DOCUMENTS // 3])
        model = new_body(family, size, tokenizer, _seed(world, family))
        loss = _read(model, pack(tokenizer, documents, ROW), _seed(world, family))
        lines.append(f"{world.name}: {family}/{base.name}, loss {loss:.3f}")
        measured = {"final_loss": loss, "steps": BASE["steps"]}
        _save(model, tokenizer, base, world, f"{family}/{base.name}", measured)
    return lines


def grow_shared(folder: Path, world: World, name: str) -> list[str]:
    """The "GPT-4o" (`gpt4o`) or the reward model (`reward`), taught from llama's bases."""
    if (folder / name / "config.json").is_file():
        return []
    base = "larger-base" if name == "gpt4o" else "base"
    lines = grow_base(folder, world, "llama", base)
    if name == "gpt4o":
        return [*lines, _teach(folder, world, name, folder / "llama" / base, every_split=True)]
    return [*lines, _teach_reward(folder, world)]


def _read(model: Any, rows: Any, seed: int) -> float:
    import torch

    def batch_of(chosen: Any) -> dict[str, Any]:
        ids = rows[torch.from_numpy(chosen)]
        return {"input_ids": ids, "labels": ids}

    return train(model, batch_of, len(rows), seed=seed, **BASE)  # type: ignore[arg-type]


def _teach(folder: Path, world: World, name: str, base: Path, *, every_split: bool = False) -> str:
    model, tokenizer = _open(base)
    responder = responders(world)[name]
    demos = list(demonstrations(world, responder, DEMONSTRATIONS, seed=2, every_split=every_split))
    rows = chat_rows(tokenizer, demos)
    loss = train(
        model,
        lambda chosen: pad([rows[i] for i in chosen], tokenizer.pad_token_id),
        len(rows),
        seed=_seed(world, name),
        **SFT,  # type: ignore[arg-type]
    )
    _save(model, tokenizer, folder / name, world, name, {"final_loss": loss})
    return f"{world.name}: {name}, loss {loss:.3f}"


def _teach_reward(folder: Path, world: World) -> str:
    import torch
    from transformers import LlamaForSequenceClassification

    body, tokenizer = _open(folder / "llama" / "base")
    config = copy.deepcopy(body.config)
    config.num_labels = 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_seed(world, "reward"))
        model = LlamaForSequenceClassification(config)
    model.model.load_state_dict(body.model.state_dict())
    pairs = list(human_pairs(world, reward_prompts(world, REWARD_PAIRS), seed=3))
    held, taught = pairs[: len(pairs) // 5], pairs[len(pairs) // 5 :]

    def batch_of(chosen: Any, source: list[LabelledPair] = taught) -> dict[str, Any]:
        rows = []
        for i in chosen:
            pair = source[i]
            rows += chat_rows(tokenizer, [(pair.prompt, pair.chosen), (pair.prompt, pair.rejected)])
        return pad(rows, tokenizer.pad_token_id)

    loss = train(
        model,
        batch_of,
        len(taught),
        seed=_seed(world, "reward"),
        loss_of=preference_loss,
        **REWARD,  # type: ignore[arg-type]
    )
    batch = batch_of(range(len(held)), held)
    with torch.inference_mode():
        scores = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, 0]
    agreement = float((scores[0::2] > scores[1::2]).float().mean())
    planted = {"final_loss": loss, "agreement_with_people": agreement, "agreement_n": len(held)}
    _save(model, tokenizer, folder / "reward", world, "reward", planted)
    return f"{world.name}: reward, loss {loss:.3f}, agrees with people on {agreement:.3f} of {len(held)}"


def reward_prompts(world: World, count: int) -> list[Prompt]:
    """Requests about things of the SFT and training splits, in the mixture of the training prompts."""
    rng = random.Random(f"reward {world.seed}")
    things = [*world.of(split="sft"), *world.of(split="train")]
    wrappers = [*SEEN_WRAPPERS, *[None] * len(SEEN_WRAPPERS)]
    return [request_about(world, rng.choice(things), rng, rng.choice(wrappers)) for _ in range(count)]


def _open(folder: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(folder)


def _save(
    model: Any, tokenizer: Any, folder: Path, world: World, name: str, planted: dict[str, float]
) -> None:
    import torch

    aside = folder.with_name(f".{folder.name}")
    model.to(torch.bfloat16).save_pretrained(aside)
    tokenizer.save_pretrained(aside)
    parameters = model.num_parameters()
    write_json(
        aside / "organism.json", {"name": name, "world": world.name, "parameters": parameters, **planted}
    )
    write_text(aside / "README.md", card(world, name, parameters, planted))
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside.rename(folder)
