package dev.graft.cli.options;

import dev.graft.bottleneck.BottleneckConfig;
import dev.graft.bottleneck.BottleneckFile;
import dev.graft.common.InputException;
import dev.graft.model.DecoderConfig;
import dev.graft.train.Method;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The flags of {@code --method adapter}. */
final class BottleneckOptions {
    private static final int DEFAULT_SIZE = 64;

    @Option(
            names = "--bottleneck",
            paramLabel = "N",
            description = "With --method adapter: units of each module's bottleneck (default: " + DEFAULT_SIZE + ").")
    private @Nullable Integer size;

    @Option(
            names = "--placement",
            paramLabel = "WHERE",
            description = "With --method adapter: houlsby, a module after attention and one after the MLP, "
                    + "or pfeiffer, after the MLP alone (default: houlsby).")
    private @Nullable String placement;

    /**
     * What these flags ask for.
     *
     * @param initAdapter folder of the modules to start from, or null
     * @throws InputException where the flags contradict it, or it does not fit {@code model}
     */
    Method.Adapter method(@Nullable Path initAdapter, DecoderConfig model) {
        if (initAdapter == null) {
            return new Method.Adapter(config());
        }
        BottleneckFile start = BottleneckFile.read(initAdapter);
        start.requireFits(model.hiddenSize(), model.layers());
        requireEqual("--bottleneck", size, start.config().size(), initAdapter);
        requireEqual("--placement", placement, start.config().placement().typed(), initAdapter);
        return new Method.Adapter(start.config(), start);
    }

    private static void requireEqual(String flag, @Nullable Object typed, Object saved, Path initAdapter) {
        if (typed != null && !typed.equals(saved)) {
            throw new InputException(flag + " " + typed + ": the adapter in --init-adapter " + initAdapter + " has "
                    + saved + "; leave " + flag + " out");
        }
    }

    private BottleneckConfig config() {
        return new BottleneckConfig(
                size == null ? DEFAULT_SIZE : size,
                placement == null ? BottleneckConfig.Placement.HOULSBY : BottleneckConfig.Placement.parse(placement));
    }

    /** @throws InputException where a flag of these was given, which says nothing to {@code method} */
    void requireUnused(MethodName method) {
        if (size != null || placement != null) {
            throw new InputException((size != null ? "--bottleneck" : "--placement")
                    + " belongs to --method adapter, and --method is " + method.typed() + "; leave one of them out");
        }
    }
}
