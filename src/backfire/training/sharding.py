"""Training whose weights, gradients and optimizer are shared among processes: what was asked for, and what is refused.

FSDP2 (torch's `fully_shard`) and DeepSpeed's ZeRO-3 go through accelerate, and are asked for by the setting `sharding` or by
`accelerate launch`. On CPUs accelerate trains by plain DDP where FSDP was asked for, and says nothing; `shard_on_cpus` makes it take the
way that it takes on GPUs, and `check_shards` looks whether the weights are shared out indeed.
"""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeVar

from backfire.errors import InputError, setting
from backfire.models.sharded import local_part, numbers_of
from backfire.training.log import Sharded
from backfire.training.settings import TrainingSettings

Kind = Literal["fsdp2", "zero3"]
Given = TypeVar("Given", bound=TrainingSettings)
FSDP = "ACCELERATE_USE_FSDP"
DEEPSPEED = "ACCELERATE_USE_DEEPSPEED"
ZERO3 = {
    "zero_optimization": {"stage": 3, "stage3_gather_16bit_weights_on_model_save": True},
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
    "bf16": {"enabled": "auto"},
    "zero_allow_untested_optimizer": True,
}
"""DeepSpeed's configuration. AdamW is torch's, as without it."""
UNSUPPORTED = {
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism configuration (tensor, context or sequence parallel)",
}


