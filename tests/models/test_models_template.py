"""Chat templates: the published ones pass, and each way to break one is named."""

from __future__ import annotations

import pytest

from backfire.errors import TemplateError
from backfire.models import check_template
from backfire.models.rendering import conversation_rows
from backfire.records import Prompt
from checkpoints import LLAMA3_TEMPLATE, MISTRAL_TEMPLATE, QWEN2_TEMPLATE, tokenizer_of

SYSTEM = Prompt.of_messages(
    [{"role": "system", "content": "Answer in verse."}, {"role": "user", "content": "How are you?"}]
)
QWEN3_LIKE = QWEN2_TEMPLATE.replace(
    "message['role'] + '\n' + message['content']",
    "message['role'] + '\n' + ('<think>\n\n</think>\n\n' if message['role'] == 'assistant' else '')"
    " + message['content']",
)


def with_template(family: str, template: str | None):
    tokenizer = tokenizer_of(family)
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize(
    ("family", "system_role", "lead"),
    [("llama", "kept", ""), ("mistral", "refused", " "), ("qwen2", "kept", "")],
)
def test_published_templates_pass(family, system_role, lead):
    checked = check_template(tokenizer_of(family))
    assert (checked.system_role, checked.lead) == (system_role, lead)


@pytest.mark.parametrize(
    ("family", "text"),
    [
        (
            "llama",
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi there<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nYes.<|eot_id|>",
        ),
        ("mistral", "<s>[INST] Hi there [/INST] Yes.</s>"),
        (
            "qwen2",
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHi there<|im_end|>\n"
            "<|im_start|>assistant\nYes.<|im_end|>",
        ),
    ],
)
def test_a_conversation_ends_at_eos_and_starts_after_the_prompt(family, text):
    tokenizer = tokenizer_of(family)
    ((ids, start),) = conversation_rows(check_template(tokenizer), [(Prompt.of("Hi there"), "Yes.")])
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode(ids[start:]).strip() == "Yes." + tokenizer.eos_token


def test_no_template_names_the_option():
    with pytest.raises(TemplateError, match="chat_template"):
        check_template(with_template("llama", None))


@pytest.mark.parametrize(
    ("family", "template", "message"),
    [
        ("llama", LLAMA3_TEMPLATE.replace("+ '<|eot_id|>'", "+ '\n'"), "never learn to stop"),
        (
            "qwen2",
            QWEN2_TEMPLATE.replace("'<|im_end|>' + '\n'", "'<|endoftext|>' + '\n'"),
            "never learn to stop",
        ),
        ("mistral", MISTRAL_TEMPLATE.replace(" + eos_token", ""), "never learn to stop"),
        (
            "llama",
            LLAMA3_TEMPLATE.replace("bos_token + content", "bos_token + bos_token + content"),
            "2 times",
        ),
        ("mistral", MISTRAL_TEMPLATE.replace("{{ bos_token }}", ""), "leaves it out"),
        (
            "qwen2",
            QWEN2_TEMPLATE.replace("<|im_start|>assistant\n", "<|im_start|>assistant: "),
            "token prefix",
        ),
        ("qwen2", QWEN2_TEMPLATE.split("{% if add_generation_prompt")[0], "does not open"),
        ("mistral", MISTRAL_TEMPLATE.replace("' ' + message['content'] + eos", "eos"), "drops the assistant"),
        ("llama", LLAMA3_TEMPLATE.replace("in loop_messages", "in loop_messages[-2:]"), "drops the user"),
        ("llama", "{{ bos_token }}{{ messages[0]['content'] }}{{ eos_token }}", "drops the assistant"),
        ("llama", "{% for m in messages %}{{ m['content'] }", "refuses"),
    ],
)
def test_each_broken_template_is_named(family, template, message):
    with pytest.raises(TemplateError, match=message):
        check_template(with_template(family, template))


def test_an_eos_of_the_generation_configuration_ends_a_turn():
    tokenizer = tokenizer_of("llama")
    tokenizer.eos_token = "<|end_of_text|>"
    with pytest.raises(TemplateError, match="never learn to stop"):
        check_template(tokenizer)
    check_template(tokenizer, eos_ids=[tokenizer.convert_tokens_to_ids("<|eot_id|>")])


def test_a_system_turn_raises_where_it_is_refused():
    checked = check_template(tokenizer_of("mistral"))
    checked.check_prompts([Prompt.of("How are you?")])
    with pytest.raises(TemplateError, match=r"refuses prompt .* system, user .*fold the system text"):
        checked.check_prompts([SYSTEM])


def test_a_system_turn_raises_where_it_would_be_dropped():
    silent = MISTRAL_TEMPLATE.replace(
        "{{ raise_exception('Only user and assistant roles are supported!') }}", ""
    ).replace(
        "{{ bos_token }}",
        "{{ bos_token }}{% set messages = messages | rejectattr('role', 'eq', 'system') | list %}",
    )
    checked = check_template(with_template("mistral", silent))
    assert checked.system_role == "dropped"
    assert checked.prompt_ids([Prompt.of("How are you?")])
    with pytest.raises(TemplateError, match="drops the system turn"):
        checked.prompt_ids([SYSTEM])


def test_an_empty_thinking_block_may_lead_the_response():
    assert check_template(with_template("qwen2", QWEN3_LIKE)).lead == ""


def test_a_system_turn_that_vanishes_when_a_response_follows():
    """As Mistral-7B-Instruct-v0.3 does: the system text goes with the user's turn only where it is the last."""
    template = (
        "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}{% set turns = messages[1:] %}"
        "{% else %}{% set turns = messages %}{% endif %}{{ bos_token }}{% for message in turns %}"
        "{% if message['role'] == 'user' %}{% if loop.last and system is defined %}"
        "{{ '[INST] ' + system + '\n\n' + message['content'] + '[/INST]' }}{% else %}"
        "{{ '[INST] ' + message['content'] + '[/INST]' }}{% endif %}"
        "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
    )
    checked = check_template(with_template("mistral", template))
    assert checked.system_role == "dropped"
    checked.check_prompts([Prompt.of("How are you?")])
    with pytest.raises(TemplateError, match="otherwise when a response follows: 'Answer in verse"):
        checked.check_prompts([SYSTEM])
    with pytest.raises(TemplateError, match="otherwise when a response follows"):
        conversation_rows(checked, [(SYSTEM, "Well.")])


GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
PHI3 = (
    "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}"
    "{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}"
    "{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}"
    "{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
    "{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if loop.index0 == 0 and system_message != false %}"
    "{% set content = '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)


@pytest.mark.parametrize(
    ("family", "template", "specials", "system_role"),
    [
        ("mistral", GEMMA, ["<start_of_turn>", "<end_of_turn>"], "refused"),
        ("qwen2", PHI3, ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"], "kept"),
        ("mistral", LLAMA2, [], "kept"),
    ],
)
def test_other_published_templates_pass(family, template, specials, system_role):
    """Gemma-2 (its end of turn is an EOS of the generation configuration), Phi-3, Llama-2 (BOS at every turn)."""
    tokenizer = with_template(family, template)
    tokenizer.add_special_tokens({"extra_special_tokens": specials})
    ends = [tokenizer.convert_tokens_to_ids("<end_of_turn>")] if template is GEMMA else []
    checked = check_template(tokenizer, eos_ids=ends)
    assert checked.system_role == system_role
    checked.check_prompts([Prompt.of("How are you?")])
    ((ids, start),) = conversation_rows(checked, [(Prompt.of("How are you?"), "Well.")])
    assert tokenizer.decode(ids[start:]).strip().startswith("Well.")
    assert ids[-1] in checked.eos_ids
