"""Margins, gradients and two passes, against what transformers, autograd and finite differences say."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from backfire.errors import InputError, ModelError
from backfire.influence.gradients import direction, gradient_products
from backfire.influence.margins import Contrast, add_gradients, encode, margins, probe_contrasts
from backfire.influence.parameters import RANK, SEEDS, trained
from backfire.influence.tangent import tangent
from backfire.influence.two_pass import moved, pair_influence
from influence.hand_probes import pairs, policy, probe_set


def contrasts(count: int) -> list[Contrast]:
    return [Contrast(p, (c,), (r,)) for p, c, r in pairs(count)]


def flat(model: object, chosen: object, encoded: object) -> np.ndarray:
    for _, p in chosen.named:  # type: ignore[attr-defined]
        p.grad = None
    add_gradients(model, encoded)  # type: ignore[arg-type]
    return torch.cat([p.grad.reshape(-1) for _, p in chosen.named]).double().numpy()  # type: ignore[attr-defined]


def test_margins_are_differences_of_logps() -> None:
    model = policy()
    probes = probe_set(6)
    found = margins(model, encode(model, probe_contrasts(probes)))
    for probe, margin in zip(probes.probes, found, strict=True):
        plus = model.logps([(probe.prompt, text) for text in probe.toward]).mean()
        minus = model.logps([(probe.prompt, text) for text in probe.away]).mean()
        assert margin == pytest.approx(plus - minus, abs=1e-4)


def test_neither_batches_nor_padding_matter() -> None:
    model = policy()
    encoded = encode(model, contrasts(12))
    one = margins(model, encoded, batch_size=1)
    assert margins(model, encoded, batch_size=7) == pytest.approx(one, abs=1e-4)
    order = np.random.default_rng(0).permutation(12)
    assert margins(model, encoded.subset(order))[np.argsort(order)] == pytest.approx(one, abs=1e-4)
    with trained(model, "all") as chosen:
        alone = flat(model, chosen, encoded.subset(np.array([3])))
        rest = flat(model, chosen, encoded.subset(np.delete(np.arange(12), 3)))
        whole = flat(model, chosen, encoded)
    assert np.linalg.norm(whole - alone - rest) < 1e-5 * np.linalg.norm(whole)


def test_gradient_is_that_of_finite_differences() -> None:
    model = policy("float64")
    encoded = encode(model, probe_contrasts(probe_set(4)))
    with trained(model, "all") as chosen:
        steps, length = direction(model, encoded, chosen)
        rng = np.random.default_rng(1)
        for number in range(3):
            other = [torch.from_numpy(rng.standard_normal(tuple(p.shape))) for _, p in chosen.named]
            expected = length * sum(float((a * b).sum()) for a, b in zip(steps, other, strict=True))
            with moved(chosen, other, 3e-5):
                up = margins(model, encoded).mean()
            with moved(chosen, other, -3e-5):
                down = margins(model, encoded).mean()
            assert (up - down) / 6e-5 == pytest.approx(expected, rel=1e-3), number


def test_two_passes_equal_the_exact_product_in_float64() -> None:
    model = policy("float64")
    conversations = pairs(10)
    probes = probe_set(6)
    found = pair_influence(model, conversations, probes, parameters="all")
    with trained(model, "all") as chosen:
        v = flat(model, chosen, encode(model, probe_contrasts(probes)))
        v /= np.linalg.norm(v)
        exact = [
            flat(model, chosen, encode(model, [Contrast(p, (c,), (r,))])) @ v for p, c, r in conversations
        ]
    size = np.sqrt(np.mean(np.square(exact)))
    assert np.abs(found.values - exact).max() < 0.01 * size
    assert found.agrees


def test_products_are_those_of_the_summed_gradients() -> None:
    model = policy("float64")
    shards = [encode(model, contrasts(9)).subset(np.arange(k, 9, 3)) for k in range(3)]
    shards.append(encode(model, probe_contrasts(probe_set(4))))
    of_data = np.array([True, True, True, False])
    with trained(model, "all") as chosen:
        products = gradient_products(model, shards, of_data, chosen)
        sums = np.array([flat(model, chosen, shard) for shard in shards])
    assert products.gram == pytest.approx(sums @ sums.T, rel=1e-9)
    assert products.signs == pytest.approx(sums @ np.sign(sums[:3].sum(0)), rel=1e-9)
    assert products.counts.tolist() == [3, 3, 3, 4]


def test_blocks_of_parameters_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = policy()
    shards = [encode(model, contrasts(6)).subset(np.arange(k, 6, 2)) for k in range(2)]
    of_data = np.array([True, False])
    with trained(model, "all") as chosen:
        whole = gradient_products(model, shards, of_data, chosen)
        monkeypatch.setattr("backfire.influence.gradients.kept_room", lambda _: 2 * 4 * 120_000)
        parted = gradient_products(model, shards, of_data, chosen)
        assert all(p.requires_grad for _, p in chosen.named)
        monkeypatch.setattr("backfire.influence.gradients.kept_room", lambda _: 10)
        with pytest.raises(InputError, match="lora"):
            gradient_products(model, shards, of_data, chosen)
    assert parted.gram == pytest.approx(whole.gram, rel=1e-5)


@pytest.mark.parametrize("parameters", ["all", "lora", r"layers\.2\..*proj"])
def test_the_policy_is_left_as_it_was(parameters: str) -> None:
    from backfire.models import open_model

    model = open_model("organism:qwen2/target")
    before = {name: (p.clone(), p.dtype, p.requires_grad) for name, p in model.model.named_parameters()}
    plain = model.model
    pair_influence(model, pairs(3), probe_set(3), parameters=parameters)
    assert model.model is plain
    after = dict(model.model.named_parameters())
    assert before.keys() == after.keys()
    for name, (value, dtype, flag) in before.items():
        assert torch.equal(value, after[name])
        assert after[name].dtype == dtype
        assert after[name].requires_grad == flag


def test_lora_sums_the_gradients_of_several_draws_of_a() -> None:
    model = policy()
    encoded = encode(model, contrasts(3))
    with trained(model, "lora") as chosen:
        assert all("lora_B" in name for name, _ in chosen.named)
        first = dict(chosen.named)
        name = next(n for n in first if "layers.0" in n and "q_proj" in n)
        assert first[name].shape[1] == RANK * SEEDS
        a = dict(model.model.named_parameters())[name.replace("lora_B", "lora_A")]
        blocks = a.detach().reshape(SEEDS, RANK, -1)
        assert not torch.allclose(blocks[0], blocks[1])
        for _, p in chosen.named:
            p.grad = None
        add_gradients(model, encoded)
        grad_b = first[name].grad.clone()
        weight = name.split("base_model.model.")[1].split(".lora_B")[0]
        a = a.detach().clone()
    with trained(model, "all") as chosen:
        add_gradients(model, encoded)
        grad_w = dict(chosen.named)[f"{weight}.weight"].grad
    assert torch.allclose(grad_b, grad_w @ a.T, rtol=1e-3, atol=1e-5 * float(grad_b.abs().max()))


def test_16_bits_give_the_derivatives_of_lora_and_say_how_sure_steps_are() -> None:
    from backfire.models import open_model

    conversations, probes = pairs(24), probe_set(12)
    half = open_model("organism:llama/target")
    exact = pair_influence(policy(), conversations, probes, parameters="lora")
    rough = pair_influence(half, conversations, probes, parameters="lora")
    assert (exact.epsilon, rough.epsilon) == (None, None), "no step is taken"
    assert np.corrcoef(rough.values, exact.values)[0, 1] > 0.9
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        stepped = pair_influence(half, conversations, probes, parameters=r"layers\.2\..*proj")
    assert stepped.epsilon is not None
    assert stepped.agrees or any("two step lengths" in str(w.message) for w in told)


def test_names_that_no_parameter_has_are_refused() -> None:
    with pytest.raises(InputError, match="no parameter"), trained(policy(), "nothing like it"):
        pass
    with pytest.raises(InputError, match="regular expression"), trained(policy(), "("):
        pass


def test_a_model_dispatched_by_accelerate_gives_the_same() -> None:
    accelerate = pytest.importorskip("accelerate")
    from backfire.models import open_model

    plain, spread = (open_model("organism:mistral/target", dtype="float32") for _ in range(2))
    places = {name: "cpu" for name, _ in spread.model.model.named_children()}
    spread.model.model = accelerate.dispatch_model(
        spread.model.model, places, main_device="cpu", force_hooks=True
    )
    assert hasattr(spread.model.model.layers[0].self_attn, "_hf_hook") or hasattr(
        spread.model.model.norm, "_hf_hook"
    )
    conversations, probes = pairs(6), probe_set(4)
    expected = pair_influence(plain, conversations, probes, parameters="all")
    found = pair_influence(spread, conversations, probes, parameters="all")
    assert found.values == pytest.approx(expected.values, rel=1e-3, abs=1e-2)


def test_weights_that_are_not_in_memory_are_refused() -> None:
    from backfire.models import open_model

    model = open_model("organism:mistral/target")
    model.model.lm_head.to("meta")
    with pytest.raises(ModelError, match="offloaded"), trained(model, "all"):
        pass


def test_kept_sums_serve_a_second_data_set_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backfire.influence import gradients
    from backfire.influence.kept import KeptGradients

    model = policy()
    shards = [encode(model, contrasts(8)).subset(np.arange(k, k + 2)) for k in (0, 2, 4)]
    of_data = np.array([True, False, False])
    read: list[int] = []
    add = gradients.add_gradients
    monkeypatch.setattr(
        gradients, "add_gradients", lambda m, e, **how: (read.append(len(e.rows)), add(m, e, **how))
    )

    def measure(seed: int) -> tuple[np.ndarray, list[float], int]:
        read.clear()
        kept = KeptGradients(tmp_path, seed)
        with trained(model, "all") as chosen:
            found = gradients.gradient_products(model, shards, of_data, chosen, stored=kept)
            steps, length = gradients.direction(model, shards[1], chosen, stored=kept)
        return found.gram, [float(v.double().sum()) for v in steps] + [length], len(read)

    gram, way, first = measure(0)
    again, way_again, second = measure(0)
    assert (first, second) == (3, 1)
    np.testing.assert_array_equal(gram, again)
    assert way == way_again
    with trained(model, "all") as chosen:
        np.testing.assert_array_equal(gradients.gradient_products(model, shards, of_data, chosen).gram, gram)
    assert measure(1)[2] == 3
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert measure(0)[2] == 3


def test_derivatives_along_loras_direction_are_those_of_finite_differences() -> None:
    model = policy()
    conversations, probes = pairs(10), probe_set(6)
    found = pair_influence(model, conversations, probes, parameters="lora", seed=3)
    assert found.epsilon is None
    encoded = encode(model, [Contrast(p, (c,), (r,)) for p, c, r in conversations])
    with trained(model, "lora", seed=3, shards=1) as chosen:
        steps, length = direction(model, encode(model, probe_contrasts(probes)), chosen)
        far = 0.1 / length
        with moved(chosen, steps, far):
            up = margins(model, encoded)
        with moved(chosen, steps, -far):
            down = margins(model, encoded)
        v = torch.cat([s.reshape(-1) for s in steps]).double().numpy()
        exact = [flat(model, chosen, encoded.subset(np.array([k]))) @ v for k in range(10)]
    size = np.sqrt(np.mean(np.square(exact)))
    assert np.abs(found.values - exact).max() < 1e-3 * size
    assert np.abs(found.values - (up - down) / (2 * far)).max() < 0.05 * size


def test_one_pass_gives_the_direction_and_each_pairs_derivative() -> None:
    model = policy()
    data, probes = encode(model, contrasts(8)), encode(model, probe_contrasts(probe_set(4)))
    shards = [data.subset(np.arange(k, 8, 2)) for k in range(2)] + [
        probes.subset(np.arange(k, 4, 2)) for k in range(2)
    ]
    of_data = np.array([True, True, False, False])
    with trained(model, "lora", seed=1, shards=4) as chosen:
        products = gradient_products(model, shards, of_data, chosen, toward=~of_data)
        steps, length = direction(model, probes, chosen)
    assert products.direction is not None
    assert products.values is not None
    assert products.direction[1] == pytest.approx(length, rel=1e-5)
    for one, other in zip(products.direction[0], steps, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    alone = pair_influence(model, pairs(8), probe_set(4), parameters="lora", seed=1).values
    assert products.values[0] == pytest.approx(alone[::2], rel=1e-3, abs=1e-6)
    assert products.values[1] == pytest.approx(alone[1::2], rel=1e-3, abs=1e-6)


def test_a_direction_keeps_nothing_more_for_the_backward_pass() -> None:
    model = policy()
    encoded = encode(model, contrasts(4))

    def kept_bytes(read: Callable[[], object]) -> int:
        storages: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            read()
        return sum(storages.values())

    with trained(model, "lora", seed=1, shards=1) as chosen:
        steps, _ = direction(model, encode(model, probe_contrasts(probe_set(4))), chosen)
        without = kept_bytes(lambda: add_gradients(model, encoded))
        with tangent(model, chosen, steps) as along:
            assert kept_bytes(lambda: add_gradients(model, encoded, along=along)) < 1.02 * without


def test_layers_computed_again_give_the_same_derivatives(monkeypatch: pytest.MonkeyPatch) -> None:
    model = policy()
    whole = pair_influence(model, pairs(8), probe_set(4), parameters="lora", seed=1).values
    monkeypatch.setattr("backfire.influence.margins.keeps_for_gradients", lambda *_: False)
    again = pair_influence(model, pairs(8), probe_set(4), parameters="lora", seed=1).values
    assert again == pytest.approx(whole, rel=1e-4, abs=1e-7)


def test_layers_computed_again_give_the_same_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    model = policy()
    encoded = encode(model, contrasts(4))
    with trained(model, "all") as chosen:
        whole = flat(model, chosen, encoded)
        monkeypatch.setattr("backfire.influence.margins.keeps_for_gradients", lambda *_: False)
        again = flat(model, chosen, encoded)
    assert np.linalg.norm(whole - again) < 1e-5 * np.linalg.norm(whole)
    assert not any(module.training for module in model.model.modules())


def test_auto_is_lora_where_the_gradients_of_all_shards_would_not_fit(tmp_path: Path) -> None:
    from backfire.influence.parameters import chosen_parameters
    from backfire.models import open_model
    from models.wide_vocabulary import save_wide

    assert chosen_parameters(policy()) == "all"
    wide = open_model(save_wide(tmp_path / "wide", hidden=64))
    assert chosen_parameters(wide) == "lora", "the embeddings alone have 3.2 million numbers, 44 times"


def test_no_position_but_a_responses_has_logits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from backfire.models import memory, open_model
    from models.wide_vocabulary import VOCABULARY, logits_made, save_wide

    model = open_model(save_wide(tmp_path / "wide"))
    monkeypatch.setattr(memory, "PIECE", 16 * VOCABULARY * 8)
    encoded = encode(model, contrasts(6))
    responses = sum(len(ids) - start for ids, start in encoded.rows)
    with logits_made(model.model) as positions:
        margins(model, encoded)
    assert max(positions) <= 8 + len(encoded.rows)
    assert sum(positions) <= responses + 2 * len(encoded.rows)
    with trained(model, "lora") as chosen, logits_made(model.model) as positions:
        add_gradients(model, encoded)
        assert all(p.grad is not None for _, p in chosen.named)
    assert max(positions) <= 8 + len(encoded.rows), "nor in the backward pass, which makes them again"
