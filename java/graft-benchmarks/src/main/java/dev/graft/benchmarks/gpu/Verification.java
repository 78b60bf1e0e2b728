package dev.graft.benchmarks.gpu;

import java.nio.file.Path;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What every section is told.
 *
 * @param tests a regular expression over JUnit's unique ids, for which tests to run
 * @param pytorch what {@code scripts/reference/gpu_lora.py} wrote, or null
 * @param version of Graft
 * @param command that a person types for the same
 * @param soFar takes a section's result as far as it has come, and keeps it should the process be stopped
 */
record Verification(
        Target target,
        Effort effort,
        Deadline deadline,
        String tests,
        @Nullable Path pytorch,
        String version,
        String command,
        Consumer<Object> soFar) {

    /** The same for one section. */
    Verification keeping(Consumer<Object> partial) {
        return new Verification(target, effort, deadline, tests, pytorch, version, command, partial);
    }

    Sizes sizes() {
        return effort == Effort.TINY ? Sizes.TINY : Sizes.LLAMA3_8B;
    }

    Stopwatch stopwatch() {
        return effort == Effort.TINY ? Stopwatch.ONCE : Stopwatch.STEADY;
    }
}
