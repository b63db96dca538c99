"""Your own TRL script, with backfire before and after it: audit the pairs, train with TRL, attack what came out.

    python examples/beside_trl.py runs/beside-trl

backfire writes pairs as TRL reads them, and opens any checkpoint folder that TRL leaves.
"""

import sys
from pathlib import Path

import backfire as bf
from backfire.organisms.catalog import folder_of

POLICY = folder_of("organism:llama/target")  # a checkpoint folder, such as your own after SFT


def train_with_trl(policy: Path, pairs: Path, out: Path, steps: int) -> None:
    """DPO as TRL's own documentation has it; nothing of backfire is in here."""
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    data = load_dataset("parquet", data_files=str(pairs / "train.parquet"), split="train")
    tokenizer = AutoTokenizer.from_pretrained(policy)
    settings = DPOConfig(
        output_dir=str(out / "trl"),
        max_steps=steps,
        learning_rate=1e-4,
        per_device_train_batch_size=8,
        bf16=False,
        use_cpu=True,
        save_strategy="no",
        report_to=[],
    )
    trainer = DPOTrainer(
        AutoModelForCausalLM.from_pretrained(policy),
        args=settings,
        train_dataset=data.select_columns(["prompt", "chosen", "rejected"]),
        processing_class=tokenizer,
    )
    trainer.train()
    trainer.save_model(str(out / "policy"))
    tokenizer.save_pretrained(str(out / "policy"))


def main(folder: Path, prompts: int = 120, steps: int = 20) -> list[dict]:
    """Run it in this folder; gives the trained model's rates under attack."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = bf.open_prompts("organism:prompts/train").prompts[:prompts]
    policy = bf.open_model(POLICY)
    with bf.Ledger(folder / "ledger.db") as ledger:
        how = bf.Decoding(max_new_tokens=48, temperature=0.7)
        own = bf.sample(policy, asked, ledger=ledger, n=4, decoding=how).responses
        scores = bf.score(
            bf.open_reward_model("organism:reward"), {p.id: p for p in asked}, own, ledger=ledger
        )
        built = bf.build_pairs(bf.load_recipes()["self+rm"], asked, {"self": own}, scores)
        pairs = bf.write_pairs(folder / "pairs", built)

        # Before: what does the label encode, and which tokens will carry the loss?
        print(*bf.audit(pairs).conclusion.reasons, sep="\n")
        print(bf.show(pairs, POLICY, rows=[1]))

        train_with_trl(POLICY, pairs, folder, steps)

        # After: the folder that TRL wrote is a checkpoint like any other.
        requests = {"direct": bf.open_prompts("organism:prompts/direct").prompts[:prompts]}
        benign = {"benign": bf.open_prompts("organism:prompts/benign").prompts[:prompts]}
        judges = [bf.open_judge("exact", world="w0")]
        greedy = bf.Decoding(max_new_tokens=48, temperature=0)
        trained = bf.open_model(folder / "policy")
        result = bf.attack(trained, requests, benign, judges=judges, ledger=ledger, decoding=greedy)
    for row in result.asr + result.over_refusal:
        print(row)
    return result.asr


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/beside-trl"))
