"""Prompts from whatever a user names: published sets by name, an organism's sets, the hub, and files."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.prompts.named import open_prompts, prompts_of
    from backfire.prompts.published import PromptSet, find_file, is_prompt_set, open_prompt_set, prompt_sets
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "named": ("open_prompts", "prompts_of"),
            "published": ("PromptSet", "find_file", "is_prompt_set", "open_prompt_set", "prompt_sets"),
        },
    )

__all__ = [
    "PromptSet",
    "find_file",
    "is_prompt_set",
    "open_prompt_set",
    "open_prompts",
    "prompt_sets",
    "prompts_of",
]
