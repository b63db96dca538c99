"""A model behind an OpenAI-compatible server: OpenAI itself, vLLM, Ollama, `transformers serve`."""

from __future__ import annotations

import os
import re
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from backfire.errors import EndpointError, InputError, ModelError, RefusedError
from backfire.models.local import Generation
from backfire.records import Decoding, Request, StopReason, digest
from backfire.store import undecodable

REFERENCE = re.compile(r"openai:(?P<model>.+?)(?:@(?P<url>https?://.*))?")
STOP_REASONS: dict[str, StopReason] = {"stop": "eos", "length": "length"}
FILTERED = "content_filter"
REFUSALS = (400, 413, 422)
"""Statuses that say that it is this request which the server does not take."""
OFFICIAL = "https://api.openai.com/v1"


class EndpointModel:
    """A chat model reached by the `openai` client; safe to call from several threads.

    Its id is base URL and model name: what the server runs behind them cannot be seen from here, nor can the
    defaults that it takes from the checkpoint for what the API does not carry (vLLM: start it with
    `--generation-config vllm`; `transformers serve` samples only where generation_config.json has do_sample
    true). The key comes from OPENAI_API_KEY and is neither stored nor printed.
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

        Raises EndpointError with the reason where no usable reply came: an empty, garbled or failed one; RefusedError
        where the server would not take this request (status 400, 413 or 422) or filtered its reply.
        """
        self.check_decoding(request.decoding)
        client = self._client
        import openai

        try:
            reply = self._ask(client, request)
        except (openai.OpenAIError, ValueError) as error:
            refused = isinstance(error, openai.APIStatusError) and error.status_code in REFUSALS
            kind = RefusedError if refused else EndpointError
            raise kind(f"{self.name}: {self._without_key(error)}") from error
        choices = getattr(reply, "choices", None)
        if not isinstance(choices, list) or not choices:
            raise EndpointError(f"{self.name}: the reply has no choices")
        choice = choices[0]
        message = getattr(choice, "message", None)
        if message is None:
            raise EndpointError(f"{self.name}: the reply's first choice holds no message")
        text = getattr(message, "content", None) or getattr(message, "refusal", None) or ""
        if not isinstance(text, str):
            raise EndpointError(f"{self.name}: the reply's content is no text but {type(text).__name__}")
        ended = getattr(choice, "finish_reason", None)
        if not isinstance(ended, str) or ended not in STOP_REASONS:
            kind = RefusedError if ended == FILTERED else EndpointError
            raise kind(f"{self.name}: the reply ended with finish_reason {ended!r}")
        if not text.strip():
            raise EndpointError(f"{self.name}: the reply is empty (finish_reason {ended!r})")
        if undecodable(text):
            raise EndpointError(f"{self.name}: the reply holds half a character (a lone surrogate)")
        tokens = getattr(getattr(reply, "usage", None), "completion_tokens", None)
        tokens = tokens if isinstance(tokens, int) and tokens >= 0 else None
        return Generation(text, STOP_REASONS[ended], tokens)

    def _ask(self, client: Any, request: Request) -> Any:
        """Send the request; leave out or rename an option that the server says it does not take."""
        import openai

        while True:
            options = self._options(request)
            try:
                return client.chat.completions.create(
                    model=self.model, messages=request.prompt.as_messages(), **options
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                said = str(error)
                blamed = next((o for o in ("max_tokens", "seed") if o in options and o in said), None)
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
        if "seed" not in self._refused:
            options["seed"] = int(request.id[:7], 16)
        return options

    @cached_property
    def _client(self) -> Any:
        try:
            import openai
        except ImportError as error:
            raise ModelError(f"{self.name} needs the openai client: pip install 'backfire[api]'") from error
        return openai.OpenAI(
            api_key=os.environ.get("OPENAI_API_KEY") or "not-set",
            base_url=self.base_url,
            max_retries=self.max_retries,
            timeout=self.timeout,
        )

    def _without_key(self, error: BaseException) -> str:
        said = str(error).strip() or type(error).__name__
        key = os.environ.get("OPENAI_API_KEY")
        return said.replace(key, "***") if key else said
