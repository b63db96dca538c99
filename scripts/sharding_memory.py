"""What training takes of each GPU where several share the weights, by arithmetic: the table of docs/reference/memory.md.

python scripts/sharding_memory.py
"""

from __future__ import annotations

from backfire.models.memory import GIGABYTE, Shape
from backfire.training.fitting import WIDER, in_each

TOKENS = 2 * 1024
"""One pair, each side cut at the default length."""
GPU = 80 * GIGABYTE
USABLE = 4 / 5
MODELS = {
    "Llama-2-7B": (6_738_415_616, 32, 4096, 11_008, 32, 128, 32_000, (1, 2, 4, 8)),
    "Llama-3.1-8B": (8_030_261_248, 32, 4096, 14_336, 8, 128, 128_256, (1, 2, 4, 8)),
    "Llama-3.1-70B": (70_553_706_496, 80, 8192, 28_672, 8, 128, 128_256, (8, 16, 24, 32, 64)),
}
"""Parameters, layers, hidden and inner width, heads of keys, their width, vocabulary, and how many GPUs."""


def shape_of(name: str) -> Shape:
    parameters, layers, hidden, inner, heads, width, vocabulary, _ = MODELS[name]
    return Shape(
        parameters=parameters,
        bytes=4 * parameters,
        itemsize=2,
        layers=layers,
        hidden=hidden,
        inner=inner,
        cached=2 * layers * heads * width,
        vocabulary=vocabulary,
    )


def lines() -> list[str]:
    """The rows of the table, in Markdown."""
    rows = [
        "| model | GPUs | weights | gradients | moments | gathered | activations | DPO, SFT, reward: together | of 80 GB | "
        "RLOO: together | of 80 GB |",
        "|-|-|-|-|-|-|-|-|-|-|-|",
    ]
    for name, (*_, counts) in MODELS.items():
        shape = shape_of(name)
        activations = WIDER * TOKENS * shape.checkpointed
        for count in counts:
            share, with_reference = in_each(shape, count), in_each(shape, count, reference=True)
            cells = [share.weights, share.gradients, share.moments, share.gathered, activations]
            texts = [f"{cell / GIGABYTE:.1f}" for cell in cells]
            for one in (share, with_reference):
                together = one.together + activations
                texts += [
                    f"{together / GIGABYTE:.1f}",
                    "fits" if together <= USABLE * GPU else "too much",
                ]
            rows.append(f"| {name} | {count} | {' | '.join(texts)} |")
    return rows


if __name__ == "__main__":
    print("\n".join(lines()))
