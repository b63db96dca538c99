"""Shared fixtures: tiny random checkpoint folders, and the folder of real data."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
# Workers of pytest-xdist have COLUMNS=80, and answers would be broken there and not elsewhere.
os.environ.pop("COLUMNS", None)

from pathlib import Path

import pytest
from hypothesis import settings

from backfire.store import Ledger
from checkpoints import save_policy, save_reward
from miniature import NAME, grow_miniature

# A shell's background job ignores SIGINT, and so would the commands that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Cores are shared: a slow example is no defect.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


LOOPBACK = ("127.", "localhost", "::1", "0.0.0.0")


@pytest.fixture(scope="session", autouse=True)
def only_loopback() -> Iterator[None]:
    """No test reaches a network: names are not looked up, and connections stay on this machine."""
    looked_up, connect = socket.getaddrinfo, socket.socket.connect

    def here(host: object) -> bool:
        name = host.decode() if isinstance(host, bytes) else host
        return not name or str(name).startswith(LOOPBACK)

    def getaddrinfo(host: object, *rest: object, **more: object) -> object:
        if not here(host):
            raise socket.gaierror(socket.EAI_AGAIN, f"tests have no network, and {host!r} is elsewhere")
        return looked_up(host, *rest, **more)  # type: ignore[arg-type]

    def connected(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and not here(address[0]):
            raise OSError(f"tests have no network, and {address!r} is elsewhere")
        connect(self, address)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        patch.setattr(socket.socket, "connect", connected)
        yield


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder: Llama architecture, Llama-3 template, BOS."""
    return save_policy(tmp_path_factory.mktemp("tiny") / "llama", "llama")


@pytest.fixture(scope="session")
def tiny_mistral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder: Mistral architecture, [INST] template that refuses a system turn, BOS."""
    return save_policy(tmp_path_factory.mktemp("tiny") / "mistral", "mistral")


@pytest.fixture(scope="session")
def tiny_qwen2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder: Qwen2 architecture, ChatML template with a default system turn, no BOS."""
    return save_policy(tmp_path_factory.mktemp("tiny") / "qwen2", "qwen2")


@pytest.fixture(scope="session")
def tiny_reward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder: a Llama sequence classifier with one label."""
    return save_reward(tmp_path_factory.mktemp("tiny") / "reward")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db") as opened:
        yield opened


REAL_DATA = ("alpaca-eval", "general", "hh-rlhf", "jailbreakeval", "prompts", "safety-tuned", "xstest")
"""The folders of public data that tests read."""


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of public data beside the checkout (or BACKFIRE_DATA); skips where it or a part of it is absent."""
    beside = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("BACKFIRE_DATA", beside))
    absent = [name for name in REAL_DATA if not (folder / name).is_dir()]
    if absent:
        pytest.skip(f"no real data: {folder} has no folder {', '.join(absent)}; set BACKFIRE_DATA")
    return folder


@pytest.fixture(scope="session")
def real_model() -> Callable[[str], Path]:
    """A checkpoint folder of real weights by its name, in the folder that BACKFIRE_MODELS names; skips where it is absent."""

    def folder(name: str) -> Path:
        models = os.environ.get("BACKFIRE_MODELS")
        if not models:
            pytest.skip(
                "no real weights: set BACKFIRE_MODELS to a folder with the checkpoints smollm2 and qwen-0.5b"
            )
        if not (Path(models) / name / "config.json").is_file():
            pytest.skip(f"no real weights at {Path(models) / name}")
        return Path(models) / name

    return folder


@pytest.fixture(scope="session")
def miniature_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the grown world w5, whose organisms learnt for three steps; it lies in $BACKFIRE_CACHE."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKFIRE_CACHE", str(cache))
        yield grow_miniature(cache / "worlds" / NAME)
