package dev.graft.benchmarks.gpu;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.cuda.CudaEngine;
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
 * @param earlier the file as earlier sections left it
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
        JsonNode earlier,
        Consumer<Object> soFar) {

    /** The same for one section. */
    Verification keeping(Consumer<Object> partial) {
        return new Verification(target, effort, deadline, tests, pytorch, version, command, earlier, partial);
    }

    /** Whether the GPU is a Hopper and nothing that was tried of its own instructions before went wrong. */
    boolean mayUseWgmma() {
        for (JsonNode failure : earlier.path("conformance").path("failures")) {
            if (failure.path("test").asText().contains("Hopper")) {
                return false;
            }
        }
        if (earlier.path("kernels").has("error")) {
            return false;
        }
        try (CudaEngine engine = target.open(Variant.PLAIN)) {
            return engine.isHopper();
        }
    }

    Sizes sizes() {
        return effort == Effort.TINY ? Sizes.TINY : Sizes.LLAMA3_8B;
    }

    Stopwatch stopwatch() {
        return effort == Effort.TINY ? Stopwatch.ONCE : Stopwatch.STEADY;
    }
}
