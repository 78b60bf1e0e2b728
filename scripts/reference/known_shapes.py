"""Shapes of well-known models, as Graft's `KnownShape` has them, for comparisons on random weights."""

SHAPES = {
    "smollm2-135m": ("llama", 49152, 576, 1536, 30, 9, 3, 64, 100000.0, True),
    "smollm2-360m": ("llama", 49152, 960, 2560, 32, 15, 5, 64, 100000.0, True),
    "qwen2.5-0.5b": ("qwen2", 151936, 896, 4864, 24, 14, 2, 64, 1000000.0, True),
    "llama3.2-1b": ("llama", 128256, 2048, 8192, 16, 32, 8, 64, 500000.0, True),
}


def config_of(shape, **more):
    """The transformers config of a shape; a text never ends by itself."""
    from transformers import LlamaConfig, Qwen2Config

    kind, vocabulary, hidden, intermediate, layers, heads, kv_heads, head_dim, theta, tied = SHAPES[shape]
    return {"llama": LlamaConfig, "qwen2": Qwen2Config}[kind](
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=head_dim,
        rope_parameters={"rope_type": "default", "rope_theta": theta},
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=None,
        **more,
    )
