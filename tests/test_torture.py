"""A small part of each part of `make torture`; what it found once is held here by its own test."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import jinja2
import pytest

from backfire.errors import BackfireError, DiskError, InputError, ModelError, shortened
from checkpoints import tokenizer_of
from running import invoke

sys.path.append(str(Path(__file__).parent / "study"))

from torture.faulty_endpoint import faulty_endpoint
from torture.figures import KINDS, Figures, table
from torture.fuzzing import fuzzing
from torture.hostile_checkpoints import CASES, hostile_checkpoints


def sound(figures: Figures) -> None:
    assert not figures.faults, table([figures])


def test_hostile_checkpoints_are_refused_by_name(tmp_path: Path) -> None:
    names = [
        *("pickle behind a decoy", "adapter with a pickle behind a decoy", "index to a pickle"),
        *("adapter configuration, deep", "weights, NaN", "weights, a FIFO", "configuration, 10^12 layers"),
        *("configuration, attention of the hub", "tokenizer, ids beyond the embeddings"),
        *("tokenizer, a bound of words", "tokenizer that writes nothing", "template, a power"),
        *("template, doubling", "template that asks for globals"),
    ]
    figures = hostile_checkpoints(tmp_path, names)
    assert figures.times == len(names)
    sound(figures)
    assert len(CASES) >= 100


def test_a_faulty_endpoint_loses_nothing(tmp_path: Path) -> None:
    figures = faulty_endpoint(tmp_path, 60)
    sound(figures)
    assert sum(figures.seen.values()) > 60


def test_every_reader_reads_or_names_what_is_unsound(tmp_path: Path) -> None:
    figures = fuzzing(tmp_path, 800)
    sound(figures)
    assert figures.seen["readers"] >= 40


def test_a_template_is_bounded_in_every_thread_and_call(monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from backfire.models import template_limits
    from backfire.models.template_limits import EndlessTemplateError, apply_template

    monkeypatch.setattr(template_limits, "SECONDS", 0.5)
    tokenizer = tokenizer_of("llama")
    asked = [[{"role": "user", "content": "hi"}]]
    plain = apply_template(tokenizer, asked)
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    tokenizer.chat_template = endless
    with ThreadPoolExecutor(2) as pool:
        ended = [pool.submit(apply_template, tokenizer, asked) for _ in range(2)]
        for one in ended:
            with pytest.raises(EndlessTemplateError, match="does not end within"):
                one.result(60)
    with pytest.raises(EndlessTemplateError, match="does not end within"):
        apply_template(tokenizer, asked)
    tokenizer.chat_template = "{{ 1 / 0 }}"
    with pytest.raises(jinja2.TemplateError, match="division by zero"):
        apply_template(tokenizer, asked)
    tokenizer.chat_template = tokenizer_of("llama").chat_template
    assert apply_template(tokenizer, asked * 200) == plain * 200
    time.sleep(0.6)
    assert apply_template(tokenizer, asked) == plain


def test_published_templates_may_round(monkeypatch: pytest.MonkeyPatch) -> None:
    from backfire.models.template_limits import EndlessTemplateError, apply_template

    tokenizer = tokenizer_of("llama")
    asked = [[{"role": "user", "content": "hi"}]]
    tokenizer.chat_template = "{{ 3.14159 | round(2) }} {{ 2.5 | round }} {{ 2.5 | round(0, 'floor') | int }}"
    assert apply_template(tokenizer, asked) == ["3.14 2.0 2"]
    for template in ("{{ 1 | round(10 ** 9) }}", "{{ [1] | map('ro' ~ 'und', 999999999) | list }}"):
        tokenizer.chat_template = template
        with pytest.raises(EndlessTemplateError, match="may take hours"):
            apply_template(tokenizer, asked)


def test_an_adapters_patterns_may_be_patterns(tiny_llama: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    from backfire.models.adapter_settings import check_patterns

    model = AutoModelForCausalLM.from_pretrained(tiny_llama)
    for pattern, fine in ((r".*\.(q|v)_proj", True), ("all-linear", True), ("(", False)):
        (tmp_path / "adapter_config.json").write_text(json.dumps({"target_modules": pattern}))
        if fine:
            check_patterns(tmp_path, model)
        else:
            with pytest.raises(ModelError, match="is no regular expression"):
                check_patterns(tmp_path, model)


def test_no_message_is_endless_or_steers_a_terminal(tmp_path: Path) -> None:
    assert len(str(InputError("a" * 10**6))) < 2_100
    assert shortened("short") == "short"
    assert str(InputError("x" * 5_000 + "the fix")).endswith("the fix")
    path = tmp_path / "a\x1b[31mred\x07.jsonl"
    path.write_text("{")
    said = invoke(["audit", path])
    assert said.exit_code == 2
    assert "\x1b" not in said.output
    assert "\x07" not in said.output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_output_that_the_disk_does_not_take_is_an_error() -> None:
    import subprocess

    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "backfire", "recipes"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "No space left on device" in done.stderr
    assert done.stderr.count("error:") == 1


def failing(path: Path, error: Exception) -> None:
    """Write half of a file, and meet this error."""
    from backfire.store import whole_file

    with whole_file(path) as aside:
        aside.write_text("half")
        raise error


def test_a_disk_error_is_one_whoever_met_it(tmp_path: Path) -> None:
    import errno

    class SafetensorError(Exception):
        pass

    met = [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("I/O error: No space left on device (os error 28)"),
        OSError("Error writing bytes to file. Detail: [errno 27] File too large"),
    ]
    for error in met:
        with pytest.raises(DiskError, match=r"out cannot be written \(.*\): free some space"):
            failing(tmp_path / "out", error)
    assert not list(tmp_path.iterdir())
    with pytest.raises(BackfireError, match="its own"):
        failing(tmp_path / "out", InputError("its own"))


def test_the_table_counts_each_kind() -> None:
    figures = Figures("part", "times", 3)
    figures.fault("lost", "one\ntwo")
    text = table([figures])
    assert all(kind in text for kind in KINDS)
    assert "part, lost: one" in text
