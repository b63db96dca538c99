"""How much memory work with a model takes, by arithmetic: the one place from which batches get their size.

What a command may take is three times its weights in 16 bits and 2 GB (`ceiling`). Python, torch and the libraries take
PROGRAM of it, the weights what they take as they were opened; half of what is left is for one batch (`batch_room`), half
for what is kept beside it, such as summed gradients (`kept_room`). All of it follows from the model's shape alone, so that
two machines cut the same batches; `available` says what a machine has.
"""

from __future__ import annotations

import ctypes
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.errors import ModelError
from backfire.models.sharded import numbers_of

if TYPE_CHECKING:
    import torch

GIGABYTE = 10**9
PROGRAM = 1200 * 10**6
"""Bytes that Python, torch, transformers and the tables of a data set take before any model, with what the allocator keeps of
freed memory: with 900 million, an audit with influence and pilot of SmolLM2 took 2.86 GB of its 2.81."""
LEAST = 2**28
"""A batch gets a quarter of a gigabyte at the least, however small the ceiling."""
PIECE = 2**28
"""Bytes that logits take at a time, in float32 and with their gradient."""
LARGE = 10**8
"""Bytes of weights from which on freed memory goes back to the system, and the speed of a dtype matters."""
M_MMAP_THRESHOLD = -3
"""The number that mallopt knows it by."""
MAPPED = 2**20
FEWEST_TOKENS = 256
"""A batch of one row may be so long, whatever the arithmetic says."""
MOST_TOKENS = 4096
"""Of a batch on a CPU, where longer ones are no faster."""