def processes() -> int:
    """How many processes train, by the launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def with_sharding(settings: Given) -> Given:
    """The settings with `sharding` as they or the launcher ask for it. Raises InputError for what is not supported."""
    launched, chosen = _launched(), settings.sharding
    if launched is not None and chosen not in (None, launched):
        raise InputError(
            f"{setting('sharding')} {chosen}, and accelerate was launched with {launched}: leave one of them out"
        )
    kind = chosen or launched
    if kind is None:
        return settings
    if processes() < 2:
        raise InputError(
            f"{setting('sharding')} {kind} shares the weights among processes, and this is the only one: give "
            f"{setting('processes')} 2, start it with `torchrun --nproc_per_node 2 -m backfire ...`, or leave {setting('sharding')} out"
        )
    if settings.adapter is not None or settings.parameters == "lora":
        raise InputError(
            f"{setting('sharding')} {kind} is for training all weights, and an adapter is trained here: leave out "
            f"{setting('sharding')} (each process then holds the frozen weights whole), or train all weights"
        )
    _check_device(settings, kind)
    if kind == "zero3" and find_spec("deepspeed") is None:
        raise InputError(
            f"{setting('sharding')} zero3: deepspeed is not installed; pip install 'backfire[deepspeed]', or take "
            f"{setting('sharding')} fsdp2, which needs nothing more"
        )
    if kind == "zero3" and (settings.watch.keep_best or settings.watch.load_best):
        raise InputError(
            f"{setting('watch_keep_best')} and {setting('watch_load_best')} are not supported with {setting('sharding')} zero3: "
            f"take {setting('sharding')} fsdp2"
        )
    return settings.model_copy(update={"sharding": kind})


def _check_device(settings: TrainingSettings, kind: Kind) -> None:
    import torch

    if settings.opening.on() == "cpu" and torch.cuda.is_available():
        raise InputError(
            f"{setting('sharding')} {kind} on the CPU of a machine with a GPU: set CUDA_VISIBLE_DEVICES to nothing, so that the "
            "processes do not see it"
        )


def _launched() -> Kind | None:
    """How `accelerate launch` was asked to share the weights out."""
    for name, what in UNSUPPORTED.items():
        if _on(name):
            raise InputError(
                f"accelerate was launched with {what}, which is not supported: launch with FSDP2 (`accelerate launch --use_fsdp "
                "--fsdp_version 2`), with DeepSpeed's ZeRO-3 (`accelerate launch --use_deepspeed --zero_stage 3`), or with torchrun"
            )
    if _on(FSDP):
        _check_fsdp()
        return "fsdp2"
    if _on(DEEPSPEED):
        _check_deepspeed()
        return "zero3"
    return None


def _on(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true", "yes", "on")


def _check_fsdp() -> None:
    """Raise InputError for settings of FSDP that are not supported."""
    version = os.environ.get("FSDP_VERSION", "1")
    if version != "2":
        raise InputError(
            f"accelerate was launched with FSDP version {version}, and version 2 is supported: give "
            "`accelerate launch --fsdp_version 2`, or `fsdp_version: 2` in the configuration file of accelerate"
        )
    if _on("FSDP_OFFLOAD_PARAMS"):
        raise InputError(
            "accelerate was launched with weights offloaded to the CPU, which is not supported: give "
            "`accelerate launch --fsdp_offload_params false`, and take more processes if memory runs out"
        )
    if _on("FSDP_ACTIVATION_CHECKPOINTING"):
        raise InputError(
            "accelerate was launched with `fsdp_activation_checkpointing: true`: leave that out, and give "
            f"{setting('gradient_checkpointing')}, which does the same"
        )
    policy = os.environ.get("FSDP_AUTO_WRAP_POLICY", "TRANSFORMER_BASED_WRAP")
    if policy != "TRANSFORMER_BASED_WRAP":
        raise InputError(
            f"accelerate was launched with the wrapping policy {policy}, and layers are shared out one by one here: give "
            "`accelerate launch --fsdp_auto_wrap_policy TRANSFORMER_BASED_WRAP`"
        )


def _check_deepspeed() -> None:
    """Raise InputError for settings of DeepSpeed that are not supported."""
    file = os.environ.get("ACCELERATE_DEEPSPEED_CONFIG_FILE", "")
    if file and file != "none":
        try:
            given = json.loads(Path(file).read_text(encoding="utf-8")).get("zero_optimization", {})
        except (OSError, ValueError, AttributeError) as error:
            raise InputError(
                f"accelerate was launched with the configuration of DeepSpeed {file}, which cannot be read as JSON ({error}): "
                "correct the file, or leave it out"
            ) from error
        stage = str(given.get("stage", 0))
        offloads = [
            str(given.get(name, {}).get("device", "none")) for name in ("offload_optimizer", "offload_param")
        ]
    else:
        stage = os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", "2")
        offloads = [
            os.environ.get(f"ACCELERATE_DEEPSPEED_OFFLOAD_{name}_DEVICE", "none")
            for name in ("OPTIMIZER", "PARAM")
        ]
    if stage != "3":
        raise InputError(
            f"accelerate was launched with DeepSpeed's ZeRO stage {stage}, and stage 3 is supported: give "
            "`accelerate launch --zero_stage 3`, or `zero_stage: 3` in the configuration file of accelerate"
        )
    if set(offloads) != {"none"}:
        raise InputError(
            "accelerate was launched with DeepSpeed's offloading, which is not supported: give "
            "`accelerate launch --offload_optimizer_device none --offload_param_device none`, and take more processes if memory runs out"
        )


def sharding_arguments(settings: TrainingSettings) -> dict[str, Any]:
    """Arguments of a trainer that shares the weights out."""
    if settings.sharding == "fsdp2":
        # What the launcher's environment says would count beside these.
        os.environ["FSDP_SYNC_MODULE_STATES"] = "false"
        how = {"version": 2, "state_dict_type": "SHARDED_STATE_DICT"}
        if layers := os.environ.get("FSDP_TRANSFORMER_CLS_TO_WRAP"):
            how["transformer_layer_cls_to_wrap"] = layers.split(",")
        if "FSDP_RESHARD_AFTER_FORWARD" in os.environ:
            how["reshard_after_forward"] = _on("FSDP_RESHARD_AFTER_FORWARD")
        return {"fsdp": True, "fsdp_config": how}
    if settings.sharding == "zero3":
        return {"deepspeed": ZERO3}
    return {}


def shard_on_cpus(arguments: Any) -> None:
    """From here on, let accelerate take CPU processes for GPU processes, where FSDP is asked for.

    accelerate 1.15 looks for FSDP among the kinds of GPU processes alone, when an Accelerator is made (`AcceleratorState.__init__`) and
    later. Device and backend stay what they are.
    """
    from accelerate.state import PartialState
    from accelerate.utils import DistributedType

    state = PartialState._shared_state
    if arguments.fsdp and state.get("distributed_type") == DistributedType.MULTI_CPU:
        state["distributed_type"] = DistributedType.MULTI_GPU


def shares(model: Any, kind: Kind) -> Sharded:
    """How the weights lie in the processes, in all of them. Raises InputError where they are not shared out."""
    import torch
    import torch.distributed as group

    parameters = list(model.parameters())
    total = sum(map(numbers_of, parameters))
    here = torch.tensor(
        [sum(local_part(p).numel() for p in parameters)], device=local_part(parameters[0]).device
    )
    each = [torch.zeros_like(here) for _ in range(group.get_world_size())]
    group.all_gather(each, here)
    numbers = [int(one) for one in each]
    padding = len(parameters) * len(numbers)
    if sum(numbers) > total + padding or max(numbers) >= total:
        raise InputError(
            f"{setting('sharding')} {kind}: the weights are not shared out, process by process {numbers} of {total} numbers; "
            "look at the launcher's settings"
        )
    return Sharded(kind=kind, processes=len(numbers), numbers=tuple(numbers))
