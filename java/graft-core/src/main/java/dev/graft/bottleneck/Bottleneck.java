package dev.graft.bottleneck;

import dev.graft.nn.Linear;

/**
 * One module: {@code h + up(gelu(down(h)))}.
 *
 * @param down [size, d] with its bias
 * @param up [d, size] with its bias
 */
public record Bottleneck(Linear down, Linear up) {
    public boolean isTrainable() {
        return down.isTrainable() || up.isTrainable();
    }
}
