"""Checkpoints that somebody made to do harm: code in pickles, lying files, endless templates. None runs code, each is a named error."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torture.apart import apart
from torture.figures import Figures, timed
from torture.preloaded import preload_models

SECONDS = 40.0
"""What the opening of one checkpoint may take, on a busy machine; a template alone may take 10."""
CANARY = "canary"
"""A file that hostile code would write beside the checkpoint."""
Change = Callable[[Path], None]
SAME = "same"
"""The model opens, and is the one that its safetensors hold: what is hostile in the folder was not looked at."""
ERROR = "error"
EITHER = "either"
"""It may open, if it then answers as any model, or be refused."""


class Evil:
    """What a pickle would run when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch '{self.path}'",))


def pickled(name: str, *, keep: bool) -> Change:
    def change(folder: Path) -> None:
        import torch

        torch.save({"model.norm.weight": Evil(folder.parent / CANARY)}, folder / name)
        if not keep:
            (folder / "model.safetensors").unlink()

    return change


def edited(name: str, edit: Callable[[bytes], bytes]) -> Change:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_bytes(edit(path.read_bytes() if path.is_file() else b""))

    return change


def holds(name: str, content: bytes | str) -> Change:
    data = content.encode() if isinstance(content, str) else content
    return edited(name, lambda _: data)


def with_values(name: str, **values: Any) -> Change:
    def change(folder: Path) -> None:
        path = folder / name
        there = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps({**there, **values}))

    return change