@dataclass(frozen=True)
class Shape:
    """What the arithmetic needs to know of a model."""

    parameters: int
    bytes: int
    """Of the weights, as they were opened."""
    itemsize: int
    """Of what is computed: an adapter in float32 widens what goes through it."""
    layers: int
    hidden: int
    inner: int
    """Width of the feed-forward layers; of all experts that a token goes to, together."""
    cached: int
    """Numbers that a token leaves in the cache, all layers together: keys and values."""
    vocabulary: int

    @classmethod
    def of(cls, model: Any) -> Shape:
        """The shape of a model of transformers, or of PEFT around one."""
        settings = model.config.get_text_config()
        hidden = int(settings.hidden_size)
        layers = int(settings.num_hidden_layers)
        heads = int(getattr(settings, "num_attention_heads", 1) or 1)
        keyed = int(getattr(settings, "num_key_value_heads", None) or heads)
        wide = int(getattr(settings, "head_dim", None) or hidden // heads)
        inner = int(getattr(settings, "intermediate_size", None) or 4 * hidden)
        weights = list({id(p): p for p in model.parameters()}.values())
        return cls(
            parameters=sum(map(numbers_of, weights)),
            bytes=sum(numbers_of(p) * p.element_size() for p in weights),
            itemsize=max(p.element_size() for p in weights if p.is_floating_point()),
            layers=layers,
            hidden=hidden,
            inner=inner * int(getattr(settings, "num_experts_per_tok", None) or 1),
            cached=2 * layers * keyed * wide,
            vocabulary=int(settings.vocab_size),
        )

    @property
    def at_work(self) -> int:
        """Bytes a token while one layer computes and nothing is kept for gradients."""
        return self.itemsize * (6 * self.inner + 8 * self.hidden)

    @property
    def with_gradients(self) -> int:
        """Bytes a token that all layers keep for their gradients; norms are computed in float32."""
        return self.layers * (self.itemsize * (5 * self.inner + 8 * self.hidden) + 24 * self.hidden)

    @property
    def checkpointed(self) -> int:
        """Bytes a token where layers are computed again for their gradients: their inputs, and one layer whole."""
        return self.layers * self.itemsize * self.hidden + self.with_gradients // self.layers


def ceiling(parameters: int) -> int:
    """Bytes that a command may take at its defaults: three times the weights in 16 bits, and 2 GB."""
    return 3 * 2 * parameters + 2 * GIGABYTE


def _spare(model: Any) -> int:
    """Bytes beside program and weights; on a GPU, where only the model lies, an eighth of its memory if that is more."""
    import torch

    shape = Shape.of(model)
    bytes_left = max(2 * LEAST, ceiling(shape.parameters) - PROGRAM - shape.bytes)
    device = model.device
    if device.type == "cuda":
        bytes_left = max(bytes_left, torch.cuda.get_device_properties(device).total_memory // 8)
    return bytes_left


def batch_room(model: Any) -> int:
    """Bytes that one batch may take: activations, hidden states that are kept, the cache."""
    return _spare(model) // 2


def kept_room(model: Any) -> int:
    """Bytes of main memory that what is kept from batch to batch may take."""
    shape = Shape.of(model)
    return max(LEAST, ceiling(shape.parameters) - PROGRAM - shape.bytes) // 2


def tokens_to_read(model: Any, *, states: bool = False) -> int:
    """Padded tokens of a batch that goes forward only; with `states`, those of every layer are kept."""
    shape = Shape.of(model)
    each = shape.at_work + (shape.itemsize * (shape.layers + 1) * shape.hidden if states else 0)
    return _tokens(model, each)


def tokens_to_differentiate(model: Any) -> int:
    """Padded tokens of a batch whose gradient is taken, every layer's values being kept for it."""
    return _tokens(model, Shape.of(model).with_gradients)


def _tokens(model: Any, each: int) -> int:
    most = max(FEWEST_TOKENS, batch_room(model) // each)
    return min(most, MOST_TOKENS) if model.device.type == "cpu" else most


def keeps_for_gradients(model: Any, tokens: int) -> bool:
    """Whether a batch of so many padded tokens may keep every layer's values for its gradient."""
    return tokens * Shape.of(model).with_gradients <= batch_room(model)


def give_back_freed(model: Any) -> None:
    """Once a large model is open on a CPU: have memory that is freed go back to the system.

    The allocator of glibc raises the size from which pieces are mapped by themselves up to 32 MB. The values of a layer then
    lie among one another in one heap, and batches of half a billion parameters took 1.8 GB for the .6 GB that they kept. From
    here on pieces of MAPPED bytes are mapped by themselves. Elsewhere than on Linux with glibc nothing is done.
    """
    if _large_on_cpu(model) and (allocator := _glibc("mallopt")) is not None:
        allocator(M_MMAP_THRESHOLD, MAPPED)


def release(model: Any) -> None:
    """Give back what lies free in the heap, before a batch of a large model."""
    if _large_on_cpu(model) and (trim := _glibc("malloc_trim")) is not None:
        trim(0)


def _large_on_cpu(model: Any) -> bool:
    return model.device.type == "cpu" and Shape.of(model).bytes >= LARGE


def _glibc(function: str) -> Any | None:
    return getattr(ctypes.CDLL(None), function, None) if sys.platform == "linux" else None


def check_room(needed: int, device: torch.device | str, what: str, instead: str) -> None:
    """Raise ModelError, before any work, where a device has fewer bytes free than are needed."""
    free = available(device)
    if free is not None and needed > free:
        raise ModelError(
            f"{what} takes about {needed / GIGABYTE:.1f} GB, and {free / GIGABYTE:.1f} GB are free here: {instead}"
        )


def rows_to_generate(model: Any, prompt: int, whole: int) -> int:
    """Rows that may be generated at once where a prompt has so many tokens, and prompt and response together `whole`."""
    shape = Shape.of(model)
    each = prompt * shape.at_work + whole * shape.itemsize * (shape.cached + 4 * shape.hidden)
    return max(1, batch_room(model) // (each + 16 * shape.vocabulary))


def rows_with_logits(model: Any, tokens: int, beside: int = 0) -> int:
    """Rows of so many tokens that may go forward at once where logits of all positions and a cache are made, as other
    libraries make them, and a copy of the logits is taken; `beside` are bytes that the caller keeps meanwhile."""
    shape = Shape.of(model)
    each = tokens * (shape.at_work + shape.itemsize * (shape.cached + 2 * shape.vocabulary))
    return max(1, (batch_room(model) - beside) // each)


def rows_to_continue(model: Any, tokens: int) -> int:
    """Rows that may share what was cached of a text, each with a copy, where they have so many tokens together."""
    shape = Shape.of(model)
    return max(1, batch_room(model) // (tokens * (2 * shape.itemsize * shape.cached + shape.at_work)))


def positions_at_once(vocabulary: int) -> int:
    """Positions whose logits are computed at a time."""
    return max(1, PIECE // (16 * vocabulary))


def available(device: torch.device | str = "cpu") -> int | None:
    """Bytes that are free on a device now, within the limits of its container; None where nothing says."""
    import torch

    device = torch.device(device)
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    limits = [n for n in (_free(), _left_of_group()) if n is not None]
    return min(limits) if limits else None


def _free() -> int | None:
    match = re.search(r"MemAvailable:\s*(\d+) kB", _text("/proc/meminfo"))
    return None if match is None else int(match.group(1)) * 1024


def _left_of_group() -> int | None:
    """What the control group (a container, a batch system's job) leaves of its limit."""
    places = [
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ]
    for limit, used in places:
        most, now = _text(limit).strip(), _text(used).strip()
        if most.isdigit() and now.isdigit() and int(most) < 2**60:
            return max(0, int(most) - int(now))
    return None


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""


def slow_in_16_bits(device: str | None) -> bool:
    """Whether products in 16 bits are several times slower here than in float32: an x86 CPU without units for them."""
    import torch

    if device not in (None, "cpu") or (device is None and torch.cuda.is_available()):
        return False
    units = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    known = [getattr(torch.cpu, name) for name in units if hasattr(torch.cpu, name)]
    return platform.machine() in ("x86_64", "AMD64") and bool(known) and not any(one() for one in known)
