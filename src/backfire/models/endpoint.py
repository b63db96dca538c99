"""A model behind an OpenAI-compatible server: OpenAI itself, vLLM, Ollama, `transformers serve`."""

from __future__ import annotations

import json
import os
import re
import warnings
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from backfire.errors import EndpointError, InputError, ModelError, RefusedError
from backfire.models.local import Generation
from backfire.models.masking import MASK, Secrets
from backfire.models.reply import bound, read_reply
from backfire.records import Decoding, Request, digest

REFERENCE = re.compile(r"openai:(?P<model>.+?)(?:@(?P<url>https?://.*))?")
REFUSALS = (400, 413, 422)
"""Statuses that say that it is this request which the server does not take."""
OFFICIAL = "https://api.openai.com/v1"


class EndpointModel:
    """A chat model reached by the `openai` client; safe to call from several threads.

    Its id is base URL and model name: what the server runs behind them cannot be seen from here, nor can the
    defaults that it takes from the checkpoint for what the API does not carry (vLLM: start it with
    `--generation-config vllm`; `transformers serve` samples only where generation_config.json has do_sample
    true). The key comes from OPENAI_API_KEY and is neither stored nor printed,
    whatever a server does with it (masking.py).
    """

    def __init__(
        self, model: str, base_url: str | None = None, *, max_retries: int = 5, timeout: float = 120.0
    ) -> None:
        self.model = model
        self.base_url = (base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL).rstrip("/")
        parts = urlsplit(self.base_url)
        if parts.username or parts.password or parts.query:
            raise InputError(
                f"the base URL of openai:{model} carries credentials: put the key into OPENAI_API_KEY instead"
            )
        self.max_retries = max_retries
        self.timeout = timeout
        self._refused: set[str] = set()
        self._secrets = Secrets()

    @classmethod
    def of(cls, reference: str) -> EndpointModel:
        """Open `openai:MODEL` or `openai:MODEL@BASE_URL`."""
        match = REFERENCE.fullmatch(reference)
        if match is None:
            raise ModelError(
                f"{reference!r} is not an endpoint: write openai:MODEL or openai:MODEL@http://127.0.0.1:8000/v1"
            )
        return cls(match["model"], match["url"])

    @property
    def name(self) -> str:
        return f"openai:{self.model}@{self.base_url}"

    @property
    def id(self) -> str:
        return digest("endpoint", self.base_url, self.model)

    @property
    def template_digest(self) -> str:
        """The server applies its own template, unseen."""
        return digest("template", "the server's own")

    def check_decoding(self, decoding: Decoding) -> None:
        """Raise InputError for a setting that the chat-completions API cannot honour."""
        if decoding.top_k:
            raise InputError(f"{self.name} cannot honour top_k {decoding.top_k}: leave it 0, or use top_p")
        if decoding.repetition_penalty != 1.0:
            raise InputError(
                f"{self.name} cannot honour repetition_penalty {decoding.repetition_penalty}: leave it 1.0"
            )

    def generate_one(self, request: Request) -> Generation:
        """Ask for one reply; the client retries what is worth retrying, with backoff.

        Raises EndpointError with the reason where no usable reply came: an empty, garbled, endless or failed one;
        RefusedError where the server would not take this request (status 400, 413 or 422) or filtered its reply. What a
        server says, in whichever part of a reply, is shown without what was sent as authorisation, and so is the text.
        """
        self.check_decoding(request.decoding)
        client = self._client
        import openai

        try:
            content = self._ask(client, request)
        except Exception as error:  # whatever a server can bring about: the client reads its replies, too
            refused = isinstance(error, openai.APIStatusError) and error.status_code in REFUSALS
            kind = RefusedError if refused else EndpointError
            # No cause is kept: it holds the server's words as they are, with what was sent to it.
            raise kind(f"{self.name}: {self._reason(error)}") from None
        reply = read_reply(content)
        if reply.fault:
            kind = RefusedError if reply.filtered else EndpointError
            raise kind(f"{self.name}: {reply.fault}")
        text = self._secrets.hide(reply.text)
        if text != reply.text:
            warnings.warn(
                f"a reply of {self.name} held what was sent to it as authorisation (the API key); it is replaced by {MASK}",
                stacklevel=2,
            )
        return Generation(text, reply.stop_reason, reply.tokens)

    def _ask(self, client: Any, request: Request) -> bytes:
        """Send the request and give the reply's body; leave out or rename an option that the server does not take."""
        import openai

        while True:
            options = self._options(request)
            try:
                answered = client.chat.completions.with_raw_response.create(
                    model=self.model, messages=request.prompt.as_messages(), **options
                )
                content: bytes = answered.http_response.content
                return content
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                message = str(error)
                blamed = next((o for o in ("max_tokens", "seed") if o in options and o in message), None)
                if blamed is None:
                    raise
                self._refused.add(blamed)

    def _options(self, request: Request) -> dict[str, Any]:
        decoding = request.decoding
        limit = "max_completion_tokens" if "max_tokens" in self._refused else "max_tokens"
        options: dict[str, Any] = {
            limit: decoding.max_new_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
        }
        if request.prompt.tools:
            options["tools"] = json.loads(request.prompt.tools)
        if "seed" not in self._refused:
            options["seed"] = int(request.id[:7], 16)
        return options

    @cached_property
    def _client(self) -> Any:
        try:
            import openai
        except ImportError as error:
            raise ModelError(f"{self.name} needs the openai client: pip install 'backfire[api]'") from error
        key = os.environ.get("OPENAI_API_KEY")
        self._secrets.add(key)
        hooks = {
            "request": [lambda request: self._secrets.add_headers(request.headers)],
            "response": [lambda response: bound(response, self.timeout)],
        }
        return openai.OpenAI(
            api_key=key or "not-set",
            base_url=self.base_url,
            max_retries=self.max_retries,
            timeout=self.timeout,
            default_headers={"Accept-Encoding": "identity"},
            http_client=openai.DefaultHttpxClient(event_hooks=hooks),
        )

    def _reason(self, error: Exception) -> str:
        try:
            message = str(error).strip()
        except RecursionError:
            message = ""
        return self._secrets.hide_in_message(message or type(error).__name__)
