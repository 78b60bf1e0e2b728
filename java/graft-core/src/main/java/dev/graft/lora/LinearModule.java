package dev.graft.lora;

/**
 * A linear layer that could be adapted.
 *
 * @param name full module name, such as {@code model.layers.0.self_attn.q_proj}
 * @param out d, rows of W0
 * @param in k, columns of W0
 * @param isHead whether it is the output head, which {@code all-linear} leaves out
 */
public record LinearModule(String name, int out, int in, boolean isHead) {}
