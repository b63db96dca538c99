"""Supervised fine-tuning on responses, by TRL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.models.work import Announce
from backfire.training.conversation_files import read_conversations
from backfire.training.examples import Prepared, prepare_conversations
from backfire.training.log import TrainingLog
from backfire.training.policy import Policy, Tokens
from backfire.training.processes import in_processes
from backfire.training.run import Progress, lora_config, run
from backfire.training.settings import SFTSettings

if TYPE_CHECKING:
    from datasets import Dataset


def train_sft(
    policy_folder: str | Path,
    conversations: str | Path | Dataset | Iterable[Mapping[str, Any]],
    out: str | Path,
    settings: SFTSettings | None = None,
    *,
    progress: Progress | None = None,
    announce: Announce | None = None,
    **keywords: Any,
) -> TrainingLog:
    """Train a policy on the assistant's turns, their end token included, and on nothing else.

    `conversations` is a file, folder, hub name, `datasets.Dataset` or rows, as for `train_dpo`: conversations in a column
    `messages` or `conversations` (ShareGPT), a prompt and a `completion`, or `instruction`, `input` and `output`; with a
    column `system` and `tools` if there are such. `columns` says where they are if under other names, such as
    {"messages": "turns"} or {"prompt": "question", "response": "answer"}. A conversation of several assistant turns
    gives one example for each.
    Rows without anything to learn are left out and counted. Everything goes through the policy's chat template; `plain`
    trains on plain prompts and completions as they are. `out` is written as `train_dpo` writes it, and the same errors
    are raised. Keywords are fields of `SFTSettings` and of its parts; a whole part may be given, as `reading=ConversationReading(...)`.

    `announce` is called with a sentence that says how long training will take and how much memory, before it begins; not where
    that is a few seconds.
    """
    settings = SFTSettings.of(settings, **keywords)
    if settings.processes is not None:
        named = isinstance(conversations, (str, Path, Mapping)) or hasattr(conversations, "column_names")
        given: Any = conversations if named else list(conversations)  # type: ignore[arg-type]
        return in_processes("train_sft", (policy_folder, given, out), settings, progress)
    plain = settings.reading.plain
    data = read_conversations(conversations, **settings.reading.model_dump(exclude={"plain"}))

    def prepare(tokens: Tokens) -> Prepared:
        return prepare_conversations(data, tokens)

    def build(
        policy: Policy, rows: Dataset, tokenizer: Any, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Any:
        from trl import SFTConfig

        from backfire.training.trainers import TokenSFTTrainer

        return TokenSFTTrainer(
            model=policy.model,
            args=SFTConfig(**arguments),
            train_dataset=rows,
            processing_class=tokenizer,
            peft_config=lora_config(policy.settings),
            callbacks=callbacks,
        )

    return run("sft", policy_folder, prepare, out, settings, build, progress, announce=announce, plain=plain)
