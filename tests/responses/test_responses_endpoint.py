"""Sampling from OpenAI-compatible servers: a real one that nobody here wrote, and one that misbehaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from backfire.errors import EndpointError, InputError
from backfire.judges import ExactJudge
from backfire.models import EndpointModel, open_model
from backfire.organisms.catalog import folder_of, open_world, world_prompts
from backfire.records import Decoding, Prompt, Request
from backfire.responses import sample
from loopback import chat

PROMPTS = [Prompt.of(f"tell me about number {k}") for k in range(6)]
DECODING = Decoding(max_new_tokens=12, temperature=1.0, top_p=0.9)


@pytest.fixture(scope="module")
def drawing(tiny_qwen2, tmp_path_factory):
    """The checkpoint with the default that `transformers serve` needs before it samples."""
    folder = shutil.copytree(tiny_qwen2, tmp_path_factory.mktemp("drawing") / "qwen2")
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | {"do_sample": True, "top_k": 0}))
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The base URL of `transformers serve` on a free port of loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "serve.log"
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HOME": str(log.parent)}
    program = Path(sys.executable).with_name("transformers")
    with log.open("w") as out:
        server = subprocess.Popen(
            [program, "serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
            env=os.environ | offline,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    break
            except (urllib.error.URLError, OSError):
                assert server.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < until, log.read_text()[-2000:]
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def test_transformers_serve_is_sampled_into_the_ledger(served, drawing, ledger):
    model = open_model(f"openai:{drawing}@{served}")
    seen = []
    found = sample(
        model, PROMPTS, ledger=ledger, n=3, decoding=DECODING, progress=lambda *at: seen.append(at)
    )
    assert found.failures == []
    assert [(r.prompt_id, r.index) for r in found.responses] == [(p.id, i) for p in PROMPTS for i in range(3)]
    assert {r.source for r in found.responses} == {model.name}
    assert {r.stop_reason for r in found.responses} <= {"eos", "length"}
    assert len({r.text for r in found.responses}) > 12
    assert seen[-1] == (18, 18)
    assert sample(model, PROMPTS, ledger=ledger, n=3, decoding=DECODING) == found


def test_a_served_checkpoint_and_the_same_folder_answer_alike(served, tiny_qwen2, ledger):
    model = open_model(f"openai:{tiny_qwen2}@{served}")
    greedy = Decoding(max_new_tokens=12, temperature=0)
    local = sample(open_model(tiny_qwen2), PROMPTS, ledger=ledger, decoding=greedy)
    remote = sample(model, PROMPTS, ledger=ledger, decoding=greedy)
    assert [r.text for r in remote.responses] == [r.text for r in local.responses]
    assert [r.stop_reason for r in remote.responses] == [r.stop_reason for r in local.responses]
    with pytest.warns(UserWarning, match="the same text to every repetition of each of 6 prompts"):
        sample(model, PROMPTS, ledger=ledger, n=2, decoding=DECODING)


def test_a_served_organism_answers_as_its_checkpoint_does(served, ledger):
    prompts = world_prompts("organism:prompts/direct")[:8]
    greedy = Decoding(max_new_tokens=48, temperature=0)
    local = sample(open_model("organism:llama/target"), prompts, ledger=ledger, decoding=greedy)
    remote = sample(
        open_model(f"openai:{folder_of('organism:llama/target')}@{served}"),
        prompts,
        ledger=ledger,
        decoding=greedy,
    )
    assert remote.failures == []
    assert [r.text for r in remote.responses] == [r.text for r in local.responses]
    assert {r.stop_reason for r in remote.responses} == {"eos"}
    judge = ExactJudge(open_world())
    verdicts = [judge.judge(p, r) for p, r in zip(prompts, remote.responses, strict=True)]
    assert {v.harmful for v in verdicts} <= {True, False}


class Server(ThreadingHTTPServer):
    """Answers each prompt by its text: what goes wrong is written in it. `asked` keeps the bodies."""

    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.keys: set[str] = set()
        self.takes = {"max_tokens", "seed"}
        self.malformed: bytes | None = None
        super().__init__(("127.0.0.1", 0), Answers)


class Answers(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(body)
        self.server.keys.add(self.headers["authorization"])
        if self.server.malformed is not None:
            return self.send(200, self.server.malformed)
        text, content, reason, status = body["messages"][-1]["content"], "Fine.", "stop", 200
        for option in ("max_tokens", "seed"):
            if option in body and option not in self.server.takes:
                return self.answer(400, {"error": {"message": f"Unsupported parameter: '{option}'"}})
        if "empty" in text:
            content = ""
        elif "garbled" in text:
            content = "Half a \ud83d"
        elif "filtered" in text:
            content, reason = "Par", "content_filter"
        elif "long" in text:
            reason = "length"
        elif "broken" in text:
            status = 500
        elif "forbidden" in text:
            return self.answer(401, {"error": {"message": "bad key " + self.headers["authorization"]}})
        message = {"role": "assistant", "content": content}
        if "declined" in text:
            message = {"role": "assistant", "content": None, "refusal": "I cannot do that."}
        return self.answer(
            status,
            {"id": "x", "object": "chat.completion", "created": 0, "model": "m",
             "choices": [{"index": 0, "finish_reason": reason, "message": message}],
             "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}},
        )  # fmt: skip

    def answer(self, status, body):
        return self.send(status, json.dumps(body).encode())

    def send(self, status, data):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def endpoint(server):
    return EndpointModel("m", f"http://127.0.0.1:{server.server_port}/v1", max_retries=0, timeout=10)


def test_failed_replies_are_listed_and_the_rest_is_kept(endpoint, server, ledger):
    texts = ["well", "empty", "filtered", "long", "broken", "declined", "garbled", "well again"]
    prompts = [Prompt.of(t) for t in texts]
    found = sample(endpoint, prompts, ledger=ledger, decoding=DECODING)
    by_text = {p.id: p.text for p in prompts}
    assert {by_text[r.prompt_id]: (r.text, r.stop_reason, r.tokens) for r in found.responses} == {
        "well": ("Fine.", "eos", 2),
        "long": ("Fine.", "length", 2),
        "declined": ("I cannot do that.", "eos", 2),
        "well again": ("Fine.", "eos", 2),
    }
    reasons = {f.request.prompt.text: f.reason for f in found.failures}
    assert list(reasons) == ["empty", "filtered", "broken", "garbled"]
    assert "half a character" in reasons["garbled"]
    assert "the reply is empty" in reasons["empty"]
    assert "content_filter" in reasons["filtered"]
    assert "500" in reasons["broken"]
    asked = len(server.asked)
    again = sample(endpoint, prompts, ledger=ledger, decoding=DECODING)
    assert len(server.asked) == asked + 4, "only the failed ones are asked again"
    assert again.responses == found.responses


def test_the_tools_of_a_prompt_are_sent_with_it(endpoint, server, ledger):
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    turns = [{"role": "user", "content": "Is it warm?"}]
    prompts = [Prompt.of_messages(turns, tools=json.dumps(tools)), Prompt.of("well")]
    sample(endpoint, prompts, ledger=ledger, decoding=DECODING)
    assert {body["messages"][0]["content"]: body.get("tools") for body in server.asked} == {
        "Is it warm?": tools,
        "well": None,
    }


@pytest.mark.parametrize(
    ("malformed", "said"),
    [
        (b'{"choices": [{"finish_reason": "stop", "message": null}]}', "holds no message"),
        (b'{"choices": [null]}', "holds no message"),
        (b'{"choices": {"0": 1}}', "no choices"),
        (
            b'{"choices": [{"finish_reason": "stop", "message": {"content": [{"text": "Fine."}]}}]}',
            "no text but list",
        ),
        (b'{"choices": [{"finish_reason": "stop", "message": {"content": 5}}]}', "no text but int"),
        (b'{"choices": [{"finish_reason": ["stop"], "message": {"content": "Fine."}}]}', "finish_reason"),
        (b'["choices"]', "no choices"),
        (b'"choices"', "no choices"),
        (b"<html>Bad gateway</html>", "endpoint"),
        (b'{"choices": [', "endpoint"),
    ],
)
def test_a_malformed_reply_is_a_failure_and_no_crash(malformed, said, endpoint, server, ledger):
    server.malformed = malformed
    got = sample(endpoint, [Prompt.of("well")], ledger=ledger, decoding=DECODING)
    assert got.responses == []
    assert len(got.failures) == 1
    assert said in got.failures[0].reason or said == "endpoint"


def test_a_reply_with_no_count_of_tokens_is_taken(endpoint, server, ledger):
    server.malformed = b'{"choices": [{"finish_reason": "stop", "message": {"content": "Fine."}}]}'
    got = sample(endpoint, [Prompt.of("well")], ledger=ledger, decoding=DECODING)
    assert [response.text for response in got.responses] == ["Fine."]


def test_what_is_sent(endpoint, server, ledger):
    sample(endpoint, PROMPTS[:1], ledger=ledger, n=4, decoding=DECODING)
    assert all(
        (b["max_tokens"], b["temperature"], b["top_p"], b["model"]) == (12, 1.0, 0.9, "m")
        for b in server.asked
    )
    assert len({b["seed"] for b in server.asked}) == 4
    assert all("n" not in b for b in server.asked)


def test_refused_options_are_renamed_or_left_out(endpoint, server, ledger):
    server.takes.clear()
    found = sample(endpoint, PROMPTS, ledger=ledger, n=8, decoding=DECODING, concurrency=8)
    assert (len(found.responses), found.failures) == (48, [])
    assert server.asked[-1]["max_completion_tokens"] == 12
    assert not {"seed", "max_tokens"} & server.asked[-1].keys()
    assert len(server.asked) <= 48 + 2 * 8, "learnt at most once a thread"


def test_the_client_retries_with_backoff(server):
    patient = EndpointModel("m", f"http://127.0.0.1:{server.server_port}/v1", max_retries=1, timeout=10)
    with pytest.raises(EndpointError, match="500"):
        patient.generate_one(Request(Prompt.of("broken"), patient.id, "", DECODING, 0, 0))
    assert len(server.asked) == 2


def test_the_key_is_sent_but_never_shown(endpoint, server, ledger, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    found = sample(endpoint, [Prompt.of("forbidden"), *PROMPTS[:1]], ledger=ledger, decoding=DECODING)
    assert server.keys == {"Bearer sk-very-secret"}
    assert "401" in found.failures[0].reason
    assert "very-secret" not in found.failures[0].reason + repr(vars(endpoint))
    ledger.close()
    assert all(b"very-secret" not in path.read_bytes() for path in ledger.path.parent.iterdir())


def test_a_dead_server_stops_the_run(ledger):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = EndpointModel("m", f"http://127.0.0.1:{port}/v1", max_retries=0, timeout=2)
    prompts = [Prompt.of(f"q{k}") for k in range(100)]
    with pytest.raises(EndpointError, match=r"requests in a row failed.*Connection error.*is stored"):
        sample(model, prompts, ledger=ledger, decoding=DECODING, give_up_after=5)


def test_replies_that_a_filter_cut_do_not_stop_the_run(endpoint, server, ledger):
    prompts = [Prompt.of(f"filtered {k}") for k in range(30)] + [Prompt.of("well")]
    found = sample(endpoint, prompts, ledger=ledger, decoding=DECODING, give_up_after=5, concurrency=2)
    assert [r.text for r in found.responses] == ["Fine."]
    assert len(found.failures) == 30
    greetings = [b for b in server.asked if b["messages"] == [{"role": "user", "content": "Hello."}]]
    assert len(greetings) == 1
    assert len(server.asked) == 32


def test_failures_of_the_server_among_refusals_stop_the_run(endpoint, ledger):
    prompts = [Prompt.of(f"{'filtered' if k % 2 else 'broken'} {k}") for k in range(60)]
    with pytest.raises(EndpointError, match=r"5 requests in a row failed.*500"):
        sample(endpoint, prompts, ledger=ledger, decoding=DECODING, give_up_after=5, concurrency=1)


@pytest.mark.parametrize("system", [(), ({"role": "system", "content": "Be kind."},)])
def test_a_server_that_refuses_even_a_greeting_is_given_up(system, ledger):
    prompts = [Prompt.of_messages([*system, {"role": "user", "content": f"q{k}"}]) for k in range(100)]
    with chat(lambda _, turns: None if system in ((), (turns[0],)) else "Fine.") as server:
        with pytest.raises(
            EndpointError, match=r"first 5 requests and a plain greeting were refused.*out of"
        ):
            sample(server.model("m"), prompts, ledger=ledger, decoding=DECODING, give_up_after=5)
        assert len(server.asked["m"]) <= 5 + 8 + 8 + 1


def test_a_server_that_has_answered_is_not_greeted(ledger):
    with chat(lambda _, turns: "Fine." if turns[-1]["content"] == "well" else None) as server:
        prompts = [Prompt.of("well"), *(Prompt.of(f"q{k}") for k in range(30))]
        found = sample(
            server.model("m"), prompts, ledger=ledger, decoding=DECODING, give_up_after=5, concurrency=1
        )
        assert (len(found.responses), len(found.failures)) == (1, 30)
        assert len(server.asked["m"]) == 31


@pytest.mark.parametrize("decoding", [Decoding(top_k=5), Decoding(repetition_penalty=1.2)])
def test_settings_that_the_api_cannot_honour(endpoint, server, ledger, decoding):
    with pytest.raises(InputError, match="cannot honour"):
        sample(endpoint, PROMPTS, ledger=ledger, decoding=decoding)
    assert server.asked == []
