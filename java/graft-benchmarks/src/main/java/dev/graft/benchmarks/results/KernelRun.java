package dev.graft.benchmarks.results;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.common.InputException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A benchmark with one choice of parameters, of JMH's results.
 *
 * @param benchmark the class, without package and "Benchmark"
 * @param method such as forward
 * @param micros the median time of an iteration's call
 * @param spread the slowest iteration over the fastest, less 1
 * @param flops of a call's matrix products; 0 where there are none
 * @param bytes of a call's operands; 0 where they were not counted
 */
record KernelRun(
        String benchmark,
        String method,
        Map<String, String> parameters,
        double micros,
        double spread,
        double flops,
        double bytes) {
    private static final Map<String, Double> MICROS = Map.of("ns/op", 1e-3, "us/op", 1.0, "ms/op", 1e3, "s/op", 1e6);
    private static final String FORWARD = "forward";
    private static final String PERCENTILES = "scorePercentiles";
    private static final String MEDIAN = "50.0";

    /** Every run of JMH's array {@code results}, forward passes before the others of their benchmark. */
    static List<KernelRun> read(ResultFile file, JsonNode results) {
        List<KernelRun> runs = new ArrayList<>();
        results.forEach(result -> runs.add(of(file, result)));
        runs.sort(Comparator.comparing(KernelRun::benchmark)
                .thenComparing(run -> !run.method().equals(FORWARD)));
        return runs;
    }

    private static KernelRun of(ResultFile file, JsonNode result) {
        String[] name = file.need(result, "benchmark").asText().split("\\.");
        if (name.length < 2) {
            throw new InputException(file.name() + ": a benchmark is called " + String.join(".", name)
                    + ", without a class; run scripts/bench-kernels again");
        }
        JsonNode primary = file.need(result, "primaryMetric");
        String unit = file.need(primary, "scoreUnit").asText();
        Double factor = MICROS.get(unit);
        if (factor == null) {
            throw new InputException(
                    file.name() + ": times in " + unit + "; run scripts/bench-kernels without -bm and -tu");
        }
        JsonNode percentiles = file.need(primary, PERCENTILES);
        Map<String, String> parameters = new LinkedHashMap<>();
        result.path("params")
                .properties()
                .forEach(
                        entry -> parameters.put(entry.getKey(), entry.getValue().asText()));
        return new KernelRun(
                name[name.length - 2].replaceFirst("Benchmark$", ""),
                name[name.length - 1],
                parameters,
                factor * file.number(percentiles, MEDIAN),
                file.number(percentiles, "100.0") / file.number(percentiles, "0.0") - 1,
                counter(result, "flops"),
                counter(result, "bytes"));
    }

    /** JMH adds a counter up over all iterations; each has the same value. */
    private static double counter(JsonNode result, String name) {
        return result.path("secondaryMetrics")
                .path(name)
                .path(PERCENTILES)
                .path(MEDIAN)
                .asDouble();
    }
}
