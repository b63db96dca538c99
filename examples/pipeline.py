"""The whole pipeline in Python, on organisms: responses, scores, pairs, audit, DPO, attack, comparison.

    python examples/pipeline.py runs/pipeline

Replace the three `organism:` references by your own model, a stronger model (`openai:gpt-4o`, say) and a reward model, and the
prompts by yours; nothing else changes. Stop it when you like: what is in the ledger is not asked for again.
"""

import sys
from pathlib import Path

import backfire as bf

POLICY, STRONGER, REWARD = "organism:llama/target", "organism:gpt4o", "organism:reward"


def main(folder: Path, prompts: int = 120, epochs: float = 2) -> list:
    """Run it in this folder, with so many prompts and epochs of DPO; gives the trained model's rates under attack."""
    folder.mkdir(parents=True, exist_ok=True)
    policy = bf.open_model(POLICY)
    asked = bf.open_prompts("organism:prompts/train").prompts[:prompts]
    by_id = {prompt.id: prompt for prompt in asked}
    with bf.Ledger(folder / "ledger.db") as ledger:
        # Five responses of the policy, one of a stronger model, all decoded alike.
        how = bf.Decoding(max_new_tokens=48, temperature=0.7)
        own = bf.sample(policy, asked, ledger=ledger, n=5, decoding=how).responses
        strong = bf.sample(bf.open_model(STRONGER), asked, ledger=ledger, decoding=how).responses
        scores = bf.score(bf.open_reward_model(REWARD), by_id, own, ledger=ledger)

        # Two data sets of the same prompts: the stronger model's answers over the policy's, and the policy's best over its worst.
        recipes = bf.load_recipes()
        built = {
            "gpt4o+self": bf.build_pairs(recipes["gpt4o+self"], asked, {"gpt4o": strong, "self": own}),
            "self+rm": bf.build_pairs(recipes["self+rm"], asked, {"self": own}, scores),
        }
        for name, pairs in built.items():
            data = bf.write_pairs(folder / name, pairs)
            report = bf.audit(data)
            print(f"{name}: {len(pairs.pairs)} pairs, {report.conclusion.level}")
            print("  " + "\n  ".join(report.conclusion.reasons))

        settings = bf.DPOSettings(lr=1e-4, beta=0.1, batch_size=8, epochs=epochs)
        bf.train_dpo(POLICY, folder / "self+rm", folder / "policy", settings)

        # The same requests before and after, in two ways of asking.
        attacks, greedy = (
            bf.open_suite("direct,prefix-injection"),
            bf.Decoding(max_new_tokens=48, temperature=0),
        )
        requests = {"harmful": bf.open_prompts("organism:prompts/direct").prompts[:prompts]}
        benign = {"benign": bf.open_prompts("organism:prompts/benign").prompts[:prompts]}
        judges = [bf.open_judge("exact", world="w0"), bf.open_judge("phrases")]
        for model in (policy, bf.open_model(folder / "policy")):
            result = bf.attack_suite(
                model, attacks, requests, benign, judges=judges, ledger=ledger, decoding=greedy
            )
            print(model.name)
            for row in result.asr + result.over_refusal:
                print("  ", row)
    return result.asr


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/pipeline"))
