package dev.graft.bottleneck;

import dev.graft.common.InputException;
import java.util.Locale;

/**
 * What bottleneck adapter modules are inserted into a model: the same record serves Java callers, the command line and
 * {@code adapter_config.json}.
 *
 * <p>A module changes the output h of a block, attention or MLP, before the residual x is added, so that the block gives
 *
 * <pre>
 *   y = x + h + U gelu(D h + b) + c          D [size, d], b [size], U [d, size], c [d]
 * </pre>
 *
 * <p>Source: Houlsby et al., "Parameter-Efficient Transfer Learning for NLP" (2019); Pfeiffer et al., "AdapterFusion" (2021).
 *
 * @param size of the bottleneck, at least 1
 * @param placement after which blocks of a layer
 */
public record BottleneckConfig(int size, Placement placement) {
    /** After which blocks of each layer there is a module. */
    public enum Placement {
        /** After attention and after the MLP. */
        HOULSBY,
        /** After the MLP alone. */
        PFEIFFER;

        /** Reads a flag's value. */
        public static Placement parse(String text) {
            return switch (text) {
                case "houlsby" -> HOULSBY;
                case "pfeiffer" -> PFEIFFER;
                default ->
                    throw new InputException("--placement " + text
                            + ": use houlsby (after attention and after the MLP) or pfeiffer (after the MLP alone)");
            };
        }

        /** As typed. */
        public String typed() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    public BottleneckConfig {
        if (size < 1) {
            throw new InputException(
                    "--bottleneck " + size + ": the bottleneck must have at least 1 unit; 16 to 64 is a good start");
        }
    }

    /** Modules of one layer. */
    public int modulesPerLayer() {
        return placement == Placement.HOULSBY ? 2 : 1;
    }

    /** How many numbers are trained: a module has 2 d · size of weights, size + d of biases. */
    public long parameterCount(int hiddenSize, int layers) {
        return (2L * hiddenSize * size + size + hiddenSize) * modulesPerLayer() * layers;
    }
}
