"""Writes what jinja2, set up as transformers sets it up, makes of chat templates and of small expressions.

    pip install jinja2==3.1.6 && python scripts/reference/chat_templates.py

Reads and writes java/graft-core/src/test/resources/dev/graft/data: templates/*.jinja -> chats.json, and the list in
jinja_cases.py -> jinja-cases.json.
"""

import datetime
import json
import pathlib

import jinja2
import jinja2.ext
import jinja2.nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from jinja_cases import CASES, VARIABLES

NOW = datetime.datetime(2025, 3, 7, 9, 5, 4)
RESOURCES = pathlib.Path(__file__).parents[2] / "java/graft-core/src/test/resources/dev/graft/data"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "additional_special_tokens": ["<|im_start|>", "<|im_end|>"]}

TOOLS = [{
    "type": "function",
    "function": {
        "name": "get_temperature",
        "description": "Temperature at a place, in °C <now>",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}]
CALL = {"id": "abcdefghi", "type": "function", "function": {"name": "get_temperature", "arguments": {"place": "Zürich"}}}

CHATS = {
    "one-turn": [("user", "Hello, how are you?"), ("assistant", "Fine.")],
    "open": [("user", "Hello 👋")],
    "two-turns": [("user", "Hi"), ("assistant", "Hello!\nWhat now?"), ("user", "  Tell me 2+2 "), ("assistant", " 4 ")],
    "system": [("system", " Be brief. "), ("user", "Hi"), ("assistant", "Hello"), ("user", "Bye"), ("assistant", "Bye")],
    "thinking": [("user", "1+1?"), ("assistant", "<think>\neasy\n</think>\n\n2"), ("user", "2+2?"),
                 ("assistant", "<think>\nalso easy\n</think>\n\n4")],
    "assistant-first": [("assistant", "Welcome"), ("user", "Hi"), ("assistant", "Yes?")],
}


class Generation(jinja2.ext.Extension):
    """{% generation %} as transformers' AssistantTracker: the spans of the output that came from the block."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_support"), [], [], body).set_lineno(line)

    def _support(self, caller):
        text = caller()
        start = len("".join(self.environment.rendered))
        self.environment.spans.append([start, start + len(text)])
        return text


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda format: NOW.strftime(format)
    env.extend(rendered=[], spans=[])
    return env


def render(source, variables):
    env = environment()
    try:
        for piece in env.from_string(source).generate(**variables):
            env.rendered.append(piece)
        result = {"text": "".join(env.rendered)}
        return {**result, "spans": env.spans} if env.spans else result
    except Exception as e:
        return {"error": str(e)}


def chats():
    rows = []
    for path in sorted((RESOURCES / "templates").glob("*.jinja")):
        for name, turns in CHATS.items():
            messages = [{"role": role, "content": content} for role, content in turns]
            for prompt in (False, True):
                rows.append(row(path, name, messages, None, prompt))
        call = [{"role": "user", "content": "Warm?"}, {"role": "assistant", "content": "", "tool_calls": [CALL]},
                {"role": "tool", "content": "21.5"}, {"role": "assistant", "content": "Yes."}]
        if path.stem in ("llama-3.2", "qwen2.5", "qwen3", "mistral-v0.3"):
            rows.append(row(path, "tools", call, TOOLS, True))
    return rows


def row(path, chat, messages, tools, prompt):
    variables = {"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": prompt, **TOKENS}
    return {"template": path.stem, "chat": chat, "messages": messages, "tools": tools, "add_generation_prompt": prompt,
            **render(path.read_text(encoding="utf-8"), variables)}


def write(name, rows):
    lines = ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows)
    (RESOURCES / name).write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(name, len(rows), "rows,", sum("error" in r for r in rows), "errors")


if __name__ == "__main__":
    write("chats.json", chats())
    write("jinja-cases.json", [{"source": source, **render(source, VARIABLES)} for source in CASES])
    (RESOURCES / "jinja-variables.json").write_text(json.dumps(VARIABLES, ensure_ascii=False) + "\n", encoding="utf-8")
