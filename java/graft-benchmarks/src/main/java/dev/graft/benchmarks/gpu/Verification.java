package dev.graft.benchmarks.gpu;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What every section is told.
 *
 * @param tests a regular expression over JUnit's unique ids, for which tests to run
 * @param pytorch what {@code scripts/reference/gpu_lora.py} wrote, or null
 * @param version of Graft
 * @param command that a person types for the same
 */
record Verification(
        Target target,
        Effort effort,
        Deadline deadline,
        String tests,
        @Nullable Path pytorch,
        String version,
        String command) {

    Sizes sizes() {
        return effort == Effort.TINY ? Sizes.TINY : Sizes.LLAMA3_8B;
    }

    Stopwatch stopwatch() {
        return effort == Effort.TINY ? Stopwatch.ONCE : Stopwatch.STEADY;
    }
}
