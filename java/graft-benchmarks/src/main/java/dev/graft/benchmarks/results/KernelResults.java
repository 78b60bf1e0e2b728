package dev.graft.benchmarks.results;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Of {@code scripts/bench-kernels}, or JMH's own JSON. */
final class KernelResults implements ResultKind {
    private static final String LORA = "LoraLinear";
    private static final String LAYER = "layer";
    private static final String FROZEN = "frozen";

    @Override
    public boolean reads(ResultFile file) {
        return file.kind().equals("kernels") || file.json().path(0).has("jmhVersion");
    }

    @Override
    public List<Section> sections(List<ResultFile> files) {
        List<Section> sections = new ArrayList<>();
        for (ResultFile file : files) {
            JsonNode json = file.json();
            List<KernelRun> runs = KernelRun.read(file, json.isArray() ? json : file.need(json, "jmh"));
            runs.stream()
                    .collect(Collectors.groupingBy(KernelRun::benchmark, LinkedHashMap::new, Collectors.toList()))
                    .forEach((benchmark, group) -> sections.add(new Section(
                            heading(benchmark, group),
                            hasFloor(benchmark, group) ? overheads(group) : times(group),
                            List.of(file.provenance() + spread(group)))));
        }
        return sections;
    }

    /** Parameters that are the same in all runs stand in the heading. */
    private static String heading(String benchmark, List<KernelRun> runs) {
        Set<String> varying = varying(runs);
        return Stream.concat(
                        Stream.of(benchmark),
                        runs.getFirst().parameters().entrySet().stream()
                                .filter(parameter -> !varying.contains(parameter.getKey()))
                                .map(parameter -> parameter.getKey() + " " + parameter.getValue()))
                .collect(Collectors.joining(", "));
    }

    private static Set<String> varying(List<KernelRun> runs) {
        Set<String> names = new LinkedHashSet<>();
        for (String name : runs.getFirst().parameters().keySet()) {
            if (runs.stream()
                            .map(run ->
                                    Objects.requireNonNullElse(run.parameters().get(name), ""))
                            .distinct()
                            .count()
                    > 1) {
                names.add(name);
            }
        }
        return names;
    }

    /** A row for each choice of parameters, a column for each method. */
    private static MarkdownTable times(List<KernelRun> runs) {
        Set<String> parameters = varying(runs);
        Pivot pivot = new Pivot();
        for (KernelRun run : runs) {
            String rate = Figures.rate(run.micros(), run.flops(), run.bytes());
            pivot.put(
                    values(run, parameters),
                    run.method(),
                    Figures.time(run.micros()) + (rate.isEmpty() ? "" : ", " + rate));
        }
        return pivot.table(List.copyOf(parameters));
    }

    /** Whether everything was also measured for the frozen layer alone. */
    private static boolean hasFloor(String benchmark, List<KernelRun> runs) {
        return benchmark.equals(LORA) && runs.stream().allMatch(run -> floor(run, runs) != null);
    }

    private static KernelRun floor(KernelRun run, List<KernelRun> runs) {
        Map<String, String> parameters = new LinkedHashMap<>(run.parameters());
        parameters.put(LAYER, FROZEN);
        return runs.stream()
                .filter(other -> other.method().equals(run.method())
                        && other.parameters().equals(parameters))
                .findFirst()
                .orElse(null);
    }

    /** The frozen layer's time, and the others' as multiples of it. */
    private static MarkdownTable overheads(List<KernelRun> runs) {
        Set<String> parameters = varying(runs);
        parameters.remove(LAYER);
        Pivot pivot = new Pivot();
        for (KernelRun run : runs) {
            KernelRun floor = Objects.requireNonNull(floor(run, runs));
            List<String> key = new ArrayList<>(values(run, parameters));
            key.add(run.method());
            String cell = run == floor
                    ? Figures.time(run.micros()) + ", " + Figures.rate(run.micros(), run.flops(), run.bytes())
                    : Figures.overhead(run.micros() / floor.micros());
            pivot.put(key, Objects.requireNonNullElse(run.parameters().get(LAYER), ""), cell);
        }
        return pivot.table(Stream.concat(parameters.stream(), Stream.of("pass")).toList());
    }

    private static List<String> values(KernelRun run, Set<String> parameters) {
        return parameters.stream()
                .map(name -> Objects.requireNonNullElse(run.parameters().get(name), ""))
                .toList();
    }

    private static String spread(List<KernelRun> runs) {
        double[] sorted = runs.stream().mapToDouble(KernelRun::spread).sorted().toArray();
        return String.format(
                Locale.ROOT,
                "; medians, iterations spread by %.0f %% (median of the table, at most %.0f %%)",
                100 * sorted[sorted.length / 2],
                100 * sorted[sorted.length - 1]);
    }

    @Override
    public List<Plot> plots(List<ResultFile> files) {
        return List.of();
    }

    /** Cells by row and column, each in the order of their first appearance. */
    private static final class Pivot {
        private final Map<List<String>, Map<String, String>> rows = new LinkedHashMap<>();
        private final Set<String> columns = new LinkedHashSet<>();

        void put(List<String> row, String column, String cell) {
            columns.add(column);
            rows.computeIfAbsent(row, key -> new LinkedHashMap<>()).put(column, cell);
        }

        MarkdownTable table(List<String> rowHeadings) {
            MarkdownTable table = MarkdownTable.of(
                    Stream.concat(rowHeadings.stream(), columns.stream()).toList());
            rows.forEach((row, cells) -> table.row(Stream.concat(
                            row.stream(), columns.stream().map(column -> cells.getOrDefault(column, "")))
                    .toList()));
            return table;
        }
    }
}