def without(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def all_of(*changes: Change) -> Change:
    def change(folder: Path) -> None:
        for one in changes:
            one(folder)

    return change


def instead(name: str, make: Callable[[Path], None]) -> Change:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return change


def tensors(edit: Callable[[dict[str, Any]], Any]) -> Change:
    def change(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        there = load_file(folder / "model.safetensors")
        edit(there)
        save_file(there, folder / "model.safetensors", {"format": "pt"})

    return change


def poisoned(value: float, which: str) -> Change:
    def edit(there: dict[str, Any]) -> None:
        name = next(name for name in there if which in name)
        there[name].view(-1)[-1] = value

    return tensors(edit)


def header(edit: Callable[[dict[str, Any]], Any]) -> Change:
    def rewrite(data: bytes) -> bytes:
        (size,) = struct.unpack("<Q", data[:8])
        value = json.loads(data[8 : 8 + size])
        edit(value)
        text = json.dumps(value).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + size :]

    return edited("model.safetensors", rewrite)


def indexed(target: str) -> Change:
    """Weights by an index, which says that they lie at `target`."""

    def change(folder: Path) -> None:
        from safetensors.torch import load_file

        names = list(load_file(folder / "model.safetensors"))
        shutil.copy(folder / "model.safetensors", folder.parent / "outside.safetensors")
        (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
        where = target.format(folder.parent)
        value = {"metadata": {}, "weight_map": dict.fromkeys(names, where)}
        (folder / "model.safetensors.index.json").write_text(json.dumps(value))

    return change


def remote(name: str, attribute: str, *, key: str) -> Change:
    """A Python file beside the checkpoint, and the setting that would have it imported."""

    def change(folder: Path) -> None:
        code = f"open({str(folder.parent / CANARY)!r}, 'w').close()\nclass {attribute}: pass\n"
        (folder / "evil.py").write_text(code)
        with_values(name, auto_map={key: f"evil.{attribute}"}, model_type="evil")(folder)

    return change


def template(text: str) -> Change:
    def change(folder: Path) -> None:
        (folder / "chat_template.jinja").write_text(text)

    return change


def adapted(*changes: Change) -> Change:
    """The folder becomes an adapter of a sound base that lies beside it."""

    def change(folder: Path) -> None:
        import torch
        from safetensors.torch import load_file, save_file

        base = folder.parent / "base"
        if not base.exists():
            shutil.copytree(folder, base)
        weights = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        (folder / "config.json").unlink()
        saved = {}
        for name in (name for name in weights if name.endswith("q_proj.weight")):
            out, into = weights[name].shape
            stem = f"base_model.model.{name.removesuffix('.weight')}"
            saved[f"{stem}.lora_A.weight"] = torch.ones(2, into)
            saved[f"{stem}.lora_B.weight"] = torch.zeros(out, 2)
        save_file(saved, folder / "adapter_model.safetensors", {"format": "pt"})
        settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["q_proj"]}
        settings |= {"task_type": "CAUSAL_LM", "base_model_name_or_path": str(base)}
        (folder / "adapter_config.json").write_text(json.dumps(settings))
        for one in changes:
            one(folder)

    return change


def adapter_poisoned(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    there = load_file(folder / "adapter_model.safetensors")
    next(iter(there.values())).view(-1)[0] = float("nan")
    save_file(there, folder / "adapter_model.safetensors", {"format": "pt"})


def adapter_behind_decoy(folder: Path) -> None:
    pickled("adapter_model.bin", keep=True)(folder)
    (folder / "adapter_model.safetensors").rename(folder / "decoy.safetensors")


def tokenizer_json(edit: Callable[[dict[str, Any]], Any]) -> Change:
    def change(folder: Path) -> None:
        path = folder / "tokenizer.json"
        value = json.loads(path.read_text())
        edit(value)
        path.write_text(json.dumps(value))

    return change


def shifted(value: dict[str, Any]) -> None:
    """Every word of the vocabulary has an id beyond the embeddings."""
    value["model"]["vocab"] = {word: place + 100_000 for word, place in value["model"]["vocab"].items()}


DEEP = "[" * 100_000
LONG = 10**12
CASES: dict[str, tuple[str, Change]] = {
    "pickle alone": (ERROR, pickled("pytorch_model.bin", keep=False)),
    "pickle beside safetensors": (SAME, pickled("pytorch_model.bin", keep=True)),
    "pickle called safetensors": (ERROR, pickled("model.safetensors", keep=True)),
    "pickle behind a decoy": (
        ERROR,
        all_of(
            pickled("pytorch_model.bin", keep=True),
            lambda f: (f / "model.safetensors").rename(f / "decoy.safetensors") and None,
        ),
    ),
    "pickled training arguments": (SAME, pickled("training_args.bin", keep=True)),
    "adapter with a pickle alone": (
        ERROR,
        adapted(pickled("adapter_model.bin", keep=True), without("adapter_model.safetensors")),
    ),
    "adapter with a pickle behind a decoy": (ERROR, adapted(adapter_behind_decoy)),
    "adapter with NaN": (ERROR, adapted(adapter_poisoned)),
    "adapter, cut": (ERROR, adapted(edited("adapter_model.safetensors", lambda d: d[: len(d) // 2]))),
    "adapter of rank 10^9": (ERROR, adapted(with_values("adapter_config.json", r=10**9))),
    "adapter of rank -1": (ERROR, adapted(with_values("adapter_config.json", r=-1))),
    "adapter of an unknown kind": (ERROR, adapted(with_values("adapter_config.json", peft_type="EVIL"))),
    "adapter of nothing": (
        ERROR,
        adapted(with_values("adapter_config.json", base_model_name_or_path="/nowhere/at/all")),
    ),
    "adapter of itself": (
        ERROR,
        adapted(
            lambda f: with_values("adapter_config.json", base_model_name_or_path=str(f))(f),
        ),
    ),
    "adapter of a list": (
        ERROR,
        adapted(with_values("adapter_config.json", base_model_name_or_path=["a"])),
    ),
    "adapter configuration, a list": (ERROR, adapted(holds("adapter_config.json", "[]"))),
    "adapter configuration, cut": (ERROR, adapted(holds("adapter_config.json", '{"r":'))),
    "adapter configuration, deep": (ERROR, adapted(holds("adapter_config.json", DEEP))),
    "adapter configuration, not UTF-8": (ERROR, adapted(holds("adapter_config.json", b"\xff\xfe{"))),
    "adapter with an endless pattern": (
        ERROR,
        adapted(with_values("adapter_config.json", target_modules="(.*)*(.*)*(.*)*(.*)*x")),
    ),
    "weights, empty": (ERROR, holds("model.safetensors", b"")),
    "weights, half": (ERROR, edited("model.safetensors", lambda d: d[: len(d) // 2])),
    "weights, cut in the header": (ERROR, edited("model.safetensors", lambda d: d[:40])),
    "weights, the header's length a lie": (
        ERROR,
        edited("model.safetensors", lambda d: struct.pack("<Q", 2**63) + d[8:]),
    ),
    "weights, the header no JSON": (ERROR, edited("model.safetensors", lambda d: d[:8] + b"x" * len(d[8:]))),
    "weights, a deep header": (
        ERROR,
        holds("model.safetensors", struct.pack("<Q", len(DEEP)) + DEEP.encode()),
    ),
    "weights, offsets beyond the end": (
        ERROR,
        header(lambda h: h["model.norm.weight"].update(data_offsets=[0, 2**50])),
    ),
    "weights, offsets backwards": (
        ERROR,
        header(lambda h: h["model.norm.weight"].update(data_offsets=[128, 0])),
    ),
    "weights, an unknown type": (ERROR, header(lambda h: h["model.norm.weight"].update(dtype="EVIL"))),
    "weights, another shape": (ERROR, header(lambda h: h["model.norm.weight"].update(shape=[2, 16]))),
    "weights, NaN": (ERROR, poisoned(float("nan"), "q_proj")),
    "weights, NaN in the last layer": (ERROR, poisoned(float("nan"), "lm_head")),
    "weights, infinite": (ERROR, poisoned(float("inf"), "norm")),
    "weights, minus infinite": (ERROR, poisoned(float("-inf"), "embed")),
    "weights, one missing": (ERROR, tensors(lambda t: t.pop("lm_head.weight"))),
    "weights, one too many": (EITHER, tensors(lambda t: t.update(evil=t["model.norm.weight"].clone()))),
    "weights, a folder": (ERROR, instead("model.safetensors", lambda p: p.mkdir())),
    "weights, a FIFO": (ERROR, instead("model.safetensors", lambda p: os.mkfifo(p))),
    "weights, a link to itself": (ERROR, instead("model.safetensors", lambda p: p.symlink_to(p))),
    "weights, a link to /dev/zero": (
        ERROR,
        instead("model.safetensors", lambda p: p.symlink_to("/dev/zero")),
    ),
    "index to the folder above": (ERROR, indexed("../outside.safetensors")),
    "index to an absolute path": (ERROR, indexed("{}/outside.safetensors")),
    "index to a file that is not there": (ERROR, indexed("model-00009-of-00001.safetensors")),
    "index to a pickle": (ERROR, all_of(indexed("evil.bin"), pickled("evil.bin", keep=True))),
    "index, a list": (ERROR, holds("model.safetensors.index.json", "[]")),
    "index, deep": (ERROR, holds("model.safetensors.index.json", DEEP)),
    "index, a FIFO": (ERROR, instead("model.safetensors.index.json", lambda p: os.mkfifo(p))),
    "configuration, none": (ERROR, without("config.json")),
    "configuration, cut": (ERROR, edited("config.json", lambda d: d[: len(d) // 2])),
    "configuration, deep": (ERROR, holds("config.json", DEEP)),
    "configuration, a list": (ERROR, holds("config.json", "[]")),
    "configuration, a number": (ERROR, holds("config.json", "5")),
    "configuration, empty": (ERROR, holds("config.json", "")),
    "configuration, no kind": (ERROR, holds("config.json", "{}")),
    "configuration, not UTF-8": (ERROR, holds("config.json", b"\xff\xfe\x00")),
    "configuration, a FIFO": (ERROR, instead("config.json", lambda p: os.mkfifo(p))),
    "configuration, code of its own": (ERROR, remote("config.json", "EvilConfig", key="AutoConfig")),
    "configuration, hidden size 0": (ERROR, with_values("config.json", hidden_size=0)),
    "configuration, hidden size -8": (ERROR, with_values("config.json", hidden_size=-8)),
    "configuration, hidden size 10^12": (ERROR, with_values("config.json", hidden_size=LONG)),
    "configuration, a hidden size of words": (ERROR, with_values("config.json", hidden_size="large")),
    "configuration, 10^12 layers": (ERROR, with_values("config.json", num_hidden_layers=LONG)),
    "configuration, 10^5 layers": (ERROR, with_values("config.json", num_hidden_layers=10**5)),
    "configuration, -1 layers": (ERROR, with_values("config.json", num_hidden_layers=-1)),
    "configuration, a vocabulary of 10^12": (ERROR, with_values("config.json", vocab_size=LONG)),
    "configuration, a vocabulary of 5": (ERROR, with_values("config.json", vocab_size=5)),
    "configuration, no heads": (ERROR, with_values("config.json", num_attention_heads=0)),
    "configuration, 7 heads": (ERROR, with_values("config.json", num_attention_heads=7)),
    "configuration, attention of the hub": (
        EITHER,
        with_values("config.json", _attn_implementation="somebody/evil-kernels"),
    ),
    "configuration, an unknown activation": (ERROR, with_values("config.json", hidden_act="evil")),
    "configuration, an unknown type": (ERROR, with_values("config.json", dtype="evil")),
    "configuration, a type that runs": (EITHER, with_values("config.json", dtype="os.system")),
    "configuration, rotary positions of words": (
        ERROR,
        with_values("config.json", rope_parameters={"rope_type": "evil", "rope_theta": "x"}),
    ),
    "configuration, quantized somehow": (
        EITHER,
        with_values("config.json", quantization_config={"quant_method": "evil"}),
    ),
    "generation, an end of words": (
        EITHER,
        with_values("generation_config.json", eos_token_id="never"),
    ),
    "generation, deep": (ERROR, holds("generation_config.json", DEEP)),
    "generation, a list": (ERROR, holds("generation_config.json", "[]")),
    "tokenizer, cut": (ERROR, edited("tokenizer.json", lambda d: d[: len(d) // 2])),
    "tokenizer, deep": (ERROR, holds("tokenizer.json", DEEP)),
    "tokenizer, none": (ERROR, without("tokenizer.json")),
    "tokenizer, ids beyond the embeddings": (ERROR, tokenizer_json(shifted)),
    "tokenizer, an unknown kind": (ERROR, tokenizer_json(lambda v: v["model"].update(type="Evil"))),
    "tokenizer, code of its own": (
        EITHER,
        remote("tokenizer_config.json", "EvilTokenizer", key="AutoTokenizer"),
    ),
    "tokenizer, a class of os": (EITHER, with_values("tokenizer_config.json", tokenizer_class="os.system")),
    "tokenizer, an end that is no token": (
        EITHER,
        with_values("tokenizer_config.json", eos_token="<nowhere>"),
    ),
    "tokenizer, an end that is a list": (ERROR, with_values("tokenizer_config.json", eos_token=[["a"]])),
    "tokenizer, a bound of words": (EITHER, with_values("tokenizer_config.json", model_max_length="long")),
    "tokenizer settings, deep": (ERROR, holds("tokenizer_config.json", DEEP)),
    "tokenizer settings, a list": (ERROR, holds("tokenizer_config.json", "[]")),
    "tokenizer that replaces everything": (
        ERROR,
        tokenizer_json(
            lambda v: v.update(
                normalizer={"type": "Replace", "pattern": {"Regex": "."}, "content": "quagga" * 100_000}
            )
        ),
    ),
    "tokenizer that writes nothing": (
        ERROR,
        tokenizer_json(
            lambda v: v.update(normalizer={"type": "Replace", "pattern": {"Regex": "."}, "content": ""})
        ),
    ),
    "template, loops in loops": (
        ERROR,
        template("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
    ),
    "template, a power": (ERROR, template("{{ 9 ** 9 ** 9 }}")),
    "template, rounding": (ERROR, template("{{ [1] | map('round', 999999999, 'ceil') | list }}")),
    "template, ten billion letters": (ERROR, template("{{ 'a' * 10000000000 }}")),
    "template, doubling": (
        ERROR,
        template(
            "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}"
        ),
    ),
    "template, a long text often": (
        ERROR,
        template("{% set x = 'a' * 1000000 %}{% for i in range(99999) %}{{ x }}{% endfor %}"),
    ),
    "template that calls itself": (ERROR, template("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}")),
    "template, deep": (ERROR, template("{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}")),
    "template that asks for classes": (ERROR, template("{{ ''.__class__.__mro__[1].__subclasses__() }}")),
    "template that asks for globals": (
        ERROR,
        template("{{ cycler.__init__.__globals__.os.system('touch canary') }}"),
    ),
    "template that includes a file": (ERROR, template("{% include '/etc/passwd' %}")),
    "template, cut": (ERROR, template("{% for m in messages %}{{ m.content ")),
    "template that divides by nothing": (ERROR, template("{{ 1 / 0 }}")),
    "template that drops turns": (
        ERROR,
        template("{{ bos_token }}{{ messages[-1].content }}{{ eos_token }}"),
    ),
    "template that never ends a turn": (
        ERROR,
        template("{% for m in messages %}<|im|>{{ m.role }} {{ m.content }}{% endfor %}"),
    ),
    "template with control codes": (ERROR, template("{{ raise_exception('\x1b[31mred\x1b]0;title\x07') }}")),
    "template, not UTF-8": (ERROR, holds("chat_template.jinja", b"\xff\xfe\x00")),
    "template, a FIFO": (ERROR, instead("chat_template.jinja", lambda p: os.mkfifo(p))),
    "template that is a number": (
        ERROR,
        all_of(without("chat_template.jinja"), with_values("tokenizer_config.json", chat_template=5)),
    ),
}


def use(folder: Path) -> dict[str, Any]:
    """Open a checkpoint and let it answer, as `backfire sample` does."""
    from backfire.models import open_model
    from backfire.records import Decoding, Prompt
    from backfire.responses import sample
    from backfire.store import Ledger

    model = open_model(folder)
    with Ledger(folder.parent / "ledger.db") as ledger:
        sampled = sample(
            model, [Prompt.of("How are you?")], ledger=ledger, decoding=Decoding(max_new_tokens=4)
        )
    return {"text": [r.text for r in sampled.responses], "failed": [f.reason for f in sampled.failures]}


def hostile_checkpoints(place: Path, names: list[str] | None = None) -> Figures:
    """Open each of CASES, or of the named ones, in a process of its own."""
    from checkpoints import save_policy

    figures = Figures("hostile checkpoints", "checkpoints")
    preload_models()
    sound = save_policy(place / "sound", "llama")
    whole = apart(lambda: use(sound), SECONDS)
    assert whole.how == "value", whole.text
    with timed(figures):
        for name, expected, folder in _made(place, sound, names or list(CASES)):
            ended = apart(lambda at=folder: use(at), SECONDS)
            figures.times += 1
            _judge(figures, name, expected, ended, whole.value)
            if list(folder.parent.glob(CANARY)) or (Path.cwd() / CANARY).exists():
                figures.fault("wrong", f"{name}: code of the checkpoint ran")
            shutil.rmtree(folder.parent)
    return figures


def _made(place: Path, sound: Path, names: list[str]) -> Iterator[tuple[str, str, Path]]:
    for number, name in enumerate(names):
        expected, change = CASES[name]
        folder = place / f"case-{number}" / "model"
        shutil.copytree(sound, folder)
        change(folder)
        yield name, expected, folder


def _judge(figures: Figures, name: str, expected: str, ended: Any, whole: Any) -> None:
    figures.seen[{"error": "refused by name", "value": "opened unharmed"}.get(ended.how, ended.how)] += 1
    if ended.how in ("traceback", "crash"):
        figures.fault("traceback", f"{name}: {ended.text[-600:]}")
    elif ended.how == "hang":
        figures.fault("hang", f"{name}: {ended.text}")
    elif ended.how == "value" and expected == ERROR:
        figures.fault("wrong", f"{name}: it opened and answered {ended.value}")
    elif expected == SAME and (ended.how != "value" or ended.value != whole):
        figures.fault("different", f"{name}: {ended.text or ended.value}")
    if ended.how == "error" and len(ended.text) > 1500:
        figures.fault("wrong", f"{name}: the message is {len(ended.text)} letters: {ended.text[:200]!r}")
    if ended.how == "error" and ended.value not in ERRORS:
        figures.fault("wrong", f"{name}: a {ended.value}, {ended.text[:200]}")


ERRORS = {"ModelError", "TemplateError", "EndlessTemplateError"}
