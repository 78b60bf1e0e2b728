package dev.graft.cli;

import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code graft bench}: what can be measured. */
@Command(name = "bench", description = "Measures speed on random weights.", synopsisSubcommandLabel = "COMMAND")
final class BenchCommand implements Callable<Integer> {
    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help.")
    private boolean help;

    @Spec
    private @Nullable CommandSpec spec;

    /** Without a command: shows what there is. */
    @Override
    public Integer call() {
        var self = Objects.requireNonNull(spec).commandLine();
        self.usage(self.getErr());
        return Failures.INPUT_AT_FAULT;
    }
}
