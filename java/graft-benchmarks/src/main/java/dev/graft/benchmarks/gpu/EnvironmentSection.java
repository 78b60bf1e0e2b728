package dev.graft.benchmarks.gpu;

import dev.graft.cuda.CudaEngine;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Which hardware and software the numbers are of. */
final class EnvironmentSection implements Section {
    /** As {@link dev.graft.cuda.driver.Device#description} writes it. */
    private static final Pattern DESCRIPTION =
            Pattern.compile("(.*) \\(sm_(\\d+)\\), driver CUDA ([\\d.]+), cuBLAS ([\\d.]+).*");

    private static final List<String> SMI_FIELDS =
            List.of("driver_version", "memory.total", "power.limit", "clocks.max.sm", "clocks.max.memory");

    /**
     * The environment.
     *
     * @param description the engine's own line
     * @param capability such as 9.0
     * @param driverCuda the newest CUDA that the driver knows
     * @param availableBytes device memory free with nothing loaded
     * @param nvidiaSmi what nvidia-smi says, where it is
     */
    record Environment(
            String date,
            String graft,
            String command,
            String engine,
            String description,
            String gpu,
            String capability,
            String driverCuda,
            String cublas,
            long availableBytes,
            Map<String, String> nvidiaSmi,
            String java,
            int processors) {}

    @Override
    public String name() {
        return "environment";
    }

    @Override
    public Environment run(Verification verification) {
        try (CudaEngine engine = verification.target().open(Variant.PLAIN)) {
            String description = engine.description();
            Matcher parts = DESCRIPTION.matcher(description);
            if (!parts.matches()) {
                throw new IllegalStateException("engine description of another form: " + description);
            }
            String capability = parts.group(2);
            int digits = capability.length();
            return new Environment(
                    LocalDate.now().toString(),
                    verification.version(),
                    verification.command(),
                    engine.name(),
                    description,
                    parts.group(1),
                    capability.substring(0, digits - 1) + "." + capability.substring(digits - 1),
                    parts.group(3),
                    parts.group(4),
                    engine.availableBytes(),
                    verification.target().isEmulated() ? Map.of() : nvidiaSmi(),
                    Runtime.version().toString(),
                    Runtime.getRuntime().availableProcessors());
        }
    }

    /** Empty where there is no nvidia-smi. */
    private static Map<String, String> nvidiaSmi() {
        try {
            Process process = new ProcessBuilder(
                            "nvidia-smi", "--query-gpu=" + String.join(",", SMI_FIELDS), "--format=csv,noheader")
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            Map<String, String> values = new LinkedHashMap<>();
            if (process.waitFor(10, TimeUnit.SECONDS) && process.exitValue() == 0) {
                String[] fields = output.lines().findFirst().orElse("").split(", *");
                for (int i = 0; i < Math.min(fields.length, SMI_FIELDS.size()); i++) {
                    values.put(SMI_FIELDS.get(i).replace('.', '_'), fields[i]);
                }
            }
            return values;
        } catch (IOException missing) {
            return Map.of();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return Map.of();
        }
    }
}
