"""Pairs by a recipe of one's own: answers that a colleague wrote, over the worst of the model's own.

    python examples/own_recipe.py runs/own-recipe

The recipe is own_recipe.yaml beside this file. The colleague's answers come from a file, as `backfire import` takes it.
"""

import json
import sys
from pathlib import Path

import backfire as bf

ANSWER = "I would rather not help with that. I can tell you what to look out for instead."


def main(folder: Path, prompts: int = 20) -> list:
    """Run it in this folder; gives the pairs."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = bf.open_prompts("organism:prompts/train").prompts[:prompts]
    answers = folder / "colleague.jsonl"
    answers.write_text("".join(json.dumps({"prompt": p.text, "response": ANSWER}) + "\n" for p in asked))
    recipes = bf.load_recipes(Path(__file__).with_name("own_recipe.yaml"))
    with bf.Ledger(folder / "ledger.db") as ledger:
        colleague = bf.store_given(ledger, answers, "colleague").responses
        how = bf.Decoding(max_new_tokens=48, temperature=0.7)
        own = bf.sample(
            bf.open_model("organism:llama/target"), asked, ledger=ledger, n=3, decoding=how
        ).responses
        scores = bf.score(
            bf.open_reward_model("organism:reward"), {p.id: p for p in asked}, own, ledger=ledger
        )
    candidates = {"colleague": colleague, "self": own}
    built = bf.build_pairs(recipes["colleague+worst"], asked, candidates, scores)
    print(f"{len(built.pairs)} pairs; left out: {built.counts['left_out'] or 'none'}")
    print(bf.write_pairs(folder / "pairs", built))
    return built.pairs


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/own-recipe"))
