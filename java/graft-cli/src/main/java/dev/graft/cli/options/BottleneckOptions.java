package dev.graft.cli.options;

import dev.graft.bottleneck.BottleneckConfig;
import dev.graft.common.InputException;
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

    BottleneckConfig config() {
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
