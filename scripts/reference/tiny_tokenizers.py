"""Makes two small tokenizers for tests, and what the Rust tokenizers library makes of a few texts with them.

    pip install tokenizers==0.23.2 && python scripts/reference/tiny_tokenizers.py

Writes java/graft-core/src/test/resources/dev/graft/data/tokenizers: bytes/ (byte-level BPE as GPT-2, Qwen and Llama 3 use;
truncation and padding are set in the file, as some published ones do) and metaspace/ (BPE with a space marker and byte
fallback as Llama 2 and Mistral 0.1 use; adds <s>), each with the files of a model folder, and encodings.json.
"""

import json
import pathlib

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

ROOT = pathlib.Path(__file__).parents[2] / "java/graft-core/src/test/resources/dev/graft/data/tokenizers"
TEXTS = ["", "hello", "hello hello  world", " hello", "a\nb\n\n", "Zürich 👋🏽 x", "日本語", "<|im_start|>user\nhello<|im_end|>\n",
         "<s> hello</s>", "a\u0000b", "e\u0301é", "   ", "[INST] hello [/INST] world</s>"]


def added(tokenizer, *names):
    tokenizer.add_special_tokens([AddedToken(n, special=True, normalized=False) for n in names])


def pairs(*merges):
    vocabulary = ["".join(m) for m in merges]
    return vocabulary, list(merges)


def byte_level():
    pieces, merges = pairs(("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "hello"), ("o", "r"), ("Ċ", "Ċ"), ("Ã", "¼"))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(alphabet + pieces)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    added(tokenizer, "<|endoftext|>", "<|im_start|>", "<|im_end|>")
    tokenizer.enable_truncation(max_length=8)
    tokenizer.enable_padding(length=16, pad_id=264, pad_token="<|endoftext|>")
    config = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": None, "model_max_length": 8}
    return tokenizer, {"tokenizer_config.json": config, "generation_config.json": {"eos_token_id": [266, 264]}}


def metaspace():
    pieces, merges = pairs(("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("▁", "hello"), ("▁", "w"), ("o", "r"), ("▁", "▁"))
    alphabet = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + list("▁abcdefghijklmnopqrstuvwxyz[]/INST\n")
    vocabulary = {t: i for i, t in enumerate(dict.fromkeys(alphabet + pieces))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    added(tokenizer, "<unk>", "<s>", "</s>")
    special = {"bos_token": {"content": "<s>"}, "eos_token": {"content": "</s>"}, "unk_token": "<unk>"}
    return tokenizer, {"tokenizer_config.json": {"bos_token": "<s>"}, "special_tokens_map.json": special,
                       "config.json": {"eos_token_id": 2}}


def write(name, made):
    tokenizer, files = made
    folder = ROOT / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False), encoding="utf-8")
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    rows = []
    for text in TEXTS:
        for special in (False, True):
            encoding = tokenizer.encode(text, add_special_tokens=special)
            rows.append({"text": text, "special": special, "ids": encoding.ids, "offsets": encoding.offsets,
                         "decoded": tokenizer.decode(encoding.ids, skip_special_tokens=False),
                         "decoded_plain": tokenizer.decode(encoding.ids, skip_special_tokens=True)})
    lines = ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows)
    (folder / "encodings.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(name, tokenizer.get_vocab_size(), {t: tokenizer.token_to_id(t) for t in ("</s>", "<|im_end|>", "<|endoftext|>")})


if __name__ == "__main__":
    write("bytes", byte_level())
    write("metaspace", metaspace())
